//! Which .debs lie below a directory.

use std::fmt;
use std::fs::Permissions;
use std::io;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};

use nix::unistd::geteuid;
use rustix::fs::FileType;

use super::{Archive, ArchiveError};
use crate::deb::DebError;
use crate::folder::{About, Folder};
use crate::parallel;
use crate::shell::quote;
use crate::trusted::{is_trusted, user};
use crate::words::Word;

/// What tells an unchanged file from a changed one without reading it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Stamp {
    pub(super) size: u64,
    mtime_ns: i128,
    inode: u64,
}

impl Stamp {
    /// Of a file; nothing if it is none.
    pub(super) fn of(about: &About) -> Option<Self> {
        let stamp = || Self {
            size: about.size(),
            mtime_ns: about.modified_ns(),
            inode: about.inode(),
        };
        (about.kind() == FileType::RegularFile).then(stamp)
    }

    /// Of the file at `path` below `folder`.
    pub(super) fn at(folder: &Folder, path: &Path) -> io::Result<Option<Self>> {
        Ok(Self::of(&folder.look(path)?))
    }

    /// Reads back what `Display` wrote.
    pub(super) fn read<'a>(words: &mut impl Iterator<Item = &'a str>) -> Option<Self> {
        Some(Self {
            size: words.next()?.parse().ok()?,
            mtime_ns: words.next()?.parse().ok()?,
            inode: words.next()?.parse().ok()?,
        })
    }
}

impl fmt::Display for Stamp {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {} {}", self.size, self.mtime_ns, self.inode)
    }
}

pub(super) type RefusedDeb = (PathBuf, DebError);

/// What was found in an archive's folders, sorted by the paths from the archive's directory.
pub(super) struct Found {
    pub(super) debs: Vec<(String, Stamp)>,
    /// Those of them that a web server cannot read, or that others may write, and that are ours to mend.
    pub(super) to_mend: Vec<String>,
    pub(super) refused: Vec<RefusedDeb>,
}

impl Archive {
    /// Every .deb below the folder `below`. Hidden names and `by-hash` are not looked at, and no link is followed.
    pub(super) fn scan(&self, below: &Path) -> Result<Found, ArchiveError> {
        let mut named = Vec::new();
        let mut left = vec![below.to_owned()];
        while let Some(below) = left.pop() {
            let folder = self.root.folder(&below).map_err(self.failed("list", &below))?;
            let mut here = Vec::new();
            for (name, kind) in folder.list().map_err(self.failed("list", &below))? {
                if name.as_encoded_bytes().starts_with(b".") || name == "by-hash" {
                    continue;
                }
                if kind == FileType::Directory {
                    left.push(below.join(&name));
                } else if name.as_encoded_bytes().ends_with(b".deb") {
                    here.push(name);
                }
            }
            let looked = parallel::map(&here, |name| folder.look(Path::new(name)));
            for (name, about) in here.into_iter().zip(looked) {
                let path = below.join(name);
                let about = about.map_err(self.failed("look at", &path))?;
                named.push((path, about));
            }
        }
        let (mut debs, mut to_mend) = (Vec::with_capacity(named.len()), Vec::new());
        let mut refused: Vec<RefusedDeb> = Vec::new();
        for (path, about) in named {
            let found = stamped(&path, &about).and_then(|found| {
                if has_wrong_mode(&about) {
                    may_be_mended(&self.dir.join(&path), &about)?;
                    to_mend.push(found.0.clone());
                }
                Ok(found)
            });
            match found {
                Ok(found) => debs.push(found),
                Err(why) => refused.push((path, DebError::NotJudged(why))),
            }
        }
        debs.sort_unstable_by(|(a, _), (b, _)| a.cmp(b));
        refused.sort_unstable_by(|(a, _), (b, _)| a.cmp(b));
        Ok(Found {
            debs,
            to_mend,
            refused,
        })
    }

    /// Lets everybody read a .deb, and nobody else write it.
    pub(super) fn mend(&self, path: &str) -> Result<(), String> {
        let mend = || {
            let file = self.root.open_file(Path::new(path))?;
            let about = About::of(&file)?;
            let shown = self.dir.join(path);
            may_be_mended(&shown, &about).map_err(io::Error::other)?;
            file.set_permissions(Permissions::from_mode(0o644))
        };
        mend().map_err(|error| format!("it cannot be made readable for a web server: {error}"))
    }

    /// The components that a suite's pool has folders for.
    pub(super) fn components(&self, pool: &Path) -> Result<Vec<String>, ArchiveError> {
        let folder = self.root.folder(pool).map_err(self.failed("list", pool))?;
        let mut found = Vec::new();
        for (name, kind) in folder.list().map_err(self.failed("list", pool))? {
            let name = name.to_string_lossy().into_owned();
            if name.starts_with('.') || kind != FileType::Directory {
                continue;
            }
            let path: PathBuf = pool.join(&name);
            match Word::try_from(name) {
                Ok(name) => found.push(name.to_string()),
                Err(reason) => return Err(self.failed("publish", &path)(io::Error::other(reason))),
            }
        }
        Ok(found)
    }
}

/// A .deb by its path and its stamp, or why it is none.
fn stamped(path: &Path, about: &About) -> Result<(String, Stamp), String> {
    let Some(stamp) = Stamp::of(about) else {
        let why = if about.kind() == FileType::Symlink {
            "it is a symbolic link, which is not followed here: copy the file, or give it a second name by ln"
        } else {
            "it is not a regular file"
        };
        return Err(why.to_owned());
    };
    if !is_trusted(about.owner()) {
        return Err(format!(
            "it belongs to {}, who could change what was signed",
            user(about.owner())
        ));
    }
    let path = servable(path)?;
    Ok((path, stamp))
}

/// Whether a web server, which is another user, cannot read it; or others can change what was signed.
fn has_wrong_mode(about: &About) -> bool {
    about.mode() & 0o004 == 0 || about.mode() & 0o022 != 0
}

/// Only a file of our own that has no other name is given another mode: who gave it that name may have meant it for few.
fn may_be_mended(path: &Path, about: &About) -> Result<(), String> {
    let mode = about.mode();
    let why = if about.owner() != geteuid().as_raw() {
        format!("it belongs to {}", user(about.owner()))
    } else if about.names() != 1 {
        "it has another name too".to_owned()
    } else {
        return Ok(());
    };
    let path = quote(&path.display().to_string());
    Err(format!(
        "its mode is {mode:04o}, and {why}: chmod 0644 {path}, if everybody may read it"
    ))
}

/// Clients and web servers disagree about escapes in a path, so that only names without any are published.
fn servable(path: &Path) -> Result<String, &'static str> {
    let plain = |byte: &u8| byte.is_ascii_alphanumeric() || b"._+-~:/@,=%".contains(byte);
    match path.to_str() {
        Some(text) if text.bytes().all(|byte| plain(&byte)) => Ok(text.to_owned()),
        _ => Err("its name has letters other than A-Z a-z 0-9 . _ + - ~ : @ , = %"),
    }
}
