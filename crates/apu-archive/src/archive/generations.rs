//! Which index files were current when: a client in the middle of an update still finds those it was promised.

use std::collections::BTreeSet;
use std::path::Path;
use std::time::{Duration, SystemTime};

use serde::{Deserialize, Serialize};

use super::release::IndexFile;
use crate::folder::Folder;

/// A generation stays while it is one of so many…
const KEEP: usize = 4;

/// …or as long after its successor came.
const LINGER: u64 = 60 * 60;

/// What no generation knows goes when it is so old: it came from a publisher that was interrupted.
const UNKNOWN: Duration = Duration::from_secs(24 * 60 * 60);

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
struct Generation {
    /// Unix time.
    published: u64,
    files: Vec<IndexFile>,
}

/// The generations that clients may still be reading, oldest first.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Generations(Vec<Generation>);

impl Generations {
    /// Reads the record; without one, `current` is all that is known.
    pub(super) fn read(root: &Folder, path: &Path, current: Option<Vec<IndexFile>>) -> Self {
        let read = root
            .read(path)
            .ok()
            .and_then(|bytes| serde_json::from_slice(&bytes).ok());
        let mut generations: Self = read.unwrap_or_default();
        if let Some(current) = current
            && generations.newest() != Some(&current)
        {
            let published = generations.0.last().map_or(0, |last| last.published);
            generations.0.push(Generation {
                published,
                files: current,
            });
        }
        generations
    }

    /// The files of the newest generation.
    pub(super) fn newest(&self) -> Option<&Vec<IndexFile>> {
        self.0.last().map(|generation| &generation.files)
    }

    /// Notes the next generation and forgets those that no client can be reading any more.
    pub(super) fn push(&mut self, now: u64, files: &[IndexFile]) {
        if self.newest().map(Vec::as_slice) != Some(files) {
            self.0.push(Generation {
                published: now,
                files: files.to_vec(),
            });
        }
        // A generation was superseded when the next one was published.
        let superseded: Vec<u64> = self.0.iter().skip(1).map(|next| next.published).collect();
        let first_recent = superseded.iter().position(|&at| at.saturating_add(LINGER) > now);
        let keep_from = first_recent
            .unwrap_or(superseded.len())
            .min(self.0.len().saturating_sub(KEEP));
        self.0.drain(..keep_from);
    }

    /// The record's bytes.
    pub(super) fn to_bytes(&self) -> Vec<u8> {
        serde_json::to_vec(self).unwrap_or_default()
    }

    /// Removes from the directory of files by hash what nobody needs any more.
    pub(super) fn sweep(&self, by_hash: &Folder) {
        let wanted: BTreeSet<&str> = self
            .0
            .iter()
            .flat_map(|generation| &generation.files)
            .map(|file| file.sha256.as_str())
            .collect();
        let oldest = self.0.first().map_or(0, |generation| generation.published);
        let now = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH);
        let now = now.unwrap_or_default().as_secs();
        for (name, _) in by_hash.list().unwrap_or_default() {
            if name.to_str().is_some_and(|name| wanted.contains(name)) {
                continue;
            }
            let name = Path::new(&name);
            let Ok(about) = by_hash.look(name) else { continue };
            let modified = u64::try_from(about.modified_ns() / 1_000_000_000).unwrap_or_default();
            if modified < oldest || now.saturating_sub(modified) > UNKNOWN.as_secs() {
                // What cannot be removed now is tried again next time.
                let _ = by_hash.remove(name);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::{Generations, IndexFile};

    fn files(sha256: &str) -> Vec<IndexFile> {
        vec![IndexFile {
            name: "Packages".into(),
            size: 1,
            sha256: sha256.into(),
        }]
    }

    #[test]
    fn a_generation_stays_an_hour_after_its_successor_and_four_stay_always() {
        let mut generations = Generations::default();
        for at in 0..10 {
            generations.push(at * 10, &files(&at.to_string()));
        }
        assert_eq!(
            generations.0.len(),
            10,
            "all of them were current in the last hour"
        );
        generations.push(100_000, &files("new"));
        assert_eq!(generations.0.len(), 4);
        assert_eq!(generations.newest(), Some(&files("new")));
    }

    #[test]
    fn signing_again_is_no_new_generation() {
        let mut generations = Generations::default();
        generations.push(1, &files("a"));
        generations.push(2, &files("a"));
        assert_eq!(generations.0.len(), 1);
    }
}
