//! Sessions held open: the root side is stopped when it must answer, and a test can look around meanwhile.

use std::fs;
use std::process::{Child, Output};
use std::time::{Duration, Instant};

use apu_tests::Host;
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;

const PATIENCE: Duration = Duration::from_secs(90);

/// The process that stands behind the root socket, stopped until this is dropped.
pub(crate) struct Held(Pid);

impl Held {
    #[track_caller]
    pub(crate) fn root_side(client: &Host) -> Self {
        let listener = listener(client);
        kill(listener, Signal::SIGSTOP).expect("the listener runs");
        Self(listener)
    }
}

impl Drop for Held {
    fn drop(&mut self) {
        // It ended with the fleet, at worst.
        let _ = kill(self.0, Signal::SIGCONT);
    }
}

/// The process behind the root socket.
#[track_caller]
pub(crate) fn listener(client: &Host) -> Pid {
    let is_listener = |pid: &Pid| words(*pid) == ["/usr/sbin/apu-client", "listen"];
    let mut pids = client.pids().expect("the client is up").into_iter();
    pids.find(is_listener).expect("apu-client listens")
}

/// A program that sshd started for user apu.
#[derive(Debug)]
pub(crate) struct Started {
    pub(crate) pid: Pid,
    pub(crate) program: String,
    /// As `NAME=value`.
    pub(crate) environment: Vec<String>,
}

impl Started {
    pub(crate) fn variable(&self, name: &str) -> Option<&str> {
        let value = |entry: &'_ String| {
            entry
                .split_once('=')
                .filter(|(other, _)| *other == name)
                .is_some()
        };
        let entry = self.environment.iter().find(|entry| value(entry))?;
        entry.split_once('=').map(|(_, value)| value)
    }
}

/// What user apu runs on a client, but for sshd's own processes.
pub(crate) fn started(client: &Host) -> Vec<Started> {
    let passwd = client.read("/etc/passwd").unwrap_or_default();
    let apu = passwd
        .lines()
        .find_map(|line| line.strip_prefix("apu:x:")?.split(':').next());
    let apu = apu.expect("user apu");
    let look = |pid: Pid| {
        let status = fs::read_to_string(format!("/proc/{pid}/status")).ok()?;
        let uid = status.lines().find_map(|line| line.strip_prefix("Uid:\t"))?;
        if uid.split('\t').next() != Some(apu) {
            return None;
        }
        let program = words(pid).first()?.clone();
        let environment = strings(&fs::read(format!("/proc/{pid}/environ")).ok()?);
        Some(Started {
            pid,
            program,
            environment,
        })
    };
    let all = client
        .pids()
        .expect("the client is up")
        .into_iter()
        .filter_map(look);
    all.filter(|started| !started.program.starts_with("sshd"))
        .collect()
}

/// Waits until user apu runs that many programs that wait in turn: a shell that only starts one is none.
#[track_caller]
pub(crate) fn wait_for(client: &Host, count: usize) -> Vec<Started> {
    let begin = Instant::now();
    loop {
        let mut waiting = started(client);
        waiting.retain(|started| ["/usr/lib/apu/apu-wrapper", "sleep"].contains(&started.program.as_str()));
        if waiting.len() >= count {
            return waiting;
        }
        assert!(begin.elapsed() < PATIENCE, "only {waiting:?} of {count} came");
        std::thread::sleep(Duration::from_millis(10));
    }
}

/// Waits for a program of the test's own, and not for ever.
#[track_caller]
pub(crate) fn end_of(mut child: Child) -> Output {
    let begin = Instant::now();
    while child.try_wait().expect("a child").is_none() {
        if begin.elapsed() >= PATIENCE {
            let _ = child.kill();
            panic!("it did not end: {:?}", child.wait_with_output());
        }
        std::thread::sleep(Duration::from_millis(5));
    }
    child.wait_with_output().expect("a child")
}

fn words(pid: Pid) -> Vec<String> {
    strings(&fs::read(format!("/proc/{pid}/cmdline")).unwrap_or_default())
}

fn strings(bytes: &[u8]) -> Vec<String> {
    let strings = bytes.split(|&byte| byte == 0).filter(|string| !string.is_empty());
    strings
        .map(|string| String::from_utf8_lossy(string).into_owned())
        .collect()
}
