//! Starts a master and waits until it can be used.

use std::path::Path;
use std::process::{self, Stdio};
use std::sync::atomic::Ordering;
use std::time::Duration;

use tokio::io::AsyncReadExt;
use tokio::process::Command;
use tokio::time::{sleep, timeout};

use super::{Ssh, args, blame};
use crate::host::Host;
use crate::outcome::{Obstacle, Why};

/// After this time a handshake no longer costs this machine anything; it waits for a silent host.
const BUSY: Duration = Duration::from_secs(2);

/// ConnectTimeout does not cover authentication.
const AUTHENTICATION: Duration = Duration::from_secs(5);

impl Ssh {
    /// Makes a connection to `host` and leaves its control socket at `socket`.
    ///
    /// Every master gets a socket of its own, which is then moved into place: so two programs that start one at the same
    /// time cannot disturb each other (the replaced one ends when it has been idle), and what a dead one left is no hindrance.
    pub(super) async fn launch(&self, host: &Host, socket: &Path) -> Result<(), Why> {
        let kex = self.kex_algorithms().await;
        // The gate is for machines that answer: many handshakes at once are slower than a few. One that has not
        // answered by then waits outside of it.
        let Ok(permit) = self.gate.acquire().await else {
            return Err(Why::here(Obstacle::Here, "the program is ending", ""));
        };
        let number = self.launches.fetch_add(1, Ordering::Relaxed);
        let own = socket.with_extension(format!("{}-{number}", process::id()));
        let mut command = Command::new(&self.options.program);
        command
            .args(args::master(&self.options, host, &own, kex.as_deref()))
            .env("LC_ALL", "C")
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::piped())
            // A Ctrl-C at our terminal is ours; a connection that others may use must not end by it.
            .process_group(0)
            .kill_on_drop(true);
        let program = self.options.program.display();
        let mut child = command
            .spawn()
            .map_err(|error| Why::here(Obstacle::Here, format!("cannot start {program}: {error}"), ""))?;

        let limit = self.options.connect_timeout + AUTHENTICATION;
        let waited = timeout(limit, async {
            tokio::select! {
                ended = child.wait() => return ended,
                () = sleep(BUSY) => drop(permit),
            }
            child.wait().await
        });
        let status = match waited.await {
            Ok(Ok(status)) => status,
            Ok(Err(error)) => return Err(Why::here(Obstacle::Here, format!("{program}: {error}"), "")),
            Err(_) => {
                let _ = child.kill().await;
                let text = format!("no login within {} s", limit.as_secs());
                return Err(Why::here(Obstacle::NoAnswer, text, ""));
            }
        };
        if status.success() {
            // The process that was started has left its child in the background, with the socket open.
            return std::fs::rename(&own, socket)
                .map_err(|error| Why::here(Obstacle::Here, format!("ssh made no socket: {error}"), ""));
        }
        let mut words = Vec::new();
        if let Some(stderr) = child.stderr.take() {
            let _ = timeout(
                Duration::from_secs(1),
                stderr.take(16 * 1024).read_to_end(&mut words),
            )
            .await;
        }
        Err(blame(host, &String::from_utf8_lossy(&words)))
    }
}
