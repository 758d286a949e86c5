//! Notes: the closed list of facts beside a result that are worth a line, each with its parameters and no sentence.

use apu_debian::PackageKey;
use serde::{Deserialize, Serialize};

use crate::cause::{ActiveRuns, ExpiredArchive};
use crate::reason::Reason;
use crate::status::SourceLeftOut;

/// The most notes that are read of a result.
pub const MAX_NOTES: usize = 100;

/// A fact worth a line. `said` is what apt or the system printed.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(tag = "note", rename_all = "kebab-case")]
pub enum Note {
    /// Nothing is installed from an archive whose lists have expired.
    ExpiredArchive(ExpiredArchive),
    /// The lists for the next apu-data were fetched apart from the machine's.
    ListsFetchedApart,
    /// They could not be fetched apart either.
    ListsNotFetchedApart {
        /// Why.
        said: Vec<String>,
        /// How apt-get ended, where it said nothing.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        exit: Option<String>,
    },
    /// All lists were fetched, and a hook of the machine's apt failed.
    HookFailed {
        /// Its words.
        said: Vec<String>,
    },
    /// apt-get failed, yet all that was planned is installed.
    AptFailedAfterAll {
        /// Its exit status.
        exit: i32,
        /// Its first complaint.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        said: Option<String>,
    },
    /// A configuration file was replaced by the package's; the machine's lies beside it.
    ConffileReplaced {
        /// The file.
        path: String,
    },
    /// A configuration file that was missing on the machine is there again, as the package has it.
    ConffileBack {
        /// The file.
        path: String,
    },
    /// A configuration file was kept by dpkg or ucf and then replaced by the package's, since the policy says so for its path, or since
    /// nobody had changed it.
    ConffileTaken {
        /// The file.
        path: String,
        /// Where the client keeps the machine's version.
        backup: String,
    },
    /// The policy says so, and the machine's version is still in place.
    ConffileNotTaken {
        /// The file.
        path: String,
        /// Why.
        reason: Box<Reason>,
    },
    /// apu-client was ended during the run, and all that was planned is installed.
    ClientEnded,
    /// apu-client was ended during an update, and whether the lists were fetched is not known.
    UpdateUnknown,
    /// dpkg had been interrupted and was repaired first.
    JournalRepaired,
    /// Packages were broken before the run and a repair was tried.
    RepairTried {
        /// Which ones.
        packages: Vec<PackageKey>,
    },
    /// The .debs are in apt's cache, with the checksums that their archives name, and no package was changed.
    Downloaded {
        /// How many.
        packages: usize,
        /// How many of them were fetched by this run.
        fetched: usize,
        /// How much all of them are, in apt's own figures.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        size: Option<String>,
    },
    /// It is not known which updates are security updates.
    SecurityUnknown {
        /// Why.
        said: String,
    },
    /// A run is at work.
    RunAtWork(ActiveRuns),
    /// A source of apu-data is not used on this machine.
    SourceLeftOut(SourceLeftOut),
    /// apt does not read the machine's sources.
    SourcesUnread {
        /// apt's error.
        said: String,
    },
    /// apt does not read them, and they cannot be composed again.
    SourcesNotComposed {
        /// apt's error.
        said: String,
        /// Why not.
        error: String,
    },
    /// apt did not read them, and does so again without some of apu-data's.
    SourcesComposed {
        /// apt's error before.
        said: String,
    },
    /// apt does not read the machine's own sources, whatever is left out of apu-data's.
    OwnSourcesUnread {
        /// apt's error.
        said: String,
        /// The machine's files that conflict with apu-data's.
        #[serde(default, skip_serializing_if = "Vec::is_empty")]
        files: Vec<String>,
    },
    /// A hold of the operation `hold` was over, and was taken off.
    HoldEnded {
        /// The package.
        package: PackageKey,
    },
    /// Holds that are over could not be taken off, or which ones are over is not known.
    HoldsNotEnded {
        /// Why not.
        said: String,
    },
    /// The package was on hold already, by the machine's own administrator; that hold stays as it is.
    HeldByMachine {
        /// The package.
        package: PackageKey,
    },
    /// A hold of the operation `hold` was taken off on the machine itself, so its reason and end are forgotten.
    HoldTakenOff {
        /// The package.
        package: PackageKey,
    },
    /// needrestart is set to restart services by itself after a change of packages; in this run it only listed them.
    NeedrestartLists,
    /// needrestart is installed, and did not tell which services it would restart.
    NeedrestartFailed {
        /// Why.
        said: String,
    },
    /// A note of another version.
    #[serde(other)]
    Unknown,
}
