//! Limits how many requests of the push key are answered at once. The holder of that key may ask without limit; root on
//! the machine itself, and an installation of apu-data, must get through all the same.

use std::fs::File;
use std::io;
use std::os::unix::fs::OpenOptionsExt;
use std::time::{Duration, Instant};

use apu_proto::Operation;
use nix::fcntl::Flock;

use crate::os::atomic_file::private_directory;
use crate::os::locks::try_lock;
use crate::os::paths::ClientPaths;

/// A kind of slot; each kind has its own number of slots.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Kind {
    /// For any request of the push key. Fewer than the 32 connections that systemd's socket accepts.
    Any,
    /// For ping, attach and apu-data, where all of the other slots are taken.
    Reserved,
    /// For requests that need no run and take seconds: `status`, `check`, `conffiles`, `showhold`, and dry runs.
    WithoutRun,
    /// For `health`, whose checks may take minutes.
    Health,
}

impl Kind {
    /// The slot of a request that needs no run.
    pub(crate) const fn without_run(operation: Operation) -> Self {
        match operation {
            Operation::Health => Self::Health,
            _ => Self::WithoutRun,
        }
    }

    const fn name(self) -> &'static str {
        match self {
            Self::Any => "any",
            Self::Reserved => "reserved",
            Self::WithoutRun => "in-place",
            Self::Health => "health",
        }
    }

    const fn count(self) -> usize {
        match self {
            Self::Any => 16,
            Self::Reserved | Self::WithoutRun => 4,
            Self::Health => 1,
        }
    }
}

/// A slot, free again when this is dropped or the process ends.
#[derive(Debug)]
pub(crate) struct Slot {
    _lock: Flock<File>,
}

/// Takes a slot, waiting for at most `timeout`; none where all are taken.
pub(crate) fn take(paths: &ClientPaths, kind: Kind, timeout: Duration) -> io::Result<Option<Slot>> {
    let directory = paths.state().join("slots");
    private_directory(&directory)?;
    let deadline = Instant::now() + timeout;
    loop {
        for number in 0..kind.count() {
            let path = directory.join(format!("{}-{number}", kind.name()));
            let file = File::options()
                .write(true)
                .create(true)
                .truncate(false)
                .mode(0o600)
                .open(path)?;
            if let Some(lock) = try_lock(file) {
                return Ok(Some(Slot { _lock: lock }));
            }
        }
        if Instant::now() >= deadline {
            return Ok(None);
        }
        std::thread::sleep(Duration::from_millis(100));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn there_are_so_many_places_of_a_kind_and_one_that_is_given_back_is_free() {
        let root = tempfile::tempdir().unwrap();
        let paths = ClientPaths::below(root.path());
        let take = |kind| take(&paths, kind, Duration::ZERO).unwrap();
        let mut taken: Vec<Slot> = std::iter::from_fn(|| take(Kind::Any)).take(100).collect();
        assert_eq!(taken.len(), Kind::Any.count());
        assert!(take(Kind::Any).is_none());
        assert!(take(Kind::Reserved).is_some(), "another kind is not concerned");
        taken.pop();
        assert!(take(Kind::Any).is_some());
    }

    #[test]
    fn checks_that_take_minutes_keep_neither_status_nor_dry_runs_waiting() {
        let root = tempfile::tempdir().unwrap();
        let paths = ClientPaths::below(root.path());
        let take = |operation| take(&paths, Kind::without_run(operation), Duration::ZERO).unwrap();
        let health = take(Operation::Health);
        assert!(health.is_some());
        assert!(take(Operation::Health).is_none(), "one at a time");
        let others = [Operation::Status, Operation::Check, Operation::Upgrade].map(take);
        assert!(others.iter().all(Option::is_some));
        drop(health);
        assert!(take(Operation::Health).is_some());
    }

    #[test]
    fn all_places_of_the_push_key_together_leave_room_in_the_socket() {
        assert!(Kind::Any.count() + Kind::Reserved.count() <= 32 - 8);
    }
}
