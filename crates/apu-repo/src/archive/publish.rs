//! One moment in which clients see the new archive instead of the old one: the rename of InRelease.

use std::collections::HashSet;
use std::fs::{self, File};
use std::io::{self, Write};
use std::path::{Path, PathBuf};
use std::thread;
use std::time::{Duration, SystemTime};

use jiff::Timestamp;
use liblzma::write::XzEncoder;
use sha2::{Digest, Sha256};

use super::generations::Generations;
use super::index::{Entry, packages};
use super::release::{self, IndexFile};
use super::{Archive, ArchiveError};
use crate::deb::hex;
use crate::durable;
use crate::openpgp::{sign_detached, sign_inline};

/// What publishing did.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Published {
    /// How many .debs the index names.
    pub packages: usize,
    /// How many of them had to be read, since they were not known.
    pub read: usize,
    /// Whether the index is another than before; the signature always is.
    pub changed: bool,
    /// Until when the signature is good.
    pub valid_until: Timestamp,
}

/// An index file that is ready to be put in place.
struct Ready {
    file: IndexFile,
    bytes: Vec<u8>,
}

impl Archive {
    /// Indexes and signs all .debs of the directory.
    pub fn publish(&self) -> Result<Published, ArchiveError> {
        self.publish_without(&HashSet::new())
    }

    /// As [`Archive::publish`], as if the files at these paths were gone.
    pub(super) fn publish_without(&self, gone: &HashSet<String>) -> Result<Published, ArchiveError> {
        self.clear_unfinished();
        let mut found = self.entries()?;
        found.entries.retain(|entry| !gone.contains(&entry.path));
        self.publish_entries(&found.entries, found.read)
    }

    fn publish_entries(&self, entries: &[Entry], read: usize) -> Result<Published, ArchiveError> {
        self.without_unasked_essentials(entries)?;
        let last = self.last_release();
        let record = self.own("generations");
        let last_files = last.as_ref().map(|release| release.files.clone());
        let mut generations = Generations::read(&record, last_files.clone());
        let ready = self.indexes(packages(entries), last_files.as_deref())?;
        let files: Vec<IndexFile> = ready.iter().map(|ready| ready.file.clone()).collect();

        self.place_by_hash(&ready)?;
        let now = Timestamp::now();
        generations.push(u64::try_from(now.as_second()).unwrap_or_default(), &files);
        durable::replace(&record, &generations.to_bytes(), 0o600)
            .map_err(ArchiveError::io("write", &record))?;

        let date = release::next_date(now, last.as_ref().map(|release| release.date));
        let text = release::text(&self.labels, date, &files);
        let valid_until = release::parse(&text)
            .and_then(|release| release.valid_until)
            .unwrap_or(date);
        self.commit(&files, text.as_bytes())?;
        generations.sweep(&self.by_hash());
        Ok(Published {
            packages: entries.len(),
            read,
            changed: last_files.as_ref() != Some(&files),
            valid_until,
        })
    }

    pub(super) fn without_unasked_essentials(&self, entries: &[Entry]) -> Result<(), ArchiveError> {
        let Some(may) = &self.labels.essential else {
            return Ok(());
        };
        let unasked = entries.iter().find(|entry| {
            let control = &entry.deb.control;
            let essential = control
                .get("Essential")
                .is_some_and(|value| value.eq_ignore_ascii_case("yes"));
            essential && !may.iter().any(|name| name == control.package())
        });
        match unasked {
            None => Ok(()),
            Some(entry) => {
                let package = entry.deb.control.package().to_owned();
                Err(ArchiveError::Essential {
                    file: entry.path.clone(),
                    package,
                })
            }
        }
    }

    pub(super) fn by_hash(&self) -> PathBuf {
        self.dir.join("by-hash/SHA256")
    }

    fn last_release(&self) -> Option<release::Release> {
        release::parse(&fs::read_to_string(self.dir.join("Release")).ok()?)
    }

    /// Packages in its forms. Where the text is the last one's, so are the compressed forms.
    fn indexes(&self, text: String, last: Option<&[IndexFile]>) -> Result<Vec<Ready>, ArchiveError> {
        let ready = |name: &str, bytes: Vec<u8>| {
            let sha256 = hex(&Sha256::digest(&bytes));
            let file = IndexFile {
                name: name.to_owned(),
                size: bytes.len() as u64,
                sha256,
            };
            Ready { file, bytes }
        };
        let plain = ready("Packages", text.into_bytes());
        let last = last.filter(|last| last.first() == Some(&plain.file) && last.len() == 3);
        let kept = last.and_then(|last| {
            let kept = last[1..].iter().map(|file| {
                let bytes = fs::read(self.by_hash().join(&file.sha256)).ok()?;
                Some(ready(&file.name, bytes)).filter(|ready| ready.file == *file)
            });
            kept.collect::<Option<Vec<_>>>()
        });
        let compressed = match kept {
            Some(kept) => kept,
            None => {
                let (gz, xz) = thread::scope(|scope| {
                    let gz = scope.spawn(|| gzip(&plain.bytes));
                    let xz = xz(&plain.bytes);
                    (gz.join(), xz)
                });
                let gz = gz.unwrap_or_else(|panic| std::panic::resume_unwind(panic));
                let compress = |path: &'static str| ArchiveError::io("compress", Path::new(path));
                vec![
                    ready("Packages.gz", gz.map_err(compress("Packages.gz"))?),
                    ready("Packages.xz", xz.map_err(compress("Packages.xz"))?),
                ]
            }
        };
        Ok(std::iter::once(plain).chain(compressed).collect())
    }

    /// Before anything names them, the new files are there under their hashes, and survive a power cut.
    fn place_by_hash(&self, ready: &[Ready]) -> Result<(), ArchiveError> {
        let by_hash = self.by_hash();
        durable::directory(&by_hash, 0o755).map_err(ArchiveError::io("make", &by_hash))?;
        for Ready { file, bytes } in ready {
            let path = by_hash.join(&file.sha256);
            if fs::read(&path).is_ok_and(|there| there == *bytes) {
                continue;
            }
            let unfinished =
                durable::prepare(&path, &bytes[..], 0o644).map_err(ArchiveError::io("write", &path))?;
            fs::rename(&unfinished, &path).map_err(ArchiveError::io("write", &path))?;
        }
        for directory in [by_hash.as_path(), by_hash.parent().unwrap_or(&by_hash), &self.dir] {
            durable::sync_directory(directory).map_err(ArchiveError::io("sync", directory))?;
        }
        Ok(())
    }

    /// The switch: everything is written and synced under other names first; InRelease is renamed last.
    fn commit(&self, files: &[IndexFile], release: &[u8]) -> Result<(), ArchiveError> {
        let prepared = self
            .prepare_commit(files, release)
            .inspect_err(|_| self.clear_unfinished())?;
        for (unfinished, path) in prepared {
            fs::rename(&unfinished, &path).map_err(ArchiveError::io("write", &path))?;
            // rename(2) leaves both names when they are links to one file.
            let _ = fs::remove_file(&unfinished);
        }
        durable::sync_directory(&self.dir).map_err(ArchiveError::io("sync", &self.dir))
    }

    fn prepare_commit(
        &self,
        files: &[IndexFile],
        release: &[u8],
    ) -> Result<Vec<(PathBuf, PathBuf)>, ArchiveError> {
        let mut prepared = Vec::new();
        for file in files {
            let path = self.dir.join(&file.name);
            let unfinished = self.dir.join(format!(".{}{}", file.name, durable::UNFINISHED));
            let hashed = self.by_hash().join(&file.sha256);
            fs::hard_link(&hashed, &unfinished).map_err(ArchiveError::io("write", &path))?;
            prepared.push((unfinished, path));
        }
        let keys: Vec<_> = self.keys.iter().collect();
        let detached = sign_detached(&keys, release)?;
        let inline = sign_inline(&keys, release)?;
        for (name, bytes) in [
            ("Release", release),
            ("Release.gpg", &detached),
            ("InRelease", &inline),
        ] {
            let path = self.dir.join(name);
            let write = || {
                let unfinished = durable::prepare(&path, bytes, 0o644)?;
                set_later_mtime(&unfinished, &path)?;
                Ok(unfinished)
            };
            prepared.push((write().map_err(ArchiveError::io("write", &path))?, path));
        }
        Ok(prepared)
    }

    /// What an interrupted publisher left. The lock is held, so nobody is writing these now.
    fn clear_unfinished(&self) {
        for directory in [self.dir.as_path(), &self.by_hash()] {
            for entry in fs::read_dir(directory).into_iter().flatten().flatten() {
                let name = entry.file_name();
                let name = name.as_encoded_bytes();
                if name.starts_with(b".") && name.ends_with(durable::UNFINISHED.as_bytes()) {
                    let _ = fs::remove_file(entry.path());
                }
            }
        }
    }
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

fn gzip(bytes: &[u8]) -> io::Result<Vec<u8>> {
    let mut encoder = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::new(6));
    encoder.write_all(bytes)?;
    encoder.finish()
}

/// A small index is squeezed as far as it goes; a large one must not make publishing slow.
fn xz(bytes: &[u8]) -> io::Result<Vec<u8>> {
    let level = if bytes.len() <= 256 << 10 { 6 } else { 1 };
    let mut encoder = XzEncoder::new(Vec::new(), level);
    encoder.write_all(bytes)?;
    encoder.finish()
}
