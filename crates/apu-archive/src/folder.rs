//! A directory that is held open: what lies below it is reached without following a symbolic link, and without waiting.

use std::ffi::{OsStr, OsString};
use std::fs::File;
use std::io::{self, Read};
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::os::unix::ffi::OsStringExt;
use std::path::{Component, Path, PathBuf};

use rustix::fs::{self, AtFlags, CWD, Dir, FileType, Mode, OFlags, ResolveFlags, Stat};
use rustix::io::Errno;

/// A directory that is held open. All paths below are relative to it.
#[derive(Debug)]
pub struct Folder {
    fd: OwnedFd,
    path: PathBuf,
}

/// A folder alone.
const FOLDER: OFlags = OFlags::PATH.union(OFlags::DIRECTORY).union(OFlags::CLOEXEC);

/// Without `NONBLOCK`, opening a named pipe waits until somebody writes to it.
const READ: OFlags = OFlags::RDONLY
    .union(OFlags::NONBLOCK)
    .union(OFlags::NOCTTY)
    .union(OFlags::CLOEXEC);

/// The most that is read into memory of one file, in bytes; the largest index of Debian has a twentieth of it.
const LARGEST: u64 = 1 << 30;

impl Folder {
    /// Opens the directory `path`. Links in this path are the administrator's, and are followed.
    ///
    /// # Errors
    /// Where there is no such directory.
    pub fn open(path: &Path) -> io::Result<Self> {
        let path = if path.as_os_str().is_empty() {
            Path::new(".")
        } else {
            path
        };
        Ok(Self {
            fd: fs::openat(CWD, path, FOLDER, Mode::empty())?,
            path: path.to_owned(),
        })
    }

    /// The path that it was opened by.
    #[must_use]
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Opens whatever is there to be read: also a directory or a pipe.
    ///
    /// # Errors
    /// `ELOOP` where a symbolic link is in the path, `EXDEV` where it leads out.
    pub fn open_any(&self, below: &Path) -> io::Result<File> {
        Ok(open_below(&self.fd, below, READ)?.into())
    }

    /// Opens a regular file to be read.
    ///
    /// # Errors
    /// As [`Folder::open_any`], and where there is something else.
    pub fn open_file(&self, below: &Path) -> io::Result<File> {
        regular(self.open_any(below)?)
    }

    /// All that a regular file holds.
    ///
    /// # Errors
    /// As [`Folder::open_file`], and for one of more than 1 GiB.
    pub fn read(&self, below: &Path) -> io::Result<Vec<u8>> {
        let file = self.open_file(below)?;
        if file.metadata()?.len() > LARGEST {
            return Err(io::Error::new(
                io::ErrorKind::FileTooLarge,
                "it has more than 1 GiB",
            ));
        }
        let mut bytes = Vec::new();
        // It may grow meanwhile.
        file.take(LARGEST).read_to_end(&mut bytes)?;
        Ok(bytes)
    }

    /// The text of a regular file.
    ///
    /// # Errors
    /// As [`Folder::open_file`], and for what is no text.
    pub fn read_text(&self, below: &Path) -> io::Result<String> {
        let text = String::from_utf8(self.read(below)?);
        text.map_err(|error| io::Error::new(io::ErrorKind::InvalidData, error))
    }

    /// A folder below this one; nothing below is this one.
    pub(crate) fn folder(&self, below: &Path) -> io::Result<Self> {
        let fd = if below.as_os_str().is_empty() {
            self.fd.try_clone()?
        } else {
            open_below(&self.fd, below, FOLDER)?
        };
        let path = self.path.join(below);
        Ok(Self { fd, path })
    }

    /// Makes a new file, to be written.
    pub(crate) fn create(&self, below: &Path, mode: u32) -> io::Result<File> {
        let flags = OFlags::WRONLY | OFlags::CREATE | OFlags::EXCL | OFlags::NOFOLLOW | OFlags::CLOEXEC;
        let mode = Mode::from_raw_mode(mode);
        self.at(below, |folder, name| {
            let fd = fs::openat(folder, name, flags, mode)?;
            // Whatever umask there is.
            fs::fchmod(&fd, mode)?;
            Ok(fd.into())
        })
    }

    /// Opens a regular file with these flags, and makes it where they say so.
    pub(crate) fn open_to_write(&self, below: &Path, flags: OFlags, mode: u32) -> io::Result<File> {
        let flags = flags | OFlags::NOFOLLOW | OFlags::NONBLOCK | OFlags::NOCTTY | OFlags::CLOEXEC;
        let fd = self.at(below, |folder, name| {
            fs::openat(folder, name, flags, Mode::from_raw_mode(mode))
        })?;
        regular(fd.into())
    }

    pub(crate) fn rename(&self, from: &Path, to: &Path) -> io::Result<()> {
        self.both(from, to, |from, old, to, new| fs::renameat(from, old, to, new))
    }

    /// Gives a file a second name.
    pub(crate) fn link(&self, from: &Path, to: &Path) -> io::Result<()> {
        self.both(from, to, |from, old, to, new| {
            fs::linkat(from, old, to, new, AtFlags::empty())
        })
    }

    /// Removes a file, or a link itself.
    pub(crate) fn remove(&self, below: &Path) -> io::Result<()> {
        self.at(below, |folder, name| fs::unlinkat(folder, name, AtFlags::empty()))
    }

    /// Makes a folder with exactly this mode, unless there is one; says whether it did.
    pub(crate) fn make(&self, below: &Path, mode: u32) -> io::Result<bool> {
        let mode = Mode::from_raw_mode(mode);
        let made = self.at(below, |folder, name| fs::mkdirat(folder, name, mode));
        match made {
            Err(error) if error.kind() == io::ErrorKind::AlreadyExists => return Ok(false),
            made => made?,
        }
        // Whatever umask there is.
        fs::fchmod(open_below(&self.fd, below, READ | OFlags::DIRECTORY)?, mode)?;
        Ok(true)
    }

    /// Gives a folder this mode.
    pub(crate) fn set_mode(&self, below: &Path, mode: u32) -> io::Result<()> {
        let folder = open_below(&self.fd, below, READ | OFlags::DIRECTORY)?;
        Ok(fs::fchmod(folder, Mode::from_raw_mode(mode))?)
    }

    /// What is there: of a link, the link itself.
    pub(crate) fn look(&self, below: &Path) -> io::Result<About> {
        if below.as_os_str().is_empty() {
            return Ok(About(fs::fstat(&self.fd)?));
        }
        let flags = AtFlags::SYMLINK_NOFOLLOW;
        self.at(below, |folder, name| fs::statat(folder, name, flags).map(About))
    }

    /// The names in it and what they are, without `.` and `..`.
    pub(crate) fn list(&self) -> io::Result<Vec<(OsString, FileType)>> {
        let mut names = Vec::new();
        let fd = fs::openat(&self.fd, ".", READ | OFlags::DIRECTORY, Mode::empty())?;
        for entry in Dir::new(fd)? {
            let entry = entry?;
            let name = entry.file_name().to_bytes();
            if name == b"." || name == b".." {
                continue;
            }
            let name = OsString::from_vec(name.to_vec());
            let mut kind = entry.file_type();
            if kind == FileType::Unknown {
                kind = self.look(Path::new(&name))?.kind();
            }
            names.push((name, kind));
        }
        Ok(names)
    }

    /// Makes renames and links in a folder survive a power cut.
    pub(crate) fn sync(&self, below: &Path) -> io::Result<()> {
        let fd = match below.as_os_str().is_empty() {
            true => fs::openat(&self.fd, ".", READ | OFlags::DIRECTORY, Mode::empty())?,
            false => open_below(&self.fd, below, READ | OFlags::DIRECTORY)?,
        };
        Ok(fs::fsync(fd)?)
    }

    /// Works on a name in the folder that it lies in.
    fn at<T>(
        &self,
        below: &Path,
        work: impl FnOnce(BorrowedFd<'_>, &OsStr) -> rustix::io::Result<T>,
    ) -> io::Result<T> {
        let name = below.file_name().ok_or(Errno::INVAL)?;
        match below.parent() {
            Some(parent) if !parent.as_os_str().is_empty() => {
                Ok(work(open_below(&self.fd, parent, FOLDER)?.as_fd(), name)?)
            }
            _ => Ok(work(self.fd.as_fd(), name)?),
        }
    }

    fn both(
        &self,
        from: &Path,
        to: &Path,
        work: impl FnOnce(BorrowedFd<'_>, &OsStr, BorrowedFd<'_>, &OsStr) -> rustix::io::Result<()>,
    ) -> io::Result<()> {
        let parent = |path: &Path| self.folder(path.parent().unwrap_or(Path::new("")));
        let name = |path: &'_ Path| path.file_name().ok_or(Errno::INVAL).map(OsStr::to_owned);
        let (old_folder, new_folder) = (parent(from)?, parent(to)?);
        let (old, new) = (name(from)?, name(to)?);
        Ok(work(old_folder.fd.as_fd(), &old, new_folder.fd.as_fd(), &new)?)
    }
}

/// Opens a regular file that the administrator named: links are followed, and a pipe is not waited for.
pub(crate) fn open_regular(path: &Path) -> io::Result<File> {
    regular(fs::openat(CWD, path, READ, Mode::empty())?.into())
}

fn regular(file: File) -> io::Result<File> {
    if file.metadata()?.is_file() {
        Ok(file)
    } else {
        Err(io::Error::other("it is not a regular file"))
    }
}

fn open_below(dir: &OwnedFd, below: &Path, flags: OFlags) -> rustix::io::Result<OwnedFd> {
    let resolve = ResolveFlags::BENEATH | ResolveFlags::NO_SYMLINKS;
    match fs::openat2(dir, below, flags, Mode::empty(), resolve) {
        // An old kernel; or systemd, which hides openat2 where RestrictSUIDSGID= is set; or another filter of system calls.
        Err(Errno::NOSYS | Errno::PERM) => open_by_parts(dir, below, flags),
        opened => opened,
    }
}

/// The same, one part of the path after the other, each opened where the one before it led.
fn open_by_parts(dir: &OwnedFd, below: &Path, flags: OFlags) -> rustix::io::Result<OwnedFd> {
    let mut folder: Option<OwnedFd> = None;
    let mut parts = below.components().peekable();
    while let Some(part) = parts.next() {
        let Component::Normal(part) = part else {
            return Err(Errno::XDEV);
        };
        let here = folder.as_ref().unwrap_or(dir);
        if parts.peek().is_none() {
            return not_a_link(fs::openat(here, part, flags | OFlags::NOFOLLOW, Mode::empty())?);
        }
        folder = Some(fs::openat(here, part, FOLDER | OFlags::NOFOLLOW, Mode::empty())?);
    }
    Err(Errno::NOENT)
}

/// With `PATH` and `NOFOLLOW` a link opens as itself, unless it was to be a directory.
fn not_a_link(fd: OwnedFd) -> rustix::io::Result<OwnedFd> {
    if FileType::from_raw_mode(fs::fstat(&fd)?.st_mode) == FileType::Symlink {
        return Err(Errno::LOOP);
    }
    Ok(fd)
}

/// What lies somewhere.
pub(crate) struct About(Stat);

impl About {
    pub(crate) fn of(file: &File) -> io::Result<Self> {
        Ok(Self(fs::fstat(file)?))
    }

    pub(crate) fn kind(&self) -> FileType {
        FileType::from_raw_mode(self.0.st_mode)
    }

    /// Its permissions.
    pub(crate) fn mode(&self) -> u32 {
        self.0.st_mode & 0o7777
    }

    pub(crate) fn owner(&self) -> u32 {
        self.0.st_uid
    }

    /// How many names it has.
    #[allow(clippy::useless_conversion, reason = "its width depends on the architecture")]
    pub(crate) fn names(&self) -> u64 {
        u64::from(self.0.st_nlink)
    }

    pub(crate) fn size(&self) -> u64 {
        u64::try_from(self.0.st_size).unwrap_or_default()
    }

    pub(crate) fn inode(&self) -> u64 {
        self.0.st_ino
    }

    /// When its bytes changed last, in nanoseconds since 1970.
    pub(crate) fn modified_ns(&self) -> i128 {
        i128::from(self.0.st_mtime) * 1_000_000_000 + i128::from(self.0.st_mtime_nsec)
    }
}

#[cfg(test)]
mod tests {
    use std::fs as std_fs;
    use std::os::unix::fs::symlink;
    use std::path::Path;

    use super::{FOLDER, Folder, READ, open_by_parts, open_regular};

    #[test]
    fn without_openat2_no_link_is_followed_either() {
        let outside = tempfile::tempdir().unwrap();
        let archive = outside.path().join("archive");
        std_fs::create_dir_all(archive.join("pool")).unwrap();
        std_fs::write(outside.path().join("secret"), "SECRET").unwrap();
        std_fs::write(archive.join("pool/a"), "a").unwrap();
        symlink(outside.path(), archive.join("up")).unwrap();
        symlink("../secret", archive.join("relative")).unwrap();
        symlink("pool", archive.join("folder")).unwrap();
        let folder = Folder::open(&archive).unwrap();
        let by_parts = |file: &str| open_by_parts(&folder.fd, Path::new(file), READ);
        assert!(by_parts("pool/a").is_ok());
        for file in [
            "up/secret",
            "relative",
            "folder",
            "folder/a",
            "../secret",
            "/etc/passwd",
            "pool/none",
            "",
        ] {
            assert!(by_parts(file).is_err(), "{file}");
        }
        for link in ["up", "folder", "relative"] {
            let opened = open_by_parts(&folder.fd, Path::new(link), FOLDER);
            assert!(opened.is_err(), "{link}");
        }
    }

    #[test]
    fn nothing_is_made_moved_or_removed_behind_a_link() {
        let outside = tempfile::tempdir().unwrap();
        let archive = outside.path().join("archive");
        let there = outside.path().join("there");
        std_fs::create_dir_all(&archive).unwrap();
        std_fs::create_dir_all(&there).unwrap();
        std_fs::write(there.join("file"), "theirs").unwrap();
        std_fs::write(archive.join("mine"), "mine").unwrap();
        symlink(&there, archive.join("link")).unwrap();
        symlink(there.join("file"), archive.join("file")).unwrap();
        let folder = Folder::open(&archive).unwrap();
        let (behind, new, mine) = (Path::new("link/file"), Path::new("link/new"), Path::new("mine"));
        assert!(folder.create(new, 0o644).is_err());
        assert!(folder.make(new, 0o755).is_err());
        assert!(folder.rename(mine, behind).is_err());
        assert!(folder.rename(behind, mine).is_err());
        assert!(folder.link(mine, new).is_err());
        assert!(folder.remove(behind).is_err());
        assert!(folder.folder(Path::new("link")).is_err());
        assert!(folder.sync(Path::new("link")).is_err());
        assert!(folder.read(Path::new("file")).is_err());
        let append = rustix::fs::OFlags::WRONLY | rustix::fs::OFlags::APPEND;
        assert!(folder.open_to_write(Path::new("file"), append, 0).is_err());
        // The link itself goes, or is replaced.
        folder.rename(mine, Path::new("file")).unwrap();
        folder.remove(Path::new("link")).unwrap();
        assert_eq!(std_fs::read(there.join("file")).unwrap(), b"theirs");
        assert_eq!(std_fs::read_dir(&there).unwrap().count(), 1);
        assert_eq!(std_fs::read(archive.join("file")).unwrap(), b"mine");
    }

    #[test]
    fn what_has_no_measure_is_not_read_into_memory() {
        let dir = tempfile::tempdir().unwrap();
        let file = std::fs::File::create(dir.path().join("Release")).unwrap();
        file.set_len(super::LARGEST + 1).unwrap();
        let error = Folder::open(dir.path())
            .unwrap()
            .read(Path::new("Release"))
            .unwrap_err();
        assert_eq!(error.kind(), std::io::ErrorKind::FileTooLarge);
    }

    #[test]
    fn a_pipe_is_not_waited_for() {
        let dir = tempfile::tempdir().unwrap();
        let pipe = dir.path().join("pipe.deb");
        nix::unistd::mkfifo(&pipe, nix::sys::stat::Mode::from_bits_truncate(0o644)).unwrap();
        let folder = Folder::open(dir.path()).unwrap();
        let errors = [
            folder.open_file(Path::new("pipe.deb")).unwrap_err(),
            open_regular(&pipe).unwrap_err(),
        ];
        for error in errors {
            assert_eq!(error.to_string(), "it is not a regular file");
        }
        let flags = rustix::fs::OFlags::WRONLY;
        // A pipe that nobody reads cannot be opened to be written without waiting.
        assert!(folder.open_to_write(Path::new("pipe.deb"), flags, 0).is_err());
    }
}
