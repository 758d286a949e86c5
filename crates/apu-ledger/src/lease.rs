//! Leases: a host is at work for one run at a time.

use std::collections::HashMap;
use std::collections::hash_map::Entry;

use apu_fleet::HostName;
use jiff::Timestamp;
use rusqlite::{Connection, params};

use crate::error::LedgerError;
use crate::ledger::Ledger;
use crate::read::{host_name, run_of, time};
use crate::run::{Run, RunNumber, RunStatus};

/// A host that is held for a run.
#[derive(Debug, Clone, PartialEq)]
pub struct Lease {
    /// The host.
    pub host: HostName,
    /// The run.
    pub run: Run,
    /// Since when.
    pub since: Timestamp,
    /// Whether the host was asked to do it, and how that ended is not known here.
    pub is_open: bool,
    /// Its exclusive group, where the run changes something: no other host of it changes meanwhile.
    pub exclusive: Option<String>,
}

/// Why a run cannot have a host.
#[derive(Debug, Clone, PartialEq)]
pub struct Conflict {
    /// The host.
    pub host: HostName,
    /// What is in the way: the lease of this host, or of another one of its exclusive group.
    pub lease: Lease,
}

impl Lease {
    /// Whether another run has to leave the host alone: it is at work, or what became of it is not known.
    #[must_use]
    pub fn holds(&self) -> bool {
        match self.run.status {
            RunStatus::Running => true,
            RunStatus::BrokenOff => self.is_open,
            RunStatus::Ended(_) | RunStatus::WentOn(_) => false,
        }
    }
}

/// Takes the hosts for a run, each with its exclusive group, that no other one holds, and of whose group no other one holds a host;
/// returns what is in the way of the others. A run that goes on with another one takes that one's.
pub(crate) fn take<'a>(
    connection: &Connection,
    run: RunNumber,
    parent: Option<RunNumber>,
    hosts: impl Iterator<Item = (&'a HostName, Option<&'a str>)>,
    now: Timestamp,
) -> Result<Vec<Conflict>, LedgerError> {
    let mut held = Vec::new();
    let mut runs = Runs::new(connection);
    // Its own lease first.
    let mut find = connection.prepare(&format!(
        "{COLUMNS} WHERE lease.host = ?1 OR lease.exclusive = ?2 ORDER BY lease.host <> ?1, lease.host"
    ))?;
    let mut take = connection
        .prepare("INSERT OR REPLACE INTO lease (host, run, since, exclusive) VALUES (?, ?, ?, ?)")?;
    let is_of_parent =
        |lease: &Lease| Some(lease.run.number) == parent && lease.run.status == RunStatus::BrokenOff;
    let is_in_the_way = |lease: &Lease| lease.run.number != run && lease.holds() && !is_of_parent(lease);
    for (host, group) in hosts {
        let rows = find
            .query_map(params![host.as_str(), group], columns)?
            .collect::<rusqlite::Result<Vec<Row>>>()?;
        let mut in_the_way = None;
        for row in rows {
            let lease = runs.lease(row)?;
            if is_in_the_way(&lease) {
                in_the_way = Some(lease);
                break;
            }
        }
        match in_the_way {
            Some(lease) => held.push(Conflict {
                host: host.clone(),
                lease,
            }),
            None => _ = take.execute(params![host.as_str(), run.0, now.as_millisecond(), group])?,
        }
    }
    Ok(held)
}

const COLUMNS: &str = "SELECT lease.host, lease.run, lease.since, \
    attempt.started IS NOT NULL AND attempt.outcome IS NULL, lease.exclusive FROM lease \
    LEFT JOIN attempt ON attempt.run = lease.run AND attempt.host = lease.host";

type Row = (String, i64, i64, bool, Option<String>);

fn columns(row: &rusqlite::Row<'_>) -> rusqlite::Result<Row> {
    Ok((row.get(0)?, row.get(1)?, row.get(2)?, row.get(3)?, row.get(4)?))
}

/// The runs that hold hosts. Each is read once, however many hosts it holds.
struct Runs<'a> {
    connection: &'a Connection,
    known: HashMap<i64, Run>,
}

impl<'a> Runs<'a> {
    fn new(connection: &'a Connection) -> Self {
        Self {
            connection,
            known: HashMap::new(),
        }
    }

    fn lease(&mut self, (host, number, since, is_open, exclusive): Row) -> Result<Lease, LedgerError> {
        let run = match self.known.entry(number) {
            Entry::Occupied(known) => known.get().clone(),
            Entry::Vacant(place) => place.insert(run_of(self.connection, RunNumber(number))?).clone(),
        };
        Ok(Lease {
            host: host_name(number, &host)?,
            run,
            since: time(number, since)?,
            is_open,
            exclusive,
        })
    }
}

impl Ledger {
    /// Every host that a run has to leave alone, by name.
    ///
    /// # Errors
    /// Where the ledger cannot be read.
    pub fn leases(&self) -> Result<Vec<Lease>, LedgerError> {
        let mut query = self
            .connection
            .prepare(&format!("{COLUMNS} ORDER BY lease.host"))?;
        let rows = query
            .query_map([], columns)?
            .collect::<rusqlite::Result<Vec<Row>>>()?;
        let mut runs = Runs::new(&self.connection);
        let leases = rows.into_iter().map(|row| runs.lease(row));
        let mut leases = leases.collect::<Result<Vec<_>, _>>()?;
        leases.retain(Lease::holds);
        Ok(leases)
    }

    /// Lets the host of a lease go. Returns whether that run still held it: another one that took it since keeps it.
    ///
    /// # Errors
    /// Where the ledger cannot be written.
    pub fn unlock(&self, lease: &Lease) -> Result<bool, LedgerError> {
        let gone = self.connection.execute(
            "DELETE FROM lease WHERE host = ? AND run = ?",
            params![lease.host.as_str(), lease.run.number.0],
        )?;
        Ok(gone > 0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::schema::migrate;

    #[test]
    fn a_run_is_read_once_for_all_its_hosts() {
        let mut connection = Connection::open_in_memory().unwrap();
        migrate(&mut connection).unwrap();
        let push = "0".repeat(32);
        connection
            .execute(
                "INSERT INTO run (push, operation, request, target, by, owner, begun) VALUES (?, '', '', '', '', '', 0)",
                [push],
            )
            .unwrap();
        let mut runs = Runs::new(&connection);
        let row = |host: &str| (host.to_owned(), 1, 0, false, None);
        let first = runs.lease(row("web1")).unwrap();
        // Where it were read again, it would be missed.
        connection.execute("DELETE FROM run", []).unwrap();
        assert_eq!(runs.lease(row("web2")).unwrap().run, first.run);
    }
}
