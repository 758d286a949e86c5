//! Which .debs lie below a directory.

use std::fs;
use std::io;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

use super::ArchiveError;

/// What tells an unchanged file from a changed one without reading it.
#[derive(Debug, Clone, PartialEq, Eq, Hash, serde::Serialize, serde::Deserialize)]
pub(super) struct Stamp {
    /// Relative to the archive.
    pub(super) path: String,
    pub(super) size: u64,
    pub(super) mtime_ns: i128,
    pub(super) inode: u64,
}

/// Every .deb below `dir`, sorted by path. Hidden names and `by-hash` are not looked at; linked files are
/// followed, linked directories are not.
pub(super) fn scan(dir: &Path) -> Result<Vec<Stamp>, ArchiveError> {
    let mut found = Vec::new();
    let mut left = vec![PathBuf::new()];
    while let Some(below) = left.pop() {
        let here = dir.join(&below);
        let entries = fs::read_dir(&here).map_err(ArchiveError::io("list", &here))?;
        for entry in entries {
            let entry = entry.map_err(ArchiveError::io("list", &here))?;
            let name = entry.file_name();
            if name.as_encoded_bytes().starts_with(b".") || name == "by-hash" {
                continue;
            }
            let path = below.join(&name);
            let kind = entry
                .file_type()
                .map_err(ArchiveError::io("look at", &entry.path()))?;
            if kind.is_dir() {
                left.push(path);
            } else if name.as_encoded_bytes().ends_with(b".deb") {
                let metadata =
                    fs::metadata(entry.path()).map_err(ArchiveError::io("look at", &entry.path()))?;
                if metadata.is_file() {
                    found.push(Stamp {
                        path: servable(&path).map_err(ArchiveError::io("publish", &entry.path()))?,
                        size: metadata.len(),
                        mtime_ns: i128::from(metadata.mtime()) * 1_000_000_000
                            + i128::from(metadata.mtime_nsec()),
                        inode: metadata.ino(),
                    });
                }
            }
        }
    }
    found.sort_by(|a, b| a.path.cmp(&b.path));
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
