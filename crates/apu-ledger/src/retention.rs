//! How long runs are kept: by age, number and size. A run that has not ended is kept.

use std::time::Duration;

use jiff::Timestamp;
use rusqlite::{OptionalExtension, params};

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

/// The newest runs that never go for their age: a clock that is ahead by years does not empty the ledger.
const SAFE_FROM_AGE: u32 = 200;

/// How many pages go back to the file system at once.
const PAGES_AT_ONCE: u32 = 2000;

impl Ledger {
    /// Forgets the oldest runs that have ended, beyond what may be kept. Returns how many. Another program can write between
    /// any two of them.
    ///
    /// # Errors
    /// Where the ledger cannot be written.
    pub fn prune(&self, keep: &Retention, now: Timestamp) -> Result<usize, LedgerError> {
        self.forget_old_debs(now)?;
        let age = i64::try_from(keep.age.as_millis()).unwrap_or(i64::MAX);
        let oldest = now.as_millisecond().saturating_sub(age);
        let mut too_old = self.connection.prepare(
            "SELECT number FROM run WHERE (ended IS NOT NULL OR next IS NOT NULL) AND \
             (number <= (SELECT number FROM run ORDER BY number DESC LIMIT 1 OFFSET ?2) OR (coalesce(ended, begun) < ?1 AND \
             number <= (SELECT number FROM run ORDER BY number DESC LIMIT 1 OFFSET ?3))) ORDER BY number",
        )?;
        let numbers = too_old
            .query_map(params![oldest, keep.runs, SAFE_FROM_AGE], |row| row.get(0))?
            .collect::<rusqlite::Result<Vec<i64>>>()?;
        let mut forget = self.connection.prepare("DELETE FROM run WHERE number = ?")?;
        let mut gone = 0;
        for number in numbers {
            gone += forget.execute([number])?;
        }
        let mut first = self.connection.prepare(
            "SELECT number FROM run WHERE ended IS NOT NULL OR next IS NOT NULL ORDER BY number LIMIT 1",
        )?;
        while self.size()? > keep.size {
            let Some(number) = first.query_row([], |row| row.get::<_, i64>(0)).optional()? else {
                break;
            };
            gone += forget.execute([number])?;
        }
        if gone > 0 {
            self.give_back()?;
        }
        Ok(gone)
    }

    /// Gives the pages that are not in use back to the file system.
    fn give_back(&self) -> Result<(), LedgerError> {
        let mut left = self.figure("freelist_count")?;
        while left > 0 {
            let mut vacuum = self
                .connection
                .prepare(&format!("PRAGMA incremental_vacuum({PAGES_AT_ONCE})"))?;
            // One page goes with each row.
            let mut rows = vacuum.query([])?;
            while rows.next()?.is_some() {}
            let now = self.figure("freelist_count")?;
            if now >= left {
                break;
            }
            left = now;
        }
        Ok(())
    }

    fn figure(&self, name: &str) -> rusqlite::Result<i64> {
        self.connection.pragma_query_value(None, name, |row| row.get(0))
    }

    /// The size of what is in use, in bytes.
    fn size(&self) -> Result<u64, LedgerError> {
        let pages = (self.figure("page_count")?).saturating_sub(self.figure("freelist_count")?);
        let bytes = pages.saturating_mul(self.figure("page_size")?);
        Ok(u64::try_from(bytes).unwrap_or_default())
    }
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use super::*;

    /// A ledger of so many runs that have ended, each with an event of so many bytes.
    fn ledger(path: &Path, runs: u32, bytes: u32) -> Ledger {
        let ledger = Ledger::open(path).unwrap();
        ledger
            .connection
            .execute_batch(&format!(
                "BEGIN;
                 WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < {runs})
                 INSERT INTO run (push, operation, request, target, by, owner, begun, ended, status)
                 SELECT i, '', '', '', '', '', i, i, 0 FROM n;
                 INSERT INTO event (run, seq, at, body) SELECT number, 0, 0, hex(zeroblob({bytes} / 2)) FROM run;
                 COMMIT;"
            ))
            .unwrap();
        ledger
    }

    fn numbers(ledger: &Ledger) -> (i64, i64, i64) {
        let count = "SELECT count(*), min(number), max(number) FROM run";
        let row = |row: &rusqlite::Row<'_>| Ok((row.get(0)?, row.get(1)?, row.get(2)?));
        ledger.connection.query_row(count, [], row).unwrap()
    }

    #[test]
    fn a_clock_that_is_ahead_leaves_the_newest_runs() {
        let directory = tempfile::tempdir().unwrap();
        let ledger = ledger(&directory.path().join("apu.db"), 250, 2);
        let far = Timestamp::from_second(20_000_000_000).unwrap();
        assert_eq!(ledger.prune(&Retention::default(), far).unwrap(), 50);
        assert_eq!(numbers(&ledger), (200, 51, 250));
    }

    #[test]
    fn the_file_becomes_smaller() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("apu.db");
        // More pages than go at once.
        let first = ledger(&path, 40, 400_000);
        drop(first);
        let length = || std::fs::metadata(&path).unwrap().len();
        let before = length();
        assert!(before > 16_000_000, "{before}");
        let ledger = Ledger::open(&path).unwrap();
        let size = 2_000_000;
        let keep = Retention {
            size,
            ..Retention::default()
        };
        let gone = ledger.prune(&keep, Timestamp::UNIX_EPOCH).unwrap();
        assert_eq!(ledger.figure("freelist_count").unwrap(), 0);
        drop(ledger);
        assert!(length() <= size && gone < 40, "{} after {gone}", length());
    }

    #[test]
    fn another_program_writes_between_two_runs_that_go() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("apu.db");
        let ledger = ledger(&path, 20, 2);
        // Where one cannot go, those before it have gone: each is a transaction of its own.
        ledger
            .connection
            .execute_batch(
                "CREATE TEMP TRIGGER stop BEFORE DELETE ON run WHEN OLD.number = 5
                 BEGIN SELECT RAISE(ABORT, 'not this one'); END",
            )
            .unwrap();
        let keep = Retention {
            runs: 10,
            ..Retention::default()
        };
        assert!(ledger.prune(&keep, Timestamp::UNIX_EPOCH).is_err());
        assert_eq!(numbers(&ledger), (16, 5, 20));
    }
}
