//! One moment in which clients see the new archive instead of the old one: the rename of InRelease.

use std::collections::BTreeSet;
use std::io;
use std::path::{Path, PathBuf};

use super::generations::Generations;
use super::release::IndexFile;
use super::write::Ready;
use super::{Archive, ArchiveError};
use crate::atomic_file::{self, Unfinished};
use crate::openpgp::{ArchiveKey, sign_detached, sign_inline};
use crate::parallel;

/// What is published.
pub(super) struct Publication<'a> {
    pub(super) indexes: &'a [Ready],
    pub(super) release: &'a [u8],
    /// With this publication as the newest.
    pub(super) generations: &'a Generations,
}

/// A file under its passing name, and its own.
struct Prepared {
    unfinished: Unfinished,
    path: PathBuf,
}

impl Archive {
    /// The switch: everything is written and synced under other names first; InRelease is renamed last.
    pub(super) fn commit(
        &self,
        publication: &Publication<'_>,
        keys: &[ArchiveKey],
    ) -> Result<(), ArchiveError> {
        self.try_commit(publication, keys)
            .inspect_err(|_| self.clear_unfinished())
    }

    fn try_commit(&self, publication: &Publication<'_>, keys: &[ArchiveKey]) -> Result<(), ArchiveError> {
        let indexes = publication.indexes;
        let folders = self.folders_by_hash(indexes);
        let unsynced = indexes.iter().filter_map(|ready| ready.unsynced.as_ref());
        let by_hash: Vec<Wait<'_>> = unsynced.map(Wait::File).chain(of_folders(&folders)).collect();
        let (signed, synced) = parallel::both(
            || self.prepare_release(publication.release, keys),
            || self.wait_for_all(&by_hash),
        );
        let signed = synced.and(signed)?;
        let generations = publication.generations.to_bytes();
        let record = self.prepared_beside(self.own("generations"), &generations, 0o600)?;
        let files = signed.iter().chain([&record]);
        let files: Vec<Wait<'_>> = files.map(|file| Wait::File(&file.unfinished)).collect();
        self.wait_for_all(&files)?;

        self.rename(&record.unfinished.path, &record.path)?;
        let last = self.release_dir();
        let mut folders = BTreeSet::new();
        for path in self.linked_indexes(indexes)? {
            let unfinished = unfinished_link(&path);
            self.rename(&unfinished, &path)?;
            // rename(2) leaves both names when they are links to one file.
            let _ = self.root.remove(&unfinished);
            folders.extend(path.parent().map(Path::to_owned).filter(|folder| *folder != last));
        }
        self.wait_for_all(&of_folders(&folders).collect::<Vec<_>>())?;
        for file in signed {
            self.rename(&file.unfinished.path, &file.path)?;
        }
        self.wait_for_all(&[Wait::Folder(&last)])
    }

    fn folders_by_hash(&self, indexes: &[Ready]) -> BTreeSet<PathBuf> {
        let stored = indexes.iter().filter(|ready| ready.stored);
        let folder = |ready: &Ready| Some(self.release_dir().join(ready.file.by_hash().parent()?));
        stored.filter_map(folder).collect()
    }

    /// Links to the files by hash, under the indexes' passing names; the indexes' own names.
    fn linked_indexes(&self, indexes: &[Ready]) -> Result<Vec<PathBuf>, ArchiveError> {
        let folder = self.release_dir();
        let mut paths = Vec::new();
        for Ready { file, .. } in indexes.iter().filter(|ready| ready.stored) {
            let path = folder.join(&file.name);
            let hashed = folder.join(file.by_hash());
            self.root
                .link(&hashed, &unfinished_link(&path))
                .map_err(self.failed("write", &path))?;
            paths.push(path);
        }
        Ok(paths)
    }

    fn prepare_release(&self, release: &[u8], keys: &[ArchiveKey]) -> Result<Vec<Prepared>, ArchiveError> {
        let folder = self.release_dir();
        let keys: Vec<_> = keys.iter().collect();
        let detached = sign_detached(&keys, release)?;
        let inline = sign_inline(&keys, release)?;
        let files = [
            ("Release", release),
            ("Release.gpg", &detached),
            ("InRelease", &inline),
        ];
        let prepared = files.map(|(name, bytes)| {
            let file = self.prepared_beside(folder.join(name), bytes, 0o644)?;
            self.set_later_mtime(&file.unfinished, &file.path)
                .map_err(self.failed("write", &file.path))?;
            Ok(file)
        });
        prepared.into_iter().collect()
    }

    /// Removes what Release does not name any more; by their hashes, clients still find it for a while.
    pub(super) fn forget(&self, last: &[IndexFile], files: &[IndexFile]) {
        for gone in last
            .iter()
            .filter(|last| files.iter().all(|file| file.name != last.name))
        {
            let _ = self.root.remove(&self.release_dir().join(&gone.name));
        }
    }

    /// All at once: the disk is waited for once.
    fn wait_for_all(&self, waits: &[Wait<'_>]) -> Result<(), ArchiveError> {
        let synced = parallel::map(waits, |wait| match wait {
            Wait::File(file) => file.sync().map_err(self.failed("write", &file.path)),
            Wait::Folder(folder) => self.root.sync(folder).map_err(self.failed("sync", folder)),
        });
        synced.into_iter().collect()
    }

    fn prepared_beside(&self, path: PathBuf, bytes: &[u8], mode: u32) -> Result<Prepared, ArchiveError> {
        let unfinished = Unfinished::beside(&self.root, &path, bytes, mode);
        let unfinished = unfinished.map_err(self.failed("write", &path))?;
        Ok(Prepared { unfinished, path })
    }

    fn rename(&self, from: &Path, to: &Path) -> Result<(), ArchiveError> {
        self.root.rename(from, to).map_err(self.failed("write", to))
    }

    /// HTTP's Last-Modified counts whole seconds: two versions within one second would look like the same to a
    /// client that asks If-Modified-Since.
    fn set_later_mtime(&self, new: &Unfinished, old: &Path) -> io::Result<()> {
        let Ok(old) = self.root.look(old) else {
            return Ok(());
        };
        let old = u64::try_from(old.modified_ns() / 1_000_000_000).unwrap_or_default();
        if new.written_at()? <= old {
            new.set_written_at(old + 1)?;
        }
        Ok(())
    }
}

/// What has to be on the disk before it goes on.
enum Wait<'a> {
    File(&'a Unfinished),
    Folder(&'a Path),
}

fn of_folders(folders: &BTreeSet<PathBuf>) -> impl Iterator<Item = Wait<'_>> {
    folders.iter().map(|folder| Wait::Folder(folder))
}

fn unfinished_link(path: &Path) -> PathBuf {
    let name = path.file_name().unwrap_or_default().to_string_lossy();
    path.with_file_name(format!(".{name}{}", atomic_file::UNFINISHED))
}
