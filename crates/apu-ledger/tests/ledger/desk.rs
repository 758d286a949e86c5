//! A server's ledger in a directory, and pushes that are recorded in it as apt-all would.

use std::path::PathBuf;

use apu_fleet::{
    EVENTS_VERSION, Ending, Event, HostName, Outcome, Phase, PushId, Rollout, RunState, Sink, TimedEvent,
};
use apu_ledger::{BeginError, Ledger, NewRun, Recorder, RunNumber, Work};
use apu_proto::{ClientOutcome, Operation, RunId, RunResult};
use jiff::Timestamp;

pub(crate) struct Desk {
    pub(crate) directory: tempfile::TempDir,
}

/// A push that is recorded as it would be by apt-all.
pub(crate) struct Push {
    pub(crate) recorder: Recorder,
    pub(crate) state: RunState,
    pub(crate) id: PushId,
    pub(crate) hosts: Vec<HostName>,
}

pub(crate) fn hosts(names: &[&str]) -> Vec<HostName> {
    names.iter().map(|name| name.parse().unwrap()).collect()
}

pub(crate) fn ended(outcome: Outcome) -> Box<Ending> {
    let result = RunResult::new(ClientOutcome::Changed);
    let mut ending = Ending::of_result(Box::new(result), None);
    ending.outcome = outcome;
    Box::new(ending)
}

impl Desk {
    pub(crate) fn new() -> Self {
        let directory = tempfile::tempdir().unwrap();
        Self { directory }
    }

    pub(crate) fn path(&self) -> PathBuf {
        self.directory.path().join("apu.db")
    }

    pub(crate) fn open(&self) -> Ledger {
        Ledger::open(&self.path()).unwrap()
    }

    pub(crate) fn push(&self, id: u8, names: &[&str], parent: Option<RunNumber>) -> Push {
        let hosts = hosts(names);
        let push = PushId::from_bytes([id; 16]);
        let new = NewRun {
            push,
            parent,
            operation: "upgrade --yes".into(),
            request: "apu/1 upgrade".into(),
            min_age: None,
            allow_restart: vec!["postgresql@*".into(), "cron".into()],
            target: "web".into(),
            by: "alice".into(),
            begun: Timestamp::from_millisecond(i64::from(id) * 1000).unwrap(),
            hosts: hosts.clone(),
        };
        let mut push = Push {
            recorder: Recorder::new(self.open(), new),
            state: RunState::new(push),
            id: push,
            hosts: hosts.clone(),
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
}

impl Push {
    pub(crate) fn tell(&mut self, event: Event) {
        let event = TimedEvent {
            at: Timestamp::from_millisecond(5_000).unwrap(),
            push: self.id,
            event,
        };
        self.state.apply(&event);
        self.recorder.take(&event, &self.state).unwrap();
        self.recorder.settle().unwrap();
    }

    pub(crate) fn phase(&mut self, phase: Phase) {
        let hosts = self.hosts.clone();
        self.tell(Event::PhaseStarted {
            phase,
            operation: Operation::Upgrade,
            hosts,
        });
    }

    pub(crate) fn work(&self) -> Work {
        let mut work = Work::new("apu/1 upgrade".into(), Rollout::default());
        work.parallel = 2;
        work.for_hosts(self.hosts.iter().map(|host| (host, None)))
    }

    /// The hosts that another run holds.
    pub(crate) fn begin_beside(&self) -> Result<(RunNumber, Vec<String>), BeginError> {
        self.begin_work(&self.work())
    }

    /// The same, where all hosts are of this exclusive group.
    pub(crate) fn begin_in_group(&self, group: &str) -> Result<(RunNumber, Vec<String>), BeginError> {
        let mut work = self.work();
        work.exclusive = (self.hosts.iter().cloned())
            .map(|host| (host, group.to_owned()))
            .collect();
        self.begin_work(&work)
    }

    fn begin_work(&self, work: &Work) -> Result<(RunNumber, Vec<String>), BeginError> {
        let (number, held) = self.recorder.begin(RunId::from_bytes([7; 16]), work)?;
        Ok((
            number,
            held.iter().map(|conflict| conflict.host.to_string()).collect(),
        ))
    }

    pub(crate) fn begin(&self) -> Result<RunNumber, BeginError> {
        let (number, held) = self.begin_beside()?;
        assert_eq!(held, Vec::<String>::new());
        Ok(number)
    }

    pub(crate) fn start(&mut self, host: &str) {
        let run = Some(RunId::from_bytes([7; 16]));
        let host = host.parse().unwrap();
        self.tell(Event::HostStarted { host, run });
    }

    pub(crate) fn end(&mut self, host: &str, outcome: Outcome) {
        self.tell(Event::HostFinished {
            host: host.parse().unwrap(),
            seconds: 1.5,
            ending: ended(outcome),
        });
    }

    pub(crate) fn finish(&mut self) {
        let outcomes = self.state.outcomes();
        self.tell(Event::PushFinished {
            status: 0,
            seconds: 2.0,
            outcomes,
        });
    }
}

/// Makes the process that worked on every run one that is gone.
pub(crate) fn kill(desk: &Desk) {
    let connection = rusqlite::Connection::open(desk.path()).unwrap();
    connection
        .execute("UPDATE run SET owner = 'another-boot 1 1'", [])
        .unwrap();
}
