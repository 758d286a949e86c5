//! Starts a master and waits until it can be used.

use std::path::Path;
use std::pin::pin;
use std::process;
use std::sync::atomic::Ordering;
use std::time::Duration;

use nix::sys::signal::{Signal, killpg};
use nix::unistd::Pid;
use tokio::time::{sleep, timeout};

use super::spawn::{Ear, NamedPipe, command};
use super::{Ssh, args, blame};
use crate::host::Host;
use crate::name::Jump;
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
        let (proxy, way) = match &host.jump {
            Some(jump) => {
                let said = socket.with_extension(format!("{}-{number}-said", process::id()));
                let proxy = args::proxy_command(&self.options, &self.config, jump, &said);
                let way = NamedPipe::new(said)
                    .map_err(|error| Why::here(Obstacle::Here, format!("cannot make a pipe: {error}"), ""))?;
                (Some(proxy), Some(way))
            }
            None => (None, None),
        };
        let (kex, proxy) = (kex.as_deref(), proxy.as_deref());
        let words = args::master(&self.options, &self.config, host, &own, kex, proxy);
        let program = self.options.program.display();
        let mut child = command(&self.options.program)
            .args(words)
            .spawn()
            .map_err(|error| Why::here(Obstacle::Here, format!("cannot start {program}: {error}"), ""))?;

        let group = child.id();
        let mut ear = Ear::at(child.stderr.take(), way);
        let limit = args::connect_timeout(&self.options, host) + AUTHENTICATION;
        let mut permit = Some(permit);
        let waited = timeout(limit, async {
            let mut busy = pin!(sleep(BUSY));
            loop {
                tokio::select! {
                    ended = child.wait() => return ended,
                    () = &mut busy, if permit.is_some() => permit = None,
                    () = ear.hear(), if ear.is_open() => {}
                }
            }
        });
        let status = match waited.await {
            Ok(Ok(status)) => status,
            Ok(Err(error)) => return Err(Why::here(Obstacle::Here, format!("{program}: {error}"), "")),
            Err(_) => {
                // The ssh of a jump host is in its group.
                if let Some(group) = group.and_then(|pid| i32::try_from(pid).ok()) {
                    let _ = killpg(Pid::from_raw(group), Signal::SIGKILL);
                }
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
        let through = host.jump.as_ref().map(Jump::as_str);
        Err(blame(host, through, &ear.all().await))
    }
}
