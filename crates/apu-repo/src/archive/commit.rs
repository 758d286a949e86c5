//! One moment in which clients see the new archive instead of the old one: the rename of InRelease.

use std::collections::BTreeSet;
use std::fs::{self, File};
use std::io;
use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime};

use super::release::IndexFile;
use super::write::Ready;
use super::{Archive, ArchiveError};
use crate::durable;
use crate::openpgp::{sign_detached, sign_inline};

impl Archive {
    /// The switch: everything is written and synced under other names first; InRelease is renamed last.
    pub(super) fn commit(&self, ready: &[Ready], release: &[u8]) -> Result<(), ArchiveError> {
        let prepared = self
            .prepare_indexes(ready)
            .and_then(|indexes| Ok((indexes, self.prepare_release(release)?)));
        let (indexes, signed) = prepared.inspect_err(|_| self.clear_unfinished())?;
        let mut folders: BTreeSet<PathBuf> = indexes
            .iter()
            .filter_map(|(_, path)| path.parent().map(Path::to_owned))
            .collect();
        let last = self.release_dir();
        folders.remove(&last);
        rename_all(indexes)?;
        for folder in &folders {
            durable::sync_directory(folder).map_err(ArchiveError::io("sync", folder))?;
        }
        rename_all(signed)?;
        durable::sync_directory(&last).map_err(ArchiveError::io("sync", &last))
    }

    fn prepare_indexes(&self, ready: &[Ready]) -> Result<Vec<Prepared>, ArchiveError> {
        let folder = self.release_dir();
        let mut prepared = Vec::new();
        for Ready { file, .. } in ready.iter().filter(|ready| ready.bytes.is_some()) {
            let path = folder.join(&file.name);
            let name = path.file_name().unwrap_or_default().to_string_lossy();
            let unfinished = path.with_file_name(format!(".{name}{}", durable::UNFINISHED));
            let hashed = folder.join(file.by_hash());
            fs::hard_link(&hashed, &unfinished).map_err(ArchiveError::io("write", &path))?;
            prepared.push((unfinished, path));
        }
        Ok(prepared)
    }

    fn prepare_release(&self, release: &[u8]) -> Result<Vec<Prepared>, ArchiveError> {
        let folder = self.release_dir();
        let mut prepared = Vec::new();
        let keys: Vec<_> = self.keys.iter().collect();
        let detached = sign_detached(&keys, release)?;
        let inline = sign_inline(&keys, release)?;
        for (name, bytes) in [
            ("Release", release),
            ("Release.gpg", &detached),
            ("InRelease", &inline),
        ] {
            let path = folder.join(name);
            let write = || {
                let unfinished = durable::prepare(&path, bytes, 0o644)?;
                set_later_mtime(&unfinished, &path)?;
                Ok(unfinished)
            };
            prepared.push((write().map_err(ArchiveError::io("write", &path))?, path));
        }
        Ok(prepared)
    }

    /// Removes what Release does not name any more; by their hashes, clients still find it for a while.
    pub(super) fn forget(&self, last: &[IndexFile], files: &[IndexFile]) {
        for gone in last
            .iter()
            .filter(|last| files.iter().all(|file| file.name != last.name))
        {
            let _ = fs::remove_file(self.release_dir().join(&gone.name));
        }
    }
}

/// A file under its passing name, and under its own.
type Prepared = (PathBuf, PathBuf);

fn rename_all(prepared: Vec<Prepared>) -> Result<(), ArchiveError> {
    for (unfinished, path) in prepared {
        fs::rename(&unfinished, &path).map_err(ArchiveError::io("write", &path))?;
        // rename(2) leaves both names when they are links to one file.
        let _ = fs::remove_file(&unfinished);
    }
    Ok(())
}

/// HTTP's Last-Modified counts whole seconds: two versions within one second would look like the same to a
/// client that asks If-Modified-Since.
fn set_later_mtime(new: &Path, old: &Path) -> io::Result<()> {
    let whole = |path: &Path| {
        let modified = fs::metadata(path)?.modified()?;
        Ok::<_, io::Error>(
            modified
                .duration_since(SystemTime::UNIX_EPOCH)
                .unwrap_or_default()
                .as_secs(),
        )
    };
    let Ok(old) = whole(old) else { return Ok(()) };
    if whole(new)? <= old {
        let later = SystemTime::UNIX_EPOCH + Duration::from_secs(old + 1);
        File::options().write(true).open(new)?.set_modified(later)?;
    }
    Ok(())
}
