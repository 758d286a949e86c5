//! What a run that goes on with another one knows of its hosts.

use std::collections::HashMap;

use apu_fleet::{Carried, Ending, HostName, HostReason, Outcome, ServerCode};

use crate::error::LedgerError;
use crate::ledger::Ledger;
use crate::run::RunNumber;

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
                    Some(ending) if !was_not_asked(&ending) => Carried::Ended(Box::new(ending)),
                    _ => continue,
                },
            };
            carried.insert(attempt.host, known);
        }
        Ok(carried)
    }
}

/// Whether the server could not write down that it was about to ask the host, and did not.
fn was_not_asked(ending: &Ending) -> bool {
    matches!(&ending.reason, Some(HostReason::Server(reason)) if reason.code == ServerCode::NotRecorded)
}
