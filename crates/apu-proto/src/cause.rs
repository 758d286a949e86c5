//! Causes: the closed list of facts for which a client ends a request early or badly, each with its parameters.
//!
//! No cause has a sentence: the server makes one where it is shown. What apt, dpkg or the system printed is no parameter
//! but the detail of a [`Reason`](crate::Reason).

mod code;
mod parameters;

use std::collections::BTreeMap;

use apu_debian::PackageKey;
use serde::{Deserialize, Serialize};

use crate::conffile_decision::{Beside, ConffileDecision};
use crate::operation::Operation;
use crate::question::WrongAnswer;
use crate::run_id::RunId;
use crate::transaction::DebSha256;

pub use parameters::{Action, ActiveRuns, ConffileFault, ExpiredArchive, Incomplete, Progress};

/// How many providers of a package are shown. A client names one more where there are more.
pub const MAX_PROVIDERS: usize = 10;

/// Why a request ended early or badly. On the wire `cause` is its name and `parameters` are its fields.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(tag = "cause", content = "parameters", rename_all = "kebab-case")]
pub enum Cause {
    /// The line is not a request; the detail says why.
    Malformed,
    /// No whole line came in this many seconds.
    NoRequest {
        /// The limit.
        seconds: u64,
    },
    /// The connection ended within the line.
    UnendedLine,
    /// There is more after the line.
    MoreThanALine,
    /// The caller is neither user apu nor root.
    OtherCaller,
    /// A run is at work, so what was asked for cannot be looked at.
    RunAtWork(ActiveRuns),
    /// The push key has as many runs here as it may.
    TooManyRuns {
        /// How many of them have not ended.
        unfinished: usize,
    },
    /// The push key has as many requests answered at once as it may.
    TooManyRequests,
    /// Another program held a lock until the time was up.
    LockHeld {
        /// The lock's file.
        lock: String,
        /// Its holder; empty where that is not known.
        holder: String,
        /// The wait was ended early since the machine is shutting down.
        shutting_down: bool,
    },
    /// apt itself met a lock.
    LockedForApt,
    /// The push key asked to remove packages without an approved plan.
    RemovalWithoutPlan,
    /// The transaction removes packages and the request does not allow that.
    RemovalNotAllowed {
        /// Which ones.
        packages: Vec<String>,
    },
    /// The transaction removes a package that keeps the client reachable.
    RemovesProtected {
        /// Its name.
        package: String,
    },
    /// The transaction removes packages that the system cannot work without.
    RemovesEssential,
    /// The run's id was used for another request.
    RunIdReused,
    /// The transaction changes packages that are on hold.
    OnHold,
    /// The transaction changes packages that the request keeps at their version.
    ChangesHeld {
        /// Which ones.
        packages: Vec<PackageKey>,
    },
    /// The transaction downgrades a package.
    Downgrade {
        /// The package.
        package: PackageKey,
        /// Its version.
        old: String,
        /// The lower one.
        new: String,
    },
    /// The transaction downgrades packages; the detail names them.
    Downgrades,
    /// dpkg does not accept packages of this architecture here.
    ForeignArchitecture {
        /// The package's name.
        package: String,
        /// Its architecture.
        architecture: String,
        /// dpkg's own.
        native: String,
    },
    /// The policy does not allow the operation.
    OperationForbidden {
        /// The operation.
        operation: Operation,
    },
    /// The policy does not allow the operation to remove packages.
    RemovalForbidden {
        /// The operation.
        operation: Operation,
    },
    /// The policy allows a reboot only where the machine needs it.
    RebootOnlyWhenNeeded,
    /// The policy takes no answers of the server to debconf's questions, and some concern this transaction.
    AnswersForbidden {
        /// The questions.
        questions: Vec<String>,
    },
    /// Answers of the server do not fit their questions; the detail has no value of them.
    WrongAnswers {
        /// Which ones.
        answers: Vec<WrongAnswer>,
    },
    /// debconf did not take the server's answers; the detail has its words.
    AnswersNotTaken,
    /// The policy does not allow this package to be named by `install`.
    PackageForbidden {
        /// Its name.
        package: String,
    },
    /// The policy allows changes only in windows, and none of them is open.
    OutsideWindows {
        /// The operation.
        operation: Operation,
        /// The windows.
        windows: Vec<String>,
    },
    /// The policy allows no change in a blackout, and one lasts.
    InBlackout {
        /// The operation.
        operation: Operation,
        /// The blackout.
        blackout: String,
    },
    /// The policy has windows, and what time it is there cannot be told; the detail says why.
    NoWallTime,
    /// No source has the package.
    UnknownPackage {
        /// As it was asked for.
        package: String,
        /// Packages that provide what was asked for, by name.
        #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
        providers: BTreeMap<String, Vec<String>>,
    },
    /// apt knows the name, and no source has a package of it.
    NoCandidate {
        /// Packages that provide what was asked for, by name.
        #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
        providers: BTreeMap<String, Vec<String>>,
    },
    /// Another version than the one asked for would be installed, or is.
    NotTheCandidate {
        /// The package.
        package: PackageKey,
        /// The version that was asked for.
        asked: String,
        /// The candidate, or what is installed.
        found: String,
        /// The archive of the candidate; none where `found` is installed.
        origin: Option<String>,
    },
    /// Package and architecture together are no key of dpkg's database.
    NotAKey {
        /// As it was asked for.
        package: String,
    },
    /// Packages that are to be put on hold or taken off are not installed.
    NotInstalled {
        /// As they were asked for.
        packages: Vec<String>,
    },
    /// The package brings the server's next key, and is never put on hold.
    HoldsProtected {
        /// Its name.
        package: String,
    },
    /// The hold would be over already.
    HoldIsOver {
        /// Its end, in seconds since 1970.
        until: u64,
        /// The client's clock.
        now: u64,
    },
    /// More packages would be on hold with a reason than a client keeps.
    TooManyHolds {
        /// How many it keeps.
        most: usize,
    },
    /// The packages were put on hold on the machine itself.
    HeldByMachine {
        /// Which ones.
        packages: Vec<PackageKey>,
    },
    /// dpkg was told, and its database does not show it; the detail has its words.
    HoldsNotSet {
        /// Which ones.
        packages: Vec<PackageKey>,
    },
    /// The policy does not allow that decision about a configuration file.
    DecisionForbidden {
        /// The decision.
        decision: ConffileDecision,
    },
    /// The file says what the server may do here, and no request changes it.
    ConffileProtected {
        /// The file.
        path: String,
    },
    /// The file is neither below /etc nor a configuration file that dpkg knows.
    NotAConffile {
        /// The file.
        path: String,
    },
    /// The versions of the configuration file are others than those that were decided on.
    ConffileChanged {
        /// The file.
        path: String,
        /// What is there, as in a request.
        found: Vec<String>,
    },
    /// A configuration file, or a folder on the way to it, is not such that it may be changed without harm.
    ConffileNotSafe {
        /// The file or the folder.
        path: String,
        /// What of it.
        why: ConffileFault,
    },
    /// dpkg has not finished with the package of the configuration file.
    ConffileNotConfigured {
        /// The file.
        path: String,
        /// The package.
        package: PackageKey,
    },
    /// More than one version of the package lies beside the configuration file.
    ConffileOfTwo {
        /// The file.
        path: String,
        /// Their suffixes.
        beside: Vec<Beside>,
    },
    /// The transaction is not the approved one.
    Drifted,
    /// There is hardly any space left on a file system.
    NoSpace {
        /// A path on it.
        path: String,
    },
    /// A file system has less space left than the transaction needs.
    TooLittleSpace {
        /// A path on it.
        path: String,
        /// How many bytes the transaction needs there.
        needed: u64,
        /// How many are free.
        free: u64,
    },
    /// Not all that was planned was done.
    Incomplete(Incomplete),
    /// apu-client was ended during the run, so what follows was read from dpkg's database afterwards.
    ClientEnded {
        /// How far the run had come.
        progress: Progress,
        /// What was not done.
        left: Incomplete,
    },
    /// The machine is shutting down, and nothing was begun.
    ShuttingDown,
    /// dpkg or apt finds packages broken.
    PackagesBroken(Incomplete),
    /// Each archive's lists have expired.
    ListsExpired {
        /// The archives.
        archives: Vec<ExpiredArchive>,
    },
    /// Not all lists were fetched; the detail says why. `exit` is given where apt said nothing.
    ListsNotFetched {
        /// How apt-get ended.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        exit: Option<String>,
    },
    /// apt failed; the detail says why.
    AptFailed,
    /// apt cannot plan the request; the detail says why.
    CannotPlan,
    /// apt does not say what it would download; the detail says why.
    NoDownloads,
    /// The archive of a package names no SHA-256 of its .deb.
    NoSha256 {
        /// The package.
        package: String,
    },
    /// Not all .debs were fetched; the detail says why.
    NotDownloaded {
        /// The names that they would have in apt's cache.
        files: Vec<String>,
    },
    /// The run has not kept this .deb, or keeps it no more.
    DebNotKept {
        /// Its SHA-256.
        sha256: DebSha256,
    },
    /// The bytes that came for a .deb are not those that were announced, or not all came.
    WrongDeb {
        /// The SHA-256 that was announced.
        sha256: DebSha256,
    },
    /// .debs came for the run that are no part of the transaction that was approved.
    DebsNotPlanned {
        /// Their SHA-256.
        debs: Vec<DebSha256>,
    },
    /// A line of apt's simulation is not understood.
    UnknownStep {
        /// The line.
        line: String,
    },
    /// Packages are still marked as installed automatically.
    StillAutomatic {
        /// Which ones.
        packages: Vec<PackageKey>,
    },
    /// Services were to be restarted, and are not running with the new files now; the detail says why.
    NotRestarted {
        /// Which ones, without `.service`; at most [`MAX_SERVICES`](crate::MAX_SERVICES).
        services: Vec<String>,
    },
    /// PID 1 is not systemd, so no service can be told or restarted.
    NoSystemd,
    /// Which services run with replaced files cannot be told: /proc does not answer in time, or there is too much of it.
    ServicesNotRead,
    /// Checks of the machine's health fail; the detail has their words.
    ChecksFailed {
        /// Their names.
        checks: Vec<String>,
    },
    /// No check of the machine's health fails, and some cannot tell; the detail has their words.
    ChecksInconclusive {
        /// Their names.
        checks: Vec<String>,
    },
    /// The policy cannot be read; the detail says why.
    PolicyUnreadable,
    /// Others than root may write the policy.
    PolicyOfOthers,
    /// The policy's text is wrong; the detail says where.
    PolicyMalformed,
    /// apt cannot read its configuration; the detail says why.
    AptConfiguration,
    /// A setting of apt's configuration under which apt may do something else than it is asked for.
    AptSetting {
        /// Its name.
        name: String,
        /// Its value.
        value: String,
    },
    /// apt cannot read the sources; the detail says why.
    Sources,
    /// A source from which apt would take packages without a signature.
    UnsignedSource {
        /// Its file.
        file: String,
        /// The line or the paragraph, counted from 1.
        at: String,
        /// The option that says so, with its value where that is known.
        option: String,
        /// The archive's address and suite, where apt named them.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        archive: Option<String>,
    },
    /// The machine does not use an archive of the site.
    SiteSourceUnused {
        /// The archive's address and suite.
        archive: String,
    },
    /// A file names an archive of the site with another key than apu-data does.
    SiteSourceOtherKey {
        /// The file.
        file: String,
        /// The archive's address and suite.
        archive: String,
    },
    /// apu-data names no archives of the site.
    NoSiteSources {
        /// Where they would be named.
        path: String,
    },
    /// No run of this id is known.
    UnknownRun {
        /// The id.
        run: RunId,
    },
    /// apt describes its sources in a way that is not understood.
    SourcesNotUnderstood,
    /// A request of this operation has no plan.
    NoPlan {
        /// The operation.
        operation: Operation,
    },
    /// The operation is answered at once and is no run.
    NotARun {
        /// The operation.
        operation: Operation,
    },
    /// The run was accepted and never begun.
    NeverBegun,
    /// The run ended, and its result is not understood.
    ResultNotUnderstood {
        /// The result's file.
        path: String,
    },
    /// The system refused something that apu-client needs; the detail says why.
    Fault {
        /// What apu-client was about to do.
        action: Action,
        /// With which file or program.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        object: Option<String>,
    },
    /// A cause of a later version.
    #[serde(other)]
    Unknown,
}
