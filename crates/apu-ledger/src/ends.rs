//! Reads how the hosts of a run ended. An event of a host that its last end replaces is not looked at, and equal ends are read
//! once: most of the events of a large run are of these two kinds.

use std::collections::HashMap;
use std::rc::Rc;

use apu_fleet::{Ending, Event, HostName, Phase};
use apu_proto::Operation;
use serde::Deserialize;

use crate::error::LedgerError;
use crate::ledger::Ledger;
use crate::read::{Attempt, damaged, event};
use crate::run::{Run, RunNumber};

/// What the events of a run say of it, and how its hosts ended.
#[derive(Debug, Clone)]
pub struct RunEnds {
    /// The phase that began last.
    pub phase: Option<Phase>,
    /// What the hosts of that phase are asked for.
    pub operation: Option<Operation>,
    /// How long the hosts were at work.
    pub seconds: f64,
    /// Every host in the order of their turns, with how it ended in the phase that it took part in last, once it has. Equal
    /// ends are shared: the time that it took on the client is in none of them.
    pub hosts: Vec<(Attempt, Option<Rc<Ending>>)>,
}

impl Ledger {
    /// How the hosts of a run ended, as [`Ledger::state`] has it.
    ///
    /// # Errors
    /// Where the ledger cannot be read.
    pub fn ends(&self, run: &Run) -> Result<RunEnds, LedgerError> {
        let attempts = self.attempts(run.number)?;
        let mut reader = Reader::of(run.number, &attempts);
        let mut query = self
            .connection
            .prepare("SELECT body FROM event WHERE run = ? ORDER BY seq DESC")?;
        let mut rows = query.query([run.number.0])?;
        while let Some(row) = rows.next()? {
            reader.read(row.get_ref(0)?.as_str().map_err(rusqlite::Error::from)?)?;
        }
        let Reader {
            ends, last, seconds, ..
        } = reader;
        let (phase, operation) = last.unzip();
        Ok(RunEnds {
            phase,
            operation,
            seconds: seconds.iter().rev().sum(),
            hosts: attempts
                .into_iter()
                .zip(ends.into_iter().map(Option::flatten))
                .collect(),
        })
    }
}

/// Reads the events of a run, the last one first.
struct Reader<'a> {
    run: RunNumber,
    places: HashMap<&'a str, usize>,
    /// What the events so far say of each host: how it ended, or that it has begun and not ended.
    ends: Vec<Option<Option<Rc<Ending>>>>,
    /// How many of them are open.
    open: usize,
    known: KnownEnds,
    /// The phase that began last.
    last: Option<(Phase, Operation)>,
    /// How long the hosts were at work in each phase.
    seconds: Vec<f64>,
}

impl<'a> Reader<'a> {
    fn of(run: RunNumber, attempts: &'a [Attempt]) -> Self {
        let names = attempts.iter().map(|attempt| attempt.host.as_str());
        Self {
            run,
            places: names.zip(0..).collect(),
            ends: vec![None; attempts.len()],
            open: attempts.len(),
            known: KnownEnds::default(),
            last: None,
            seconds: Vec::new(),
        }
    }

    fn read(&mut self, body: &str) -> Result<(), LedgerError> {
        match kind_of(body) {
            Some("host-finished") => match Head::of(body) {
                Some(head) => {
                    if let Some(place) = self.undecided(head.host) {
                        let ending = self.known.read(self.run, head.rest, body)?;
                        self.decide(place, Some(ending));
                    }
                    Ok(())
                }
                None => self.take(event(self.run, body)?),
            },
            Some("host-started" | "phase-finished") | None => self.take(event(self.run, body)?),
            Some("phase-started") => self.phase_started(body),
            // Where a host is, and what was said, changes no end.
            Some(_) => Ok(()),
        }
    }

    fn take(&mut self, event: Event) -> Result<(), LedgerError> {
        match event {
            Event::HostStarted { host, .. } => {
                if let Some(place) = self.undecided(host.as_str()) {
                    self.decide(place, None);
                }
            }
            Event::PhaseFinished { phase, seconds, .. } if phase != Phase::Approve => {
                self.seconds.push(seconds)
            }
            Event::HostFinished { host, ending, .. } => {
                if let Some(place) = self.undecided(host.as_str()) {
                    self.decide(place, Some(ending.into()));
                }
            }
            _ => {}
        }
        Ok(())
    }

    /// The hosts of a phase that have not ended since it began have not ended.
    fn phase_started(&mut self, body: &str) -> Result<(), LedgerError> {
        let PhaseStarted { phase, operation } = read(self.run, body)?;
        self.last.get_or_insert((phase, operation));
        if phase != Phase::Approve && self.open > 0 {
            for host in read::<HostsOfPhase>(self.run, body)?.hosts {
                if let Some(place) = self.undecided(host.as_str()) {
                    self.decide(place, None);
                }
            }
        }
        Ok(())
    }

    fn undecided(&self, host: &str) -> Option<usize> {
        let place = *self.places.get(host)?;
        self.ends[place].is_none().then_some(place)
    }

    fn decide(&mut self, place: usize, ending: Option<Rc<Ending>>) {
        self.ends[place] = Some(ending);
        self.open -= 1;
    }
}

/// A phase's beginning without its hosts.
#[derive(Deserialize)]
struct PhaseStarted {
    phase: Phase,
    operation: Operation,
}

/// Its hosts alone.
#[derive(Deserialize)]
struct HostsOfPhase {
    hosts: Vec<HostName>,
}

fn read<'a, T: Deserialize<'a>>(run: RunNumber, body: &'a str) -> Result<T, LedgerError> {
    serde_json::from_str(body).map_err(|error| damaged(run.0, "an event", &error.to_string()))
}

/// The kind of an event as the recorder writes it; none where it is written in another way.
fn kind_of(body: &str) -> Option<&str> {
    Some(body.strip_prefix(r#"{"event":""#)?.split_once('"')?.0)
}

/// The beginning of a host's end, as the recorder writes it.
struct Head<'a> {
    host: &'a str,
    /// What follows the host.
    rest: &'a str,
}

impl<'a> Head<'a> {
    fn of(body: &'a str) -> Option<Self> {
        let text = body.strip_prefix(r#"{"event":"host-finished","host":""#)?;
        let (host, rest) = text.split_once('"')?;
        Some(Self { host, rest })
    }
}

/// The distinct ends so far, by their text without the times that they took.
#[derive(Default)]
struct KnownEnds(HashMap<String, Rc<Ending>>);

/// What stands before a number that is no part of an end's key. In a JSON string its quotes would have backslashes.
const SECONDS: &str = r#""seconds":"#;

impl KnownEnds {
    /// Reads how a host ended.
    fn read(&mut self, run: RunNumber, rest: &str, body: &str) -> Result<Rc<Ending>, LedgerError> {
        let (key, numbers) = without_numbers(rest);
        if let Some(known) = self.0.get(&key) {
            return Ok(known.clone());
        }
        let Event::HostFinished {
            seconds, mut ending, ..
        } = event(run, body)?
        else {
            return Err(damaged(run.0, "an end", body));
        };
        let of_result = ending
            .result
            .as_mut()
            .map(|result| std::mem::take(&mut result.seconds));
        // Where there are other times than those of the host and of its result, they are a part of it.
        let is_key = [seconds].into_iter().chain(of_result).eq(numbers);
        let ending: Rc<Ending> = ending.into();
        if is_key {
            self.0.insert(key, ending.clone());
        }
        Ok(ending)
    }
}

/// A text of JSON without the numbers of its fields of that name, and these numbers.
fn without_numbers(text: &str) -> (String, Vec<f64>) {
    let mut parts = text.split(SECONDS);
    let mut key = parts.next().unwrap_or_default().to_owned();
    key.reserve(text.len());
    let mut numbers = Vec::new();
    for part in parts {
        let end = part.find([',', '}']).unwrap_or(part.len());
        key.push_str(SECONDS);
        match serde_json::from_str(&part[..end]) {
            Ok(number) => {
                numbers.push(number);
                key.push_str(&part[end..]);
            }
            Err(_) => key.push_str(part),
        }
    }
    (key, numbers)
}
