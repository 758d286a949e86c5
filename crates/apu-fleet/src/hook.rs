//! The moments of a run at which programs of the administrator are called on this server.

use std::fmt;

use serde::{Deserialize, Serialize};

/// A moment of a run. Programs for it lie in the directory of this name, or are the file of this name.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Hook {
    /// Before the first host is asked to change packages.
    BeforeRun,
    /// Before a host is asked.
    BeforeHost,
    /// After a host has ended.
    AfterHost,
    /// After all hosts have ended.
    AfterRun,
    /// One that a later version knows.
    #[serde(other)]
    Unknown,
}

impl Hook {
    /// Those that there are.
    pub const ALL: [Self; 4] = [Self::BeforeRun, Self::BeforeHost, Self::AfterHost, Self::AfterRun];

    /// The word for it.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::BeforeRun => "before-run",
            Self::BeforeHost => "before-host",
            Self::AfterHost => "after-host",
            Self::AfterRun => "after-run",
            Self::Unknown => "unknown",
        }
    }
}

impl fmt::Display for Hook {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// How a program ended that was called on this server.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(tag = "how", rename_all = "kebab-case")]
pub enum ProgramEnd {
    /// By itself.
    Exited {
        /// Its exit status.
        status: i32,
    },
    /// By a signal.
    Killed {
        /// The signal.
        signal: i32,
    },
    /// It was ended when its time was over.
    Late {
        /// The time that it had, in seconds.
        seconds: u64,
    },
    /// It was not started; the detail says why.
    NotRun,
    /// In a way that a later version knows.
    #[serde(other)]
    Unknown,
}
