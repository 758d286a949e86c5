//! Whether a connection is at work or waits for a request, and since when.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Instant;

/// Written by the connection, read by the task that admits connections.
#[derive(Debug)]
pub(super) struct Activity {
    start: Instant,
    /// Milliseconds after `start`; [`AT_WORK`] while an answer is made or sent.
    idle_since: AtomicU64,
}

const AT_WORK: u64 = u64::MAX;

impl Activity {
    /// Of a connection that is new. `start` is the same for all that are compared.
    pub(super) fn new(start: Instant) -> Arc<Self> {
        let activity = Arc::new(Self {
            start,
            idle_since: AtomicU64::new(AT_WORK),
        });
        activity.rest();
        activity
    }

    fn rest(&self) {
        let now = u64::try_from(self.start.elapsed().as_millis()).unwrap_or(AT_WORK - 1);
        self.idle_since.store(now, Ordering::Relaxed);
    }

    /// Since when it waits for a request; nothing while it is at work.
    pub(super) fn idle_since(&self) -> Option<u64> {
        Some(self.idle_since.load(Ordering::Relaxed)).filter(|since| *since != AT_WORK)
    }

    /// At work, until what is returned is dropped.
    pub(super) fn work(self: &Arc<Self>) -> Busy {
        self.idle_since.store(AT_WORK, Ordering::Relaxed);
        Busy(Arc::clone(self))
    }
}

/// An answer that is made or sent.
#[derive(Debug)]
pub(super) struct Busy(Arc<Activity>);

impl Drop for Busy {
    fn drop(&mut self) {
        self.0.rest();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_connection_is_idle_but_while_it_answers() {
        let activity = Activity::new(Instant::now());
        assert!(activity.idle_since().is_some());
        let busy = activity.work();
        assert_eq!(activity.idle_since(), None);
        drop(busy);
        assert!(activity.idle_since().is_some());
    }
}
