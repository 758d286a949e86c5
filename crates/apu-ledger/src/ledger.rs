//! Opens the ledger.

use std::fs::OpenOptions;
use std::io::ErrorKind;
use std::os::unix::fs::OpenOptionsExt;
use std::path::Path;
use std::time::Duration;

use rusqlite::{Connection, OpenFlags};

use crate::error::LedgerError;
use crate::schema::migrate;

/// How long another program that writes is waited for.
const PATIENCE: Duration = Duration::from_secs(10);

/// What the server remembers.
#[derive(Debug)]
pub struct Ledger {
    pub(crate) connection: Connection,
}

impl Ledger {
    /// Opens the ledger in this file, which is made where there is none, for root alone.
    ///
    /// # Errors
    /// Where it cannot be made, read or written, or a later apu has written it.
    pub fn open(path: &Path) -> Result<Self, LedgerError> {
        // SQLite makes the files beside it with the same mode.
        match OpenOptions::new()
            .write(true)
            .create_new(true)
            .mode(0o600)
            .open(path)
        {
            Err(error) if error.kind() == ErrorKind::AlreadyExists => {}
            made => _ = made?,
        }
        let flags = OpenFlags::SQLITE_OPEN_READ_WRITE | OpenFlags::SQLITE_OPEN_NO_MUTEX;
        Self::with(Connection::open_with_flags(path, flags)?)
    }

    fn with(mut connection: Connection) -> Result<Self, LedgerError> {
        connection.busy_timeout(PATIENCE)?;
        // Takes effect on a file without tables only.
        connection.pragma_update(None, "auto_vacuum", "INCREMENTAL")?;
        connection.pragma_update_and_check(None, "journal_mode", "WAL", |_| Ok(()))?;
        connection.pragma_update(None, "foreign_keys", true)?;
        connection.pragma_update(None, "synchronous", "FULL")?;
        migrate(&mut connection)?;
        Ok(Self { connection })
    }
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt;

    use super::*;

    #[test]
    fn a_ledger_is_made_for_root_alone_and_opened_again() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("apu.db");
        let first = Ledger::open(&path).unwrap();
        let second = Ledger::open(&path).unwrap();
        for file in ["apu.db", "apu.db-wal"] {
            let mode = std::fs::metadata(directory.path().join(file))
                .unwrap()
                .permissions()
                .mode();
            assert_eq!(mode & 0o777, 0o600, "{file}");
        }
        drop((first, second));
        std::fs::write(&path, "no ledger at all, but a file of more than a few bytes").unwrap();
        assert!(Ledger::open(&path).is_err());
    }
}
