//! Names what a host was at when its time was up, and for how long.

use serde::{Deserialize, Serialize};

/// What a host was at, and for how long.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Work {
    /// What.
    pub kind: WorkKind,
    /// The package that it was about, or the holder of the lock; empty where that is not known, and not to be trusted.
    pub about: String,
    /// For how many seconds.
    pub seconds: u64,
}

/// A kind of [`Work`].
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum WorkKind {
    /// It had not been reached.
    Connecting,
    /// It had been asked and was silent.
    Silent,
    /// It waited for a lock.
    Waiting,
    /// It repaired what an interrupted dpkg had left.
    Repair,
    /// It fetched.
    Download,
    /// It installed.
    Install,
    /// It had changed, and its health was watched.
    Checking,
    /// It went down for a reboot, or came back from it.
    Rebooting,
    /// A hook about it was called.
    Hook,
}
