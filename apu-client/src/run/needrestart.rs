//! needrestart, where it is installed: which services it names, and whether it would restart some by itself after a call of apt.
//!
//! Its batch mode restarts nothing. Its settings are Perl: only the plain line that sets the mode is read.

use std::collections::BTreeSet;
use std::fs::{self, File};
use std::io::Read;
use std::path::{Path, PathBuf};
use std::time::Duration;

use crate::os::limited::{End, Limits, run};
use crate::os::paths::ClientPaths;
use crate::os::spawn::Exit;

const PROGRAM: &str = "/usr/sbin/needrestart";
/// What apt calls after dpkg.
const HOOK: &str = "/usr/lib/needrestart/apt-pinvoke";
const ENVIRONMENT: [&str; 4] = [
    "PATH=/usr/sbin:/usr/bin:/sbin:/bin",
    "LC_ALL=C.UTF-8",
    "DEBIAN_FRONTEND=noninteractive",
    "NEEDRESTART_MODE=l",
];
const LIMITS: Limits = Limits {
    time: Duration::from_secs(30),
    output: 256 * 1024,
};

/// The most bytes of a file of settings, and the most such files.
const LONGEST: u64 = 64 * 1024;
const MOST_FILES: usize = 100;

/// The services that needrestart names; none where it is not installed.
///
/// # Errors
/// Why it did not tell.
pub(super) fn services(paths: &ClientPaths) -> Result<BTreeSet<String>, String> {
    let program = paths.path(PROGRAM);
    if !program.exists() {
        return Ok(BTreeSet::new());
    }
    let program = program.display().to_string();
    let ended = run(
        &program,
        &["-b", "-l", "-r", "l"],
        &ENVIRONMENT,
        LIMITS,
        &mut || false,
    );
    let ended = ended.map_err(|error| error.to_string())?;
    match ended.end {
        End::Exited(Exit::Code(0)) => parse(&ended.output),
        End::Exited(exit) => Err(format!("{exit}: {}", last_line(&ended.output))),
        End::Late => Err(format!("it did not end within {} s", LIMITS.time.as_secs())),
        End::TooLong => Err(format!("it printed more than {} bytes", LIMITS.output)),
        End::Stopped => Err("it was stopped".to_owned()),
    }
}

fn last_line(output: &str) -> String {
    output
        .trim_end()
        .lines()
        .next_back()
        .unwrap_or_default()
        .chars()
        .take(200)
        .collect()
}

/// Reads the output of `needrestart -b`, without `.service`. What is not told in its form is not taken for an answer.
fn parse(output: &str) -> Result<BTreeSet<String>, String> {
    let values = |key: &'static str| {
        output
            .lines()
            .filter_map(move |line| line.strip_prefix(key)?.strip_prefix(": "))
    };
    if values("NEEDRESTART-VER").next().is_none() {
        return Err(format!("it printed no NEEDRESTART-VER: {}", last_line(output)));
    }
    let names = values("NEEDRESTART-SVC").map(|name| name.strip_suffix(".service").unwrap_or(name));
    Ok(names.map(str::to_owned).collect())
}

/// Whether its hook would restart services by itself, if apu did not have it only list them.
pub(super) fn restarts_by_itself(paths: &ClientPaths) -> bool {
    paths.path(HOOK).exists()
        && match mode(&settings(paths)) {
            Some(mode) => mode == 'a',
            // Ubuntu's own mode, by which its hook is called.
            None => read(&paths.path("/etc/apt/apt.conf.d/99needrestart")).contains("apt-pinvoke -m u"),
        }
}

/// The texts of its settings, in the order in which it reads them.
fn settings(paths: &ClientPaths) -> Vec<String> {
    let more = fs::read_dir(paths.path("/etc/needrestart/conf.d"))
        .into_iter()
        .flatten()
        .flatten();
    let mut more: Vec<PathBuf> = more.map(|entry| entry.path()).collect();
    more.retain(|path| path.extension().is_some_and(|end| end == "conf"));
    more.sort();
    let first = paths.path("/etc/needrestart/needrestart.conf");
    let files = std::iter::once(first).chain(more.into_iter().take(MOST_FILES));
    files.map(|path| read(&path)).collect()
}

/// A text file; nothing where it cannot be read.
fn read(path: &Path) -> String {
    let mut bytes = Vec::new();
    if let Ok(file) = File::open(path) {
        let _ = file.take(LONGEST).read_to_end(&mut bytes);
    }
    String::from_utf8_lossy(&bytes).into_owned()
}

/// The mode that was set last, as in `$nrconf{restart} = 'a';`.
fn mode(settings: &[String]) -> Option<char> {
    let of_line = |line: &str| {
        let line: String = line
            .chars()
            .filter(|letter| !letter.is_whitespace() && !matches!(letter, '\'' | '"'))
            .collect();
        let mode = line.strip_prefix("$nrconf{restart}=")?;
        let mut letters = mode.chars();
        let (mode, end) = (letters.next()?, letters.next()?);
        (end == ';').then_some(mode)
    };
    settings
        .iter()
        .flat_map(|text| text.lines())
        .filter_map(of_line)
        .next_back()
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt;

    use super::*;

    /// As its README.batch has it.
    const BATCH: &str = "NEEDRESTART-VER: 2.1\nNEEDRESTART-KCUR: 3.19.3-tl1+\nNEEDRESTART-KEXP: 3.19.3-tl1+\n\
                         NEEDRESTART-KSTA: 1\nNEEDRESTART-SVC: systemd-journald.service\n\
                         NEEDRESTART-SVC: systemd-machined.service\nNEEDRESTART-CONT: LXC web1\n\
                         NEEDRESTART-SESS: metabase @ user manager service\nNEEDRESTART-SESS: root @ session #28017\n";

    fn write(paths: &ClientPaths, path: &str, text: &str) {
        let path = paths.path(path);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(&path, text).unwrap();
        fs::set_permissions(&path, fs::Permissions::from_mode(0o755)).unwrap();
    }

    #[test]
    fn the_services_are_those_of_its_batch_output() {
        let named: Vec<String> = parse(BATCH).unwrap().into_iter().collect();
        assert_eq!(named, ["systemd-journald", "systemd-machined"]);
        // A script of System V has no suffix.
        let old = parse("NEEDRESTART-VER: 3.6\nNEEDRESTART-SVC: apache2\n").unwrap();
        assert!(old.contains("apache2") && old.len() == 1);
        assert!(parse("NEEDRESTART-VER: 3.6\n").unwrap().is_empty());
        assert!(
            parse("ERROR: Could not read config file\n")
                .unwrap_err()
                .ends_with("config file")
        );
    }

    #[test]
    fn it_is_asked_in_batch_mode_and_a_failure_is_no_answer() {
        let root = tempfile::tempdir().unwrap();
        let paths = ClientPaths::below(root.path());
        assert!(services(&paths).unwrap().is_empty());
        let asked = root.path().join("asked");
        let script = format!(
            "#!/bin/sh\necho \"$* $NEEDRESTART_MODE\" >{}\ncat <<E\n{BATCH}E\n",
            asked.display()
        );
        write(&paths, PROGRAM, &script);
        assert_eq!(services(&paths).unwrap().len(), 2);
        assert_eq!(fs::read_to_string(&asked).unwrap(), "-b -l -r l l\n");
        write(
            &paths,
            PROGRAM,
            "#!/bin/sh\necho 'Error parsing /etc/needrestart/needrestart.conf'; exit 9\n",
        );
        let said = services(&paths).unwrap_err();
        assert!(said.contains("exit status 9: Error parsing"), "{said}");
    }

    #[test]
    fn it_restarts_by_itself_where_its_last_setting_or_ubuntus_hook_says_so() {
        let root = tempfile::tempdir().unwrap();
        let paths = ClientPaths::below(root.path());
        let conf = |text: &str| write(&paths, "/etc/needrestart/needrestart.conf", text);
        conf("$nrconf{restart} = 'a';\n");
        assert!(!restarts_by_itself(&paths), "it is not installed");
        write(&paths, HOOK, "");
        assert!(restarts_by_itself(&paths));
        for (text, is_so) in [
            ("#$nrconf{restart} = 'a';\n", false),
            ("  $nrconf{'restart'}=\"a\"; # by itself\n", true),
            ("$nrconf{restart} = 'i';\n", false),
            ("$nrconf{restart} = 'a';\n$nrconf{restart} = 'l';\n", false),
            ("$nrconf{restart_d} = 'a';\n", false),
        ] {
            conf(text);
            assert_eq!(restarts_by_itself(&paths), is_so, "{text}");
        }
        write(
            &paths,
            "/etc/needrestart/conf.d/50-mode.conf",
            "$nrconf{restart} = 'a';\n",
        );
        assert!(restarts_by_itself(&paths));
        write(&paths, "/etc/needrestart/conf.d/50-mode.conf", "");
        conf("#$nrconf{restart} = 'i';\n");
        assert!(!restarts_by_itself(&paths));
        let hook = "DPkg::Post-Invoke {\"test -x /usr/lib/needrestart/apt-pinvoke && /usr/lib/needrestart/apt-pinvoke -m u || true\"; };\n";
        write(&paths, "/etc/apt/apt.conf.d/99needrestart", hook);
        assert!(restarts_by_itself(&paths));
    }
}
