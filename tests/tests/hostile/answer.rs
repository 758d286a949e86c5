//! Asking a client, over ssh or at its root socket, and reading its answer.

use std::ffi::OsStr;
use std::io::{Read, Write};
use std::net::Shutdown;
use std::os::unix::ffi::OsStrExt;
use std::process::{Command, Output, Stdio};
use std::time::Duration;

use apu_proto::{ClientOutcome, Frame, ReasonCode, RunResult};
use apu_tests::{Fleet, Host};

/// Everything that a client said to one request.
#[derive(Debug)]
pub(crate) struct Answer {
    pub(crate) result: RunResult,
    /// The wrapper's exit status; none at the socket.
    pub(crate) exit: Option<i32>,
}

impl Answer {
    #[track_caller]
    fn read(bytes: &[u8], exit: Option<i32>, stderr: &str) -> Self {
        let said = String::from_utf8_lossy(bytes);
        let frames = bytes.split_inclusive(|&byte| byte == b'\n').map(|line| {
            Frame::from_line(line).unwrap_or_else(|error| panic!("not a frame: {error}: {said}{stderr}"))
        });
        let mut frames: Vec<_> = frames.collect();
        let Some(Frame::Result(result)) = frames.pop() else {
            panic!("no result at the end of: {said}{stderr}");
        };
        assert!(
            matches!(frames.first(), Some(Frame::Hello { .. })),
            "no hello at the start of: {said}"
        );
        assert!(
            !frames.iter().any(|frame| matches!(frame, Frame::Result(_))),
            "two results in: {said}"
        );
        Self {
            result: *result,
            exit,
        }
    }

    #[track_caller]
    pub(crate) fn of(output: Output) -> Self {
        Self::read(
            &output.stdout,
            output.status.code(),
            &String::from_utf8_lossy(&output.stderr),
        )
    }

    /// Ended with this outcome, and over ssh as an answer that was relayed.
    #[track_caller]
    pub(crate) fn is(&self, outcome: ClientOutcome) {
        assert_eq!(self.result.outcome, outcome, "{self:?}");
        assert!(matches!(self.exit, None | Some(0)), "{self:?}");
    }

    pub(crate) fn code(&self) -> Option<ReasonCode> {
        self.result.reason.as_ref().map(|reason| reason.code)
    }

    /// The detail of the reason.
    pub(crate) fn why(&self) -> String {
        let reason = self.result.reason.as_ref();
        reason.map_or_else(String::new, |reason| reason.detail.join("\n"))
    }
}

/// A connection to a client with the push key, kept open for many requests.
pub(crate) struct Connection<'a> {
    fleet: &'a Fleet,
    client: &'a str,
    path: String,
}

impl<'a> Connection<'a> {
    /// Logs in, with more options of ssh.
    #[track_caller]
    pub(crate) fn open(fleet: &'a Fleet, client: &'a str, options: &[&str]) -> Self {
        // An sshd that has just been started, or that punishes this address for the tries before, hangs up at first.
        let mut tries = (0..30).map(|_| {
            let opened = Self::try_open(fleet, client, options);
            if opened.is_none() {
                std::thread::sleep(std::time::Duration::from_secs(1));
            }
            opened
        });
        let opened = tries.find_map(|opened| opened);
        opened.unwrap_or_else(|| panic!("cannot log in to {client}"))
    }

    /// Logs in; nothing where ssh gives up.
    pub(crate) fn try_open(fleet: &'a Fleet, client: &'a str, options: &[&str]) -> Option<Self> {
        let path = format!("/tmp/{client}.control");
        let mut ssh = fleet.ssh(client, &[&["-M", "-N", "-f", "-S", &path], options].concat());
        // What goes to the background would hold a pipe.
        let status = ssh.stdout(Stdio::null()).stderr(Stdio::null()).status();
        status
            .expect("ssh")
            .success()
            .then_some(Self { fleet, client, path })
    }

    /// The ssh that sends a request through it, byte for byte. Without the connection it could not log in.
    pub(crate) fn ssh(&self, request: &[u8]) -> Command {
        let mut ssh = self.fleet.server().command("ssh");
        ssh.args([
            "-F",
            "none",
            "-i",
            "none",
            "-o",
            "BatchMode=yes",
            "-S",
            &self.path,
        ])
        .args(["--", self.client])
        .arg(OsStr::from_bytes(request))
        .stdin(Stdio::null());
        ssh
    }

    /// Sends a request.
    #[track_caller]
    pub(crate) fn ask(&self, request: &[u8]) -> Answer {
        Answer::of(self.ssh(request).output().expect("ssh"))
    }
}

impl Drop for Connection<'_> {
    fn drop(&mut self) {
        let mut ssh = self.fleet.server().command("ssh");
        let leave = ssh.args(["-S", &self.path, "-O", "exit", self.client]);
        // It may be gone already.
        let _ = leave.stdout(Stdio::null()).stderr(Stdio::null()).status();
    }
}

/// Sends a request straight to the root socket, as root.
#[track_caller]
pub(crate) fn ask_at_the_socket(client: &Host, request: &[u8]) -> Answer {
    say_at_the_socket(client, &[request, b"\n"].concat())
}

/// Says something at the root socket, and that there is no more.
#[track_caller]
pub(crate) fn say_at_the_socket(client: &Host, words: &[u8]) -> Answer {
    let mut socket = client.root_socket().expect("the root side listens");
    socket
        .set_read_timeout(Some(Duration::from_secs(60)))
        .expect("a socket");
    // What is too long is refused before it was all read.
    let _ = socket
        .write_all(words)
        .and_then(|()| socket.shutdown(Shutdown::Write));
    let mut answer = Vec::new();
    let mut buffer = [0; 4096];
    // Likewise, what was not read makes an error of the end.
    while let Ok(length @ 1..) = socket.read(&mut buffer) {
        answer.extend_from_slice(&buffer[..length]);
    }
    Answer::read(&answer, None, "")
}
