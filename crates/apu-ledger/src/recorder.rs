//! Writes the events of a push into the ledger, as one of its sinks.
//!
//! What decides is on the disk before anything follows from it: that a host is about to be asked, and how it ended. The rest is
//! written a few times a second.

use std::cell::RefCell;
use std::collections::{HashMap, HashSet};
use std::fmt;
use std::io;
use std::rc::Rc;

use apu_fleet::{
    Approval, Event, HostName, Instruction, Outcome, PauseCause, Phase, RunState, Sink, TimedEvent,
};
use apu_proto::{Answer, RunId};
use jiff::Timestamp;
use rusqlite::{Connection, TransactionBehavior, params};

use crate::begin::{BeginError, NewRun};
use crate::error::LedgerError;
use crate::instruction::Told;
use crate::lease::Conflict;
use crate::ledger::Ledger;
use crate::limit::{Limits, shorten};
use crate::output::{self, Output};
use crate::retention::Retention;
use crate::run::RunNumber;
use crate::work::Work;

/// Records a push. Its clones are one recorder: the push begins its run with one, and gives events to another.
#[derive(Debug, Clone)]
pub struct Recorder(Rc<RefCell<Inner>>);

#[derive(Debug)]
struct Inner {
    ledger: Ledger,
    /// What is written once a host is to be asked.
    new: NewRun,
    number: Option<RunNumber>,
    /// The places of the hosts.
    turns: HashMap<HostName, i64>,
    phase: Option<Phase>,
    limits: Limits,
    /// Events that are not on the disk yet, each with the phase that it belongs to. Before the run has a number, they are all
    /// events so far: each host has a fixed number of them.
    pending: Vec<(Option<Phase>, TimedEvent)>,
    /// Whether one of them has to be there before anything follows from it.
    is_urgent: bool,
    /// The number of the next event.
    next: i64,
    outputs: HashMap<i64, Output>,
    /// Whether the administrator said no: then nothing was done that is worth a number.
    was_declined: bool,
    on_told: Option<OnTold>,
    /// The number of the last instruction that was passed on.
    last_told: i64,
    /// How hosts ended that have no other turn; written with the next events.
    ends: Vec<(i64, Outcome)>,
    /// How each host ended last.
    last: HashMap<i64, Outcome>,
    /// Why the push got no number at its end: for the caller, since no sink is asked any more.
    failure: Option<LedgerError>,
}

impl Recorder {
    /// A recorder of a push of which nothing is written yet.
    #[must_use]
    pub fn new(ledger: Ledger, new: NewRun) -> Self {
        Self(Rc::new(RefCell::new(Inner {
            ledger,
            turns: new.hosts.iter().cloned().zip(0..).collect(),
            new,
            number: None,
            phase: None,
            limits: Limits::default(),
            pending: Vec::new(),
            is_urgent: false,
            next: 0,
            outputs: HashMap::new(),
            was_declined: false,
            on_told: None,
            last_told: 0,
            ends: Vec::new(),
            last: HashMap::new(),
            failure: None,
        })))
    }

    /// Begins the run, or its next part, and returns its number. The hosts of `work` are held for this run from now on, but for
    /// those that another run holds: what is in their way is returned, too.
    ///
    /// # Errors
    /// Where every host is held for another run, and where the ledger cannot be written.
    pub fn begin(&self, run: RunId, work: &Work) -> Result<(RunNumber, Vec<Conflict>), BeginError> {
        let mut inner = self.0.borrow_mut();
        let inner = &mut *inner;
        let number = match inner.number {
            Some(number) => number,
            None => {
                let number = inner.ledger.begin(&inner.new)?;
                inner.number = Some(number);
                number
            }
        };
        let now = Timestamp::now();
        let taken = inner.ledger.set_work((number, inner.new.parent), run, work, now);
        if let Err(BeginError::Held(_) | BeginError::GoneOnWith(_)) = &taken {
            inner.withdraw(number)?;
        }
        let held = taken?;
        // Those that have no part in it have ended: they could not be reached, or there is nothing to do there.
        let part: HashSet<&i64> = work
            .hosts
            .iter()
            .filter_map(|host| inner.turns.get(host))
            .collect();
        let ended = inner.last.iter().filter(|(turn, _)| !part.contains(turn));
        inner.ends = ended.map(|(turn, outcome)| (*turn, *outcome)).collect();
        inner.flush(true)?;
        Ok((number, held))
    }

    /// The number of the run, once it has begun.
    #[must_use]
    pub fn number(&self) -> Option<RunNumber> {
        self.0.borrow().number
    }

    /// Writes what is left, at the end of the push, and forgets the oldest runs; the number of its run, where it has one.
    ///
    /// # Errors
    /// Where the ledger cannot be written.
    pub fn close(&self) -> Result<Option<RunNumber>, LedgerError> {
        let mut inner = self.0.borrow_mut();
        if let Some(failure) = inner.failure.take() {
            return Err(failure);
        }
        inner.flush(true)?;
        // What cannot be forgotten now is forgotten the next time.
        let _ = inner.ledger.prune(&Retention::default(), Timestamp::now());
        Ok(inner.number)
    }

    /// Has `pass_on` called for each instruction that another program gives the run.
    pub fn on_told(&self, pass_on: impl FnMut(Told) + 'static) {
        self.0.borrow_mut().on_told = Some(OnTold(Box::new(pass_on)));
    }
}

/// What is done with an instruction.
struct OnTold(Box<dyn FnMut(Told)>);

impl fmt::Debug for OnTold {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("OnTold")
    }
}

impl Inner {
    fn take(&mut self, event: &TimedEvent) {
        match &event.event {
            Event::PhaseStarted { phase, .. } => self.phase = Some(*phase),
            Event::Answered { answer } => self.was_declined = *answer != Approval::Yes,
            // Nothing of these is worth to be kept: the next one replaces it.
            Event::Progress { .. } | Event::Connected { .. } | Event::Hello { .. } => return,
            Event::Line { host, text } => return self.print(host, text),
            Event::HostFinished { host, .. } => {
                let output = self.turns.get(host).and_then(|turn| self.outputs.get_mut(turn));
                if let Some(output) = output {
                    output.is_over = true;
                }
            }
            _ => {}
        }
        if let Event::HostFinished { host, ending, .. } = &event.event
            && let Some(turn) = self.turns.get(host)
        {
            self.last.insert(*turn, ending.outcome);
        }
        if !self.limits.admit(&event.event) {
            return;
        }
        self.is_urgent |= matches!(
            event.event,
            Event::HostStarted { .. }
                | Event::HostFinished { .. }
                | Event::Checking { .. }
                | Event::WaveFinished { .. }
                | Event::Paused { .. }
                | Event::Promoted { .. }
                | Event::Resumed { .. }
                | Event::Interrupted { .. }
                | Event::PushFinished { .. }
        );
        self.pending.push((self.phase, kept(event)));
    }

    /// Takes back the number of a run that did not begin, where no host has been asked for it.
    fn withdraw(&mut self, number: RunNumber) -> Result<(), LedgerError> {
        let gone = self.ledger.connection.execute(
            "DELETE FROM run WHERE number = ?1 AND client_run IS NULL AND NOT EXISTS (SELECT 1 FROM event WHERE run = ?1)",
            [number.0],
        )?;
        if gone > 0 {
            self.number = None;
            self.was_declined = true;
        }
        Ok(())
    }

    /// Takes note of the end of the push. One in which no run began, and to which nobody said no, gets its number now.
    fn end(&mut self, run: &RunState) {
        let turns = &self.turns;
        let ends = run
            .endings()
            .filter_map(|(host, ending)| Some((*turns.get(host)?, ending.outcome)));
        self.ends = ends.collect();
        if self.number.is_none() && !self.was_declined {
            match self.ledger.begin(&self.new) {
                Ok(number) => self.number = Some(number),
                Err(error) => self.failure = Some(error),
            }
        }
    }

    fn print(&mut self, host: &HostName, text: &str) {
        if let Some(turn) = self.turns.get(host) {
            self.outputs.entry(*turn).or_default().add(text);
        }
    }

    /// Whether there is something to write.
    fn is_waiting(&self, is_sure: bool) -> bool {
        !self.pending.is_empty() || self.outputs.values().any(|output| output.is_waiting(is_sure))
    }

    /// Writes what is not written yet; with `is_sure` it survives the loss of power.
    fn flush(&mut self, is_sure: bool) -> Result<(), LedgerError> {
        let Some(run) = self.number.filter(|_| self.is_waiting(is_sure)) else {
            return Ok(());
        };
        let connection = &mut self.ledger.connection;
        let level = if is_sure { "FULL" } else { "NORMAL" };
        connection.pragma_update(None, "synchronous", level)?;
        let transaction = connection.transaction_with_behavior(TransactionBehavior::Immediate)?;
        let mut next = self.next;
        for (phase, event) in &self.pending {
            write(&transaction, (run, next), *phase, &self.turns, event)?;
            next += 1;
        }
        for (turn, outcome) in &self.ends {
            transaction.execute(
                "UPDATE attempt SET outcome = ? WHERE run = ? AND turn = ? AND outcome IS NULL",
                params![outcome.as_str(), run.0, turn],
            )?;
        }
        for (turn, output) in self
            .outputs
            .iter()
            .filter(|(_, output)| output.is_waiting(is_sure))
        {
            for part in output.parts() {
                transaction.execute(
                    "INSERT INTO output (run, turn, part, text) SELECT ?1, ?2, coalesce(max(part) + 1, 0), ?3 FROM output \
                     WHERE run = ?1 AND turn = ?2",
                    params![run.0, turn, output::pack(part)?],
                )?;
            }
        }
        transaction.commit()?;
        self.next = next;
        self.pending.clear();
        self.ends.clear();
        self.is_urgent = false;
        self.outputs.retain(|_, output| {
            if output.is_waiting(is_sure) {
                output.set_written();
            }
            !output.is_over || output.is_waiting(true)
        });
        Ok(())
    }
}

impl Sink for Recorder {
    fn name(&self) -> &str {
        "the ledger"
    }

    fn take(&mut self, event: &TimedEvent, run: &RunState) -> io::Result<()> {
        let mut inner = self.0.borrow_mut();
        inner.take(event);
        if matches!(event.event, Event::PushFinished { .. }) {
            inner.end(run);
        }
        Ok(())
    }

    fn settle(&mut self) -> io::Result<()> {
        let mut inner = self.0.borrow_mut();
        if inner.is_urgent {
            inner.flush(true).map_err(io::Error::other)?;
        }
        Ok(())
    }

    fn wants_ticks(&self) -> bool {
        let inner = self.0.borrow();
        // Until somebody may tell it to stop, there is nothing to look at but what is not written yet.
        inner.on_told.is_some() || inner.is_waiting(false)
    }

    fn tick(&mut self, run: &RunState) {
        let mut inner = self.0.borrow_mut();
        // What fails here fails again where it matters.
        let _ = inner.flush(false);
        let Some(number) = inner.number else { return };
        let Some(OnTold(mut pass_on)) = inner.on_told.take() else {
            return;
        };
        let told = inner
            .ledger
            .told_since(number, inner.last_told)
            .unwrap_or_default();
        if let Some((last, _)) = told.last() {
            inner.last_told = *last;
        }
        drop(inner);
        for (_, told) in told {
            // After a Ctrl-C nothing new is begun anyway, and a second one would leave what is at work.
            if !(told.instruction == Instruction::Stop && run.interrupts > 0) {
                pass_on(told);
            }
        }
        self.0.borrow_mut().on_told = Some(OnTold(pass_on));
    }
}

/// The event as it is kept: what a plan found out stands in the run's work.
fn kept(event: &TimedEvent) -> TimedEvent {
    let mut event = event.clone();
    shorten(&mut event.event);
    if let Event::HostFinished { ending, .. } = &mut event.event
        && let Some(result) = &mut ending.result
        && matches!(result.answer, Answer::Plan(_))
    {
        result.answer = Answer::Plain;
    }
    event
}

/// Writes an event, and what follows from it for the host.
fn write(
    connection: &Connection,
    (run, seq): (RunNumber, i64),
    phase: Option<Phase>,
    turns: &HashMap<HostName, i64>,
    event: &TimedEvent,
) -> Result<(), LedgerError> {
    let at = event.at.as_millisecond();
    let body = serde_json::to_string(&event.event).map_err(io::Error::other)?;
    connection.execute(
        "INSERT INTO event (run, seq, at, body) VALUES (?, ?, ?, ?)",
        params![run.0, seq, at, body],
    )?;
    match &event.event {
        Event::HostStarted { host, .. } if phase == Some(Phase::Apply) => {
            connection.execute(
                "UPDATE attempt SET started = ? WHERE run = ? AND turn = ?",
                params![at, run.0, turns.get(host)],
            )?;
        }
        Event::HostFinished {
            host,
            seconds,
            ending,
        } if phase == Some(Phase::Apply) => {
            connection.execute(
                "UPDATE attempt SET ended = ?, outcome = ?, seconds = ?, event = ? WHERE run = ? AND turn = ?",
                params![at, ending.outcome.as_str(), seconds, seq, run.0, turns.get(host)],
            )?;
            connection.execute(
                "DELETE FROM lease WHERE host = ? AND run = ?",
                params![host.as_str(), run.0],
            )?;
        }
        // The host may have another turn, or it has ended with that.
        Event::HostFinished { host, seconds, .. } => {
            connection.execute(
                "UPDATE attempt SET ended = ?, seconds = ?, event = ? WHERE run = ? AND turn = ? AND outcome IS NULL",
                params![at, seconds, seq, run.0, turns.get(host)],
            )?;
        }
        Event::Paused { cause, wave, .. } => {
            let wave = match cause {
                PauseCause::Inconclusive => i64::try_from(*wave).unwrap_or(i64::MAX),
                PauseCause::Asked | PauseCause::Unknown => 0,
            };
            connection.execute("UPDATE run SET paused = ? WHERE number = ?", params![wave, run.0])?;
        }
        Event::Promoted { .. } | Event::Resumed { .. } | Event::Interrupted { .. } => {
            connection.execute("UPDATE run SET paused = NULL WHERE number = ?", [run.0])?;
        }
        Event::PushFinished { status, .. } => {
            connection.execute(
                "UPDATE run SET ended = ?, status = ?, paused = NULL WHERE number = ?",
                params![at, status, run.0],
            )?;
            connection.execute("DELETE FROM lease WHERE run = ?", [run.0])?;
        }
        _ => {}
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use apu_fleet::{Ending, PushId};
    use apu_proto::{ClientOutcome, RunResult};

    use super::*;

    #[test]
    fn what_a_host_printed_leaves_the_memory_when_it_has_ended_and_a_next_turn_adds_to_it() {
        let directory = tempfile::tempdir().unwrap();
        let host: HostName = "web1".parse().unwrap();
        let push = PushId::from_bytes([1; 16]);
        let new = NewRun {
            push,
            parent: None,
            operation: "upgrade".into(),
            request: "apu/1 upgrade".into(),
            min_age: None,
            allow_restart: Vec::new(),
            target: "web1".into(),
            by: "alice".into(),
            begun: Timestamp::UNIX_EPOCH,
            hosts: vec![host.clone()],
        };
        let ledger = Ledger::open(&directory.path().join("apu.db")).unwrap();
        let recorder = Recorder::new(ledger, new);
        let mut inner = recorder.0.borrow_mut();
        let Inner { ledger, new, .. } = &mut *inner;
        let number = ledger.begin(new).unwrap();
        inner.number = Some(number);
        let mut printed = Vec::new();
        for text in ["first".to_owned(), "é".repeat(100_000)] {
            let result = RunResult::new(ClientOutcome::Changed);
            for event in [
                Event::Line {
                    host: host.clone(),
                    text: text.clone(),
                },
                Event::HostFinished {
                    host: host.clone(),
                    seconds: 1.0,
                    ending: Box::new(Ending::of_result(Box::new(result), None)),
                },
            ] {
                let at = Timestamp::UNIX_EPOCH;
                inner.take(&TimedEvent { at, push, event });
            }
            inner.flush(true).unwrap();
            assert!(inner.outputs.is_empty(), "{:?}", inner.outputs.len());
            printed.extend_from_slice(format!("{text}\n").as_bytes());
        }
        let mut read = Vec::new();
        inner.ledger.output(number, &host, &mut read).unwrap();
        assert!(read == printed, "{} of {} bytes", read.len(), printed.len());
        let mut all = Vec::new();
        let take = |name: &HostName, text: &[u8]| {
            all.push((name.clone(), text.to_vec()));
            std::ops::ControlFlow::Continue(())
        };
        inner.ledger.outputs(number, take).unwrap();
        assert!(all == [(host, printed)], "{} hosts", all.len());
    }
}
