//! From what lies in an archive's folders to what its clients see.

use std::path::{Path, PathBuf};

use jiff::Timestamp;
use rustix::fs::FileType;

use super::commit::Publication;
use super::error::{Remedy, reason};
use super::generations::Generations;
use super::index::{Entry, packages};
use super::known::Known;
use super::layout::Layout;
use super::release::{self, IndexFile, Release};
use super::shape::Shape;
use super::write::Text;
use super::{Archive, ArchiveError};
use crate::folder::About;
use crate::openpgp::{ArchiveKey, certificates};
use crate::{atomic_file, parallel};

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
    /// The .debs that were left out, each with its reason.
    pub left_out: Vec<String>,
    /// What would let some of those in, in their order.
    pub remedies: Vec<Remedy>,
}

impl Archive {
    /// Indexes and signs all .debs of the archive.
    pub fn publish(&self) -> Result<Published, ArchiveError> {
        parallel::inside(|| self.publish_all())
    }

    fn publish_all(&self) -> Result<Published, ArchiveError> {
        let known = self.known_to_publish()?;
        let entries = known.entries(&self.labels.layout)?;
        self.publish_entries(&known, &entries)
    }

    /// Publishes `entries`, which are of `known`.
    pub(super) fn publish_entries(
        &self,
        known: &Known,
        entries: &[&Entry],
    ) -> Result<Published, ArchiveError> {
        let keys = self.keys()?;
        self.without_unasked_essentials(entries)?;
        let last = self.last_release();
        let last_files = last.as_ref().map(|release| release.files.clone());
        let mut generations = Generations::read(&self.root, &self.own("generations"), last_files.clone());
        let shape = self.shape(known, entries, last.as_ref());
        let known_files = last_files.as_deref().unwrap_or_default();
        let (texts, before) = parallel::both(
            || self.texts(&shape, entries, last.as_ref()),
            || self.before(known_files),
        );
        let ready = self.place(&texts?, before, known.by_us)?;
        let files: Vec<IndexFile> = ready.iter().map(|ready| ready.file.clone()).collect();

        let now = Timestamp::now();
        generations.push(u64::try_from(now.as_second()).unwrap_or_default(), &files);
        let date = release::next_date(now, last.as_ref().map(|release| release.date));
        let text = release::text(&self.labels, &shape, date, &files);
        let valid_until = release::parse(&text)
            .and_then(|release| release.valid_until)
            .unwrap_or(date);
        let publication = Publication {
            indexes: &ready,
            release: text.as_bytes(),
            generations: &generations,
        };
        self.place_keyring(keys)?;
        self.commit(&publication, keys)?;
        self.forget(known_files, &files);
        for folder in self
            .folders()
            .iter()
            .filter(|folder| folder.ends_with("by-hash/SHA256"))
        {
            if let Ok(folder) = self.root.folder(folder) {
                generations.sweep(&folder);
            }
        }
        let left_out = &known.left_out;
        Ok(Published {
            packages: entries.len(),
            read: known.read,
            changed: last_files.as_ref() != Some(&files),
            valid_until,
            left_out: left_out.iter().map(|(path, error)| reason(path, error)).collect(),
            remedies: left_out
                .iter()
                .filter_map(|(_, error)| Remedy::of(error))
                .collect(),
        })
    }

    /// The public halves of the keys, where everybody who sees the archive can read them.
    fn place_keyring(&self, keys: &[ArchiveKey]) -> Result<(), ArchiveError> {
        let path = Path::new("archive-keyring.gpg");
        let bytes = certificates(keys)?;
        let is_readable = |about: About| about.mode() & 0o444 == 0o444;
        if self.root.look(path).is_ok_and(is_readable)
            && self.root.read(path).is_ok_and(|there| there == bytes)
        {
            return Ok(());
        }
        atomic_file::replace_in(&self.root, path, &bytes, 0o644).map_err(self.failed("write", path))
    }

    fn shape(&self, known: &Known, entries: &[&Entry], last: Option<&Release>) -> Shape {
        let architectures = last.map_or(&[][..], |last| &last.architectures);
        Shape::of(&self.labels.layout, &known.components, architectures, entries)
    }

    /// The texts of all indexes.
    fn texts(
        &self,
        shape: &Shape,
        entries: &[&Entry],
        last: Option<&Release>,
    ) -> Result<Vec<Text>, ArchiveError> {
        let layout = &self.labels.layout;
        let mut texts: Vec<Text> = shape
            .packages(layout, entries)
            .into_iter()
            .map(|index| Text {
                name: index.name,
                bytes: packages(&index.entries),
                stored: true,
            })
            .collect();
        let as_before = last.is_some_and(Release::has_contents);
        if self.labels.contents.unwrap_or(as_before) {
            let names = self.names(entries)?;
            texts.extend(shape.contents(layout, entries).into_iter().map(|index| Text {
                name: index.name,
                bytes: names.contents(&index.entries),
                stored: false,
            }));
        }
        Ok(texts)
    }

    pub(super) fn without_unasked_essentials(&self, entries: &[&Entry]) -> Result<(), ArchiveError> {
        match entries.iter().find(|entry| self.is_unasked_essential(entry)) {
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

    /// Whether clients would get it although nobody asked for that.
    pub(super) fn is_unasked_essential(&self, entry: &Entry) -> bool {
        let control = &entry.deb.control;
        let essential = control
            .get("Essential")
            .is_some_and(|value| value.eq_ignore_ascii_case("yes"));
        let may = |may: &Vec<String>| may.iter().any(|name| name == control.package());
        essential && self.labels.essential.as_ref().is_some_and(|names| !may(names))
    }

    fn last_release(&self) -> Option<Release> {
        release::parse(&self.root.read_text(&self.release_dir().join("Release")).ok()?)
    }

    /// What an interrupted publisher left. The lock is held, so nobody is writing these now.
    pub(super) fn clear_unfinished(&self) {
        for folder in self.folders() {
            let Ok(folder) = self.root.folder(&folder) else {
                continue;
            };
            for (name, _) in folder.list().unwrap_or_default() {
                let bytes = name.as_encoded_bytes();
                if bytes.starts_with(b".") && bytes.ends_with(atomic_file::UNFINISHED.as_bytes()) {
                    let _ = folder.remove(Path::new(&name));
                }
            }
        }
    }

    /// The folders that this program writes into, below the archive's directory.
    fn folders(&self) -> Vec<PathBuf> {
        match &self.labels.layout {
            Layout::Flat => vec![PathBuf::new(), self.own(""), "by-hash/SHA256".into()],
            Layout::Suite(_) => {
                let mut folders = vec![self.release_dir()];
                // COMPONENT/binary-ARCHITECTURE/by-hash/SHA256
                let mut at = 0;
                while let Some(folder) = folders.get(at) {
                    folders.extend(self.folders_in(folder));
                    at += 1;
                }
                folders.push(self.own(""));
                folders.extend(self.folders_in(&self.labels.layout.pool()));
                folders
            }
        }
    }

    fn folders_in(&self, folder: &Path) -> Vec<PathBuf> {
        let listed = self.root.folder(folder).and_then(|folder| folder.list());
        let folders = listed.unwrap_or_default().into_iter();
        let folders = folders.filter(|(_, kind)| *kind == FileType::Directory);
        folders.map(|(name, _)| folder.join(name)).collect()
    }
}
