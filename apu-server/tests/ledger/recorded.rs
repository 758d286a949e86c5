//! A site with runs that were recorded as apt-all records them, and what `apu` prints of it.

use std::fs;
use std::path::Path;
use std::process::{Command, Stdio};

use apu_fleet::{
    EVENTS_VERSION, Ending, Event, HostName, Phase, PushId, Rollout, RunState, Sink, TimedEvent,
};
use apu_ledger::{Ledger, NewRun, Recorder, Work};
use apu_proto::{Cause, Change, ClientOutcome, Operation, Reason, RunResult};
use jiff::Timestamp;
use serde_json::Value;

pub(crate) const APU: &str = env!("CARGO_BIN_EXE_apu");

/// A site with classes, in which nothing was done yet.
pub(crate) fn site() -> tempfile::TempDir {
    let site = tempfile::tempdir().unwrap();
    let clients = site.path().join("etc/apu-server/clients");
    fs::create_dir_all(&clients).unwrap();
    fs::write(clients.join("web"), "web[1-3]\n").unwrap();
    fs::create_dir_all(site.path().join("var/lib/apu-server")).unwrap();
    site
}

/// What a command printed, first its errors, and its exit status.
pub(crate) fn apu(site: &Path, words: &str) -> (String, i32) {
    let mut command = Command::new(APU);
    command.args(words.split_whitespace()).arg("--root").arg(site);
    let output = command
        .env("TZ", "UTC")
        .env("LC_ALL", "C.UTF-8")
        .stdin(Stdio::null())
        .output()
        .unwrap();
    let text = String::from_utf8(output.stderr).unwrap() + &String::from_utf8(output.stdout).unwrap();
    (
        text.replace(site.to_str().unwrap(), "SITE"),
        output.status.code().unwrap(),
    )
}

/// The lines of JSON that a command printed.
pub(crate) fn json(site: &Path, words: &str) -> Vec<Value> {
    let (text, code) = apu(site, &format!("{words} --json"));
    assert_eq!(code, 0, "{text}");
    text.lines()
        .map(|line| serde_json::from_str(line).unwrap())
        .collect()
}

/// A push that is recorded as it would be by apt-all.
pub(crate) struct Push {
    pub(crate) recorder: Recorder,
    state: RunState,
    id: PushId,
}

pub(crate) fn changed(packages: &[&str]) -> Ending {
    let mut result = RunResult::new(ClientOutcome::Changed);
    let change = |package: &&str| Change {
        package: package.parse().unwrap(),
        old: Some("1".into()),
        new: Some("2".into()),
    };
    result.packages_mut().changes = packages.iter().map(change).collect();
    Ending::of_result(Box::new(result), None)
}

pub(crate) fn failed() -> Ending {
    let reason = Reason::from(Cause::AptFailed).detailed("E: no\u{1b}[2J space left\nsecond line");
    Ending::of_result(Box::new(RunResult::because(ClientOutcome::Failed, reason)), None)
}

impl Push {
    /// One whose hosts are about to do it.
    pub(crate) fn new(site: &Path, id: u8, hosts: Vec<HostName>) -> Self {
        let mut push = Self::announced(site, id, hosts.clone());
        push.begin(&hosts);
        push.phase(Phase::Apply, hosts);
        push
    }

    /// A push that has begun, before any host is asked.
    pub(crate) fn announced(site: &Path, id: u8, hosts: Vec<HostName>) -> Self {
        let ledger = Ledger::open(&site.join("var/lib/apu-server/apu.db")).unwrap();
        let push = PushId::from_bytes([id; 16]);
        let new = NewRun {
            push,
            parent: None,
            operation: "upgrade --yes".into(),
            request: "apu/1 upgrade".into(),
            min_age: None,
            allow_restart: Vec::new(),
            target: "web,db1".into(),
            by: "alice".into(),
            begun: at(id, 0),
            hosts: hosts.clone(),
        };
        let mut push = Self {
            recorder: Recorder::new(ledger, new),
            state: RunState::new(push),
            id: push,
        };
        push.tell(Event::PushStarted {
            version: EVENTS_VERSION,
            operation: Operation::Upgrade,
            packages: Vec::new(),
            hosts,
            by: "alice".into(),
        });
        push
    }

    pub(crate) fn begin(&self, hosts: &[HostName]) {
        let mut work = Work::new("apu/1 upgrade".into(), Rollout::default());
        work.parallel = 50;
        let work = work.for_hosts(hosts.iter().map(|host| (host, None)));
        let id = self.id.to_string().replace('0', "a");
        self.recorder.begin(id.parse().unwrap(), &work).unwrap();
    }

    pub(crate) fn phase(&mut self, phase: Phase, hosts: Vec<HostName>) {
        let operation = Operation::Upgrade;
        self.tell(Event::PhaseStarted {
            phase,
            operation,
            hosts,
        });
    }

    pub(crate) fn tell(&mut self, event: Event) {
        let event = TimedEvent {
            at: at(self.id.to_string().as_bytes()[1] - b'0', 2),
            push: self.id,
            event,
        };
        self.state.apply(&event);
        self.recorder.take(&event, &self.state).unwrap();
    }

    pub(crate) fn start(&mut self, host: &HostName) {
        let host = host.clone();
        self.tell(Event::HostStarted { host, run: None });
    }

    pub(crate) fn print(&mut self, host: &str, text: &str) {
        let (host, text) = (host.parse().unwrap(), text.to_owned());
        self.tell(Event::Line { host, text });
    }

    pub(crate) fn end(&mut self, host: &HostName, ending: Ending) {
        self.start(host);
        let (host, ending) = (host.clone(), Box::new(ending));
        self.tell(Event::HostFinished {
            host,
            seconds: 1.5,
            ending,
        });
    }

    pub(crate) fn finish(mut self, status: u8) {
        let outcomes = self.state.phase_outcomes();
        self.tell(Event::PhaseFinished {
            phase: Phase::Apply,
            seconds: 12.34,
            outcomes: outcomes.clone(),
        });
        self.tell(Event::PushFinished {
            status,
            seconds: 14.0,
            outcomes,
        });
        self.recorder.close().unwrap();
    }
}

pub(crate) fn at(run: u8, second: i64) -> Timestamp {
    Timestamp::from_second(1_700_000_000 + 60 * i64::from(run) + second).unwrap()
}

pub(crate) fn hosts(names: &[&str]) -> Vec<HostName> {
    names.iter().map(|name| name.parse().unwrap()).collect()
}

/// A run as it goes: two hosts change, one fails. Then one that changes other packages.
pub(crate) fn two_runs(site: &Path) {
    let names = hosts(&["web1", "web2", "db1"]);
    let mut push = Push::new(site, 1, names.clone());
    push.print("web1", "Unpacking a …");
    push.print("web1", "\u{1b}[2Jdone");
    push.end(&names[0], changed(&["a:all"]));
    push.end(&names[1], changed(&["a:all"]));
    push.print("db1", "E: no space left");
    push.end(&names[2], failed());
    push.finish(1);
    let names = hosts(&["web1", "web2", "db1", "new"]);
    let mut push = Push::new(site, 2, names.clone());
    push.end(&names[0], changed(&["a:all", "b:all"]));
    push.end(&names[1], changed(&["a:all", "b:all"]));
    push.end(&names[2], changed(&[]));
    push.end(&names[3], changed(&[]));
    push.finish(0);
}

/// A run whose process is gone: web1 was asked, web2 and web3 were not.
pub(crate) fn broken_off_run(site: &Path) {
    let names = hosts(&["web1", "web2", "web3"]);
    let mut push = Push::new(site, 3, names.clone());
    push.start(&names[0]);
    kill(site, &push, 3);
}

/// Makes the process that works on a run one that is gone.
pub(crate) fn kill(site: &Path, push: &Push, number: i64) {
    push.recorder.close().unwrap();
    let connection = rusqlite::Connection::open(site.join("var/lib/apu-server/apu.db")).unwrap();
    connection
        .execute(
            "UPDATE run SET owner = 'another-boot 1 1' WHERE number = ?",
            [number],
        )
        .unwrap();
}
