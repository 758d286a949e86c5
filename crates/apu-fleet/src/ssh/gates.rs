//! How many logins run at once at one sshd. A stock sshd drops connections at random where ten are not logged in yet
//! (MaxStartups 10:30:100), and many hosts may be behind one jump host or one address.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};

use tokio::sync::{OwnedSemaphorePermit, Semaphore};

/// Others log in there as well, so it is not nine.
pub(super) const AT_ONE_SSHD: usize = 6;

/// A gate for each sshd.
#[derive(Debug, Default)]
pub(super) struct Gates(Mutex<HashMap<String, Arc<Semaphore>>>);

impl Gates {
    /// Waits for a turn at this sshd.
    pub(super) async fn enter(&self, sshd: String) -> Option<OwnedSemaphorePermit> {
        let gate = {
            let mut gates = self.0.lock().unwrap_or_else(PoisonError::into_inner);
            gates
                .entry(sshd)
                .or_insert_with(|| Arc::new(Semaphore::new(AT_ONE_SSHD)))
                .clone()
        };
        gate.acquire_owned().await.ok()
    }
}
