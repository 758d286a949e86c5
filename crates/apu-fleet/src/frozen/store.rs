//! The folder of a run's frozen .debs: each lies under its checksum, whole and checked, or not at all.

use std::fs::{self, DirBuilder, File};
use std::io::{self, Write};
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt};
use std::path::{Path, PathBuf};

use apu_proto::{DebSha256, SentDeb};
use nix::sys::statvfs::statvfs;
use sha2::{Digest, Sha256};

/// What frozen .debs leave free on their file system, in bytes: the ledger is on it as well, and a run that it cannot record ends.
const LEFT_FREE: u64 = 256 * 1024 * 1024;

/// The folder, which is made when the first .deb comes.
#[derive(Debug)]
pub(super) struct Store {
    folder: PathBuf,
}

impl Store {
    pub(super) fn new(folder: PathBuf) -> Self {
        Self { folder }
    }

    /// Where a .deb lies, if it is there.
    pub(super) fn path(&self, sha256: DebSha256) -> PathBuf {
        self.folder.join(sha256.to_string())
    }

    /// The size of a .deb; none where it is not there.
    pub(super) fn size(&self, sha256: DebSha256) -> Option<u64> {
        let found = fs::symlink_metadata(self.path(sha256)).ok()?;
        found.is_file().then_some(found.len())
    }

    /// Begins a .deb.
    pub(super) fn begin(&self, deb: SentDeb) -> io::Result<Draft<'_>> {
        DirBuilder::new()
            .recursive(true)
            .mode(0o700)
            .create(&self.folder)?;
        self.ensure_room(deb.size)?;
        let path = self
            .folder
            .join(format!(".{}.{}", deb.sha256, std::process::id()));
        let _ = fs::remove_file(&path);
        let file = File::options()
            .write(true)
            .create_new(true)
            .mode(0o600)
            .open(&path)?;
        Ok(Draft {
            store: self,
            deb,
            path,
            file,
            hash: Sha256::new(),
        })
    }

    /// Refuses what would leave less than [`LEFT_FREE`].
    fn ensure_room(&self, size: u64) -> io::Result<()> {
        let found = statvfs(&self.folder)?;
        // The types of statvfs differ between machines.
        #[allow(clippy::useless_conversion, clippy::allow_attributes)]
        let free = u64::from(found.blocks_available()).saturating_mul(u64::from(found.fragment_size()));
        if free >= LEFT_FREE.saturating_add(size) {
            return Ok(());
        }
        let (free, mb) = (free / 1_000_000, size / 1_000_000);
        let text = format!(
            "{} has {free} MB free; a .deb of {mb} MB has to leave {} MB",
            self.folder.display(),
            LEFT_FREE / 1_000_000
        );
        Err(io::Error::new(io::ErrorKind::StorageFull, text))
    }

    fn folder(&self) -> &Path {
        &self.folder
    }
}

/// A .deb that is being written; gone with this value unless it is finished.
#[derive(Debug)]
pub(super) struct Draft<'a> {
    store: &'a Store,
    deb: SentDeb,
    path: PathBuf,
    file: File,
    hash: Sha256,
}

impl Draft<'_> {
    pub(super) fn write(&mut self, bytes: &[u8]) -> io::Result<()> {
        self.hash.update(bytes);
        self.file.write_all(bytes)
    }

    /// Gives it its place, durably; false where its bytes are others than its checksum says.
    pub(super) fn finish(self) -> io::Result<bool> {
        let found = DebSha256::from_bytes(self.hash.clone().finalize().into());
        if found != self.deb.sha256 {
            return Ok(false);
        }
        self.file.sync_all()?;
        fs::rename(&self.path, self.store.path(self.deb.sha256))?;
        File::open(self.store.folder())?.sync_all()?;
        Ok(true)
    }
}

impl Drop for Draft<'_> {
    fn drop(&mut self) {
        // After it was finished, nothing has that name any more.
        let _ = fs::remove_file(&self.path);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_has_no_room_is_refused_before_the_disk_is_full() {
        let root = tempfile::tempdir().unwrap();
        let store = Store::new(root.path().join("run"));
        let deb = |size| SentDeb {
            sha256: DebSha256::from_bytes([1; 32]),
            size,
        };
        for size in [1 << 60, u64::MAX] {
            let refused = store.begin(deb(size)).unwrap_err();
            assert_eq!(refused.kind(), io::ErrorKind::StorageFull);
            let said = refused.to_string();
            assert!(said.ends_with("has to leave 268 MB"), "{said}");
        }
        assert_eq!(fs::read_dir(&store.folder).unwrap().count(), 0);
        store.begin(deb(1)).unwrap();
    }
}
