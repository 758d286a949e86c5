//! What may be asked of a client: a closed list.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

/// An operation, spelt as apt-get spells it where apt-get has it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Operation {
    /// Answers, and does nothing else.
    Ping,
    /// What is installed, pending, held, broken; changes nothing.
    Status,
    /// Is the package database whole; changes nothing.
    Check,
    /// Fetches the package lists.
    Update,
    /// Newer versions of what is installed; installs nothing new, removes nothing.
    Upgrade,
    /// Newer versions, with what they newly need.
    DistUpgrade,
    /// The named packages.
    Install,
    /// Removes the named packages.
    Remove,
    /// Removes what was installed automatically and is needed no more.
    Autoremove,
    /// Empties apt's cache of packages.
    Clean,
    /// Follows a run that was started before, from its beginning.
    Attach,
}

impl Operation {
    /// Every operation, in the order in which help lists them.
    pub const ALL: [Self; 11] = [
        Self::Ping,
        Self::Status,
        Self::Check,
        Self::Update,
        Self::Upgrade,
        Self::DistUpgrade,
        Self::Install,
        Self::Remove,
        Self::Autoremove,
        Self::Clean,
        Self::Attach,
    ];

    /// The word in a request.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Ping => "ping",
            Self::Status => "status",
            Self::Check => "check",
            Self::Update => "update",
            Self::Upgrade => "upgrade",
            Self::DistUpgrade => "dist-upgrade",
            Self::Install => "install",
            Self::Remove => "remove",
            Self::Autoremove => "autoremove",
            Self::Clean => "clean",
            Self::Attach => "attach",
        }
    }

    /// Whether it is a run: a record of its own that outlives the connection.
    #[must_use]
    pub const fn is_a_run(self) -> bool {
        self.changes_packages() || matches!(self, Self::Update | Self::Clean)
    }

    /// Whether it installs, upgrades or removes packages.
    #[must_use]
    pub const fn changes_packages(self) -> bool {
        matches!(
            self,
            Self::Upgrade | Self::DistUpgrade | Self::Install | Self::Remove | Self::Autoremove
        )
    }

    /// Whether a request may let it remove packages that it does not name.
    #[must_use]
    pub const fn takes_allow_remove(self) -> bool {
        matches!(self, Self::DistUpgrade | Self::Install)
    }

    /// Whether it names packages: then at least one, otherwise none.
    #[must_use]
    pub const fn takes_packages(self) -> bool {
        matches!(self, Self::Install | Self::Remove)
    }
}

impl fmt::Display for Operation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

impl FromStr for Operation {
    type Err = ();

    fn from_str(word: &str) -> Result<Self, ()> {
        Self::ALL
            .into_iter()
            .find(|operation| operation.as_str() == word)
            .ok_or(())
    }
}
