//! The program apu-client: the part of apu that runs as root on a client.
//!
//! `handle` answers one connection, `listen` accepts connections where systemd does not, and `run` and `health` carry out one
//! run, or the checks that a connection asked for, independently of it. `holds` takes off the holds that are over.

mod answers;
mod apt;
mod boundary;
mod dpkg;
#[cfg(any(test, fuzzing))]
#[doc(hidden)]
pub mod fuzz;
mod os;
mod run;

use std::ffi::OsString;
use std::io::{self, Write};
use std::process::ExitCode;

use crate::os::paths::ClientPaths;

const HELP: &str = "\
apu-client: the root side of a client of apu

  apu-client handle      answer the connection that is standard input (started for each connection)
  apu-client listen      stand behind /run/apu/apu.sock where systemd does not
  apu-client run ID      carry out the run ID (started by handle)
  apu-client health ID   make the checks that a handler asked for (started by handle)
  apu-client holds       take off the holds that are over (started by a timer)
  apu-client --version
  apu-client --help

Its rules are in /etc/apu-client/policy.toml, its runs in /var/lib/apu-client/runs.
Exit status: 0 answered, 1 this program failed, 2 usage error.
";

/// Runs the program with these arguments.
pub fn main(arguments: impl Iterator<Item = OsString>) -> ExitCode {
    let words: Vec<String> = arguments
        .map(|word| word.to_string_lossy().into_owned())
        .collect();
    let words: Vec<&str> = words.iter().map(String::as_str).collect();
    let paths = ClientPaths::below("/");
    let done = match words.as_slice() {
        ["handle"] => boundary::handle::handle(&paths),
        ["listen"] => boundary::listen::listen(&paths),
        ["run", id] => match id.parse() {
            Ok(id) => run::supervise::supervise(&paths, id),
            Err(error) => return usage(&format!("{error}")),
        },
        ["health", id] => match id.parse() {
            Ok(id) => answers::health::carry_out(&paths, id),
            Err(error) => return usage(&format!("{error}")),
        },
        ["holds"] => run::ended_holds::carry_out(&paths),
        ["--version"] => print(&format!("apu-client {}\n", env!("CARGO_PKG_VERSION"))),
        ["--help" | "-h"] => print(HELP),
        _ => return usage("no such command"),
    };
    match done {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            complain(&format!("error: {}: {error}\n", words.join(" ")));
            ExitCode::from(1)
        }
    }
}

fn usage(why: &str) -> ExitCode {
    complain(&format!("error: {why}\n  try: apu-client --help\n"));
    ExitCode::from(2)
}

fn print(text: &str) -> io::Result<()> {
    let mut stdout = io::stdout();
    stdout.write_all(text.as_bytes()).and_then(|()| stdout.flush())
}

/// Where this fails there is nobody left to be told.
fn complain(text: &str) {
    let _ = io::stderr().write_all(text.as_bytes());
}

#[cfg(test)]
mod tests {
    use std::fs;
    use std::path::{Path, PathBuf};

    /// ARCHITECTURE.md's table "The client's folders".
    const ARROWS: [(&str, &[&str]); 6] = [
        ("boundary", &["answers", "run", "os"]),
        ("answers", &["run", "apt", "dpkg", "os"]),
        ("run", &["apt", "dpkg", "os"]),
        ("apt", &["dpkg", "os"]),
        ("dpkg", &[]),
        ("os", &[]),
    ];

    fn files_below(path: &Path) -> Vec<PathBuf> {
        if path.is_file() {
            return vec![path.to_owned()];
        }
        let entries = fs::read_dir(path).unwrap();
        entries
            .flat_map(|entry| files_below(&entry.unwrap().path()))
            .collect()
    }

    #[test]
    fn the_folders_use_only_those_below_them() {
        let source = Path::new(env!("CARGO_MANIFEST_DIR")).join("src");
        let mut uses = 0;
        for (folder, allowed) in ARROWS {
            let mut files = files_below(&source.join(folder));
            files.push(source.join(format!("{folder}.rs")));
            for file in files {
                let text = fs::read_to_string(&file).unwrap();
                for (start, _) in text.match_indices("crate::") {
                    let used = text[start + "crate::".len()..]
                        .split([':', ';', ' '])
                        .next()
                        .unwrap();
                    assert!(
                        used == folder || allowed.contains(&used),
                        "{} uses {used}",
                        file.display()
                    );
                    uses += 1;
                }
            }
        }
        assert!(uses > 100, "{uses}");
    }
}
