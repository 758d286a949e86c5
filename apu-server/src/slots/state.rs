//! How far a slot is, as it is kept on the disk: the occurrence that comes next, and the one before it.

use apu_fleet::PushId;
use serde::{Deserialize, Serialize};

/// A slot as it is kept.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub(crate) struct SlotState {
    /// The occurrence that is worked on, or comes next; none where it is still to be looked up.
    #[serde(default)]
    pub(crate) now: Option<Occurrence>,
    /// The last one that is over.
    #[serde(default)]
    pub(crate) last: Option<Occurrence>,
}

/// One of the times of a slot, and how far it is.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Occurrence {
    /// When, in seconds since 1970.
    pub(crate) at: i64,
    /// What apu.toml said of the slot: what was told is not done where that is something else by now.
    pub(crate) terms: String,
    /// Who holds it.
    #[serde(default)]
    pub(crate) skipped_by: Option<String>,
    /// How far it is.
    #[serde(flatten)]
    pub(crate) state: State,
    /// What could not be told, and why.
    #[serde(default)]
    pub(crate) warning: Option<String>,
}

/// How far an occurrence is.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "state", rename_all = "kebab-case")]
pub(crate) enum State {
    /// Nothing is planned yet.
    Waiting {
        /// When that was tried last.
        #[serde(default)]
        tried: Option<i64>,
        /// Why it failed.
        #[serde(default)]
        why: Option<String>,
    },
    /// There is a plan.
    Planned {
        /// It.
        plan: PlanId,
        /// What is told of it.
        text: String,
        /// In one line.
        summary: String,
        /// When it was told; none where no notice was delivered yet.
        #[serde(default)]
        told: Option<i64>,
    },
    /// A process was about to carry the plan out, or does.
    Applying {
        /// It.
        plan: PlanId,
        /// The identity of the push that does it.
        push: PushId,
    },
    /// It is over.
    Ended {
        /// How it ended.
        end: End,
        /// The plan that was told.
        #[serde(default)]
        plan: Option<u32>,
        /// What was printed at its end.
        #[serde(default)]
        text: String,
        /// Whether that was told, or need not be.
        #[serde(default)]
        told: bool,
    },
}

impl State {
    /// Where every occurrence begins.
    pub(crate) const NEW: Self = Self::Waiting {
        tried: None,
        why: None,
    };
}

/// A plan, told apart from any other that has its number later.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct PlanId {
    /// Its number.
    pub(crate) number: u32,
    /// The hash of what it says.
    pub(crate) sha256: String,
}

/// How an occurrence ended.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "how", rename_all = "kebab-case")]
pub(crate) enum End {
    /// Nothing would have changed.
    Nothing,
    /// An administrator held it.
    Skipped {
        /// Who.
        by: String,
    },
    /// Its time passed, or the time to plan it.
    Missed {
        /// Why, where that is known.
        #[serde(default)]
        why: Option<String>,
    },
    /// Its plan could not be told in time.
    NotTold,
    /// apu.toml says something else by now than what was told.
    Withdrawn,
    /// Its plan could not be carried out.
    Failed {
        /// Why.
        why: String,
        /// The run, where one began.
        #[serde(default)]
        run: Option<u64>,
    },
    /// Its plan was carried out.
    Ran {
        /// The run; none where no host was asked.
        #[serde(default)]
        run: Option<u64>,
        /// The exit status.
        status: u8,
    },
    /// The process that carried it out was killed.
    BrokenOff {
        /// The run, where one began.
        #[serde(default)]
        run: Option<u64>,
    },
}

impl End {
    /// Whether all is well.
    pub(crate) fn is_well(&self) -> bool {
        matches!(
            self,
            Self::Nothing | Self::Skipped { .. } | Self::Ran { status: 0, .. }
        )
    }
}
