//! What a host at work is at.

use apu_proto::{Phase as Activity, StalledProcess};

use crate::hook::Hook;
use crate::reason::WorkKind;

/// What a host at work is at.
#[derive(Debug, Clone, PartialEq)]
pub enum Stage {
    /// Being connected to.
    Connecting,
    /// Asked, and silent so far.
    Asked,
    /// Waiting for a lock there.
    Waiting {
        /// Who holds it.
        holder: String,
    },
    /// Fetching or installing.
    Progress {
        /// Which of them.
        activity: Activity,
        /// How far.
        percent: f32,
        /// The package.
        package: String,
    },
    /// At this work, and without a sign of life.
    Stalled {
        /// For so many seconds when it was told.
        seconds: u64,
        /// The processes of the run.
        processes: Vec<StalledProcess>,
        /// What it was at.
        at: Box<Stage>,
    },
    /// Being asked again after a lost connection.
    Reconnecting,
    /// Going down for a reboot, or coming back from it.
    Rebooting,
    /// Its change is made, and its health is watched.
    Checking,
    /// Programs of a hook about it are called on this server.
    Hook(Hook),
}

impl Stage {
    /// The work alone.
    pub(super) fn without_stall(self) -> Self {
        match self {
            Self::Stalled { at, .. } => *at,
            at => at,
        }
    }

    /// Whether the other is the same work, further on.
    pub(super) fn goes_on_as(&self, other: &Self) -> bool {
        match (self, other) {
            (
                Self::Progress {
                    activity, package, ..
                },
                Self::Progress {
                    activity: next,
                    package: other,
                    ..
                },
            ) => activity == next && package == other,
            _ => self == other,
        }
    }

    /// What the host is at, and what it is about. Nothing where the connection broke, since nobody knows then.
    pub(super) fn work(&self) -> Option<(WorkKind, &str)> {
        Some(match self {
            Self::Reconnecting => return None,
            Self::Stalled { at, .. } => return at.work(),
            Self::Connecting => (WorkKind::Connecting, ""),
            Self::Checking => (WorkKind::Checking, ""),
            Self::Rebooting => (WorkKind::Rebooting, ""),
            Self::Hook(hook) => (WorkKind::Hook, hook.as_str()),
            Self::Asked => (WorkKind::Silent, ""),
            Self::Waiting { holder } => (WorkKind::Waiting, holder),
            Self::Progress {
                activity, package, ..
            } => {
                let kind = match activity {
                    Activity::Repair => WorkKind::Repair,
                    Activity::Download => WorkKind::Download,
                    Activity::Install | Activity::Other => WorkKind::Install,
                };
                (kind, package)
            }
        })
    }
}
