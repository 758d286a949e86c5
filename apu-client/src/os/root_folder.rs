//! Holds a folder open that only root may change; its files are reached through the descriptor, and no link is followed.

use std::fs::{File, Permissions};
use std::io::{self, Read, Write};
use std::os::unix::fs::{MetadataExt, PermissionsExt, fchown};
use std::path::{Path, PathBuf};

use apu_proto::ConffileFault;
use nix::errno::Errno;
use nix::fcntl::{AtFlags, OFlag, openat, renameat};
use nix::libc;
use nix::sys::stat::{FileStat, Mode, fstatat};
use nix::unistd::{UnlinkatFlags, geteuid, unlinkat};

/// The most bytes of a file that are read.
pub(crate) const LONGEST: u64 = 4 << 20;

/// A folder that only root may change, and all folders above it.
#[derive(Debug)]
pub(crate) struct RootFolder {
    folder: File,
    /// For people.
    path: PathBuf,
    /// Whether everybody may reach what is in it.
    is_public: bool,
}

/// A regular file with one name.
#[derive(Debug)]
pub(crate) struct Contents {
    pub(crate) bytes: Vec<u8>,
    pub(crate) owner: Owner,
    file: File,
}

/// Whose a file is, and what may be done with it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Owner {
    pub(crate) uid: u32,
    pub(crate) gid: u32,
    pub(crate) mode: u32,
}

/// Why a folder or a file is not used.
#[derive(Debug)]
pub(crate) enum FolderError {
    /// The system refused it.
    System(io::Error),
    /// It could be changed by others, or leads elsewhere.
    NotSafe { path: PathBuf, why: ConffileFault },
}

impl From<io::Error> for FolderError {
    fn from(error: io::Error) -> Self {
        Self::System(error)
    }
}

impl From<Errno> for FolderError {
    fn from(error: Errno) -> Self {
        Self::System(error.into())
    }
}

const FOLDER: OFlag = OFlag::O_DIRECTORY
    .union(OFlag::O_NOFOLLOW)
    .union(OFlag::O_CLOEXEC);

/// Without `O_NONBLOCK` opening a named pipe waits until somebody writes to it.
const READ: OFlag = OFlag::O_NOFOLLOW
    .union(OFlag::O_NONBLOCK)
    .union(OFlag::O_NOCTTY)
    .union(OFlag::O_CLOEXEC);

impl RootFolder {
    /// Opens the folder of an absolute path on the machine whose `/` is `root`; none where it is not there.
    pub(crate) fn open(root: &Path, path: &str) -> Result<Option<Self>, FolderError> {
        let mut here = Self {
            folder: File::open(root)?,
            path: PathBuf::from("/"),
            is_public: true,
        };
        for name in path.split('/').filter(|name| !name.is_empty()) {
            let path = here.path.join(name);
            let not_safe = |why| FolderError::NotSafe {
                path: path.clone(),
                why,
            };
            let Some(found) = here.look(name)? else {
                return Ok(None);
            };
            match found.st_mode & libc::S_IFMT {
                libc::S_IFDIR => {}
                libc::S_IFLNK => return Err(not_safe(ConffileFault::Link)),
                _ => return Err(not_safe(ConffileFault::NotAFile)),
            }
            let folder = File::from(openat(&here.folder, name, FOLDER, Mode::empty())?);
            let metadata = folder.metadata()?;
            if !is_roots(metadata.uid()) || metadata.mode() & 0o022 != 0 {
                return Err(not_safe(ConffileFault::OfOthers));
            }
            let is_public = here.is_public && metadata.mode() & 0o001 != 0;
            here = Self {
                folder,
                path,
                is_public,
            };
        }
        Ok(Some(here))
    }

    /// Whether everybody may reach a file in it whose name they know.
    pub(crate) const fn is_public(&self) -> bool {
        self.is_public
    }

    /// Reads a regular file that has no other name; none where there is nothing.
    pub(crate) fn read(&self, name: &str) -> Result<Option<Contents>, FolderError> {
        let not_safe = |why| FolderError::NotSafe {
            path: self.path.join(name),
            why,
        };
        let Some(found) = self.look(name)? else {
            return Ok(None);
        };
        match found.st_mode & libc::S_IFMT {
            libc::S_IFREG => {}
            libc::S_IFLNK => return Err(not_safe(ConffileFault::Link)),
            _ => return Err(not_safe(ConffileFault::NotAFile)),
        }
        let file = File::from(openat(&self.folder, name, READ, Mode::empty())?);
        let metadata = file.metadata()?;
        if !metadata.is_file() {
            return Err(not_safe(ConffileFault::NotAFile));
        }
        if metadata.nlink() != 1 {
            return Err(not_safe(ConffileFault::OtherNames));
        }
        let mut bytes = Vec::new();
        (&file).take(LONGEST + 1).read_to_end(&mut bytes)?;
        if u64::try_from(bytes.len()).is_ok_and(|length| length > LONGEST) {
            return Err(not_safe(ConffileFault::TooLong));
        }
        let owner = Owner {
            uid: metadata.uid(),
            gid: metadata.gid(),
            mode: metadata.mode() & 0o7777,
        };
        Ok(Some(Contents { bytes, owner, file }))
    }

    /// Refuses a file that may be another's work: it has to be root's, or the same user's as the file whose place it takes.
    pub(crate) fn check_origin(&self, name: &str, file: &Contents, of: &Contents) -> Result<(), FolderError> {
        let uid = file.owner.uid;
        if is_roots(uid) || uid == of.owner.uid {
            return Ok(());
        }
        Err(FolderError::NotSafe {
            path: self.path.join(name),
            why: ConffileFault::OfOthers,
        })
    }

    /// Puts a file that was read in the place of another one, whose owner and mode it gets.
    pub(crate) fn put_in_place(
        &self,
        (name, file): (&str, &Contents),
        (place, owner): (&str, Owner),
    ) -> io::Result<()> {
        give(&file.file, owner)?;
        file.file.sync_all()?;
        renameat(&self.folder, name, &self.folder, place)?;
        self.folder.sync_all()
    }

    /// Writes a file with this owner and mode, in the place of what has that name.
    pub(crate) fn replace(&self, name: &str, bytes: &[u8], owner: Owner) -> io::Result<()> {
        // Programs that read all files of a folder pass over such a name.
        let draft = format!(".{name}.apu-new");
        // A process that was killed may have left one.
        self.remove_if_there(&draft)?;
        let flags = OFlag::O_WRONLY | OFlag::O_CREAT | OFlag::O_EXCL | READ;
        let mode = Mode::S_IRUSR | Mode::S_IWUSR;
        let mut file = File::from(openat(&self.folder, draft.as_str(), flags, mode)?);
        let written = file
            .write_all(bytes)
            .and_then(|()| give(&file, owner))
            .and_then(|()| file.sync_all())
            .and_then(|()| Ok(renameat(&self.folder, draft.as_str(), &self.folder, name)?));
        if written.is_err() {
            let _ = self.remove_if_there(&draft);
        }
        written?;
        self.folder.sync_all()
    }

    /// Removes a file.
    pub(crate) fn remove(&self, name: &str) -> io::Result<()> {
        unlinkat(&self.folder, name, UnlinkatFlags::NoRemoveDir)?;
        self.folder.sync_all()
    }

    fn remove_if_there(&self, name: &str) -> io::Result<()> {
        match unlinkat(&self.folder, name, UnlinkatFlags::NoRemoveDir) {
            Ok(()) | Err(Errno::ENOENT) => Ok(()),
            Err(error) => Err(error.into()),
        }
    }

    /// What has this name: of a link, the link itself.
    fn look(&self, name: &str) -> io::Result<Option<FileStat>> {
        match fstatat(&self.folder, name, AtFlags::AT_SYMLINK_NOFOLLOW) {
            Ok(found) => Ok(Some(found)),
            Err(Errno::ENOENT) => Ok(None),
            Err(error) => Err(error.into()),
        }
    }
}

/// The owner first: a change of it takes bits of the mode away.
fn give(file: &File, owner: Owner) -> io::Result<()> {
    fchown(file, Some(owner.uid), Some(owner.gid))?;
    file.set_permissions(Permissions::from_mode(owner.mode))
}

/// Whether a user is root, or who this process is where a test is not root.
fn is_roots(uid: u32) -> bool {
    uid == 0 || uid == geteuid().as_raw()
}

#[cfg(test)]
mod tests {
    use std::fs;
    use std::os::unix::fs::symlink;

    use super::*;

    fn mode(path: &Path, mode: u32) {
        fs::set_permissions(path, Permissions::from_mode(mode)).unwrap();
    }

    /// A root with `/etc/app/app.conf`.
    fn machine() -> tempfile::TempDir {
        let root = tempfile::tempdir().unwrap();
        let app = root.path().join("etc/app");
        fs::create_dir_all(&app).unwrap();
        for folder in [root.path().join("etc"), app.clone()] {
            mode(&folder, 0o755);
        }
        fs::write(app.join("app.conf"), "mine\n").unwrap();
        root
    }

    fn why<T: std::fmt::Debug>(result: Result<T, FolderError>) -> (String, ConffileFault) {
        match result {
            Err(FolderError::NotSafe { path, why }) => (path.display().to_string(), why),
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn a_folder_that_is_not_roots_alone_to_change_is_refused_wherever_it_is_on_the_way() {
        let root = machine();
        for (folder, named) in [("etc/app", "/etc/app"), ("etc", "/etc")] {
            for bits in [0o775, 0o757] {
                mode(&root.path().join(folder), bits);
                let refused = why(RootFolder::open(root.path(), "/etc/app"));
                assert_eq!(refused, (named.to_owned(), ConffileFault::OfOthers), "{bits:o}");
            }
            mode(&root.path().join(folder), 0o755);
        }
        assert!(RootFolder::open(root.path(), "/etc/app").unwrap().is_some());
        assert!(RootFolder::open(root.path(), "/etc/none/x").unwrap().is_none());
    }

    #[test]
    fn no_link_is_followed_and_what_has_other_names_or_is_no_file_is_not_read() {
        let root = machine();
        let app = root.path().join("etc/app");
        symlink(&app, root.path().join("etc/link")).unwrap();
        let refused = why(RootFolder::open(root.path(), "/etc/link"));
        assert_eq!(refused, ("/etc/link".to_owned(), ConffileFault::Link));
        let refused = why(RootFolder::open(root.path(), "/etc/app/app.conf"));
        assert_eq!(refused.1, ConffileFault::NotAFile);
        symlink("/etc/shadow", app.join("shadow.conf")).unwrap();
        fs::hard_link(app.join("app.conf"), app.join("twin.conf")).unwrap();
        nix::unistd::mkfifo(&app.join("pipe.conf"), Mode::S_IRUSR).unwrap();
        fs::write(
            app.join("long.conf"),
            vec![b'x'; usize::try_from(LONGEST).unwrap() + 1],
        )
        .unwrap();
        let folder = RootFolder::open(root.path(), "/etc/app").unwrap().unwrap();
        for (name, fault) in [
            ("shadow.conf", ConffileFault::Link),
            ("app.conf", ConffileFault::OtherNames),
            ("pipe.conf", ConffileFault::NotAFile),
            ("long.conf", ConffileFault::TooLong),
        ] {
            assert_eq!(why(folder.read(name)).1, fault, "{name}");
        }
        assert!(folder.read("none.conf").unwrap().is_none());
    }

    #[test]
    fn a_file_in_the_place_of_another_has_its_owner_and_mode() {
        let root = machine();
        let app = root.path().join("etc/app");
        mode(&app.join("app.conf"), 0o640);
        fs::write(app.join("app.conf.dpkg-dist"), "theirs\n").unwrap();
        mode(&app.join("app.conf.dpkg-dist"), 0o604);
        let folder = RootFolder::open(root.path(), "/etc/app").unwrap().unwrap();
        let place = folder.read("app.conf").unwrap().unwrap();
        let other = folder.read("app.conf.dpkg-dist").unwrap().unwrap();
        folder
            .put_in_place(("app.conf.dpkg-dist", &other), ("app.conf", place.owner))
            .unwrap();
        let names = || fs::read_dir(&app).unwrap().count();
        let look = || {
            let metadata = fs::metadata(app.join("app.conf")).unwrap();
            (
                fs::read_to_string(app.join("app.conf")).unwrap(),
                metadata.mode() & 0o7777,
            )
        };
        assert_eq!((look(), names()), (("theirs\n".to_owned(), 0o640), 1));
        fs::write(app.join(".app.conf.apu-new"), "of one that was killed").unwrap();
        folder.replace("app.conf", &place.bytes, place.owner).unwrap();
        assert_eq!((look(), names()), (("mine\n".to_owned(), 0o640), 1));
    }
}
