//! Files that are whole or not there: after a crash or a power cut a reader sees the old or the new one.

use std::fs::{self, DirBuilder, File, Permissions};
use std::io::{self, ErrorKind, Read};
use std::os::unix::fs::{DirBuilderExt, PermissionsExt};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};

use rustix::fs::FileType;

use crate::folder::{About, Folder};
use crate::trusted::is_trusted;

/// The ending of a file that is not whole yet.
pub(crate) const UNFINISHED: &str = ".unfinished";

/// A file that may be lost in a power cut as yet. A new one lies beside the place where it is to be.
pub(crate) struct Unfinished {
    /// The passing name of a new one, below its folder; the caller renames it.
    pub(crate) path: PathBuf,
    file: File,
}

impl Unfinished {
    /// Writes what `reader` holds beside `path`, which is below `folder`.
    pub(crate) fn beside(folder: &Folder, path: &Path, mut reader: impl Read, mode: u32) -> io::Result<Self> {
        static COUNTER: AtomicU64 = AtomicU64::new(0);
        let name = path
            .file_name()
            .ok_or_else(|| io::Error::other("a path without a file name"))?;
        let count = COUNTER.fetch_add(1, Ordering::Relaxed);
        let unfinished = path.with_file_name(format!(
            ".{}.{}.{count}{UNFINISHED}",
            name.to_string_lossy(),
            std::process::id()
        ));
        match write(folder, &unfinished, &mut reader, mode) {
            Ok(file) => Ok(Self {
                path: unfinished,
                file,
            }),
            Err(error) => {
                // A full disk must not be left fuller than it was.
                let _ = folder.remove(&unfinished);
                Err(error)
            }
        }
    }

    /// One that was written before, which everybody may read and nobody else may change; nothing otherwise.
    pub(crate) fn there(folder: &Folder, path: &Path) -> Option<Self> {
        let file = folder.open_file(path).ok()?;
        let about = About::of(&file).ok()?;
        let is_as_written =
            is_trusted(about.owner()) && about.mode() & 0o022 == 0 && about.mode() & 0o444 == 0o444;
        let path = path.to_owned();
        is_as_written.then_some(Self { path, file })
    }

    /// Whether it has these bytes.
    pub(crate) fn holds(&self, bytes: &[u8]) -> bool {
        let same = || {
            if self.file.metadata()?.len() != bytes.len() as u64 {
                return Ok::<_, io::Error>(false);
            }
            let mut block = vec![0; 64 << 10];
            for bytes in bytes.chunks(block.len()) {
                let block = &mut block[..bytes.len()];
                (&self.file).read_exact(block)?;
                if block != bytes {
                    return Ok(false);
                }
            }
            Ok(true)
        };
        same().unwrap_or(false)
    }

    /// From here on it survives a power cut, under whatever name it has.
    pub(crate) fn sync(&self) -> io::Result<()> {
        self.file.sync_all()
    }

    /// When it was written, in whole seconds since 1970.
    pub(crate) fn written_at(&self) -> io::Result<u64> {
        let seconds = About::of(&self.file)?.modified_ns() / 1_000_000_000;
        Ok(u64::try_from(seconds).unwrap_or_default())
    }

    /// As if it was written then.
    pub(crate) fn set_written_at(&self, seconds: u64) -> io::Result<()> {
        let time = std::time::SystemTime::UNIX_EPOCH + std::time::Duration::from_secs(seconds);
        self.file.set_modified(time)
    }
}

fn write(folder: &Folder, path: &Path, reader: &mut impl Read, mode: u32) -> io::Result<File> {
    let _ = folder.remove(path);
    let mut file = folder.create(path, mode)?;
    io::copy(reader, &mut file)?;
    Ok(file)
}

/// Writes what `reader` holds into a new file beside `path`, synced, and returns its name; the caller renames it.
pub(crate) fn prepare(folder: &Folder, path: &Path, reader: impl Read, mode: u32) -> io::Result<PathBuf> {
    let unfinished = Unfinished::beside(folder, path, reader, mode)?;
    let synced = unfinished.sync();
    synced.inspect_err(|_| {
        let _ = folder.remove(&unfinished.path);
    })?;
    Ok(unfinished.path)
}

/// Puts `bytes` at `path`, whatever was there.
pub fn replace(path: &Path, bytes: &[u8], mode: u32) -> io::Result<()> {
    let (folder, name) = in_folder(path)?;
    replace_in(&folder, name, bytes, mode)
}

/// Puts `bytes` at `path`, which is below `folder`, whatever was there.
pub(crate) fn replace_in(folder: &Folder, path: &Path, bytes: &[u8], mode: u32) -> io::Result<()> {
    let unfinished = prepare(folder, path, bytes, mode)?;
    folder.rename(&unfinished, path).inspect_err(|_| {
        let _ = folder.remove(&unfinished);
    })?;
    folder.sync(path.parent().unwrap_or(Path::new("")))
}

/// Puts `bytes` at `path`, whatever was there, for a reader that takes a file damaged by a power cut for none.
pub(crate) fn replace_unsynced(folder: &Folder, path: &Path, bytes: &[u8]) -> io::Result<()> {
    let name = path.file_name().unwrap_or_default().to_string_lossy();
    let unfinished = path.with_file_name(format!(".{name}{UNFINISHED}"));
    let written = write(folder, &unfinished, &mut &bytes[..], 0o600);
    let written = written.and_then(|_| folder.rename(&unfinished, path));
    written.inspect_err(|_| {
        let _ = folder.remove(&unfinished);
    })
}

/// Puts `bytes` at `path` unless something is there; says whether it did.
pub fn create(path: &Path, bytes: &[u8], mode: u32) -> io::Result<bool> {
    let (folder, name) = in_folder(path)?;
    create_from(&folder, &prepare(&folder, name, bytes, mode)?, name)
}

/// Puts a prepared file at `path` unless something is there; says whether it did.
pub(crate) fn create_from(folder: &Folder, unfinished: &Path, path: &Path) -> io::Result<bool> {
    let linked = folder.link(unfinished, path);
    folder.remove(unfinished)?;
    match linked {
        Ok(()) => folder.sync(path.parent().unwrap_or(Path::new(""))).map(|()| true),
        Err(error) if error.kind() == ErrorKind::AlreadyExists => Ok(false),
        Err(error) => Err(error),
    }
}

/// The folder that `path` lies in, and its name there.
fn in_folder(path: &Path) -> io::Result<(Folder, &Path)> {
    let name = path
        .file_name()
        .ok_or_else(|| io::Error::other("a path without a file name"))?;
    let folder = Folder::open(path.parent().unwrap_or(Path::new("")))?;
    Ok((folder, Path::new(name)))
}

/// Makes the folder `path` below `folder` where it is missing; it has exactly `mode` then.
pub(crate) fn directory_in(folder: &Folder, path: &Path, mode: u32) -> io::Result<()> {
    if folder.make(path, mode)? {
        return folder.sync(path.parent().unwrap_or(Path::new("")));
    }
    let about = folder.look(path)?;
    if about.kind() != FileType::Directory {
        return Err(ErrorKind::NotADirectory.into());
    }
    if about.mode() != mode {
        folder.set_mode(path, mode)?;
    }
    Ok(())
}

/// Makes `path` a directory with exactly `mode`, its parents 0755 where they are missing.
pub fn directory(path: &Path, mode: u32) -> io::Result<()> {
    DirBuilder::new().recursive(true).mode(0o755).create(path)?;
    if fs::metadata(path)?.permissions().mode() & 0o7777 != mode {
        fs::set_permissions(path, Permissions::from_mode(mode))?;
    }
    Ok(())
}

/// Makes renames and links in the directory of `path` survive a power cut.
pub fn sync_directory_of(path: &Path) -> io::Result<()> {
    match path.parent() {
        Some(parent) => Folder::open(parent)?.sync(Path::new("")),
        None => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use std::fs;
    use std::os::unix::fs::PermissionsExt;

    use super::{create, directory, replace};

    #[test]
    fn a_file_that_is_there_is_never_made_again() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("key");
        assert!(create(&path, b"first", 0o600).unwrap());
        assert!(!create(&path, b"second", 0o600).unwrap());
        assert_eq!(fs::read(&path).unwrap(), b"first");
        assert_eq!(fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o600);
        assert_eq!(
            fs::read_dir(dir.path()).unwrap().count(),
            1,
            "nothing unfinished is left"
        );
    }

    #[test]
    fn a_replaced_file_has_the_mode_asked_for() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("Release");
        replace(&path, b"old", 0o600).unwrap();
        replace(&path, b"new", 0o644).unwrap();
        assert_eq!(fs::read(&path).unwrap(), b"new");
        assert_eq!(fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o644);
        assert_eq!(
            fs::read_dir(dir.path()).unwrap().count(),
            1,
            "nothing unfinished is left"
        );
    }

    #[test]
    fn a_directory_gets_its_mode_also_when_it_was_there() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("a/gpg");
        directory(&path, 0o755).unwrap();
        directory(&path, 0o700).unwrap();
        assert_eq!(fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o700);
    }
}
