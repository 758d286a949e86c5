//! What happens to a program whose output cannot be written: a reader that went away, a disk that is full.

#![allow(clippy::unwrap_used, reason = "a test that cannot go on fails")]

use std::fs::{self, File};
use std::path::Path;
use std::process::{Command, Output, Stdio};

const APT_ALL: &str = env!("CARGO_BIN_EXE_apt-all");
const APU: &str = env!("CARGO_BIN_EXE_apu");

/// Every command that prints something without asking a host.
const COMMANDS: [(&str, &str); 12] = [
    (APU, "hosts"),
    (APU, "hosts web"),
    (APU, "hosts web --fold"),
    (APU, "doctor"),
    (APU, "runs"),
    (APU, "locks"),
    (APU, "ledger check"),
    (APU, "repo publish"),
    (APU, "--help"),
    (APU, "--version"),
    (APT_ALL, "--help"),
    (APT_ALL, "web --list-hosts"),
];

fn site() -> tempfile::TempDir {
    let site = tempfile::tempdir().unwrap();
    let mut setup = Command::new(APU);
    setup.arg("setup").arg("--root").arg(site.path());
    assert!(setup.output().unwrap().status.success());
    let clients = site.path().join("etc/apu-server/clients");
    fs::create_dir_all(&clients).unwrap();
    fs::write(clients.join("web"), "web[1-3]\n").unwrap();
    site
}

fn run(site: &Path, (program, words): (&str, &str), to: Stdio, errors_to: Stdio) -> Output {
    let mut command = Command::new(program);
    command.args(words.split(' ')).arg("--root").arg(site);
    command.stdin(Stdio::null()).stdout(to).stderr(errors_to);
    command.spawn().unwrap().wait_with_output().unwrap()
}

fn full() -> Stdio {
    File::options().write(true).open("/dev/full").unwrap().into()
}

#[test]
fn a_full_disk_is_told_and_ends_with_3() {
    let site = site();
    for command in COMMANDS {
        let before = run(site.path(), command, Stdio::piped(), Stdio::piped());
        assert!(!before.stdout.is_empty(), "{command:?}");
        let output = run(site.path(), command, full(), Stdio::piped());
        let said = String::from_utf8(output.stderr).unwrap();
        assert!(
            said.contains("error: cannot write to standard output")
                && said.contains("No space left on device"),
            "{command:?}: {said}"
        );
        // What is wrong besides is still told by the exit status.
        let code = before.status.code();
        let expected = if code == Some(0) { Some(3) } else { code };
        assert_eq!(output.status.code(), expected, "{command:?}: {said}");
    }
}

#[test]
fn a_reader_that_went_away_ends_nothing_and_is_no_fault() {
    let site = site();
    for command in COMMANDS {
        let before = run(site.path(), command, Stdio::piped(), Stdio::piped());
        let (reader, writer) = std::io::pipe().unwrap();
        drop(reader);
        let output = run(site.path(), command, writer.into(), Stdio::piped());
        assert_eq!(String::from_utf8(output.stderr).unwrap(), "", "{command:?}");
        assert_eq!(output.status.code(), before.status.code(), "{command:?}");
    }
}

#[test]
fn an_error_that_cannot_be_told_does_not_change_how_it_ends() {
    let site = site();
    let commands = [
        (APU, "hosts wbe"),
        (APT_ALL, "wbe update"),
        (APT_ALL, "web bogus"),
        (APT_ALL, "web purge"),
        (APU, "bogus"),
    ];
    for command in commands {
        let output = run(site.path(), command, Stdio::piped(), full());
        assert_eq!(output.status.code(), Some(2), "{command:?}");
    }
}
