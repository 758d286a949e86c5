//! What was read of each .deb, so that an unchanged one is never read again. Safe to delete at any time.

use std::collections::HashMap;
use std::fs;
use std::io::{self, Write};
use std::path::Path;

use serde::{Deserialize, Serialize};

use super::index::Entry;
use super::scan::Stamp;
use crate::deb::{Control, Deb};
use crate::{durable, parallel};

/// The first line of a cache; another program version may judge a .deb differently.
const HEAD: &str = concat!("apu-repo ", env!("CARGO_PKG_VERSION"), " 2");

/// Known .debs by their paths.
#[derive(Debug, Default)]
pub(super) struct Cache {
    known: HashMap<String, (Stamp, Deb)>,
    /// Whether this version of the program wrote it.
    pub(super) is_ours: bool,
}

#[derive(Serialize, Deserialize)]
struct Line<T> {
    path: T,
    stamp: Stamp,
    sha256: T,
    control: T,
}

impl Cache {
    /// Reads a cache; one that is missing or damaged is empty.
    pub(super) fn read(path: &Path) -> Self {
        let text = fs::read_to_string(path).unwrap_or_default();
        let mut lines = text.lines();
        if lines.next() != Some(HEAD) {
            return Self::default();
        }
        let lines: Vec<&str> = lines.collect();
        let known = parallel::map(&lines, |line| known(line));
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
            let control: String = deb
                .control
                .fields()
                .flat_map(|(name, value)| [name, ": ", value, "\n"])
                .collect();
            let line = Line {
                path: path.as_str(),
                stamp: *stamp,
                sha256: deb.sha256.as_str(),
                control: control.as_str(),
            };
            serde_json::to_writer(&mut text, &line)?;
            text.write_all(b"\n")?;
        }
        durable::replace_unsynced(path, &text)
    }
}

fn known(line: &str) -> Option<(String, (Stamp, Deb))> {
    let line: Line<String> = serde_json::from_str(line).ok()?;
    let control: Control = line.control.parse().ok()?;
    let deb = Deb {
        control,
        size: line.stamp.size,
        sha256: line.sha256,
    };
    Some((line.path, (line.stamp, deb)))
}
