//! The options of a request: their words, and the operations that take them.

use std::fmt;
use std::str::FromStr;

use apu_debian::{PackageName, UserName};

use crate::answers::AnswersSha256;
use crate::conffile_decision::{ConffileDecision, ConffilePath, ConffileVersions};
use crate::conffile_rule::ConffileRuleFor;
use crate::debs::SentDeb;
use crate::hold::{HoldReason, end};
use crate::operation::Operation;
use crate::package_glob::PackageGlob;
use crate::run_id::RunId;
use crate::transaction::{DebSha256, TransactionId};

/// An option of a request, `key=value` on the line.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum RequestOption {
    /// The run's identity; the client chooses one where it is missing.
    RunId(RunId),
    /// Say what would be done, and do nothing.
    DryRun,
    /// Reboot also where that is not needed.
    EvenIfNotNeeded,
    /// Let the transaction remove packages.
    AllowRemove,
    /// Upgrade only packages with a security update.
    OnlySecurity,
    /// Upgrade only packages that are built from these sources; between 1 and [`MAX_PACKAGES`](super::MAX_PACKAGES), each once.
    Sources(Vec<PackageName>),
    /// Upgrade the named packages where they are installed, and install none of them anew.
    OnlyUpgrade,
    /// Leave these packages at their version; between 1 and [`MAX_PACKAGES`](super::MAX_PACKAGES), each once.
    Hold(Vec<PackageGlob>),
    /// Leave these packages, which are too young for the run, at their version; between 1 and
    /// [`MAX_TOO_YOUNG`](crate::MAX_TOO_YOUNG), each once.
    TooYoung(Vec<PackageGlob>),
    /// Fetch the .debs and change no package.
    DownloadOnly,
    /// Keep the .debs beside the run's record.
    KeepDebs,
    /// Do only this transaction, and refuse any other.
    Plan(TransactionId),
    /// Answers to debconf's questions come in the line behind the request's, which has this checksum.
    Answers(AnswersSha256),
    /// Fetch the lists of the site's own archives and leave those of all others as they are.
    ListsOfSite,
    /// Why the packages are put on hold.
    HoldReason(HoldReason),
    /// When the hold ends, in seconds since 1970; at most [`MAX_HOLD_END`](crate::MAX_HOLD_END).
    HoldUntil(u64),
    /// The user of the server who wants the hold.
    HoldBy(UserName),
    /// Tell also which installed packages no archive has.
    Obsolete,
    /// The configuration file that is decided on.
    ConffilePath(ConffilePath),
    /// What becomes of it.
    ConffileDecision(ConffileDecision),
    /// The versions that this was decided for; between 1 and [`MAX_CONFFILE_VERSIONS`](crate::MAX_CONFFILE_VERSIONS), each once.
    ConffileVersions(Vec<ConffileVersions>),
    /// Also tell the lines in which the two versions differ.
    Diffs,
    /// What becomes of configuration files that were changed on both sides; between 1 and
    /// [`MAX_CONFFILE_RULES`](crate::MAX_CONFFILE_RULES), each once.
    ConffileRules(Vec<ConffileRuleFor>),
    /// Which kept .debs to send; between 1 and [`MAX_DEBS`](crate::MAX_DEBS), each once.
    Debs(Vec<DebSha256>),
    /// The .debs whose bytes come behind the request's line; between 1 and [`MAX_DEBS`](crate::MAX_DEBS), each once.
    DebsFollow(Vec<SentDeb>),
    /// How long to wait for another package manager, in seconds.
    LockWait(u32),
}

/// Why a word is not an option.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum NoOption {
    Key,
    Value,
}

impl RequestOption {
    pub(super) fn read(word: &str) -> Result<Self, NoOption> {
        let (key, value) = word.split_once('=').ok_or(NoOption::Key)?;
        let option = match key {
            "run_id" => value.parse().ok().map(Self::RunId),
            "dry_run" => (value == "yes").then_some(Self::DryRun),
            "even_if_not_needed" => (value == "yes").then_some(Self::EvenIfNotNeeded),
            "allow_remove" => (value == "yes").then_some(Self::AllowRemove),
            "only_security" => (value == "yes").then_some(Self::OnlySecurity),
            "source_packages" => list(value).map(Self::Sources),
            "only_upgrade" => (value == "yes").then_some(Self::OnlyUpgrade),
            "hold_packages" => list(value).map(Self::Hold),
            "too_young" => list(value).map(Self::TooYoung),
            "download_only" => (value == "yes").then_some(Self::DownloadOnly),
            "keep_debs" => (value == "yes").then_some(Self::KeepDebs),
            "debs_sha256" => list(value).map(Self::Debs),
            "debs_follow" => list(value).map(Self::DebsFollow),
            "plan_sha256" => value.parse().ok().map(Self::Plan),
            "answers_sha256" => value.parse().ok().map(Self::Answers),
            "lists_of" => (value == "site").then_some(Self::ListsOfSite),
            "hold_reason" => HoldReason::decode(value).map(Self::HoldReason),
            "hold_until" => end(value).map(Self::HoldUntil),
            "hold_by" => value.parse().ok().map(Self::HoldBy),
            "with_obsolete" => (value == "yes").then_some(Self::Obsolete),
            "with_diffs" => (value == "yes").then_some(Self::Diffs),
            "conffile_path" => ConffilePath::decode(value).map(Self::ConffilePath),
            "conffile_decision" => value.parse().ok().map(Self::ConffileDecision),
            "conffile_versions" => list(value).map(Self::ConffileVersions),
            "conffile_rules" => list(value).map(Self::ConffileRules),
            "lock_wait" if !value.starts_with('+') => value.parse().ok().map(Self::LockWait),
            "lock_wait" => None,
            _ => return Err(NoOption::Key),
        };
        option.ok_or(NoOption::Value)
    }

    /// Whether the option means something for the operation.
    pub(super) const fn goes_with(&self, operation: Operation) -> bool {
        match self {
            Self::RunId(_) => {
                operation.is_a_run() || operation.is_internal() || matches!(operation, Operation::Health)
            }
            Self::DryRun => operation.is_planned(),
            Self::EvenIfNotNeeded => matches!(operation, Operation::Reboot),
            Self::Plan(_) => operation.changes_packages(),
            Self::AllowRemove => operation.takes_allow_remove(),
            Self::OnlySecurity => operation.takes_only_security(),
            Self::Sources(_) => operation.takes_sources(),
            Self::OnlyUpgrade => operation.takes_only_upgrade(),
            Self::Hold(_) => operation.takes_hold(),
            Self::TooYoung(_) => operation.takes_too_young(),
            Self::DownloadOnly => operation.takes_download_only(),
            Self::KeepDebs => operation.takes_keep_debs(),
            Self::Debs(_) => matches!(operation, Operation::SendDebs),
            Self::DebsFollow(_) => matches!(operation, Operation::TakeDebs),
            Self::Answers(_) => operation.takes_answers(),
            Self::ListsOfSite => matches!(operation, Operation::Update),
            Self::HoldReason(_) | Self::HoldUntil(_) | Self::HoldBy(_) => {
                matches!(operation, Operation::Hold)
            }
            Self::Obsolete => matches!(operation, Operation::Status),
            Self::Diffs => matches!(operation, Operation::Conffiles),
            Self::ConffilePath(_) | Self::ConffileDecision(_) | Self::ConffileVersions(_) => {
                matches!(operation, Operation::Conffile)
            }
            Self::ConffileRules(_) => operation.takes_conffile_rules(),
            Self::LockWait(_) => operation.is_a_run(),
        }
    }
}

impl fmt::Display for RequestOption {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::RunId(id) => write!(f, "run_id={id}"),
            Self::DryRun => f.write_str("dry_run=yes"),
            Self::EvenIfNotNeeded => f.write_str("even_if_not_needed=yes"),
            Self::AllowRemove => f.write_str("allow_remove=yes"),
            Self::OnlySecurity => f.write_str("only_security=yes"),
            Self::Sources(names) => write_list(f, "source_packages", names),
            Self::OnlyUpgrade => f.write_str("only_upgrade=yes"),
            Self::Hold(globs) => write_list(f, "hold_packages", globs),
            Self::TooYoung(globs) => write_list(f, "too_young", globs),
            Self::DownloadOnly => f.write_str("download_only=yes"),
            Self::KeepDebs => f.write_str("keep_debs=yes"),
            Self::Debs(sums) => write_list(f, "debs_sha256", sums),
            Self::DebsFollow(debs) => write_list(f, "debs_follow", debs),
            Self::Plan(id) => write!(f, "plan_sha256={id}"),
            Self::Answers(sha256) => write!(f, "answers_sha256={sha256}"),
            Self::ListsOfSite => f.write_str("lists_of=site"),
            Self::HoldReason(reason) => write!(f, "hold_reason={}", reason.encoded()),
            Self::HoldUntil(end) => write!(f, "hold_until={end}"),
            Self::HoldBy(name) => write!(f, "hold_by={name}"),
            Self::Obsolete => f.write_str("with_obsolete=yes"),
            Self::Diffs => f.write_str("with_diffs=yes"),
            Self::ConffilePath(path) => write!(f, "conffile_path={}", path.encoded()),
            Self::ConffileDecision(decision) => write!(f, "conffile_decision={decision}"),
            Self::ConffileVersions(versions) => write_list(f, "conffile_versions", versions),
            Self::ConffileRules(rules) => write_list(f, "conffile_rules", rules),
            Self::LockWait(seconds) => write!(f, "lock_wait={seconds}"),
        }
    }
}

/// Reads values with commas between them; none where one of them is wrong.
fn list<T: FromStr>(value: &str) -> Option<Vec<T>> {
    value.split(',').map(|word| word.parse().ok()).collect()
}

fn write_list(f: &mut fmt::Formatter<'_>, key: &str, values: &[impl fmt::Display]) -> fmt::Result {
    write!(f, "{key}=")?;
    for (place, value) in values.iter().enumerate() {
        let comma = if place == 0 { "" } else { "," };
        write!(f, "{comma}{value}")?;
    }
    Ok(())
}
