//! What the task of a host tells the task that decides.

use apu_proto::Frame;
use tokio::sync::mpsc::Sender;

use crate::hook::Hook;
use crate::outcome::Ending;
use crate::programs::HookFailure;

/// What is told about a host while it works.
#[derive(Debug, Clone)]
pub(crate) enum Report {
    Connected {
        reused: bool,
    },
    Frame(Frame),
    Reconnecting(String),
    /// It goes down for a reboot, and is waited for.
    Rebooting,
    /// The change is made, and ended so; the host's health is watched.
    Applied(Box<Ending>),
    /// The programs of a hook are called.
    Hook(Hook),
    /// A program of the hook after the host failed.
    HookFailed(Box<HookFailure>),
    Ended(Box<Ending>),
}

/// Tells everything about one host to the task that decides.
pub(crate) struct Reporter {
    pub(crate) index: usize,
    pub(crate) to: Sender<(usize, Report)>,
}

impl Reporter {
    /// Nobody listens any more once everything is decided; then there is nothing to tell either.
    pub(crate) async fn tell(&self, report: Report) {
        let _ = self.to.send((self.index, report)).await;
    }

    /// Tells how the host ended: its last report.
    pub(crate) async fn end(&self, ending: Ending) {
        self.tell(Report::Ended(Box::new(ending))).await;
    }
}
