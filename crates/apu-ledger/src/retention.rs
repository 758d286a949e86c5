//! How long runs are kept: by age, number and size. A run that has not ended is kept.

use std::time::Duration;

use jiff::Timestamp;
use rusqlite::params;

use crate::error::LedgerError;
use crate::ledger::Ledger;

/// What may be kept.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Retention {
    /// The age of a run.
    pub age: Duration,
    /// The number of runs.
    pub runs: u32,
    /// The size of all of it, in bytes.
    pub size: u64,
}

impl Default for Retention {
    fn default() -> Self {
        Self {
            age: Duration::from_secs(2 * 366 * 86_400),
            runs: 10_000,
            size: 2 << 30,
        }
    }
}

/// How many runs go at once where the size is too large.
const AT_ONCE: u32 = 20;

impl Ledger {
    /// Forgets the oldest runs that have ended, beyond what may be kept. Returns how many.
    ///
    /// # Errors
    /// Where the ledger cannot be written.
    pub fn prune(&self, keep: &Retention, now: Timestamp) -> Result<usize, LedgerError> {
        let age = i64::try_from(keep.age.as_millis()).unwrap_or(i64::MAX);
        let oldest = now.as_millisecond().saturating_sub(age);
        let mut gone = self.connection.execute(
            "DELETE FROM run WHERE (ended IS NOT NULL OR next IS NOT NULL) AND (coalesce(ended, begun) < ?1 OR number <= \
             (SELECT number FROM run ORDER BY number DESC LIMIT 1 OFFSET ?2))",
            params![oldest, keep.runs],
        )?;
        while self.size()? > keep.size {
            let more = self.connection.execute(
                "DELETE FROM run WHERE number IN \
                 (SELECT number FROM run WHERE ended IS NOT NULL OR next IS NOT NULL ORDER BY number LIMIT ?)",
                [AT_ONCE],
            )?;
            if more == 0 {
                break;
            }
            gone += more;
        }
        if gone > 0 {
            self.connection.execute_batch("PRAGMA incremental_vacuum")?;
        }
        Ok(gone)
    }

    /// The size of what is in use, in bytes.
    fn size(&self) -> Result<u64, LedgerError> {
        let figure = |name| {
            self.connection
                .pragma_query_value(None, name, |row| row.get::<_, i64>(0))
        };
        let pages = figure("page_count")?.saturating_sub(figure("freelist_count")?);
        let bytes = pages.saturating_mul(figure("page_size")?);
        Ok(u64::try_from(bytes).unwrap_or_default())
    }
}
