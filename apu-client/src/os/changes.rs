//! Tells when files change (inotify), so that nobody has to look again and again.

use std::io;
use std::os::fd::{AsFd, BorrowedFd};
use std::path::Path;

use nix::sys::inotify::{AddWatchFlags, InitFlags, Inotify};

/// What changed in some files, or in a folder.
#[derive(Debug)]
pub(crate) struct Changes(Inotify);

impl Changes {
    /// Of files that are written to.
    pub(crate) fn of_files<'a>(paths: impl IntoIterator<Item = &'a Path>) -> io::Result<Self> {
        let inotify = Inotify::init(InitFlags::IN_NONBLOCK | InitFlags::IN_CLOEXEC)?;
        for path in paths {
            inotify.add_watch(path, AddWatchFlags::IN_MODIFY)?;
        }
        Ok(Self(inotify))
    }

    /// Of a folder whose files are written to, made, or moved into it.
    pub(crate) fn of_folder(path: &Path) -> io::Result<Self> {
        let inotify = Inotify::init(InitFlags::IN_NONBLOCK | InitFlags::IN_CLOEXEC)?;
        let what = AddWatchFlags::IN_MODIFY | AddWatchFlags::IN_CREATE | AddWatchFlags::IN_MOVED_TO;
        inotify.add_watch(path, what)?;
        Ok(Self(inotify))
    }

    /// Forgets what has changed so far, and returns whether anything had. What changes from then on is told again, so this comes
    /// before the files are read.
    pub(crate) fn take(&self) -> bool {
        let mut any = false;
        while self.0.read_events().is_ok_and(|events| !events.is_empty()) {
            any = true;
        }
        any
    }
}

impl AsFd for Changes {
    /// It is readable once there is a change.
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.0.as_fd()
    }
}

#[cfg(test)]
mod tests {
    use std::fs::{self, File};
    use std::io::Write;

    use super::*;

    #[test]
    fn a_change_is_told_once() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("output");
        let mut file = File::create(&path).unwrap();
        let (files, all) = (
            Changes::of_files([path.as_path()]).unwrap(),
            Changes::of_folder(folder.path()).unwrap(),
        );
        assert!(!files.take() && !all.take());
        file.write_all(b"x").unwrap();
        assert!(files.take() && all.take());
        assert!(!files.take() && !all.take());
        fs::write(folder.path().join("another"), "x").unwrap();
        assert!(!files.take() && all.take());
        assert!(Changes::of_files([folder.path().join("none").as_path()]).is_err());
    }
}
