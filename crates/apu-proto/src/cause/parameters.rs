//! What causes have as parameters.

use apu_debian::PackageKey;
use serde::{Deserialize, Serialize};

use crate::bounded::is_zero;
use crate::operation::Operation;
use crate::run_id::RunId;
use crate::status::Broken;

/// Why a configuration file is left alone.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum ConffileFault {
    /// It is a symbolic link.
    Link,
    /// It is no regular file, or no folder on the way to one.
    NotAFile,
    /// It has more than one name.
    OtherNames,
    /// Others than root may change it.
    OfOthers,
    /// It is too long.
    TooLong,
    /// It is not there, and another version is.
    Missing,
    /// That is not known.
    #[serde(other)]
    Unknown,
}

/// The runs that are at work or wait for their turn.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct ActiveRuns {
    /// The one that is at work.
    pub run: RunId,
    /// Its operation.
    pub operation: Operation,
    /// Since when, in seconds since 1970.
    pub since: u64,
    /// How many more wait for it.
    pub waiting: usize,
}

/// What was not done of a transaction.
#[derive(Debug, Clone, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(default)]
pub struct Incomplete {
    /// Packages that are neither installed nor gone.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub broken: Vec<Broken>,
    /// The first package that was left as it was.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub not_done: Option<PackageKey>,
    /// How many more were left as they were.
    #[serde(skip_serializing_if = "is_zero")]
    pub more_not_done: usize,
    /// dpkg was interrupted and left its journal.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub interrupted: bool,
}

/// How far a run had come when apu-client was ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Progress {
    /// It had not begun to change anything that was asked for.
    NotBegun,
    /// It had a plan, which was compared with dpkg's database.
    Planned,
    /// It had a plan that is not understood.
    PlanNotUnderstood,
    /// That is not known.
    #[serde(other)]
    Unknown,
}

/// An archive whose lists have expired.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct ExpiredArchive {
    /// Its address and suite.
    pub archive: String,
    /// `Valid-Until` of its Release file.
    pub until: String,
    /// The file and line that name it.
    pub entry: String,
}

/// What apu-client was about to do when the system refused it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Action {
    /// Reach apu-client at its socket.
    ReachClient,
    /// Read the request.
    ReadRequest,
    /// Count the requests that are being answered.
    CountRequests,
    /// Make a run's id.
    MakeRunId,
    /// Make a run's record.
    MakeRunRecord,
    /// Read a run's record.
    ReadRunRecord,
    /// Keep a run's record.
    KeepRunRecord,
    /// Start a run.
    StartRun,
    /// Follow a run.
    FollowRun,
    /// Keep apu-client's state.
    KeepState,
    /// Read a file.
    Read,
    /// Read dpkg's database.
    ReadDatabase,
    /// Read apt's marks of packages that were installed automatically.
    ReadMarks,
    /// Run a program.
    RunProgram,
    /// Take a lock.
    Lock,
    /// Look at the locks of apt and dpkg.
    LookAtLocks,
    /// Look at the sources.
    LookAtSources,
    /// Read the questions of packages.
    ReadTemplates,
    /// Look at apt's cache of .debs.
    LookAtCache,
    /// Look at the free space of a file system.
    LookAtSpace,
    /// Let apt simulate.
    Simulate,
    /// Ask apt for the checksums of .debs.
    AskForChecksums,
    /// To ask apt which installed packages no archive has.
    AskForObsolete,
    /// Ask apt about the sources.
    AskAboutSources,
    /// Read why packages are on hold.
    ReadHolds,
    /// Keep why packages are on hold.
    KeepHolds,
    /// Keep a version of a configuration file.
    KeepConffile,
    /// Compare the versions of configuration files.
    CompareConffiles,
    /// Change a configuration file.
    ChangeConffile,
    /// Ask apt-config.
    AskAptConfig,
    /// Read the Release file of an archive.
    ReadRelease,
    /// One that a later version knows.
    #[serde(other)]
    Unknown,
}
