//! Reads runs, their hosts and their events.

use std::io::{self, Write};
use std::ops::ControlFlow;
use std::time::Duration;

use apu_fleet::{Ending, Event, HostName, Outcome, RunState, TimedEvent};
use jiff::Timestamp;
use rusqlite::{Connection, OptionalExtension, params};

use crate::error::LedgerError;
use crate::ledger::Ledger;
use crate::output::{MOST, unpack};
use crate::owner::Owner;
use crate::run::{Paused, Run, RunNumber, RunRef, RunStatus};
use crate::work::Work;

/// A host in a run.
#[derive(Debug, Clone, PartialEq)]
pub struct Attempt {
    /// The run.
    pub run: RunNumber,
    /// The host.
    pub host: HostName,
    /// When it was about to be asked to do it; none where that never came.
    pub started: Option<Timestamp>,
    /// When it ended.
    pub ended: Option<Timestamp>,
    /// How it ended; none where that is not known here.
    pub outcome: Option<Outcome>,
    /// How long it took, in seconds.
    pub seconds: Option<f64>,
    /// The event with how it ended.
    event: Option<i64>,
}

impl Attempt {
    /// Whether the host was asked, and how that ended is not known here.
    #[must_use]
    pub fn is_open(&self) -> bool {
        self.started.is_some() && self.outcome.is_none()
    }
}

const RUN: &str = "SELECT number, push, client_run, parent, operation, request, target, by, owner, begun, ended, status, \
     next, paused, min_age, allow_restart FROM run";
const ATTEMPT: &str = "SELECT run, host, started, ended, outcome, seconds, event FROM attempt";

struct RunRow {
    number: i64,
    push: String,
    client_run: Option<String>,
    parent: Option<i64>,
    words: [String; 4],
    owner: String,
    begun: i64,
    ended: Option<i64>,
    status: Option<u8>,
    next: Option<i64>,
    paused: Option<i64>,
    min_age: Option<i64>,
    allow_restart: String,
}

impl RunRow {
    fn of(row: &rusqlite::Row<'_>) -> rusqlite::Result<Self> {
        Ok(Self {
            number: row.get(0)?,
            push: row.get(1)?,
            client_run: row.get(2)?,
            parent: row.get(3)?,
            words: [row.get(4)?, row.get(5)?, row.get(6)?, row.get(7)?],
            owner: row.get(8)?,
            begun: row.get(9)?,
            ended: row.get(10)?,
            status: row.get(11)?,
            next: row.get(12)?,
            paused: row.get(13)?,
            min_age: row.get(14)?,
            allow_restart: row.get(15)?,
        })
    }

    fn read(self) -> Result<Run, LedgerError> {
        let run = self.number;
        let damaged = |what| move |why: apu_proto::RunIdError| damaged(run, what, &why.to_string());
        let owner = self.owner.parse::<Owner>().ok();
        let [operation, request, target, by] = self.words;
        Ok(Run {
            number: RunNumber(run),
            push: self.push.parse().map_err(damaged("the push"))?,
            client_run: (self.client_run.map(|id| id.parse()).transpose()).map_err(damaged("the id"))?,
            parent: self.parent.map(RunNumber),
            operation,
            request,
            min_age: (self.min_age).map(|seconds| Duration::from_secs(u64::try_from(seconds).unwrap_or(0))),
            allow_restart: self.allow_restart.split_whitespace().map(str::to_owned).collect(),
            target,
            by,
            begun: time(run, self.begun)?,
            ended: self.ended.map(|at| time(run, at)).transpose()?,
            status: match (self.ended, &owner) {
                (Some(_), _) => RunStatus::Ended(self.status.unwrap_or_default()),
                (None, Some(owner)) if owner.is_alive() => RunStatus::Running,
                // Nobody can tell.
                (None, None) => RunStatus::Running,
                (None, _) => self
                    .next
                    .map_or(RunStatus::BrokenOff, |next| RunStatus::WentOn(RunNumber(next))),
            },
            paused: self.paused.map(|wave| match usize::try_from(wave) {
                Ok(wave) if wave > 0 => Paused::Wave(wave),
                _ => Paused::Asked,
            }),
            owner,
        })
    }
}

pub(crate) fn damaged(run: i64, what: &'static str, why: &str) -> LedgerError {
    let why = why.to_owned();
    LedgerError::Damaged { what, run, why }
}

pub(crate) fn time(run: i64, at: i64) -> Result<Timestamp, LedgerError> {
    Timestamp::from_millisecond(at).map_err(|error| damaged(run, "a time", &error.to_string()))
}

pub(crate) fn host_name(run: i64, name: &str) -> Result<HostName, LedgerError> {
    name.parse()
        .map_err(|error: apu_fleet::NameError| damaged(run, "a host", &error.to_string()))
}

pub(crate) fn outcome_of(run: i64, word: &str) -> Result<Outcome, LedgerError> {
    let known = Outcome::ALL.into_iter().find(|outcome| outcome.as_str() == word);
    known.ok_or_else(|| damaged(run, "an outcome", word))
}

pub(crate) fn run_of(connection: &Connection, number: RunNumber) -> Result<Run, LedgerError> {
    let mut query = connection.prepare(&format!("{RUN} WHERE number = ?"))?;
    let row = query.query_row([number.0], RunRow::of).optional()?;
    row.ok_or_else(|| LedgerError::NoRun(number.to_string()))?.read()
}

type AttemptRow = (
    i64,
    String,
    Option<i64>,
    Option<i64>,
    Option<String>,
    Option<f64>,
    Option<i64>,
);

fn attempt_row(row: &rusqlite::Row<'_>) -> rusqlite::Result<AttemptRow> {
    Ok((
        row.get(0)?,
        row.get(1)?,
        row.get(2)?,
        row.get(3)?,
        row.get(4)?,
        row.get(5)?,
        row.get(6)?,
    ))
}

fn attempt((run, host, started, ended, outcome, seconds, event): AttemptRow) -> Result<Attempt, LedgerError> {
    let outcome = outcome.map(|word| outcome_of(run, &word)).transpose()?;
    Ok(Attempt {
        run: RunNumber(run),
        host: host_name(run, &host)?,
        started: started.map(|at| time(run, at)).transpose()?,
        ended: ended.map(|at| time(run, at)).transpose()?,
        outcome,
        seconds,
        event,
    })
}

impl Ledger {
    /// The last runs, the newest first, at most so many.
    ///
    /// # Errors
    /// Where the ledger cannot be read.
    pub fn runs(&self, most: u32) -> Result<Vec<Run>, LedgerError> {
        let mut query = self
            .connection
            .prepare(&format!("{RUN} ORDER BY number DESC LIMIT ?"))?;
        let rows = query
            .query_map([most], RunRow::of)?
            .collect::<rusqlite::Result<Vec<_>>>()?;
        rows.into_iter().map(RunRow::read).collect()
    }

    /// The run that the word names.
    ///
    /// # Errors
    /// Where there is none, several begin with that id, or the ledger cannot be read.
    pub fn find(&self, word: &RunRef) -> Result<Run, LedgerError> {
        let no_run = || LedgerError::NoRun(word.to_string());
        match word {
            RunRef::Number(number) => run_of(&self.connection, *number),
            RunRef::Last(back) => {
                let mut query = self
                    .connection
                    .prepare(&format!("{RUN} ORDER BY number DESC LIMIT 1 OFFSET ?"))?;
                let row = query.query_row([back], RunRow::of).optional()?;
                row.ok_or_else(no_run)?.read()
            }
            RunRef::Id(id) => {
                // Behind every id that begins with these digits.
                let end = format!("{id}g");
                let mut query = self.connection.prepare(&format!(
                    "{RUN} WHERE client_run BETWEEN ?1 AND ?2 ORDER BY number DESC LIMIT 50"
                ))?;
                let rows = query
                    .query_map([id, &end], RunRow::of)?
                    .collect::<rusqlite::Result<Vec<_>>>()?;
                // A run that went on has the id of the one before.
                let is_one = rows
                    .windows(2)
                    .all(|pair| pair[0].client_run == pair[1].client_run);
                if !is_one {
                    return Err(LedgerError::NoRun(format!("{id} alone: several begin so")));
                }
                rows.into_iter().next().ok_or_else(no_run)?.read()
            }
        }
    }

    /// What became of each host of a run, in the order of their turns.
    ///
    /// # Errors
    /// Where the ledger cannot be read.
    pub fn attempts(&self, run: RunNumber) -> Result<Vec<Attempt>, LedgerError> {
        let mut query = self
            .connection
            .prepare(&format!("{ATTEMPT} WHERE run = ? ORDER BY turn"))?;
        let rows = query
            .query_map([run.0], attempt_row)?
            .collect::<rusqlite::Result<Vec<_>>>()?;
        rows.into_iter().map(attempt).collect()
    }

    /// A host in its last runs, the newest first, at most so many.
    ///
    /// # Errors
    /// Where the ledger cannot be read.
    pub fn history(&self, host: &HostName, most: u32) -> Result<Vec<(Run, Attempt)>, LedgerError> {
        let mut query = self
            .connection
            .prepare(&format!("{ATTEMPT} WHERE host = ? ORDER BY run DESC LIMIT ?"))?;
        let rows = query.query_map(params![host.as_str(), most], attempt_row)?;
        let rows = rows.collect::<rusqlite::Result<Vec<_>>>()?;
        let with_run = |row| {
            let attempt = attempt(row)?;
            Ok((run_of(&self.connection, attempt.run)?, attempt))
        };
        rows.into_iter().map(with_run).collect()
    }

    /// How a host ended, with its reason and what it reported.
    ///
    /// # Errors
    /// Where the ledger cannot be read.
    pub fn ending(&self, attempt: &Attempt) -> Result<Option<Ending>, LedgerError> {
        let Some(seq) = attempt.event else { return Ok(None) };
        let mut query = self
            .connection
            .prepare("SELECT body FROM event WHERE run = ? AND seq = ?")?;
        let body: Option<String> = query
            .query_row([attempt.run.0, seq], |row| row.get(0))
            .optional()?;
        let event = body.map(|body| event(attempt.run, &body)).transpose()?;
        Ok(match event {
            Some(Event::HostFinished { ending, .. }) => Some(*ending),
            _ => None,
        })
    }

    /// Every event of a run that is kept, in order.
    ///
    /// # Errors
    /// Where the ledger cannot be read.
    pub fn events(&self, run: &Run) -> Result<Vec<TimedEvent>, LedgerError> {
        let mut query = self
            .connection
            .prepare("SELECT at, body FROM event WHERE run = ? ORDER BY seq")?;
        let mut rows = query.query([run.number.0])?;
        let mut events = Vec::new();
        while let Some(row) = rows.next()? {
            let body: String = row.get(1)?;
            events.push(TimedEvent {
                at: time(run.number.0, row.get(0)?)?,
                push: run.push,
                event: event(run.number, &body)?,
            });
        }
        Ok(events)
    }

    /// How far a run is, as its events say.
    ///
    /// # Errors
    /// Where the ledger cannot be read.
    pub fn state(&self, run: &Run) -> Result<RunState, LedgerError> {
        let mut state = RunState::new(run.push);
        for event in &self.events(run)? {
            state.apply(event);
        }
        Ok(state)
    }

    /// What a run was to do; none where no host was to be asked.
    ///
    /// # Errors
    /// Where the ledger cannot be read.
    pub fn work(&self, run: RunNumber) -> Result<Option<Work>, LedgerError> {
        let mut query = self.connection.prepare("SELECT work FROM run WHERE number = ?")?;
        let packed: Option<Option<Vec<u8>>> = query.query_row([run.0], |row| row.get(0)).optional()?;
        let work = packed.flatten().map(|packed| Work::unpack(&packed)).transpose();
        work.map_err(|error| damaged(run.0, "the work", &error.to_string()))
    }

    /// Writes what a host printed in a run, as it is: not to be trusted.
    ///
    /// # Errors
    /// Where the ledger cannot be read, or `to` takes nothing more.
    pub fn output(&self, run: RunNumber, host: &HostName, to: &mut dyn Write) -> Result<(), LedgerError> {
        let mut query = self.connection.prepare(
            "SELECT text FROM output JOIN attempt USING (run, turn) WHERE run = ? AND host = ? ORDER BY part",
        )?;
        let mut rows = query.query(params![run.0, host.as_str()])?;
        while let Some(row) = rows.next()? {
            let packed: Vec<u8> = row.get(0)?;
            // The recorder splits what is longer than a part, and writes no more than this of a host in all its parts.
            to.write_all(&unpack(&packed, MOST as u64)?)?;
        }
        Ok(())
    }

    /// What each host of a run printed, in the order of their turns, until `take` breaks. One that printed nothing is left out.
    ///
    /// # Errors
    /// Where the ledger cannot be read.
    pub fn outputs(
        &self,
        run: RunNumber,
        mut take: impl FnMut(&HostName, &[u8]) -> ControlFlow<()>,
    ) -> Result<(), LedgerError> {
        let mut query = self.connection.prepare(
            "SELECT turn, host, text FROM output JOIN attempt USING (run, turn) WHERE run = ? ORDER BY turn, part",
        )?;
        let mut rows = query.query([run.0])?;
        let mut printed: Option<(i64, HostName, Vec<u8>)> = None;
        while let Some(row) = rows.next()? {
            let turn = row.get(0)?;
            let packed: Vec<u8> = row.get(2)?;
            let part = unpack(&packed, MOST as u64)?;
            match &mut printed {
                Some((known, _, text)) if *known == turn => text.extend_from_slice(&part),
                _ => {
                    let host = host_name(run.0, &row.get::<_, String>(1)?)?;
                    if let Some((_, host, text)) = printed.replace((turn, host, part))
                        && take(&host, &text).is_break()
                    {
                        return Ok(());
                    }
                }
            }
        }
        if let Some((_, host, text)) = printed {
            let _ = take(&host, &text);
        }
        Ok(())
    }
}

pub(crate) fn event(run: RunNumber, body: &str) -> Result<Event, LedgerError> {
    serde_json::from_str(body)
        .map_err(io::Error::from)
        .map_err(|error| damaged(run.0, "an event", &error.to_string()))
}
