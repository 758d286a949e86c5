//! Ctrl-C as a message for whoever decides.

use tokio::signal::unix::{SignalKind, signal};
use tokio::sync::mpsc::{UnboundedReceiver, unbounded_channel};

/// One message for each SIGINT or SIGTERM. Needs a runtime.
#[must_use]
pub fn stops() -> UnboundedReceiver<()> {
    let (to, stops) = unbounded_channel();
    for kind in [SignalKind::interrupt(), SignalKind::terminate()] {
        // Without a handler the signal simply ends the program, and the clients go on.
        let Ok(mut signals) = signal(kind) else { continue };
        let to = to.clone();
        tokio::spawn(async move { while signals.recv().await.is_some() && to.send(()).is_ok() {} });
    }
    stops
}
