//! How many requests of the push key are answered at once. Whoever holds that key may ask as often as he likes; root on
//! the machine itself, and a change of apu-data, must get through all the same.

use std::fs::File;
use std::io;
use std::os::unix::fs::OpenOptionsExt;
use std::time::{Duration, Instant};

use nix::fcntl::Flock;

use crate::os::atomic_file::private_directory;
use crate::os::locks::try_lock;
use crate::os::paths::ClientPaths;

/// A kind of place, each with a number of its own.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Kind {
    /// For any request of the push key: less than the 32 connections that systemd's socket has.
    Any,
    /// For ping and for a change of apu-data, where the others are taken.
    Reserved,
    /// For what is answered without a run and costs seconds: `status`, `check`, and dry runs.
    WithoutRun,
}

impl Kind {
    const fn name(self) -> &'static str {
        match self {
            Self::Any => "any",
            Self::Reserved => "reserved",
            Self::WithoutRun => "in-place",
        }
    }

    const fn count(self) -> usize {
        match self {
            Self::Any => 16,
            Self::Reserved | Self::WithoutRun => 4,
        }
    }
}

/// A place, given back when this is dropped or the process ends.
#[derive(Debug)]
pub(crate) struct Slot {
    _lock: Flock<File>,
}

/// Takes a place, waiting for one for as long as `patience`; none where all are taken.
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
    fn all_places_of_the_push_key_together_leave_room_in_the_socket() {
        assert!(Kind::Any.count() + Kind::Reserved.count() <= 32 - 8);
    }
}
