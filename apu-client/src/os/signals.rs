//! Blocks the signals that would end the process, and remembers a request to stop.

use std::io;
use std::os::fd::{AsFd, BorrowedFd};

use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use nix::sys::signal::{SigSet, Signal};
use nix::sys::signalfd::{SfdFlags, SignalFd};

/// The blocked signals: nothing may stop dpkg half-way.
#[derive(Debug)]
pub(crate) struct Signals {
    fd: SignalFd,
    stop_requested: bool,
}

impl Signals {
    /// Blocks the signals from now on. Programs that are started later do not inherit this.
    pub(crate) fn block() -> io::Result<Self> {
        let mut set = SigSet::empty();
        for signal in [
            Signal::SIGTERM,
            Signal::SIGHUP,
            Signal::SIGINT,
            Signal::SIGQUIT,
            Signal::SIGUSR1,
            Signal::SIGUSR2,
            Signal::SIGCHLD,
        ] {
            set.add(signal);
        }
        set.thread_block()?;
        let fd = SignalFd::with_flags(&set, SfdFlags::SFD_CLOEXEC | SfdFlags::SFD_NONBLOCK)?;
        Ok(Self {
            fd,
            stop_requested: false,
        })
    }

    /// Sleeps until a signal comes, SIGCHLD included, or the time is over. Remembers SIGTERM as a request to stop.
    pub(crate) fn wait(&mut self, milliseconds: u16) {
        self.wait_or(None, milliseconds);
    }

    /// The same, or until there is something to read from this descriptor.
    pub(crate) fn wait_or(&mut self, readable: Option<BorrowedFd<'_>>, milliseconds: u16) {
        let own = [self.fd.as_fd()].into_iter();
        let mut fds: Vec<PollFd<'_>> = own
            .chain(readable)
            .map(|fd| PollFd::new(fd, PollFlags::POLLIN))
            .collect();
        let _ = poll(&mut fds, PollTimeout::from(milliseconds));
        while let Ok(Some(signal)) = self.fd.read_signal() {
            self.stop_requested |= i32::try_from(signal.ssi_signo) == Ok(Signal::SIGTERM as i32);
        }
    }

    /// Reads pending signals without waiting, and returns whether a stop was requested.
    pub(crate) fn poll_stop_request(&mut self) -> bool {
        self.wait(0);
        self.stop_requested
    }

    pub(crate) const fn stop_requested(&self) -> bool {
        self.stop_requested
    }
}
