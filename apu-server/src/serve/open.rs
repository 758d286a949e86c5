//! Opens a file below an archive's directory, without following a link and without waiting.

use std::fs::{File, Metadata};
use std::io;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;

use apu_archive::Folder;
use nix::errno::Errno;

/// Why there is nothing to send.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Closed {
    /// There is no such file.
    Missing,
    /// There is something, and it is not for others; the reason is for the server's log.
    Refused(&'static str),
    /// The machine failed.
    Failed(Errno),
}

/// Opens `file`, a relative path, below `dir`.
///
/// `dir` is what the administrator named, so links in its own path are the administrator's. Below it none is followed:
/// whoever may write there, or made an archive that was copied there, would choose which of the server's files are sent.
/// A file that not everybody on the server may read is not sent to everybody in the network, even where root serves: a
/// second name of such a file (a hard link) gives nothing away.
///
/// # Errors
/// See [`Closed`].
pub(super) fn open_below(dir: &Path, file: &Path) -> Result<(File, Metadata), Closed> {
    let opened = Folder::open(dir).and_then(|dir| dir.open_any(file));
    let file = opened.map_err(|error| closed(errno(&error)))?;
    let about = file.metadata().map_err(|error| closed(errno(&error)))?;
    if about.is_dir() {
        return Err(Closed::Missing);
    }
    if !about.is_file() {
        return Err(Closed::Refused("it is not a regular file"));
    }
    if about.permissions().mode() & 0o004 == 0 {
        return Err(Closed::Refused("not everybody may read it (try: chmod a+r)"));
    }
    Ok((file, about))
}

fn closed(errno: Errno) -> Closed {
    match errno {
        Errno::ENOENT | Errno::ENOTDIR | Errno::ENAMETOOLONG => Closed::Missing,
        Errno::ELOOP | Errno::EXDEV => Closed::Refused("a symbolic link is in its path"),
        Errno::EACCES | Errno::EPERM => Closed::Refused("the server may not read it (try: chmod a+r)"),
        // A socket.
        Errno::ENXIO | Errno::ENODEV => Closed::Refused("it is not a regular file"),
        other => Closed::Failed(other),
    }
}

fn errno(error: &io::Error) -> Errno {
    error.raw_os_error().map_or(Errno::EIO, Errno::from_raw)
}

#[cfg(test)]
mod tests {
    use std::fs;
    use std::os::unix::fs::symlink;
    use std::os::unix::net::UnixListener;

    use super::*;
    use nix::sys::stat::Mode;
    use nix::unistd::mkfifo;

    fn why(dir: &Path, file: &str) -> Closed {
        open_below(dir, Path::new(file)).unwrap_err()
    }

    #[test]
    fn no_link_is_followed_wherever_it_stands_and_wherever_it_leads() {
        let outside = tempfile::tempdir().unwrap();
        let dir = outside.path().join("archive");
        fs::create_dir_all(dir.join("pool")).unwrap();
        fs::write(outside.path().join("secret"), "SECRET").unwrap();
        fs::write(dir.join("pool/a"), "a").unwrap();
        symlink(outside.path(), dir.join("up")).unwrap();
        symlink(outside.path().join("secret"), dir.join("absolute")).unwrap();
        symlink("../secret", dir.join("relative")).unwrap();
        symlink("pool/a", dir.join("within")).unwrap();
        symlink("pool", dir.join("folder")).unwrap();
        symlink("/proc/self/fd/0", dir.join("magic")).unwrap();
        symlink("nowhere", dir.join("dangling")).unwrap();
        for file in [
            "up/secret",
            "absolute",
            "relative",
            "within",
            "folder/a",
            "magic",
            "dangling",
        ] {
            assert_eq!(
                why(&dir, file),
                Closed::Refused("a symbolic link is in its path"),
                "{file}"
            );
        }
        for file in ["../secret", "pool/../../secret", "/etc/passwd"] {
            assert_ne!(open_below(&dir, Path::new(file)).map(drop), Ok(()), "{file}");
        }
        assert!(open_below(&dir, Path::new("pool/a")).is_ok());
        // The administrator's own link to the archive is none of the archive's.
        symlink(&dir, outside.path().join("served")).unwrap();
        assert!(open_below(&outside.path().join("served"), Path::new("pool/a")).is_ok());
    }

    #[test]
    fn what_is_no_plain_file_is_refused_at_once() {
        let dir = tempfile::tempdir().unwrap();
        let dir = dir.path();
        mkfifo(&dir.join("pipe"), Mode::from_bits_truncate(0o644)).unwrap();
        let _socket = UnixListener::bind(dir.join("socket")).unwrap();
        fs::create_dir(dir.join("folder")).unwrap();
        for file in ["pipe", "socket"] {
            assert_eq!(
                why(dir, file),
                Closed::Refused("it is not a regular file"),
                "{file}"
            );
        }
        for file in ["folder", "folder/x", "pipe/x", "no", &"n".repeat(256)] {
            assert_eq!(why(dir, file), Closed::Missing, "{file}");
        }
    }

    #[test]
    fn what_not_everybody_may_read_is_refused_under_every_name() {
        let dir = tempfile::tempdir().unwrap();
        let dir = dir.path();
        fs::write(dir.join("secret"), "SECRET").unwrap();
        for mode in [0o600, 0o640, 0o660, 0o000] {
            fs::set_permissions(dir.join("secret"), fs::Permissions::from_mode(mode)).unwrap();
            let _ = fs::remove_file(dir.join("second-name"));
            fs::hard_link(dir.join("secret"), dir.join("second-name")).unwrap();
            for file in ["secret", "second-name"] {
                assert!(matches!(why(dir, file), Closed::Refused(_)), "{file} {mode:o}");
            }
        }
    }
}
