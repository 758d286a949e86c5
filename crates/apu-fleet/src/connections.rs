//! Counts the connections that requests hold at once. A run that is silent lets its own go where another request waits for one, and it
//! is not kept: the run belongs to the client, and is asked for again.

use std::num::NonZeroUsize;
use std::time::Duration;

use tokio::sync::{Semaphore, SemaphorePermit, watch};
use tokio::time::sleep;

/// How long a run says nothing before its connection may go to another host.
const SILENCE: Duration = Duration::from_secs(2);

/// The connections of one phase.
#[derive(Debug)]
pub(crate) struct Connections {
    free: Semaphore,
    /// How many requests wait for one.
    waiting: watch::Sender<usize>,
}

impl Connections {
    pub(crate) fn new(most: NonZeroUsize) -> Self {
        Self {
            // More than a semaphore can count is no limit.
            free: Semaphore::new(most.get().min(Semaphore::MAX_PERMITS)),
            waiting: watch::Sender::new(0),
        }
    }

    /// Waits for a connection, which goes back when the value is dropped. Requests get theirs in the order in which they ask.
    pub(crate) async fn take(&self) -> Option<SemaphorePermit<'_>> {
        if let Ok(permit) = self.free.try_acquire() {
            return Some(permit);
        }
        let _turn = Waiting::new(&self.waiting);
        // It is never closed, so there always is a permit in the end.
        self.free.acquire().await.ok()
    }

    /// Waits until a run that has said nothing from now on is to let its connection go.
    pub(crate) async fn are_wanted(&self) {
        sleep(SILENCE).await;
        // The sender is our own, so this cannot fail.
        let _ = self.waiting.subscribe().wait_for(|waiting| *waiting > 0).await;
    }
}

/// One request that waits, also where it is given up.
struct Waiting<'a>(&'a watch::Sender<usize>);

impl<'a> Waiting<'a> {
    fn new(waiting: &'a watch::Sender<usize>) -> Self {
        waiting.send_modify(|count| *count += 1);
        Self(waiting)
    }
}

impl Drop for Waiting<'_> {
    fn drop(&mut self) {
        self.0.send_modify(|count| *count -= 1);
    }
}

#[cfg(test)]
mod tests {
    use tokio::time::{Instant, timeout};

    use super::*;

    fn connections(most: usize) -> Connections {
        Connections::new(NonZeroUsize::new(most).unwrap())
    }

    #[tokio::test(start_paused = true)]
    async fn a_connection_is_wanted_only_while_a_request_waits_for_one() {
        let connections = connections(1);
        let held = connections.take().await;
        let hour = Duration::from_secs(3600);
        assert!(timeout(hour, connections.are_wanted()).await.is_err());

        // One that has given up waiting wants none any more.
        assert!(timeout(SILENCE / 2, connections.take()).await.is_err());
        assert!(timeout(hour, connections.are_wanted()).await.is_err());

        let begun = Instant::now();
        let (taken, ()) = tokio::join!(connections.take(), async {
            connections.are_wanted().await;
            drop(held);
        });
        assert!(taken.is_some());
        assert_eq!(begun.elapsed().as_secs(), SILENCE.as_secs());
    }
}
