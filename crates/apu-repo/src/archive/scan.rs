//! Which .debs lie below a directory.

use std::fmt;
use std::fs;
use std::io;
use std::os::unix::fs::MetadataExt;
use std::path::Path;

use super::ArchiveError;
use crate::parallel;
use crate::settings::Word;

/// What tells an unchanged file from a changed one without reading it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Stamp {
    pub(super) size: u64,
    mtime_ns: i128,
    inode: u64,
}

impl Stamp {
    /// Of the file at `path`; nothing if it is none.
    pub(super) fn of(path: &Path) -> io::Result<Option<Self>> {
        let metadata = fs::metadata(path)?;
        let stamp = || Self {
            size: metadata.len(),
            mtime_ns: i128::from(metadata.mtime()) * 1_000_000_000 + i128::from(metadata.mtime_nsec()),
            inode: metadata.ino(),
        };
        Ok(metadata.is_file().then(stamp))
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

/// Every .deb below the folder `below` of `dir`, sorted by its path from `dir`. Hidden names and `by-hash` are not
/// looked at; linked files are followed, linked directories are not.
pub(super) fn scan(dir: &Path, below: &Path) -> Result<Vec<(String, Stamp)>, ArchiveError> {
    let mut named = Vec::new();
    let mut left = vec![below.to_owned()];
    while let Some(below) = left.pop() {
        let here = dir.join(&below);
        let entries = fs::read_dir(&here).map_err(ArchiveError::io("list", &here))?;
        for entry in entries {
            let entry = entry.map_err(ArchiveError::io("list", &here))?;
            let name = entry.file_name();
            if name.as_encoded_bytes().starts_with(b".") || name == "by-hash" {
                continue;
            }
            let kind = entry.file_type();
            let kind = kind.map_err(|error| ArchiveError::io("look at", &entry.path())(error))?;
            if kind.is_dir() {
                left.push(below.join(&name));
            } else if name.as_encoded_bytes().ends_with(b".deb") {
                named.push(below.join(&name));
            }
        }
    }
    let stamps = parallel::map(&named, |path| {
        let path = dir.join(path);
        Stamp::of(&path).map_err(ArchiveError::io("look at", &path))
    });
    let mut found = Vec::with_capacity(named.len());
    for (path, stamp) in named.into_iter().zip(stamps) {
        if let Some(stamp) = stamp? {
            let path = servable(&path).map_err(ArchiveError::io("publish", &dir.join(&path)))?;
            found.push((path, stamp));
        }
    }
    found.sort_unstable_by(|(a, _), (b, _)| a.cmp(b));
    Ok(found)
}

/// The components that a suite's pool has folders for.
pub(super) fn components(pool: &Path) -> Result<Vec<String>, ArchiveError> {
    let mut found = Vec::new();
    for entry in fs::read_dir(pool).map_err(ArchiveError::io("list", pool))? {
        let entry = entry.map_err(ArchiveError::io("list", pool))?;
        let name = entry.file_name().to_string_lossy().into_owned();
        if name.starts_with('.') || !entry.file_type().is_ok_and(|kind| kind.is_dir()) {
            continue;
        }
        match Word::try_from(name) {
            Ok(name) => found.push(name.to_string()),
            Err(reason) => {
                return Err(ArchiveError::io("publish", &entry.path())(io::Error::other(
                    reason,
                )));
            }
        }
    }
    Ok(found)
}

/// Clients and web servers disagree about escapes in a path, so that only names without any are published.
fn servable(path: &Path) -> io::Result<String> {
    let plain = |byte: &u8| byte.is_ascii_alphanumeric() || b"._+-~:/@,=%".contains(byte);
    match path.to_str() {
        Some(text) if text.bytes().all(|byte| plain(&byte)) => Ok(text.to_owned()),
        _ => Err(io::Error::other(
            "its name has letters other than A-Z a-z 0-9 . _ + - ~ : @ , = %",
        )),
    }
}
