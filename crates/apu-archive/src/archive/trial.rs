//! What adding would do, found out without doing it.

use std::io;
use std::path::PathBuf;

use apu_debian::compare;

use super::index::Entry;
use super::scan::Stamp;
use super::{Archive, ArchiveError, Refused};
use crate::deb::{self, Depth};
use crate::folder::{About, open_regular};

/// A .deb that could be added.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Trial {
    /// As it would be in the archive, or as it is there.
    pub entry: Entry,
    /// Whether it is not there yet.
    pub is_new: bool,
    /// A newer version that the archive has, or would have: clients would take that one.
    pub newer: Option<Entry>,
}

impl Archive {
    /// Checks files as [`Archive::add`] does, in their order, and changes nothing.
    pub fn try_add(&self, files: &[PathBuf]) -> Result<Vec<Trial>, ArchiveError> {
        let (mut debs, mut refused) = (Vec::new(), Vec::new());
        let read = deb::read_all(files, Depth::Whole, |file| open_regular(file));
        for (file, read) in files.iter().zip(read) {
            match read {
                Ok(contents) => match self.strange(&contents.deb, false) {
                    None => debs.push((file, contents.deb)),
                    Some(why) => refused.push((file.clone(), why)),
                },
                Err(error) => refused.push((file.clone(), error)),
            }
        }
        let mut new = Vec::new();
        for (file, deb) in debs {
            let path = self.home(None).join(deb.file_name()).display().to_string();
            let stamp = open_regular(file)
                .and_then(|file| Ok(Stamp::of(&About::of(&file)?)))
                .and_then(|stamp| stamp.ok_or_else(|| io::Error::other("it is no file any more")))
                .map_err(ArchiveError::io("look at", file))?;
            new.push(Entry { path, deb, stamp });
        }
        refused.extend(self.without_what_apt_refuses(&mut new)?);
        if let Some(refused) = Refused::of(refused) {
            return Err(ArchiveError::Refused(refused));
        }
        let mut there = self.list()?;
        let mut trials = Vec::new();
        for entry in new {
            match there.iter().find(|there| there.is_named_like(&entry)) {
                Some(same) if same.deb.sha256 != entry.deb.sha256 => {
                    return Err(ArchiveError::Taken { name: entry.name() });
                }
                Some(same) => trials.push((same.clone(), false)),
                None => {
                    there.push(entry.clone());
                    trials.push((entry, true));
                }
            }
        }
        self.without_unasked_essentials(&there.iter().collect::<Vec<_>>())?;
        let trial = |(entry, is_new): (Entry, bool)| {
            let newer = there.iter().find(|other| is_newer(other, &entry)).cloned();
            Trial { entry, is_new, newer }
        };
        Ok(trials.into_iter().map(trial).collect())
    }
}

/// Whether a client that could have both would take `other`.
fn is_newer(other: &Entry, entry: &Entry) -> bool {
    let (other, entry) = (&other.deb.control, &entry.deb.control);
    let one_machine = other.architecture() == entry.architecture()
        || [other.architecture(), entry.architecture()].contains(&"all");
    other.package() == entry.package() && one_machine && compare(other.version(), entry.version()).is_gt()
}
