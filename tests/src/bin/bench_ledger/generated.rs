//! Makes a ledger of many runs: two are recorded as apt-all records them, and the others are copies of these.

use std::fs;
use std::path::Path;

use anyhow::Result;
use apu_fleet::{
    EVENTS_VERSION, Ending, Event, HostName, Phase, PushId, Rollout, RunState, Sink, TimedEvent,
};
use apu_ledger::{Ledger, NewRun, Recorder, Work};
use apu_proto::{Cause, Change, ClientOutcome, Operation, Reason, RunId, RunResult};
use jiff::Timestamp;
use rusqlite::Connection;

/// How many kinds of hosts there are: those of one kind have the same packages.
const KINDS: usize = 40;

/// How many packages change on a host.
const PACKAGES: usize = 8;

/// How many lines a host prints.
const LINES: usize = 20;

/// Writes the ledger of a site below this directory; its size in bytes.
pub(crate) fn ledger(site: &Path, hosts: usize, runs: u32) -> Result<u64> {
    let state = site.join("var/lib/apu-server");
    fs::create_dir_all(&state)?;
    fs::create_dir_all(site.join("etc/apu-server/clients"))?;
    let path = state.join("apu.db");
    let hosts: Vec<HostName> = (0..hosts)
        .map(|host| format!("node{host:05}").parse())
        .collect::<Result<_, _>>()?;
    for run in 1..=2 {
        record(&path, run, &hosts)?;
    }
    copy(&path, runs)?;
    Ok(fs::metadata(&path)?.len())
}

/// Records a run: each host is planned, and then it changes or fails.
fn record(path: &Path, run: u8, hosts: &[HostName]) -> Result<()> {
    let id = PushId::from_bytes([run; 16]);
    let new = NewRun {
        push: id,
        parent: None,
        operation: "upgrade --yes".into(),
        request: "apu/1 upgrade".into(),
        min_age: None,
        allow_restart: Vec::new(),
        target: "all".into(),
        by: "alice".into(),
        begun: Timestamp::from_second(1_700_000_000)?,
        hosts: hosts.to_vec(),
    };
    let mut push = Push {
        recorder: Recorder::new(Ledger::open(path)?, new),
        state: RunState::new(id),
        id,
    };
    push.tell(Event::PushStarted {
        version: EVENTS_VERSION,
        operation: Operation::Upgrade,
        packages: Vec::new(),
        hosts: hosts.to_vec(),
        by: "alice".into(),
    })?;
    push.begin_phase(Phase::Plan, hosts)?;
    for (place, host) in hosts.iter().enumerate() {
        let planned = RunResult::new(ClientOutcome::Changed);
        push.host(host, place, Ending::of_result(Box::new(planned), None))?;
    }
    let run_id = RunId::from_bytes([run; 16]);
    let work = Work::new("apu/1 upgrade".into(), Rollout::default());
    push.recorder
        .begin(run_id, &work.for_hosts(hosts.iter().map(|host| (host, None))))?;
    push.begin_phase(Phase::Apply, hosts)?;
    for (place, host) in hosts.iter().enumerate() {
        for line in 0..LINES {
            let text = format!("Unpacking package-{line}:amd64 (1.{place}-2) over (1.{place}-1) ...");
            push.tell(Event::Line {
                host: host.clone(),
                text,
            })?;
        }
        let is_failed = run == 2 && place % 100 == 0;
        let result = if is_failed {
            failed(place)
        } else {
            changed(run, place)
        };
        push.host(host, place, Ending::of_result(Box::new(result), Some(run_id)))?;
    }
    let outcomes = push.state.outcomes();
    push.tell(Event::PhaseFinished {
        phase: Phase::Apply,
        seconds: 600.0,
        outcomes: outcomes.clone(),
    })?;
    push.tell(Event::PushFinished {
        status: 0,
        seconds: 700.0,
        outcomes,
    })?;
    push.recorder.close()?;
    Ok(())
}

fn changed(run: u8, place: usize) -> RunResult {
    let mut result = RunResult::new(ClientOutcome::Changed);
    result.operation = Some(Operation::Upgrade);
    result.apt_exit = Some(0);
    result.seconds = place as f64 / 7.0;
    let change = |package: usize| Change {
        package: format!("package-{package}:amd64").parse().expect("a package"),
        old: Some(format!("1.{}-{run}", place % KINDS)),
        new: Some(format!("1.{}-{}", place % KINDS, run + 1)),
    };
    result.packages_mut().changes = (0..PACKAGES).map(change).collect();
    result
}

fn failed(place: usize) -> RunResult {
    let reason = Reason::from(Cause::AptFailed).detailed(format!("E: no space left on disk {place}"));
    RunResult {
        seconds: 1.5,
        ..RunResult::because(ClientOutcome::Failed, reason)
    }
}

/// A push that is being recorded.
struct Push {
    recorder: Recorder,
    state: RunState,
    id: PushId,
}

impl Push {
    fn tell(&mut self, event: Event) -> Result<()> {
        let event = TimedEvent {
            at: Timestamp::from_second(1_700_000_002)?,
            push: self.id,
            event,
        };
        self.state.apply(&event);
        self.recorder.take(&event, &self.state)?;
        Ok(())
    }

    fn begin_phase(&mut self, phase: Phase, hosts: &[HostName]) -> Result<()> {
        self.tell(Event::PhaseStarted {
            phase,
            operation: Operation::Upgrade,
            hosts: hosts.to_vec(),
        })
    }

    /// A host starts and ends.
    fn host(&mut self, host: &HostName, place: usize, ending: Ending) -> Result<()> {
        self.tell(Event::HostStarted {
            host: host.clone(),
            run: ending.run,
        })?;
        self.tell(Event::HostFinished {
            host: host.clone(),
            seconds: 1.0 + place as f64 / 3.0,
            ending: Box::new(ending),
        })
    }
}

/// Copies the two runs until there are so many, by turns.
fn copy(path: &Path, runs: u32) -> Result<()> {
    let connection = Connection::open(path)?;
    connection.execute_batch("PRAGMA synchronous = OFF")?;
    for number in 3..=runs {
        let from = 2 - number % 2;
        let columns = |table: &str| -> rusqlite::Result<String> {
            let mut query = connection.prepare(
                "SELECT name FROM pragma_table_info(?) WHERE name NOT IN ('run', 'number', 'push')",
            )?;
            let names = query.query_map([table], |row| row.get::<_, String>(0))?;
            Ok(names.collect::<rusqlite::Result<Vec<_>>>()?.join(", "))
        };
        let run = columns("run")?;
        connection.execute(
            &format!("INSERT INTO run (number, push, {run}) SELECT ?1, printf('%032x', ?1), {run} FROM run WHERE number = ?2"),
            [number, from],
        )?;
        for table in ["attempt", "event", "output"] {
            let rest = columns(table)?;
            connection.execute(
                &format!("INSERT INTO {table} (run, {rest}) SELECT ?1, {rest} FROM {table} WHERE run = ?2"),
                [number, from],
            )?;
        }
    }
    connection.execute_batch("PRAGMA wal_checkpoint(TRUNCATE)")?;
    Ok(())
}
