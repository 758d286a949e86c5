//! The package apu-data carries the push key to every client: only one that gen-apu-data-pkg made is published.
//!
//! Which those are, a record in the archive says, by their SHA-256.

use std::path::{Path, PathBuf};

use super::index::Entry;
use super::known::Known;
use super::{Archive, ArchiveError, OWN};
use crate::atomic_file;
use crate::deb::{Deb, DebError};

const NAME: &str = "apu-data";

impl Archive {
    /// A .deb that is added may be the apu-data of another server.
    #[must_use]
    pub fn with_apu_data(mut self) -> Self {
        self.takes_apu_data = true;
        self
    }

    /// Why a .deb may not come in; `is_made` says whether it was made here and now. What clients know already is none.
    pub(super) fn strange(&self, deb: &Deb, is_made: bool) -> Option<DebError> {
        let is_known = || {
            self.takes_apu_data
                || is_made
                || self.made_here().contains(&deb.sha256)
                || self.has_published(&deb.sha256)
        };
        let is_strange = is_carrier(deb) && !is_known();
        is_strange.then_some(DebError::StrangeApuData)
    }

    /// Remembers those of `debs` that carry the push key.
    pub(super) fn remember_carriers<'a>(
        &self,
        debs: impl Iterator<Item = &'a Deb>,
    ) -> Result<(), ArchiveError> {
        let mut made = self.made_here();
        let known = made.len();
        for deb in debs.filter(|deb| is_carrier(deb)) {
            if !made.contains(&deb.sha256) {
                made.push(deb.sha256.clone());
            }
        }
        if made.len() == known {
            return Ok(());
        }
        let path = record();
        let text = made.join("\n") + "\n";
        atomic_file::replace_in(&self.root, &path, text.as_bytes(), 0o600)
            .map_err(self.failed("write", &path))
    }

    /// Those that lie there, were not made here, and are not known to clients.
    pub(super) fn strangers(&self, known: &Known) -> Vec<(String, DebError)> {
        let stranger = |entry: &Entry| Some((entry.path.clone(), self.strange(&entry.deb, false)?));
        known.debs().iter().filter_map(stranger).collect()
    }

    fn made_here(&self) -> Vec<String> {
        let text = self.root.read_text(&record()).unwrap_or_default();
        text.lines().map(str::to_owned).collect()
    }
}

fn is_carrier(deb: &Deb) -> bool {
    deb.control.package() == NAME
}

fn record() -> PathBuf {
    Path::new(OWN).join(NAME)
}
