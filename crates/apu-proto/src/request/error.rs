//! The limits of a request, and why a line is not one.

use apu_debian::PackageError;
use thiserror::Error;

use crate::operation::Operation;

/// The longest request line in bytes, without its line end.
pub const MAX_REQUEST: usize = 4096;

/// The most packages that one request may name.
pub const MAX_PACKAGES: usize = 64;

/// The longest that a request may wait for another package manager, in seconds.
pub const MAX_LOCK_WAIT: u32 = 86_400;

/// The word that every request of this version starts with.
pub const VERSION_WORD: &str = "apu/1";

/// Why a line is not a request. `word` counts from 1.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum RequestError {
    /// No command at all.
    #[error("there is no request")]
    Empty,
    /// Over [`MAX_REQUEST`].
    #[error("the request is longer than {MAX_REQUEST} bytes")]
    TooLong,
    /// A control character, or a byte beyond ASCII.
    #[error("byte {at} of the request is not printable ASCII")]
    Byte {
        /// Its place, counted from 1.
        at: usize,
    },
    /// Words are separated by exactly one space.
    #[error("the request has an empty word: two spaces together, or one at its start or end")]
    EmptyWord,
    /// Not `apu/1`.
    #[error("the request is not of version {VERSION_WORD}")]
    Version,
    /// Not in the closed list.
    #[error("the request names no operation")]
    NoOperation,
    /// Not in the closed list.
    #[error("word {word} is not an operation")]
    Operation {
        /// Its place.
        word: usize,
    },
    /// Not in the closed list, not for this operation, twice, or after a package.
    #[error("word {word} is not an option that {operation} takes here")]
    Key {
        /// Its place.
        word: usize,
        /// The operation that was asked for.
        operation: Operation,
    },
    /// A known key with a value that it does not take.
    #[error("word {word} has a value that its option does not take")]
    Value {
        /// Its place.
        word: usize,
    },
    /// Not a package by our grammar.
    #[error("word {word} is {source}")]
    Package {
        /// Its place.
        word: usize,
        /// What of it.
        source: PackageError,
    },
    /// The same package twice.
    #[error("word {word} names a package again")]
    Twice {
        /// Its place.
        word: usize,
    },
    /// More than [`MAX_PACKAGES`].
    #[error("the request names more than {MAX_PACKAGES} packages")]
    TooMany,
    /// `install` and `remove` want packages.
    #[error("{0} names no package")]
    NoPackage(Operation),
    /// Any other takes none.
    #[error("{0} takes no package")]
    NoneTaken(Operation),
    /// `install only_upgrade=yes` takes the newest version that there is.
    #[error("a package that is only upgraded is named without a version")]
    VersionToUpgrade,
    /// `hold` wants a reason.
    #[error("hold gives no reason")]
    NoReason,
    /// `hold` and `unhold` take whatever version is installed.
    #[error("{0} takes packages without a version")]
    VersionToHold(Operation),
    /// `conffile` wants a file, a decision, and the versions that it was made for; `undo` has none.
    #[error("conffile names no file, no decision, or not the versions that this was decided for")]
    NoDecision,
    /// `send-debs` and `take-debs` want a run and .debs.
    #[error("{0} names no run, or no .deb")]
    NoDebs(Operation),
    /// `attach` wants a run.
    #[error("attach names no run")]
    NoRun,
}
