//! The Packages file: one paragraph for each .deb, as apt reads it.

use std::cmp::Ordering;
use std::collections::HashMap;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicUsize, Ordering as Atomic};
use std::thread;

use debversion::Version;

use super::cache::Cache;
use super::scan::{Stamp, scan};
use super::{Archive, ArchiveError, Refused};
use crate::deb::{Deb, DebError};

/// One .deb of an archive.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Entry {
    /// Relative to the archive.
    pub path: String,
    /// What it holds.
    pub deb: Deb,
}

impl Entry {
    /// NAME VERSION ARCHITECTURE, for people.
    #[must_use]
    pub fn name(&self) -> String {
        let control = &self.deb.control;
        format!(
            "{} {} {}",
            control.package(),
            control.version(),
            control.architecture()
        )
    }

    /// The order of an index: by name, newer versions later, then by architecture.
    pub(super) fn order(&self, other: &Self) -> Ordering {
        let (a, b) = (&self.deb.control, &other.deb.control);
        a.package()
            .cmp(b.package())
            .then_with(|| compare_versions(a.version(), b.version()))
            .then_with(|| a.architecture().cmp(b.architecture()))
            .then_with(|| self.path.cmp(&other.path))
    }

    fn paragraph(&self, out: &mut String) {
        let ours = ["Filename", "Size", "MD5sum", "SHA1", "SHA256", "SHA512", "Status"];
        let mut field = |name: &str, value: &str| {
            out.push_str(name);
            // A value that starts on the next line has no blank before the line break.
            out.push_str(if value.starts_with('\n') || value.is_empty() {
                ":"
            } else {
                ": "
            });
            out.push_str(value);
            out.push('\n');
        };
        field("Package", self.deb.control.package());
        for (name, value) in self.deb.control.fields() {
            if !name.eq_ignore_ascii_case("Package") && !ours.iter().any(|own| own.eq_ignore_ascii_case(name))
            {
                field(name, value);
            }
        }
        field("Filename", &self.path);
        field("Size", &self.deb.size.to_string());
        field("SHA256", &self.deb.sha256);
        out.push('\n');
    }
}

/// As dpkg compares them; what is no version sorts by its letters.
pub(super) fn compare_versions(a: &str, b: &str) -> Ordering {
    match (a.parse::<Version>(), b.parse::<Version>()) {
        (Ok(a), Ok(b)) => a.cmp(&b),
        _ => a.cmp(b),
    }
}

/// The text of Packages.
pub(super) fn packages(entries: &[Entry]) -> String {
    let mut text = String::new();
    for entry in entries {
        entry.paragraph(&mut text);
    }
    text
}

/// What [`Archive::entries`] found.
pub(super) struct Found {
    /// In the order of an index.
    pub(super) entries: Vec<Entry>,
    /// How many .debs had to be read.
    pub(super) read: usize,
}

impl Archive {
    /// Reads every .deb below the directory, the known ones from the cache.
    pub(super) fn entries(&self) -> Result<Found, ArchiveError> {
        let path = self.own("cache");
        let mut cache = Cache::read(&path);
        let stamps = scan(&self.dir)?;
        let total = stamps.len();
        let (mut known, mut unknown) = (Vec::with_capacity(total), Vec::new());
        for stamp in stamps {
            match cache.take(&stamp) {
                Some(deb) => known.push((stamp, deb)),
                None => unknown.push(stamp),
            }
        }
        let read = unknown.len();
        let (debs, refused) = read_all(&self.dir, unknown);
        known.extend(debs);
        if read > 0 || cache.is_stale() {
            // Only speed is lost without it.
            let _ = Cache::write(&path, &known);
        }
        if let Some(refused) = Refused::of(refused) {
            return Err(ArchiveError::Refused(refused));
        }
        let mut entries: Vec<Entry> = known
            .into_iter()
            .map(|(stamp, deb)| Entry {
                path: stamp.path,
                deb,
            })
            .collect();
        entries.sort_by(Entry::order);
        Ok(Found {
            entries: without_doubles(entries)?,
            read,
        })
    }
}

type RefusedDeb = (PathBuf, DebError);

/// Reads .debs on all cores.
fn read_all(dir: &Path, stamps: Vec<Stamp>) -> (Vec<(Stamp, Deb)>, Vec<RefusedDeb>) {
    let workers = thread::available_parallelism()
        .map_or(1, usize::from)
        .min(stamps.len());
    let next = AtomicUsize::new(0);
    let work = || {
        let mut results = Vec::new();
        while let Some(stamp) = stamps.get(next.fetch_add(1, Atomic::Relaxed)) {
            results.push((stamp.clone(), Deb::read(&dir.join(&stamp.path))));
        }
        results
    };
    let mut results = thread::scope(|scope| {
        let workers: Vec<_> = (0..workers).map(|_| scope.spawn(work)).collect();
        let mut results = Vec::with_capacity(stamps.len());
        for worker in workers {
            match worker.join() {
                Ok(some) => results.extend(some),
                Err(panic) => std::panic::resume_unwind(panic),
            }
        }
        results
    });
    results.sort_by(|(a, _), (b, _)| a.path.cmp(&b.path));
    let (mut debs, mut refused) = (Vec::new(), Vec::new());
    for (stamp, result) in results {
        match result {
            Ok(deb) => debs.push((stamp, deb)),
            Err(error) => refused.push((PathBuf::from(stamp.path), error)),
        }
    }
    (debs, refused)
}

/// The same .deb in two places is listed once; two contents under one name are an error.
fn without_doubles(entries: Vec<Entry>) -> Result<Vec<Entry>, ArchiveError> {
    let mut seen: HashMap<String, (String, String)> = HashMap::with_capacity(entries.len());
    let mut kept = Vec::with_capacity(entries.len());
    for entry in entries {
        let name = entry.name();
        match seen.get(&name) {
            None => {
                seen.insert(name, (entry.path.clone(), entry.deb.sha256.clone()));
                kept.push(entry);
            }
            Some((_, sha256)) if *sha256 == entry.deb.sha256 => {}
            Some((first, _)) => {
                return Err(ArchiveError::Ambiguous {
                    name,
                    first: first.clone(),
                    second: entry.path,
                });
            }
        }
    }
    Ok(kept)
}
