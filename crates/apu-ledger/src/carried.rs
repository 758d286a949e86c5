//! What a run that goes on with another one knows of its hosts.

use std::collections::HashMap;

use apu_fleet::{Carried, HostName, Outcome};

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
                    Some(ending) => Carried::Ended(Box::new(ending)),
                    None => continue,
                },
            };
            carried.insert(attempt.host, known);
        }
        Ok(carried)
    }
}
