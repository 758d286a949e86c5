//! What a run that goes on with another one knows of its hosts.

use std::collections::HashMap;

use apu_fleet::{Carried, Event, HostName, Outcome};

use crate::error::LedgerError;
use crate::ledger::Ledger;
use crate::run::{Run, RunNumber};

impl Ledger {
    /// What is known of the hosts of a run that was broken off. Of one that did not start nothing is.
    ///
    /// # Errors
    /// Where the ledger cannot be read.
    pub fn carried(&self, run: RunNumber) -> Result<HashMap<HostName, Carried>, LedgerError> {
        let mut carried = HashMap::new();
        for attempt in self.attempts(run)? {
            let known = match attempt.outcome {
                None if attempt.is_open() => Carried::Open,
                None | Some(Outcome::Skipped) => continue,
                Some(_) => match self.ending(&attempt)? {
                    Some(ending) => Carried::Ended(Box::new(ending)),
                    None => continue,
                },
            };
            carried.insert(attempt.host, known);
        }
        Ok(carried)
    }

    /// The waves of a run, counted from 1, that an administrator let pass although they were inconclusive, each with who it was.
    ///
    /// # Errors
    /// Where the ledger cannot be read.
    pub fn promoted(&self, run: &Run) -> Result<HashMap<usize, String>, LedgerError> {
        let events = self.events(run)?.into_iter();
        let promoted = events.filter_map(|timed| match timed.event {
            Event::Promoted { wave, by } => Some((wave, by)),
            _ => None,
        });
        Ok(promoted.collect())
    }
}
