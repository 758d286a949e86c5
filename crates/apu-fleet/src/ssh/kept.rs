//! How many connections are kept: each idle one costs more than a megabyte here, so the ones used least lately go first.

use std::fs;
use std::path::{Path, PathBuf};
use std::time::SystemTime;

use nix::fcntl::AT_FDCWD;
use nix::sys::stat::{UtimensatFlags, utimensat};
use nix::sys::time::TimeSpec;

use super::{Ssh, close};

/// Notes that a connection is used now.
pub(super) fn touch(socket: &Path) {
    // One that is gone meanwhile needs no note.
    let now = TimeSpec::UTIME_NOW;
    let _ = utimensat(AT_FDCWD, socket, &now, &now, UtimensatFlags::NoFollowSymlink);
}

/// The sockets of masters in a directory that are too many, the ones used least lately first.
fn too_many(directory: &Path, most: usize) -> Vec<PathBuf> {
    let Ok(entries) = fs::read_dir(directory) else {
        return Vec::new();
    };
    let mut sockets: Vec<(SystemTime, PathBuf)> = entries
        .filter_map(Result::ok)
        .map(|entry| entry.path())
        // One with an ending is still being made.
        .filter(|path| path.extension().is_none())
        .filter_map(|path| Some((fs::symlink_metadata(&path).ok()?.modified().ok()?, path)))
        .collect();
    sockets.sort();
    sockets.truncate(sockets.len().saturating_sub(most));
    sockets.into_iter().map(|(_, path)| path).collect()
}

impl Ssh {
    /// Ends connections until no more are left than are to be kept. One that is in use ends when its last request has.
    pub(super) async fn let_go_of_the_oldest(&self) {
        for socket in too_many(&self.sockets, self.options.most_kept) {
            close(socket.clone()).await;
            // Nobody listens there any more, and what a dead master left is no connection.
            let _ = fs::remove_file(&socket);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_ones_used_least_lately_are_too_many() {
        let directory = tempfile::tempdir().unwrap();
        let path = |name: &str| directory.path().join(name);
        for name in ["c", "a", "b", "d.17-1"] {
            fs::write(path(name), "").unwrap();
            std::thread::sleep(std::time::Duration::from_millis(20));
        }
        assert_eq!(too_many(directory.path(), 3), Vec::<PathBuf>::new());
        assert_eq!(too_many(directory.path(), 1), [path("c"), path("a")]);
        touch(&path("c"));
        assert_eq!(too_many(directory.path(), 1), [path("a"), path("b")]);
        assert_eq!(too_many(&path("none"), 0), Vec::<PathBuf>::new());
    }
}
