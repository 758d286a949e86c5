//! One at a time: a lock on a directory that says who holds it.

use std::fs::{File, OpenOptions};
use std::io::{self, Read, Seek, SeekFrom, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::Path;

use nix::errno::Errno;
use nix::fcntl::{Flock, FlockArg};

/// A held lock; the kernel lets go of it when the process ends, however it ends.
pub(crate) struct Lock(Flock<File>);

impl Lock {
    /// Takes the lock in the file `path`; when another holds it, says to `waiting` who, and waits.
    pub(crate) fn take(path: &Path, who: &str, waiting: &dyn Fn(&str)) -> io::Result<Self> {
        let open = || {
            OpenOptions::new()
                .read(true)
                .write(true)
                .create(true)
                .truncate(false)
                .mode(0o644)
                .open(path)
        };
        let mut lock = match Flock::lock(open()?, FlockArg::LockExclusiveNonblock) {
            Ok(lock) => lock,
            Err((file, Errno::EAGAIN)) => {
                let mut holder = String::new();
                // What it says is only for the reader: a half-written name is no error.
                let _ = (&file).take(200).read_to_string(&mut holder);
                let holder = holder.lines().next().unwrap_or_default().trim();
                waiting(if holder.is_empty() {
                    "another process"
                } else {
                    holder
                });
                Flock::lock(file, FlockArg::LockExclusive).map_err(|(_, errno)| io::Error::from(errno))?
            }
            Err((_, errno)) => return Err(errno.into()),
        };
        lock.set_len(0)?;
        lock.seek(SeekFrom::Start(0))?;
        lock.write_all(format!("{who} (process {})\n", std::process::id()).as_bytes())?;
        Ok(Self(lock))
    }
}

impl Drop for Lock {
    fn drop(&mut self) {
        let _ = self.0.set_len(0);
    }
}

#[cfg(test)]
mod tests {
    use std::sync::mpsc;
    use std::thread;
    use std::time::Duration;

    use super::Lock;

    #[test]
    fn the_second_waits_and_says_for_whom() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("lock");
        let first = Lock::take(&path, "apu repo publish", &|_| panic!("nobody holds it")).unwrap();
        let (told, tell) = mpsc::channel();
        let (done, end) = mpsc::channel();
        let second = thread::spawn({
            let path = path.clone();
            move || {
                let told = move |holder: &str| told.send(holder.to_owned()).unwrap();
                let lock = Lock::take(&path, "apu repo add", &told).unwrap();
                done.send(()).unwrap();
                drop(lock);
            }
        });
        let holder = tell.recv_timeout(Duration::from_secs(10)).unwrap();
        assert_eq!(
            holder,
            format!("apu repo publish (process {})", std::process::id())
        );
        assert!(
            end.recv_timeout(Duration::from_millis(100)).is_err(),
            "it got in while the first was there"
        );
        drop(first);
        end.recv_timeout(Duration::from_secs(10)).unwrap();
        second.join().unwrap();
    }
}
