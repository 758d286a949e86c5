//! Says which host may start next, or why no more may: the one place that knows the limits of a run.

use std::num::NonZeroUsize;

use crate::run_state::RunState;

/// How many hosts may fail before nothing new is started.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct FailureLimit {
    /// So many may fail; with one more, the run stops.
    pub allowed: usize,
    /// All hosts of the push.
    pub hosts: usize,
    /// Those that failed in an earlier round and have no part in this one.
    pub before: usize,
}

impl FailureLimit {
    /// Whether no host may start from the beginning.
    #[must_use]
    pub const fn is_exceeded(self) -> bool {
        self.before > self.allowed
    }
}

/// The limits on starting hosts.
#[derive(Debug, Clone, Copy)]
pub(super) struct Schedule {
    /// Hosts at work at once.
    pub(super) parallel: NonZeroUsize,
    /// Failures that are borne; without it, every host has its turn.
    pub(super) failures: Option<FailureLimit>,
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
        if let Some(FailureLimit {
            allowed,
            hosts,
            before,
        }) = self.failures
        {
            let failed = before + run.failed();
            if failed > allowed {
                return Next::Stop(StopReason::Failures {
                    failed,
                    hosts,
                    allowed,
                });
            }
        }
        if run.running() >= self.parallel.get() {
            return Next::Wait;
        }
        run.next_queued().map_or(Next::Wait, Next::Start)
    }
}
