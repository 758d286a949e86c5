//! An archive is changed only where nobody else can change it, too: what lies in it gets signed, and root writes there.

use std::io;
use std::path::{Path, PathBuf};

use rustix::fs::FileType;
use rustix::io::Errno;

use super::ArchiveError;
use super::layout::{Layout, release_dir};
use crate::atomic_file;
use crate::folder::Folder;
use crate::trusted::{self, Unsafe, Untrusted};

/// Opens the directory of an archive to change it, and makes it where it is missing.
///
/// It, the directories above it, and those inside that are worked in belong to root or to us, and nobody else may write into
/// them. Nothing has changed where that is not so.
pub(super) fn open(dir: &Path, layout: &Layout) -> Result<Folder, ArchiveError> {
    let resolve = || {
        trusted::resolve(dir).map_err(|why| match why {
            Unsafe::Untrusted(why) => why.into(),
            Unsafe::Io(path, error) => ArchiveError::io("look at", &path)(error),
        })
    };
    let mut real = resolve()?;
    if !real.is_dir() {
        atomic_file::directory(&real, 0o755).map_err(ArchiveError::io("make", dir))?;
        // In a directory as /tmp another user may have made one of them first.
        real = resolve()?;
    }
    let root = Folder::open(&real).map_err(ArchiveError::io("open", dir))?;
    let inside = Inside { dir, root: &root };
    inside.chain(&layout.own_dir())?;
    match layout {
        Layout::Flat => {
            inside.chain(Path::new("by-hash/SHA256"))?;
            inside.tree(Path::new(""))?;
        }
        Layout::Suite(_) => {
            for folder in [release_dir(layout.suite()), layout.pool()] {
                if inside.chain(&folder)? {
                    inside.tree(&folder)?;
                }
            }
        }
    }
    Ok(root)
}

/// What went wrong with a path below an archive's directory: that a link is in the way is said as such.
pub(super) fn failed<'a>(
    root: &'a Folder,
    dir: &'a Path,
    doing: &'static str,
    below: &'a Path,
) -> impl FnOnce(io::Error) -> ArchiveError + 'a {
    move |error| {
        let in_the_way = [Errno::LOOP, Errno::NOTDIR].map(Errno::raw_os_error);
        if error.raw_os_error().is_some_and(|raw| in_the_way.contains(&raw))
            || error.kind() == io::ErrorKind::NotADirectory
        {
            let mut parts = PathBuf::new();
            for part in below {
                parts.push(part);
                if root
                    .look(&parts)
                    .is_ok_and(|about| about.kind() == FileType::Symlink)
                {
                    return Untrusted::link(&dir.join(parts)).into();
                }
            }
        }
        ArchiveError::io(doing, &dir.join(below))(error)
    }
}

struct Inside<'a> {
    dir: &'a Path,
    root: &'a Folder,
}

impl Inside<'_> {
    /// Each folder of the path `below`; says whether all of them are there.
    fn chain(&self, below: &Path) -> Result<bool, ArchiveError> {
        let mut folder = PathBuf::new();
        for part in below {
            folder.push(part);
            let about = match self.root.look(&folder) {
                Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(false),
                about => about.map_err(failed(self.root, self.dir, "look at", &folder))?,
            };
            let shown = self.dir.join(&folder);
            match about.kind() {
                FileType::Directory => trusted::directory(&shown, &about)?,
                FileType::Symlink => return Err(Untrusted::link(&shown).into()),
                _ => return Err(Untrusted::not(&shown, "is not a directory").into()),
            }
        }
        Ok(true)
    }

    /// Each folder below `below`, but for hidden ones.
    fn tree(&self, below: &Path) -> Result<(), ArchiveError> {
        let mut left = vec![below.to_owned()];
        while let Some(below) = left.pop() {
            let failed = || failed(self.root, self.dir, "list", &below);
            let folder = self.root.folder(&below).map_err(failed())?;
            for (name, kind) in folder.list().map_err(failed())? {
                let path = below.join(&name);
                let is_ours = name == "by-hash" || below.ends_with("by-hash");
                if kind == FileType::Symlink && is_ours {
                    return Err(Untrusted::link(&self.dir.join(path)).into());
                }
                if kind != FileType::Directory || name.as_encoded_bytes().starts_with(b".") {
                    continue;
                }
                let about = folder.look(Path::new(&name)).map_err(failed())?;
                trusted::directory(&self.dir.join(&path), &about)?;
                left.push(path);
            }
        }
        Ok(())
    }
}
