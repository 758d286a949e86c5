//! A request that was sent over ssh, and the frames that come back.

use std::io::{BufRead, BufReader, Read};
use std::process::{Child, Command, Stdio};
use std::sync::mpsc::{Receiver, RecvTimeoutError, channel};
use std::time::Instant;

use apu_proto::{ClientOutcome, Frame, ReasonCode, RunResult};

use super::PATIENCE;

/// A request that is being answered.
pub struct Asking {
    ssh: Child,
    incoming: Receiver<Frame>,
    frames: Vec<Frame>,
}

impl Asking {
    #[track_caller]
    pub(super) fn start(mut ssh: Command) -> Self {
        ssh.stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped());
        let mut ssh = ssh.spawn().expect("nsenter runs");
        let lines = BufReader::new(ssh.stdout.take().expect("a pipe")).lines();
        let (outgoing, incoming) = channel();
        std::thread::spawn(move || {
            for line in lines.map_while(Result::ok) {
                let frame = Frame::from_line(line.as_bytes())
                    .unwrap_or_else(|error| panic!("not a frame: {line}: {error}"));
                if outgoing.send(frame).is_err() {
                    return;
                }
            }
        });
        Self {
            ssh,
            incoming,
            frames: Vec::new(),
        }
    }

    /// Waits until apt or dpkg has printed a line that contains this.
    ///
    /// # Panics
    /// If the answer ends before, or nothing comes for too long.
    #[track_caller]
    pub fn until_line(&mut self, part: &str) {
        let is_it = |frame: &Frame| matches!(frame, Frame::Line { text } if text.contains(part));
        while !self.frames.last().is_some_and(is_it) {
            match self.incoming.recv_timeout(PATIENCE) {
                Ok(frame) => self.frames.push(frame),
                Err(why) => panic!("no line with {part:?} ({why}): {:#?}", self.frames),
            }
        }
    }

    /// Kills the ssh client: the connection breaks, as when a cable does and both ends notice.
    ///
    /// # Panics
    /// If it has ended by itself, so that there was no connection to break.
    #[track_caller]
    pub fn break_the_connection(mut self) {
        assert!(
            self.ssh.try_wait().expect("a child").is_none(),
            "the answer was over: {:#?}",
            self.frames
        );
        self.ssh.kill().expect("it can be killed");
        self.ssh.wait().expect("it ends");
    }

    /// Waits for the rest.
    ///
    /// # Panics
    /// If it does not end in time.
    #[track_caller]
    pub fn answer(mut self) -> Answer {
        let deadline = Instant::now() + PATIENCE;
        loop {
            match self
                .incoming
                .recv_timeout(deadline.saturating_duration_since(Instant::now()))
            {
                Ok(frame) => self.frames.push(frame),
                Err(RecvTimeoutError::Disconnected) => break,
                Err(RecvTimeoutError::Timeout) => {
                    let _ = self.ssh.kill();
                    panic!("no end of this answer: {:#?}", self.frames);
                }
            }
        }
        let mut stderr = String::new();
        let _ = self
            .ssh
            .stderr
            .take()
            .expect("a pipe")
            .read_to_string(&mut stderr);
        let status = self.ssh.wait().expect("a child");
        Answer {
            frames: self.frames,
            stderr,
            code: status.code(),
        }
    }
}

/// A whole answer.
#[derive(Debug)]
pub struct Answer {
    /// Every frame, in order.
    pub frames: Vec<Frame>,
    /// What ssh, or anything on the other side, said beside.
    pub stderr: String,
    /// ssh's exit status.
    pub code: Option<i32>,
}

impl Answer {
    /// The result, of which an answer has exactly one, at its end.
    #[track_caller]
    #[must_use]
    pub fn result(&self) -> &RunResult {
        let results = self
            .frames
            .iter()
            .filter(|frame| matches!(frame, Frame::Result(_)))
            .count();
        match self.frames.last() {
            Some(Frame::Result(result)) if results == 1 => result,
            _ => panic!("not one result, at the end: {self:#?}"),
        }
    }

    /// It ended with this outcome.
    #[track_caller]
    pub fn ended(&self, outcome: ClientOutcome) -> &Self {
        assert!(self.result().outcome == outcome, "not {outcome:?}: {self:#?}");
        self
    }

    /// It ended for this reason.
    #[track_caller]
    pub fn because(&self, code: ReasonCode) -> &Self {
        let reason = self.result().reason.as_ref().map(|reason| reason.code);
        assert!(reason == Some(code), "not {code:?}: {self:#?}");
        self
    }

    /// What apt and dpkg printed.
    #[must_use]
    pub fn lines(&self) -> Vec<&str> {
        let lines = self.frames.iter().filter_map(|frame| match frame {
            Frame::Line { text } => Some(text.as_str()),
            _ => None,
        });
        lines.collect()
    }

    /// The changes, each as `package old new`, `-` for what is not there.
    #[track_caller]
    #[must_use]
    pub fn changes(&self) -> Vec<String> {
        let version = |version: &Option<String>| version.clone().unwrap_or_else(|| "-".to_owned());
        let changes = self
            .result()
            .packages()
            .map_or(&[][..], |report| &report.changes)
            .iter();
        changes
            .map(|change| {
                format!(
                    "{} {} {}",
                    change.package,
                    version(&change.old),
                    version(&change.new)
                )
            })
            .collect()
    }
}
