//! What can go wrong with the ledger.

use std::io;

/// Why the ledger cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum LedgerError {
    /// The file cannot be made or opened.
    #[error("{0}")]
    Io(#[from] io::Error),
    /// SQLite says no: the disk is full, the file is damaged, or another program holds it for too long.
    #[error("{0}")]
    Sqlite(#[from] rusqlite::Error),
    /// A later apu has written it.
    #[error("it has the form {found}, and this apu knows forms up to {known}: a later apu has written it")]
    Newer {
        /// The form that was found.
        found: i64,
        /// The latest form that is known.
        known: i64,
    },
    /// What it holds has another form than what is written there.
    #[error("{what} of run {run} is not understood: {why}")]
    Damaged {
        /// What it is.
        what: &'static str,
        /// The run.
        run: i64,
        /// Why.
        why: String,
    },
    /// There is no such run.
    #[error("there is no run {0}")]
    NoRun(String),
}
