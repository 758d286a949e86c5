//! Counts the hosts of a run by how they ended.

use std::collections::BTreeMap;

use apu_fleet::Outcome;

use crate::error::LedgerError;
use crate::ledger::Ledger;
use crate::read::outcome_of;
use crate::run::RunNumber;

/// The number of hosts for each outcome. The key `None` counts the hosts whose outcome is not known.
pub type Outcomes = BTreeMap<Option<Outcome>, usize>;

/// Answered from an index alone.
pub(crate) const COUNT: &str = "SELECT outcome, count(*) FROM attempt WHERE run = ? GROUP BY outcome";

impl Ledger {
    /// Counts the hosts of a run by their outcome.
    ///
    /// # Errors
    /// Where the ledger cannot be read.
    pub fn outcomes(&self, run: RunNumber) -> Result<Outcomes, LedgerError> {
        let mut query = self.connection.prepare(COUNT)?;
        let rows = query.query_map([run.0], |row| {
            Ok((row.get::<_, Option<String>>(0)?, row.get::<_, i64>(1)?))
        })?;
        let mut outcomes = BTreeMap::new();
        for row in rows {
            let (word, count) = row?;
            let outcome = word.map(|word| outcome_of(run.0, &word)).transpose()?;
            outcomes.insert(outcome, usize::try_from(count).unwrap_or_default());
        }
        Ok(outcomes)
    }
}
