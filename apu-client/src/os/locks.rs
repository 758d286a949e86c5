//! Takes locks of its own, and finds out who holds the locks of apt and dpkg.
//!
//! apt and dpkg use POSIX record locks (`fcntl`), so the holder can be asked for without taking the lock.

use std::fs::{self, File};
use std::io;
use std::os::unix::fs::{MetadataExt, OpenOptionsExt, PermissionsExt};
use std::path::{Path, PathBuf};

use nix::fcntl::{FcntlArg, Flock, FlockArg, fcntl};
use nix::libc;

use super::atomic_file::replace;
use super::paths::ClientPaths;

/// A lock that another process holds.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct HeldLock {
    pub(crate) lock: PathBuf,
    /// Such as `apt-get (1234)`; empty where it is unknown, as for a process in another namespace.
    pub(crate) holder: String,
    /// The holder's process id; 0 where it is unknown.
    pub(crate) pid: i32,
}

/// Returns the paths of the locks that a package manager needs.
pub(crate) fn package_locks(paths: &ClientPaths) -> Vec<PathBuf> {
    vec![
        paths.dpkg().join("lock-frontend"),
        paths.dpkg().join("lock"),
        paths.archives().join("lock"),
        paths.lists().join("lock"),
    ]
}

/// Returns the first of these locks that another process holds. A missing lock file is free.
pub(crate) fn held(locks: &[PathBuf]) -> io::Result<Option<HeldLock>> {
    for path in locks {
        let file = match File::options().read(true).write(true).open(path) {
            Ok(file) => file,
            Err(error) if error.kind() == io::ErrorKind::NotFound => continue,
            Err(error) => return Err(error),
        };
        let mut lock = write_lock();
        fcntl(&file, FcntlArg::F_GETLK(&mut lock))?;
        if lock.l_type != flock_type(libc::F_UNLCK) {
            return Ok(Some(HeldLock {
                lock: path.clone(),
                holder: describe_process(lock.l_pid),
                pid: lock.l_pid.max(0),
            }));
        }
    }
    Ok(None)
}

/// A POSIX record lock, held until it is dropped. Closing any other descriptor of the same file would release it too,
/// so this process must not open the file again meanwhile.
#[derive(Debug)]
pub(crate) struct RecordLock {
    _file: File,
}

impl RecordLock {
    /// Takes the lock, or returns its holder.
    pub(crate) fn take(path: &Path) -> io::Result<Result<Self, HeldLock>> {
        if let Some(parent) = path.parent() {
            fs::create_dir_all(parent)?;
        }
        let file = File::options()
            .read(true)
            .write(true)
            .create(true)
            .truncate(false)
            .mode(0o600)
            .open(path)?;
        let mut lock = write_lock();
        match fcntl(&file, FcntlArg::F_SETLK(&lock)) {
            Ok(_) => return Ok(Ok(Self { _file: file })),
            Err(nix::errno::Errno::EAGAIN | nix::errno::Errno::EACCES) => {}
            Err(error) => return Err(error.into()),
        }
        fcntl(&file, FcntlArg::F_GETLK(&mut lock))?;
        Ok(Err(HeldLock {
            lock: path.to_owned(),
            holder: if lock.l_type == flock_type(libc::F_UNLCK) {
                String::new()
            } else {
                describe_process(lock.l_pid)
            },
            pid: lock.l_pid.max(0),
        }))
    }
}

/// Gives a lock file mode 0600: a user who can open it for reading can hold a read lock and keep every run waiting. A
/// file that others could open is replaced, since one of them may hold it for ever, unless a process of root holds it.
pub(crate) fn make_private(path: &Path) -> io::Result<()> {
    let metadata = match fs::metadata(path) {
        Ok(metadata) if metadata.mode() & 0o077 != 0 => metadata,
        Ok(_) => return Ok(()),
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(()),
        Err(error) => return Err(error),
    };
    let is_roots = held(&[path.to_owned()])?.is_some_and(|held| {
        let process = fs::metadata(format!("/proc/{}", held.pid));
        process.is_ok_and(|process| process.uid() == metadata.uid())
    });
    if is_roots {
        return fs::set_permissions(path, fs::Permissions::from_mode(0o600));
    }
    replace(path, b"")
}

/// Takes a flock(2) of a file, which a crash releases; none where somebody else has it.
pub(crate) fn try_lock(file: File) -> Option<Flock<File>> {
    Flock::lock(file, FlockArg::LockExclusiveNonblock).ok()
}

fn write_lock() -> libc::flock {
    libc::flock {
        l_type: flock_type(libc::F_WRLCK),
        l_whence: flock_type(libc::SEEK_SET),
        l_start: 0,
        l_len: 0,
        l_pid: 0,
    }
}

/// The constants are wider than the field that holds them.
fn flock_type(constant: libc::c_int) -> libc::c_short {
    libc::c_short::try_from(constant).unwrap_or_default()
}

/// Returns the name and the id of a process.
fn describe_process(pid: i32) -> String {
    if pid <= 0 {
        return String::new();
    }
    match fs::read(format!("/proc/{pid}/comm")) {
        Ok(name) => format!("{} ({pid})", String::from_utf8_lossy(&name).trim_end()),
        Err(_) => format!("({pid})"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_lock_that_others_could_open_is_replaced_and_one_that_they_could_not_stays() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("lock");
        make_private(&path).unwrap();
        assert!(!path.exists());
        drop(RecordLock::take(&path).unwrap().unwrap());
        let inode = || fs::metadata(&path).unwrap().ino();
        assert_eq!(fs::metadata(&path).unwrap().mode() & 0o777, 0o600);
        let first = inode();
        make_private(&path).unwrap();
        assert_eq!(inode(), first);
        fs::set_permissions(&path, fs::Permissions::from_mode(0o644)).unwrap();
        // Kept open, so that its number is not used again.
        let _open = File::open(&path).unwrap();
        make_private(&path).unwrap();
        assert_ne!(inode(), first);
        assert_eq!(fs::metadata(&path).unwrap().mode() & 0o777, 0o600);
    }

    #[test]
    fn a_lock_that_nobody_holds_is_free_and_so_is_a_missing_one() {
        let directory = tempfile::tempdir().unwrap();
        let (there, missing) = (directory.path().join("there"), directory.path().join("missing"));
        fs::write(&there, "").unwrap();
        assert_eq!(held(&[there, missing]).unwrap(), None);
    }

    #[test]
    fn a_lock_that_another_process_holds_is_named_with_its_holder() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("lock");
        fs::write(&path, "").unwrap();
        // Record locks do not hold against their own process, so another one must take it.
        let script = r#"use Fcntl; open(F, "+<", $ARGV[0]) or die;
            my $lock = pack("s s l! l! i x4", F_WRLCK, 0, 0, 0, 0); fcntl(F, F_SETLK, $lock) or die;
            $| = 1; print "\n"; sleep 60"#;
        let mut holder = std::process::Command::new("perl")
            .args(["-e", script])
            .arg(&path)
            .stdout(std::process::Stdio::piped())
            .spawn()
            .unwrap();
        let mut byte = [0];
        io::Read::read_exact(holder.stdout.as_mut().unwrap(), &mut byte).unwrap();

        let found = held(std::slice::from_ref(&path)).unwrap().unwrap();
        let taken = RecordLock::take(&path).unwrap();

        holder.kill().unwrap();
        holder.wait().unwrap();
        assert_eq!(found.holder, format!("perl ({})", holder.id()));
        assert_eq!(taken.unwrap_err(), found);
        assert!(RecordLock::take(&path).unwrap().is_ok());
    }
}
