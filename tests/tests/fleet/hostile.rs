//! Hostile requests on a real client: each is refused before anything is started that could change the machine.
//!
//! What was started is the kernel's word, what was changed is dpkg's database and /etc before and after.

use std::ffi::OsStr;
use std::io::{Read, Write};
use std::net::Shutdown;
use std::os::unix::ffi::OsStrExt;
use std::time::Duration;

use apu_proto::{ClientOutcome, Frame};
use apu_tests::{Fleet, Host};

const CORPUS: &str = include_str!("../../data/hostile_requests.tsv");

/// All that a request in a wrong form may start: sshd's child, the account's shell, the courier, the root side.
const ALLOWED: [&str; 6] = [
    "/usr/sbin/sshd",
    "/bin/sh",
    "/usr/bin/sh",
    "/usr/lib/apu/apu-wrapper",
    "/usr/sbin/apu-client",
    "/proc/self/exe",
];

/// What may be started besides, to look a name up.
const LOOK_UP: [&str; 5] = [
    "/usr/bin/apt-get",
    "/usr/bin/apt-cache",
    "/usr/bin/apt-config",
    "/usr/bin/dpkg",
    "/usr/bin/dpkg-query",
];

/// The policy under which `[verb]` lines are hostile.
const NARROW: &str = r#"operations = ["status", "update", "upgrade", "dist-upgrade", "install"]"#;

struct Hostile {
    line: &'static str,
    bytes: Vec<u8>,
    /// Legal in form: only looking the name up can tell.
    resolve: bool,
}

/// The corpus: a line, its escapes still in it, a TAB, and why it is hostile.
fn corpus() -> Vec<Hostile> {
    let lines = CORPUS.lines().map(|line| line.split_once('\t').expect("TAB"));
    let all: Vec<_> = lines
        .map(|(line, why)| Hostile {
            line,
            bytes: decode(line),
            resolve: why.starts_with("[resolve]"),
        })
        .collect();
    assert!(all.len() > 170, "the corpus is not whole: {}", all.len());
    all
}

/// The escapes are `\n \r \t \\ \xHH`.
fn decode(text: &str) -> Vec<u8> {
    let mut bytes = Vec::new();
    let mut rest = text.bytes();
    while let Some(byte) = rest.next() {
        if byte != b'\\' {
            bytes.push(byte);
            continue;
        }
        bytes.push(match rest.next() {
            Some(b'n') => b'\n',
            Some(b'r') => b'\r',
            Some(b't') => b'\t',
            Some(b'\\') => b'\\',
            Some(b'x') => {
                let digits = [rest.next().unwrap(), rest.next().unwrap()];
                u8::from_str_radix(std::str::from_utf8(&digits).unwrap(), 16).unwrap()
            }
            other => panic!("unknown escape {other:?} in {text}"),
        });
    }
    bytes
}

/// The one result of an answer, which must be its last frame.
#[track_caller]
fn outcome(answer: &[u8], request: &str) -> ClientOutcome {
    let frames: Vec<_> = answer
        .split_inclusive(|&byte| byte == b'\n')
        .map(|line| Frame::from_line(line).unwrap_or_else(|error| panic!("{request}: not a frame: {error}")))
        .collect();
    let results = frames
        .iter()
        .filter(|frame| matches!(frame, Frame::Result(_)))
        .count();
    match frames.last() {
        Some(Frame::Result(result)) if results == 1 => result.outcome,
        _ => panic!(
            "{request}: no single last result in {}",
            String::from_utf8_lossy(answer)
        ),
    }
}

/// A client under the narrow policy with a connection to it that every request shares.
struct Target {
    fleet: Fleet,
}

const SHARED: &str = "ControlPath=/run/shared-connection";

impl Target {
    fn up() -> Self {
        let fleet = Fleet::of(["web1"]).up();
        fleet.host("web1").write("/etc/apu-client/policy.toml", NARROW);
        let mut master = fleet.ssh("web1", &["-M", "-N", "-f", "-o", SHARED]);
        assert!(master.status().unwrap().success());
        Self { fleet }
    }

    fn client(&self) -> &Host {
        self.fleet.host("web1")
    }

    fn over_ssh(&self, request: &[u8]) -> Vec<u8> {
        let mut ssh = self.fleet.ssh("web1", &["-o", SHARED]);
        // `--` is for ssh; the client gets exactly these bytes.
        let output = ssh.arg("--").arg(OsStr::from_bytes(request)).output().unwrap();
        output.stdout
    }

    fn at_the_socket(&self, request: &[u8]) -> Vec<u8> {
        let mut socket = self.client().root_socket().unwrap();
        socket.set_read_timeout(Some(Duration::from_secs(60))).unwrap();
        let mut answer = Vec::new();
        // One that was refused for its length may be closed before it was all sent.
        let _ = socket
            .write_all(&[request, b"\n"].concat())
            .and_then(|()| socket.shutdown(Shutdown::Write));
        socket.read_to_end(&mut answer).unwrap();
        answer
    }

    /// Sends every hostile line, and an honest one after each.
    fn withstands(&self, send: impl Fn(&[u8]) -> Vec<u8>, prefix: &str, sendable: impl Fn(&[u8]) -> bool) {
        let before = self.client().snapshot().unwrap();
        let watch = self.client().watch().unwrap();
        let mut sent = 0;
        for hostile in corpus().iter().filter(|hostile| sendable(&hostile.bytes)) {
            let request = [prefix.as_bytes(), &hostile.bytes].concat();

            let answer = send(&request);

            assert_eq!(
                outcome(&answer, hostile.line),
                ClientOutcome::Refused,
                "{}{}",
                prefix,
                hostile.line
            );
            let programs = watch.programs().unwrap();
            assert!(!programs.is_empty(), "{}: the watch is blind", hostile.line);
            let looks_up = hostile.resolve && !prefix.is_empty();
            for program in &programs {
                let allowed =
                    ALLOWED.contains(&program.as_str()) || looks_up && LOOK_UP.contains(&program.as_str());
                assert!(
                    allowed,
                    "{}{} started {program}: {programs:?}",
                    prefix, hostile.line
                );
            }
            sent += 1;
            if sent % 10 == 0 {
                assert_eq!(outcome(&send(b"apu/1 ping"), "ping"), ClientOutcome::Unchanged);
                watch.programs().unwrap();
            }
        }
        assert!(sent >= 170, "only {sent} were sent");
        assert_eq!(
            outcome(&send(b"apu/1 update"), "update"),
            ClientOutcome::Unchanged
        );
        let different = self.client().snapshot().unwrap().differences(&before);
        assert!(different.is_empty(), "{different:?}");
    }
}

/// A program's argument ends at a NUL, so no ssh can be asked to send one.
fn fits_an_argument(request: &[u8]) -> bool {
    !request.contains(&0)
}

#[test]
fn no_hostile_request_does_anything_over_ssh() {
    let target = Target::up();
    target.withstands(|request| target.over_ssh(request), "", fits_an_argument);
}

#[test]
fn no_hostile_request_does_anything_over_ssh_with_the_right_version() {
    let target = Target::up();
    target.withstands(|request| target.over_ssh(request), "apu/1 ", fits_an_argument);
}

#[test]
fn no_hostile_request_does_anything_at_the_root_socket() {
    let target = Target::up();
    target.withstands(|request| target.at_the_socket(request), "", |_| true);
}

#[test]
fn no_hostile_request_does_anything_at_the_root_socket_with_the_right_version() {
    let target = Target::up();
    target.withstands(|request| target.at_the_socket(request), "apu/1 ", |_| true);
}

#[test]
fn the_socket_answers_nobody_but_apu_and_root() {
    let target = Target::up();
    let ask = "printf 'apu/1 ping\\n' | timeout 10 perl -MIO::Socket::UNIX -e '
        my $s = IO::Socket::UNIX->new(Peer => \"/run/apu/apu.sock\") or exit 13;
        print $s $_ while <STDIN>; shutdown($s, 1); print while <$s>'";
    let as_user = |user: &str| {
        target
            .client()
            .exec(&["setpriv", "--reuid", user, "--clear-groups", "sh", "-c", ask])
    };
    assert_eq!(as_user("nobody").code, 13);

    // Were the socket open to all, the root side itself would still refuse.
    target.client().sh("chmod 0666 /run/apu/apu.sock").ok();
    let finished = as_user("nobody");
    assert_eq!(
        outcome(finished.stdout.as_bytes(), "ping by nobody"),
        ClientOutcome::Refused,
        "{finished:?}"
    );
    let finished = as_user("apu");
    assert_eq!(
        outcome(finished.stdout.as_bytes(), "ping by apu"),
        ClientOutcome::Unchanged,
        "{finished:?}"
    );
}
