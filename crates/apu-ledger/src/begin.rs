//! Begins a run: its number, its hosts and their leases are on the disk before a host is asked.

use std::time::Duration;

use apu_fleet::{HostName, PushId};
use apu_proto::RunId;
use jiff::Timestamp;
use rusqlite::{Connection, TransactionBehavior, params};

use crate::error::LedgerError;
use crate::lease::{self, Conflict};
use crate::ledger::Ledger;
use crate::owner::Owner;
use crate::run::RunNumber;
use crate::work::Work;

/// A run that is about to begin.
#[derive(Debug, Clone)]
pub struct NewRun {
    /// The identity of its push.
    pub push: PushId,
    /// The run that it goes on with, or repeats.
    pub parent: Option<RunNumber>,
    /// The operation as it was typed, with packages and options.
    pub operation: String,
    /// What it asks for, as clients are asked, without the run's options.
    pub request: String,
    /// The age that the .debs have to have, where the command line says it.
    pub min_age: Option<Duration>,
    /// The protected services that its packages may restart, as patterns of the command line.
    pub allow_restart: Vec<String>,
    /// The words of its target.
    pub target: String,
    /// Who pressed the button.
    pub by: String,
    /// When.
    pub begun: Timestamp,
    /// Every host, in the order of their turns.
    pub hosts: Vec<HostName>,
}

/// Why a run does not begin.
#[derive(Debug, thiserror::Error)]
pub enum BeginError {
    /// Every host is at work for another run, or what became of it there is not known.
    #[error("all {} hosts are at work for other runs", .0.len())]
    Held(Vec<Conflict>),
    /// Another process goes on with that run by now.
    #[error("run {0} is gone on with by another process")]
    GoneOnWith(RunNumber),
    /// The ledger cannot be written.
    #[error(transparent)]
    Ledger(#[from] LedgerError),
}

impl From<rusqlite::Error> for BeginError {
    fn from(error: rusqlite::Error) -> Self {
        Self::Ledger(error.into())
    }
}

impl Ledger {
    /// Writes a run down, this process being at work on it.
    ///
    /// # Errors
    /// Where the ledger cannot be written.
    pub(crate) fn begin(&mut self, new: &NewRun) -> Result<RunNumber, LedgerError> {
        let owner = Owner::this_process()?;
        let transaction = self
            .connection
            .transaction_with_behavior(TransactionBehavior::Immediate)?;
        transaction.execute(
            "INSERT INTO run (push, parent, operation, request, target, by, owner, begun, min_age, allow_restart) \
             VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",
            params![
                new.push.to_string(),
                new.parent.map(|parent| parent.0),
                new.operation,
                new.request,
                new.target,
                new.by,
                owner.to_string(),
                new.begun.as_millisecond(),
                new.min_age.map(|age| age.as_secs() as i64),
                new.allow_restart.join(" "),
            ],
        )?;
        let run = RunNumber(transaction.last_insert_rowid());
        {
            let mut add = transaction.prepare("INSERT INTO attempt (run, turn, host) VALUES (?, ?, ?)")?;
            for (turn, host) in (0_i64..).zip(&new.hosts) {
                add.execute(params![run.0, turn, host.as_str()])?;
            }
        }
        transaction.commit()?;
        Ok(run)
    }

    /// Writes down what the hosts are about to be asked, and takes their leases. Returns what is in the way of those that another run
    /// holds, or another one of whose exclusive group: they are no part of the work.
    ///
    /// # Errors
    /// Where every host is held for another run and hosts are not queued, and where the ledger cannot be written: nothing is taken then.
    pub(crate) fn set_work(
        &mut self,
        (run, parent): (RunNumber, Option<RunNumber>),
        client_run: RunId,
        work: &Work,
        now: Timestamp,
    ) -> Result<Vec<Conflict>, BeginError> {
        let transaction = self
            .connection
            .transaction_with_behavior(TransactionBehavior::Immediate)?;
        let held = lease::take(&transaction, run, parent, work.hosts_and_groups(), now)?;
        // Where they are queued, the run is what they wait for.
        if !held.is_empty() && held.len() == work.hosts.len() && work.queue_until.is_none() {
            return Err(BeginError::Held(held));
        }
        let work = work.without(held.iter().map(|conflict| &conflict.host).collect());
        set(&transaction, run, client_run, &work)?;
        if let Some(parent) = parent {
            // Where that one has ended, this is a run of its own.
            let gone_on_with = transaction.execute(
                "UPDATE run SET next = ?1 WHERE number = ?2 AND ended IS NULL AND coalesce(next, ?1) = ?1",
                params![run.0, parent.0],
            )?;
            let has_ended = "SELECT ended IS NOT NULL FROM run WHERE number = ?";
            if gone_on_with == 0 && !transaction.query_row(has_ended, [parent.0], |row| row.get(0))? {
                return Err(BeginError::GoneOnWith(parent));
            }
        }
        transaction.commit()?;
        Ok(held)
    }
}

fn set(connection: &Connection, run: RunNumber, client_run: RunId, work: &Work) -> Result<(), LedgerError> {
    connection.execute(
        "UPDATE run SET client_run = ?, work = ? WHERE number = ?",
        params![client_run.to_string(), work.pack()?, run.0],
    )?;
    Ok(())
}
