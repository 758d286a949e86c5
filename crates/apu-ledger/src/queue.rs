//! The queue: hosts of a run that could not do it in their turn, and that are asked again until a time.

use std::collections::HashSet;

use apu_fleet::{HostName, Trial};
use apu_proto::RunId;
use jiff::Timestamp;
use rusqlite::{TransactionBehavior, params};

use crate::error::LedgerError;
use crate::ledger::Ledger;
use crate::output::unpack;
use crate::read::{damaged, host_name, run_of, time};
use crate::run::{Run, RunNumber};

/// The most bytes of what one host is to do, unpacked.
const LONGEST: u64 = 16 << 20;

fn pack_trial(trial: &Trial) -> std::io::Result<Vec<u8>> {
    zstd::encode_all(&*serde_json::to_vec(trial)?, 1)
}

fn unpack_trial(packed: &[u8]) -> std::io::Result<Trial> {
    Ok(serde_json::from_slice(&unpack(packed, LONGEST)?)?)
}

/// A host that waits for another turn of a run.
#[derive(Debug, Clone, PartialEq)]
pub struct Queued {
    /// The host.
    pub host: HostName,
    /// The run whose request it is to get.
    pub run: Run,
    /// Since when.
    pub since: Timestamp,
    /// Until when it is asked again.
    pub until: Timestamp,
    /// Why it waits, as an outcome or a reason's code: `unreachable`, `held` or `window`.
    pub why: String,
    /// What it was approved to do; none where it had no plan.
    pub trial: Option<Trial>,
}

impl Ledger {
    /// Queues hosts of a run. One that waits for it already stays as it is.
    ///
    /// # Errors
    /// Where the ledger cannot be written.
    pub fn enqueue<'a>(
        &mut self,
        run: RunNumber,
        hosts: impl Iterator<Item = (&'a HostName, &'static str, Option<&'a Trial>)>,
        (now, until): (Timestamp, Timestamp),
    ) -> Result<(), LedgerError> {
        let transaction = self
            .connection
            .transaction_with_behavior(TransactionBehavior::Immediate)?;
        {
            let mut add = transaction.prepare(
                "INSERT INTO queue (host, run, since, until, why, trial) VALUES (?, ?, ?, ?, ?, ?) ON CONFLICT DO NOTHING",
            )?;
            for (host, why, trial) in hosts {
                let trial = trial.map(pack_trial).transpose()?;
                add.execute(params![
                    host.as_str(),
                    run.0,
                    now.as_millisecond(),
                    until.as_millisecond(),
                    why,
                    trial
                ])?;
            }
        }
        Ok(transaction.commit()?)
    }

    /// By what hosts know the runs that can still go on: under way, broken off, or with hosts that wait for another turn or have it.
    ///
    /// # Errors
    /// Where the ledger cannot be read.
    pub fn unfinished(&self) -> Result<HashSet<RunId>, LedgerError> {
        let mut query = self.connection.prepare(
            "SELECT client_run FROM run WHERE client_run IS NOT NULL AND ((ended IS NULL AND next IS NULL) \
             OR EXISTS (SELECT 1 FROM queue WHERE queue.run = run.number) \
             OR EXISTS (SELECT 1 FROM run AS turn WHERE turn.parent = run.number AND turn.ended IS NULL AND turn.next IS NULL))",
        )?;
        let rows = query.query_map([], |row| row.get::<_, String>(0))?;
        let mut runs = HashSet::new();
        for row in rows {
            // What is no identity is none of a folder either.
            runs.extend(row?.parse::<RunId>().ok());
        }
        Ok(runs)
    }

    /// Every host that waits, the oldest run first.
    ///
    /// # Errors
    /// Where the ledger cannot be read.
    pub fn queue(&self) -> Result<Vec<Queued>, LedgerError> {
        let mut query = self
            .connection
            .prepare("SELECT host, run, since, until, why, trial FROM queue ORDER BY run, host")?;
        let mut rows = query.query([])?;
        let mut queue: Vec<Queued> = Vec::new();
        while let Some(row) = rows.next()? {
            let number: i64 = row.get(1)?;
            let run = match queue.last() {
                Some(last) if last.run.number.0 == number => last.run.clone(),
                _ => run_of(&self.connection, RunNumber(number))?,
            };
            let trial: Option<Vec<u8>> = row.get(5)?;
            let trial = trial.map(|packed| unpack_trial(&packed)).transpose();
            queue.push(Queued {
                host: host_name(number, &row.get::<_, String>(0)?)?,
                run,
                since: time(number, row.get(2)?)?,
                until: time(number, row.get(3)?)?,
                why: row.get(4)?,
                trial: trial.map_err(|error| damaged(number, "a plan of the queue", &error.to_string()))?,
            });
        }
        Ok(queue)
    }

    /// Takes a host out of the queue. Returns whether it was in it.
    ///
    /// # Errors
    /// Where the ledger cannot be written.
    pub fn dequeue(&self, host: &HostName, run: RunNumber) -> Result<bool, LedgerError> {
        let gone = self.connection.execute(
            "DELETE FROM queue WHERE host = ? AND run = ?",
            params![host.as_str(), run.0],
        )?;
        Ok(gone > 0)
    }
}
