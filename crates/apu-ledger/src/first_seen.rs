//! When this server first saw each .deb, by its SHA-256, in a plan of any of its clients.

use std::collections::HashMap;

use apu_proto::DebSha256;
use jiff::Timestamp;
use rusqlite::{OptionalExtension, TransactionBehavior, params};

use crate::error::LedgerError;
use crate::ledger::Ledger;

/// How long it is remembered, in seconds: longer than any age that can be asked for.
const REMEMBERED: i64 = 5 * 366 * 86_400;

impl Ledger {
    /// Returns when each of these .debs was first seen. What is new here is seen `now`.
    ///
    /// # Errors
    /// Where the ledger cannot be read, or written.
    pub fn first_seen(
        &mut self,
        debs: impl IntoIterator<Item = DebSha256>,
        now: Timestamp,
    ) -> Result<HashMap<DebSha256, Timestamp>, LedgerError> {
        let mut seen = HashMap::new();
        let mut new = Vec::new();
        let mut find = self
            .connection
            .prepare("SELECT first FROM deb WHERE sha256 = ?")?;
        for deb in debs {
            let first: Option<i64> = find.query_row([deb.to_string()], |row| row.get(0)).optional()?;
            if first.is_none() {
                new.push(deb);
            }
            // A time that is none, or is yet to come, makes nothing older.
            let first = first.and_then(|at| Timestamp::from_millisecond(at).ok());
            seen.insert(deb, first.filter(|first| *first < now).unwrap_or(now));
        }
        drop(find);
        if new.is_empty() {
            return Ok(seen);
        }
        let transaction = self
            .connection
            .transaction_with_behavior(TransactionBehavior::Immediate)?;
        {
            // Another program may have seen it at the same moment.
            let mut add = transaction.prepare("INSERT OR IGNORE INTO deb (sha256, first) VALUES (?, ?)")?;
            for deb in new {
                add.execute(params![deb.to_string(), now.as_millisecond()])?;
            }
        }
        transaction.commit()?;
        Ok(seen)
    }

    /// Forgets .debs that were first seen years ago.
    pub(crate) fn forget_old_debs(&self, now: Timestamp) -> Result<(), LedgerError> {
        let oldest = now.as_millisecond().saturating_sub(REMEMBERED * 1000);
        self.connection
            .execute("DELETE FROM deb WHERE first < ?", [oldest])?;
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(day: i64) -> Timestamp {
        Timestamp::from_second(1_700_000_000 + day * 86_400).unwrap()
    }

    #[test]
    fn a_deb_is_as_old_as_the_first_plan_that_showed_it() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("apu.db");
        let [a, b] = [1, 2].map(|byte| DebSha256::from_bytes([byte; 32]));
        let mut ledger = Ledger::open(&path).unwrap();
        assert_eq!(ledger.first_seen([a], at(0)).unwrap(), [(a, at(0))].into());
        drop(ledger);
        let mut ledger = Ledger::open(&path).unwrap();
        let seen = ledger.first_seen([a, b, a], at(3)).unwrap();
        assert_eq!(seen, [(a, at(0)), (b, at(3))].into());
        // A clock that was set back makes nothing older.
        assert_eq!(ledger.first_seen([b], at(2)).unwrap(), [(b, at(2))].into());
        assert_eq!(ledger.first_seen([b], at(9)).unwrap(), [(b, at(3))].into());
        ledger.forget_old_debs(at(366 * 5 + 2)).unwrap();
        let late = at(366 * 5 + 2);
        assert_eq!(
            ledger.first_seen([a, b], late).unwrap(),
            [(a, late), (b, at(3))].into()
        );
    }
}
