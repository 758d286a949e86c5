//! Says which host may start next, or why no more may: the one place that knows the limits of a push.

use std::num::NonZeroUsize;

use crate::run_state::RunState;

/// The limits on starting hosts.
#[derive(Debug, Clone, Copy)]
pub(super) struct Schedule {
    /// Hosts at work at once.
    pub(super) parallel: NonZeroUsize,
    /// So many hosts of the push may fail; without it, every host has its turn.
    pub(super) max_failures: Option<usize>,
}

/// What may happen next.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Next {
    /// This host may start.
    Start(usize),
    /// No host may start now; what is at work goes on.
    Wait,
    /// No host will start any more.
    Stop(StopReason),
}

/// Why no host will start any more.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum StopReason {
    /// An administrator's Ctrl-C.
    Interrupted,
    /// More hosts failed than may.
    Failures {
        /// So many, by then.
        failed: usize,
        /// Of so many.
        hosts: usize,
        /// So many may.
        allowed: usize,
    },
}

impl Schedule {
    /// What may happen next in this state.
    pub(super) fn next(self, run: &RunState) -> Next {
        if run.interrupts > 0 {
            return Next::Stop(StopReason::Interrupted);
        }
        let failed = run.failed();
        if let Some(allowed) = self.max_failures.filter(|allowed| failed > *allowed) {
            return Next::Stop(StopReason::Failures {
                failed,
                hosts: run.hosts().len(),
                allowed,
            });
        }
        if run.running() >= self.parallel.get() {
            return Next::Wait;
        }
        run.next_queued().map_or(Next::Wait, Next::Start)
    }
}
