//! What was read of each .deb, so that an unchanged one is never read again. Safe to delete at any time.

use std::collections::HashMap;
use std::fs;
use std::io::{self, Write};
use std::path::Path;

use serde::{Deserialize, Serialize};

use super::scan::Stamp;
use crate::deb::{Control, Deb};

/// The first line of a cache; another program version may judge a .deb differently.
const HEAD: &str = concat!("apu-repo ", env!("CARGO_PKG_VERSION"), " 1");

/// Known .debs by their stamps.
#[derive(Debug, Default)]
pub(super) struct Cache {
    known: HashMap<Stamp, Deb>,
}

#[derive(Serialize, Deserialize)]
struct Line<T> {
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
        let known = lines.filter_map(|line| {
            let line: Line<String> = serde_json::from_str(line).ok()?;
            let control: Control = line.control.parse().ok()?;
            let deb = Deb {
                control,
                size: line.stamp.size,
                sha256: line.sha256,
            };
            Some((line.stamp, deb))
        });
        Self {
            known: known.collect(),
        }
    }

    /// What is known of the file with this stamp.
    pub(super) fn take(&mut self, stamp: &Stamp) -> Option<Deb> {
        self.known.remove(stamp)
    }

    /// Whether it knows files that are gone: those that nobody took.
    pub(super) fn is_stale(&self) -> bool {
        !self.known.is_empty()
    }

    /// Writes what is known now. Not synced: a cache that a power cut damaged counts as empty.
    pub(super) fn write(path: &Path, debs: &[(Stamp, Deb)]) -> io::Result<()> {
        let unfinished = path.with_extension("unfinished");
        let mut text = format!("{HEAD}\n").into_bytes();
        for (stamp, deb) in debs {
            let control: String = deb
                .control
                .fields()
                .map(|(name, value)| format!("{name}: {value}\n"))
                .collect();
            let line = Line {
                stamp: stamp.clone(),
                sha256: deb.sha256.as_str(),
                control: control.as_str(),
            };
            serde_json::to_writer(&mut text, &line)?;
            text.write_all(b"\n")?;
        }
        fs::write(&unfinished, text)?;
        fs::rename(&unfinished, path)
    }
}
