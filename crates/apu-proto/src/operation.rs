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
    /// Are dpkg, the services and the machine's own checks well; changes nothing.
    Health,
    /// Which configuration files exist in two versions, or are missing; changes nothing.
    Conffiles,
    /// Which packages are on hold, why and until when; changes nothing.
    Showhold,
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
    /// Puts the named packages on hold.
    Hold,
    /// Takes the named packages off hold.
    Unhold,
    /// Decides on a configuration file that exists in two versions.
    Conffile,
    /// Reboots the machine where it needs that.
    Reboot,
    /// Restarts the services that run with replaced files.
    RestartServices,
    /// Sends the .debs that a run has kept; changes nothing.
    SendDebs,
    /// Takes .debs for a run that is to install them.
    TakeDebs,
    /// Follows a run that was started before, from its beginning.
    Attach,
}

impl Operation {
    /// Every operation, in the order in which help lists them.
    pub const ALL: [Self; 21] = [
        Self::Ping,
        Self::Status,
        Self::Check,
        Self::Health,
        Self::Conffiles,
        Self::Showhold,
        Self::Update,
        Self::Upgrade,
        Self::DistUpgrade,
        Self::Install,
        Self::Remove,
        Self::Autoremove,
        Self::Clean,
        Self::Hold,
        Self::Unhold,
        Self::Conffile,
        Self::Reboot,
        Self::RestartServices,
        Self::SendDebs,
        Self::TakeDebs,
        Self::Attach,
    ];

    /// The word in a request.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Ping => "ping",
            Self::Status => "status",
            Self::Check => "check",
            Self::Health => "health",
            Self::Conffiles => "conffiles",
            Self::Showhold => "showhold",
            Self::Update => "update",
            Self::Upgrade => "upgrade",
            Self::DistUpgrade => "dist-upgrade",
            Self::Install => "install",
            Self::Remove => "remove",
            Self::Autoremove => "autoremove",
            Self::Clean => "clean",
            Self::Hold => "hold",
            Self::Unhold => "unhold",
            Self::Conffile => "conffile",
            Self::Reboot => "reboot",
            Self::RestartServices => "restart-services",
            Self::SendDebs => "send-debs",
            Self::TakeDebs => "take-debs",
            Self::Attach => "attach",
        }
    }

    /// What it does, as `apt-all --help` says it.
    #[must_use]
    pub const fn summary(self) -> &'static str {
        match self {
            Self::Ping => "Answer, and do nothing else",
            Self::Status => "Tell what is installed, pending, held and broken",
            Self::Check => "Tell which packages are broken",
            Self::Health => "Tell whether dpkg, the services and the machine's own checks are well",
            Self::Conffiles => "Tell which configuration files exist in two versions, or are missing",
            Self::Showhold => "Tell which packages are on hold, why and until when",
            Self::Update => "Fetch the package lists",
            Self::Upgrade => "Bring newer versions, install nothing new, remove nothing",
            Self::DistUpgrade => "Bring newer versions with what they newly need",
            Self::Install => "Install the named packages, or .debs from files",
            Self::Remove => "Remove the named packages; a client's policy has to allow that",
            Self::Autoremove => "Remove what was installed automatically and is needed no more",
            Self::Clean => "Empty apt's cache of packages",
            Self::Hold => "Put the named packages on hold, with a reason, until a date or until unhold",
            Self::Unhold => "Take the named packages off hold that hold has put on it",
            Self::Conffile => {
                "Keep the version of a configuration file that is in place, or take the package's"
            }
            Self::Reboot => "Reboot the machines that need it, and no others",
            Self::RestartServices => "Restart the services that still run with files from before an upgrade",
            Self::SendDebs => "Send the .debs that a run has kept",
            Self::TakeDebs => "Take .debs for a run that is to install them",
            Self::Attach => "Follow a run that was started before, from its beginning",
        }
    }

    /// Whether it is a run: a record of its own that outlives the connection.
    #[must_use]
    pub const fn is_a_run(self) -> bool {
        self.changes_packages()
            || matches!(
                self,
                Self::Update
                    | Self::Clean
                    | Self::Hold
                    | Self::Unhold
                    | Self::Conffile
                    | Self::Reboot
                    | Self::RestartServices
            )
    }

    /// Whether it installs, upgrades or removes packages.
    #[must_use]
    pub const fn changes_packages(self) -> bool {
        matches!(
            self,
            Self::Upgrade | Self::DistUpgrade | Self::Install | Self::Remove | Self::Autoremove
        )
    }

    /// Whether a dry run says beforehand what it would do, for an administrator to approve; and whether hosts do it in their turns and
    /// at their times, since it may disturb what they are for.
    #[must_use]
    pub const fn is_planned(self) -> bool {
        self.changes_packages() || matches!(self, Self::Reboot | Self::RestartServices)
    }

    /// Whether it takes packages from archives, and so needs lists that have not expired.
    #[must_use]
    pub const fn takes_from_archives(self) -> bool {
        matches!(self, Self::Upgrade | Self::DistUpgrade | Self::Install)
    }

    /// Whether removing packages is what it is for.
    #[must_use]
    pub const fn removes_packages(self) -> bool {
        matches!(self, Self::Remove | Self::Autoremove)
    }

    /// Whether a request may let it remove packages that it does not name.
    #[must_use]
    pub const fn takes_allow_remove(self) -> bool {
        matches!(self, Self::DistUpgrade | Self::Install)
    }

    /// Whether a request may narrow it to packages with a security update.
    #[must_use]
    pub const fn takes_only_security(self) -> bool {
        matches!(self, Self::Upgrade | Self::DistUpgrade)
    }

    /// Whether a request may narrow it to the packages of sources.
    #[must_use]
    pub const fn takes_sources(self) -> bool {
        self.takes_only_security()
    }

    /// Whether a request may have the packages that it names upgraded, and none of them installed anew.
    #[must_use]
    pub const fn takes_only_upgrade(self) -> bool {
        matches!(self, Self::Install)
    }

    /// Whether a request may name packages that stay at their version.
    #[must_use]
    pub const fn takes_hold(self) -> bool {
        self.takes_from_archives()
    }

    /// Whether a request may have rules for configuration files that packages change.
    #[must_use]
    pub const fn takes_conffile_rules(self) -> bool {
        self.takes_from_archives()
    }

    /// Whether a request may leave packages out that are too young.
    #[must_use]
    pub const fn takes_too_young(self) -> bool {
        self.takes_only_security()
    }

    /// Whether answers to the questions of its packages may come with a request.
    #[must_use]
    pub const fn takes_answers(self) -> bool {
        self.takes_from_archives()
    }

    /// Whether a request may fetch the packages alone.
    #[must_use]
    pub const fn takes_download_only(self) -> bool {
        self.takes_from_archives()
    }

    /// Whether only the server asks it, as a part of something else.
    #[must_use]
    pub const fn is_internal(self) -> bool {
        matches!(self, Self::Attach | Self::SendDebs | Self::TakeDebs)
    }

    /// Whether a run may keep the .debs that it installs.
    #[must_use]
    pub const fn takes_keep_debs(self) -> bool {
        self.takes_from_archives()
    }

    /// Whether it names packages: then at least one, otherwise none.
    #[must_use]
    pub const fn takes_packages(self) -> bool {
        matches!(self, Self::Install | Self::Remove) || self.sets_holds()
    }

    /// Whether it puts the packages that it names on hold, or takes them off.
    #[must_use]
    pub const fn sets_holds(self) -> bool {
        matches!(self, Self::Hold | Self::Unhold)
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn all_operations_are_listed_in_the_order_of_the_enum() {
        let places: Vec<usize> = Operation::ALL
            .iter()
            .map(|operation| *operation as usize)
            .collect();
        // Attach is the last of the enum.
        assert_eq!(places, (0..=Operation::Attach as usize).collect::<Vec<_>>());
    }

    #[test]
    fn an_operation_has_the_same_word_in_a_request_and_in_json() {
        for operation in Operation::ALL {
            assert_eq!(operation.as_str().parse(), Ok(operation));
            let json = serde_json::to_string(&operation).unwrap();
            assert_eq!(json, format!("\"{operation}\""));
        }
    }
}
