//! How a request ended on a host: a closed list, and for everything but the two good ones a reason.

use std::fmt;

use apu_debian::PackageKey;
use apu_proto::{ClientOutcome, RunId, RunResult, Verdict, overall};
use serde::{Deserialize, Serialize};

use crate::reason::{HostReason, ServerAdvice, StaleList};

/// How a request ended on a host. No others.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Outcome {
    /// All is well, and nothing had to be changed.
    Unchanged,
    /// All is well, and something was changed.
    Changed,
    /// Something was changed and something is wrong.
    Partial,
    /// All went well on the client, and the lists that it has are older than what this server published last.
    Stale,
    /// The client does not do that.
    Refused,
    /// The transaction is no longer the approved one.
    Drifted,
    /// Nothing of what was asked for was done.
    Failed,
    /// No connection; nothing was asked.
    Unreachable,
    /// The connection ended without a result: what happened is not known here.
    Lost,
    /// The server stopped waiting; what was begun goes on.
    TimedOut,
    /// A limit was hit before its turn; nothing was asked.
    Skipped,
}

impl Outcome {
    /// Every outcome, in the order in which a summary counts them.
    pub const ALL: [Self; 11] = [
        Self::Changed,
        Self::Unchanged,
        Self::Partial,
        Self::Stale,
        Self::Refused,
        Self::Drifted,
        Self::Failed,
        Self::Unreachable,
        Self::Lost,
        Self::TimedOut,
        Self::Skipped,
    ];

    /// Whether the host is as it should be.
    #[must_use]
    pub const fn is_well(self) -> bool {
        matches!(self, Self::Unchanged | Self::Changed)
    }

    /// Whether it counts as a failure where failures are limited: everything that is not well, but for a host that nothing
    /// was asked of, and one that could not be reached. A machine that is off says nothing of the change.
    #[must_use]
    pub const fn is_failure(self) -> bool {
        !(self.is_well() || matches!(self, Self::Skipped | Self::Unreachable))
    }

    /// The word for it.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Unchanged => "unchanged",
            Self::Changed => "changed",
            Self::Partial => "partial",
            Self::Stale => "stale",
            Self::Refused => "refused",
            Self::Drifted => "drifted",
            Self::Failed => "failed",
            Self::Unreachable => "unreachable",
            Self::Lost => "lost",
            Self::TimedOut => "timed-out",
            Self::Skipped => "skipped",
        }
    }
}

impl fmt::Display for Outcome {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.as_str())
    }
}

impl From<ClientOutcome> for Outcome {
    fn from(outcome: ClientOutcome) -> Self {
        match outcome {
            ClientOutcome::Unchanged => Self::Unchanged,
            ClientOutcome::Changed => Self::Changed,
            ClientOutcome::Partial => Self::Partial,
            ClientOutcome::Refused => Self::Refused,
            ClientOutcome::Drifted => Self::Drifted,
            ClientOutcome::Failed => Self::Failed,
        }
    }
}

/// A host's last word.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Ending {
    /// How it ended.
    pub outcome: Outcome,
    /// Why, wherever it did not end well.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reason: Option<HostReason>,
    /// What the client said, where it did.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub result: Option<Box<RunResult>>,
    /// The run to attach to, where one was asked for.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub run: Option<RunId>,
    /// Which lists of the client are older than what this server published last, for `status`.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub stale: Vec<StaleList>,
    /// Lines of the answer that were no frames.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub garbage: u64,
    /// What came of watching its health after the change, where it was watched.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub health: Option<Verdict>,
    /// What this push knows beside it. It is no part of an event.
    #[serde(skip)]
    pub hint: Hint,
}

/// What a push knows of how a request ended on a host, beside what the host told.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Hint {
    /// Packages of the plan with the approved versions and other contents.
    pub other_contents: Vec<PackageKey>,
    /// What to try.
    pub advice: Option<ServerAdvice>,
}

// serde asks for a reference.
#[allow(clippy::trivially_copy_pass_by_ref)]
fn is_zero(number: &u64) -> bool {
    *number == 0
}

impl Ending {
    /// The end that the client's own result means.
    #[must_use]
    pub fn of_result(result: Box<RunResult>, run: Option<RunId>) -> Self {
        let reason = result.reason.clone().map(HostReason::Client);
        Self {
            outcome: result.outcome.into(),
            reason,
            result: Some(result),
            run,
            stale: Vec::new(),
            garbage: 0,
            health: None,
            hint: Hint::default(),
        }
    }

    /// Whether the host is well after its change, as its own checks say and as the watch saw; none where nothing was checked.
    #[must_use]
    pub fn verdict(&self) -> Option<Verdict> {
        let checks = self.result.as_ref().map_or(&[][..], |result| result.checks());
        let of_checks = (!checks.is_empty()).then(|| overall(checks));
        let verdicts = self.health.into_iter().chain(of_checks);
        verdicts.reduce(|one, other| match (one, other) {
            (Verdict::Fail, _) | (_, Verdict::Fail) => Verdict::Fail,
            (Verdict::Pass, Verdict::Pass) => Verdict::Pass,
            _ => Verdict::Inconclusive,
        })
    }

    /// An end that only the server can see.
    #[must_use]
    pub fn without_result(outcome: Outcome, reason: impl Into<HostReason>, run: Option<RunId>) -> Self {
        Self {
            outcome,
            reason: Some(reason.into()),
            result: None,
            run,
            stale: Vec::new(),
            garbage: 0,
            health: None,
            hint: Hint::default(),
        }
    }
}
