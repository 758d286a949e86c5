//! What was read of each .deb, so that an unchanged one is never read again. Safe to delete at any time.

use std::collections::HashMap;
use std::fs;
use std::io;
use std::path::Path;

use serde::{Deserialize, Serialize};

use super::index::Entry;
use super::scan::Stamp;
use crate::deb::Deb;
use crate::{durable, parallel};

/// The first line of a cache; another program version may judge a .deb differently.
const HEAD: &str = concat!("apu-repo ", env!("CARGO_PKG_VERSION"), " 3");

/// Known .debs by their paths.
#[derive(Debug, Default)]
pub(super) struct Cache {
    known: HashMap<String, (Stamp, Deb)>,
    /// Whether this version of the program wrote it.
    pub(super) is_ours: bool,
}

/// What stands before each control file.
#[derive(Serialize, Deserialize)]
struct Head<T> {
    path: T,
    stamp: Stamp,
    sha256: T,
    /// How long the control file is, in bytes.
    control: usize,
}

impl Cache {
    /// Reads a cache; of one that is damaged, what stands before the damage.
    pub(super) fn read(path: &Path) -> Self {
        let text = fs::read_to_string(path).unwrap_or_default();
        let Some((HEAD, mut rest)) = text.split_once('\n') else {
            return Self::default();
        };
        let mut parts = Vec::new();
        while let Some((part, after)) = first_part(rest) {
            parts.push(part);
            rest = after;
        }
        let known = parallel::map(&parts, |(head, control)| known(head, control));
        Self {
            known: known.into_iter().flatten().collect(),
            is_ours: true,
        }
    }

    /// What is known of the file at `path`, if it is still the same.
    pub(super) fn take(&mut self, path: &str, stamp: &Stamp) -> Option<Deb> {
        if self.known.get(path)?.0 != *stamp {
            return None;
        }
        self.known.remove(path).map(|(_, deb)| deb)
    }

    /// Whether it knows files that are gone: those that nobody took.
    pub(super) fn is_stale(&self) -> bool {
        !self.known.is_empty()
    }

    /// Writes what is known now. Not synced: a cache that a power cut damaged counts as empty.
    pub(super) fn write(path: &Path, entries: &[Entry]) -> io::Result<()> {
        let mut text = format!("{HEAD}\n").into_bytes();
        for Entry { path, stamp, deb } in entries {
            let control = deb.control.text();
            let head = Head {
                path: path.as_str(),
                stamp: *stamp,
                sha256: deb.sha256.as_str(),
                control: control.len(),
            };
            serde_json::to_writer(&mut text, &head)?;
            text.push(b'\n');
            text.extend_from_slice(control.as_bytes());
        }
        durable::replace_unsynced(path, &text)
    }
}

/// The first .deb of `text`, and what stands after it.
fn first_part(text: &str) -> Option<((Head<&str>, &str), &str)> {
    let (head, rest) = text.split_once('\n')?;
    let head: Head<&str> = serde_json::from_str(head).ok()?;
    let (control, rest) = rest.split_at_checked(head.control)?;
    Some(((head, control), rest))
}

fn known(head: &Head<&str>, control: &str) -> Option<(String, (Stamp, Deb))> {
    let deb = Deb {
        control: control.parse().ok()?,
        size: head.stamp.size,
        sha256: head.sha256.to_owned(),
    };
    Some((head.path.to_owned(), (head.stamp, deb)))
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::super::scan::Stamp;
    use super::{Cache, Entry};
    use crate::deb::Deb;

    #[test]
    fn what_is_known_comes_back_and_of_a_cut_cache_what_is_whole() {
        let dir = tempfile::tempdir().unwrap();
        let (cache, file) = (dir.path().join("cache"), dir.path().join("file"));
        fs::write(&file, "file").unwrap();
        let stamp = Stamp::of(&file).unwrap().unwrap();
        let entry = |name: &str| Entry {
            path: format!("{name}.deb"),
            deb: Deb {
                control: format!("Package: {name}\nVersion: 1\nArchitecture: all\nDescription: ü\n x\n")
                    .parse()
                    .unwrap(),
                size: stamp.size,
                sha256: "ab".repeat(32),
            },
            stamp,
        };
        let entries = [entry("one"), entry("two")];
        Cache::write(&cache, &entries).unwrap();
        let whole = fs::read(&cache).unwrap();
        for length in 0..=whole.len() {
            fs::write(&cache, &whole[..length]).unwrap();
            let mut read = Cache::read(&cache);
            let known: Vec<_> = entries
                .iter()
                .filter_map(|entry| Some((read.take(&entry.path, &stamp)?, entry)))
                .collect();
            assert!(known.iter().all(|(deb, entry)| *deb == entry.deb), "{length}");
            assert_eq!(known.len() == 2, length == whole.len(), "{length}");
        }
    }
}
