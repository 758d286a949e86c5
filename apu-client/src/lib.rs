//! The program apu-client: the part of apu that runs as root on a client.
//!
//! `handle` answers one connection, `listen` accepts connections where systemd does not, and `run` carries out one run,
//! independently of any connection.

mod answers;
mod apt;
mod boundary;
mod dpkg;
mod os;
mod run;

use std::ffi::OsString;
use std::process::ExitCode;

use crate::os::paths::ClientPaths;

const HELP: &str = "\
apu-client: the root side of a client of apu

  apu-client handle      answer the connection that is standard input (started for each connection)
  apu-client listen      stand behind /run/apu/apu.sock where systemd does not
  apu-client run ID      carry out the run ID (started by handle)
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
        ["--version"] => {
            println!("apu-client {}", env!("CARGO_PKG_VERSION"));
            Ok(())
        }
        ["--help" | "-h"] => {
            print!("{HELP}");
            Ok(())
        }
        _ => return usage("no such command"),
    };
    match done {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("error: {}: {error}", words.join(" "));
            ExitCode::from(1)
        }
    }
}

fn usage(why: &str) -> ExitCode {
    eprintln!("error: {why}\n  try: apu-client --help");
    ExitCode::from(2)
}
