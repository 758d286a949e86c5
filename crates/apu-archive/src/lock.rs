//! One at a time: a lock on a directory that says who holds it.

use std::fs::File;
use std::io::{self, Read, Seek, SeekFrom, Write};
use std::path::Path;

use nix::errno::Errno;
use nix::fcntl::{Flock, FlockArg};
use rustix::fs::OFlags;

use crate::folder::{About, Folder};
use crate::trusted::is_trusted;

/// A held lock; the kernel lets go of it when the process ends, however it ends.
pub(crate) struct Lock(Flock<File>);

impl Lock {
    /// Takes the lock in the file `path` below `folder`; when another holds it, says to `waiting` who, and waits.
    pub(crate) fn take(folder: &Folder, path: &Path, who: &str, waiting: &dyn Fn(&str)) -> io::Result<Self> {
        let file = folder.open_to_write(path, OFlags::RDWR | OFlags::CREATE, 0o600)?;
        let about = About::of(&file)?;
        // It is emptied and written: a second name would be that of another file.
        if about.names() != 1 || !is_trusted(about.owner()) {
            return Err(io::Error::other(
                "it has another name too, or another owner, and is no lock of apu's",
            ));
        }
        let mut lock = match Flock::lock(file, FlockArg::LockExclusiveNonblock) {
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
    use std::fs;
    use std::path::Path;
    use std::sync::mpsc;
    use std::thread;
    use std::time::Duration;

    use super::{Folder, Lock};

    #[test]
    fn what_has_another_name_is_not_emptied() {
        let dir = tempfile::tempdir().unwrap();
        fs::write(dir.path().join("precious"), "precious").unwrap();
        let folder = Folder::open(dir.path()).unwrap();
        let take = || Lock::take(&folder, Path::new("lock"), "a test", &|_| ()).map(drop);
        fs::hard_link(dir.path().join("precious"), dir.path().join("lock")).unwrap();
        assert!(take().is_err());
        fs::remove_file(dir.path().join("lock")).unwrap();
        std::os::unix::fs::symlink("precious", dir.path().join("lock")).unwrap();
        assert!(take().is_err());
        assert_eq!(fs::read(dir.path().join("precious")).unwrap(), b"precious");
        fs::remove_file(dir.path().join("lock")).unwrap();
        assert!(take().is_ok());
    }

    #[test]
    fn the_second_waits_and_says_for_whom() {
        let dir = tempfile::tempdir().unwrap();
        let folder = || Folder::open(dir.path()).unwrap();
        let path = Path::new("lock");
        let first = Lock::take(&folder(), path, "apu repo publish", &|_| {
            panic!("nobody holds it")
        })
        .unwrap();
        let (told, tell) = mpsc::channel();
        let (done, end) = mpsc::channel();
        let second = thread::spawn({
            let folder = folder();
            move || {
                let told = move |holder: &str| told.send(holder.to_owned()).unwrap();
                let lock = Lock::take(&folder, path, "apu repo add", &told).unwrap();
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
