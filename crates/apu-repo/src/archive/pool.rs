//! Changing which .debs an archive holds.

use std::collections::{BTreeMap, HashSet};
use std::fs::{self, File};
use std::io;
use std::path::{Path, PathBuf};

use super::index::Entry;
use super::{Archive, ArchiveError, Published, Refused};
use crate::deb::Deb;
use crate::durable;

impl Archive {
    /// What the archive holds, in the order of its index.
    pub fn list(&self) -> Result<Vec<Entry>, ArchiveError> {
        Ok(self.entries()?.entries)
    }

    /// Adds .debs, each looked at file by file first, and publishes. One that is there already, byte for byte,
    /// is fine; one of the same name and version with other bytes is not.
    pub fn add(&self, files: &[PathBuf]) -> Result<(Vec<Entry>, Published), ArchiveError> {
        self.add_all(files.iter().map(|file| Coming::File(file)))
    }

    /// Adds a .deb that was made here and now, and publishes.
    pub fn add_made(&self, name: &str, bytes: &[u8]) -> Result<(Vec<Entry>, Published), ArchiveError> {
        self.add_all(std::iter::once(Coming::Made(name, bytes)))
    }

    fn add_all<'a>(
        &self,
        files: impl Iterator<Item = Coming<'a>>,
    ) -> Result<(Vec<Entry>, Published), ArchiveError> {
        let mut copies = Unfinished::default();
        let (mut debs, mut refused) = (Vec::new(), Vec::new());
        for file in files {
            let path = file.path();
            // What is judged is the archive's own copy: the original may change under our eyes.
            let copy = self.dir.join(path.file_name().unwrap_or_default());
            let copy = file.copy_beside(&copy).map_err(ArchiveError::io("copy", path))?;
            copies.0.push(copy.clone());
            match Deb::examine_as(&copy, path) {
                Ok(deb) => debs.push((copy, deb)),
                Err(error) => refused.push((path.to_owned(), error)),
            }
        }
        if let Some(refused) = Refused::of(refused) {
            return Err(ArchiveError::Refused(refused));
        }
        let mut there = self.list()?;
        let mut placed = Unfinished::default();
        let mut added = Vec::new();
        for (copy, deb) in debs {
            let entry = Entry {
                path: deb.file_name().display().to_string(),
                deb,
            };
            // Also under another file name it would be the same version twice.
            if let Some(same) = there.iter().find(|there| there.name() == entry.name()) {
                if same.deb.sha256 != entry.deb.sha256 {
                    return Err(ArchiveError::Taken { name: entry.name() });
                }
                added.push(same.clone());
                continue;
            }
            let path = self.dir.join(&entry.path);
            if !durable::create_from(&copy, &path).map_err(ArchiveError::io("write", &path))? {
                return Err(ArchiveError::Taken { name: entry.name() });
            }
            placed.0.push(path);
            there.push(entry.clone());
            added.push(entry);
        }
        let published = self.publish()?;
        placed.keep();
        Ok((added, published))
    }

    /// Publishes without packages, each a name and perhaps a version, and then removes their files.
    pub fn remove(&self, packages: &[(&str, Option<&str>)]) -> Result<(Vec<Entry>, Published), ArchiveError> {
        let mut left = self.list()?;
        let mut gone = Vec::new();
        for (package, version) in packages {
            let is_meant = |entry: &mut Entry| {
                let control = &entry.deb.control;
                control.package() == *package && version.is_none_or(|version| control.version() == version)
            };
            let before = gone.len();
            gone.extend(left.extract_if(.., is_meant));
            if gone.len() == before {
                let name = version.map_or((*package).to_owned(), |version| format!("{package}={version}"));
                return Err(ArchiveError::NotThere(name));
            }
        }
        let published = self.take_out(&gone)?;
        Ok((gone, published))
    }

    /// Keeps the newest `keep` versions of each package for each architecture.
    pub fn prune(&self, keep: usize) -> Result<(Vec<Entry>, Published), ArchiveError> {
        let mut by_package: BTreeMap<(String, String), Vec<Entry>> = BTreeMap::new();
        for entry in self.list()? {
            let control = &entry.deb.control;
            let key = (control.package().to_owned(), control.architecture().to_owned());
            by_package.entry(key).or_default().push(entry);
        }
        // An index lists newer versions later.
        let old = |mut entries: Vec<Entry>| {
            entries.truncate(entries.len().saturating_sub(keep));
            entries
        };
        let gone: Vec<Entry> = by_package.into_values().flat_map(old).collect();
        let published = self.take_out(&gone)?;
        Ok((gone, published))
    }

    /// First the index forgets them, then they go: no client is ever sent to a file that is not there.
    fn take_out(&self, gone: &[Entry]) -> Result<Published, ArchiveError> {
        let paths: HashSet<String> = gone.iter().map(|entry| entry.path.clone()).collect();
        let published = self.publish_without(&paths)?;
        for path in paths {
            let path = self.dir.join(path);
            fs::remove_file(&path).map_err(ArchiveError::io("remove", &path))?;
        }
        Ok(published)
    }
}

/// A .deb on its way into the archive.
enum Coming<'a> {
    File(&'a Path),
    Made(&'a str, &'a [u8]),
}

impl Coming<'_> {
    fn path(&self) -> &Path {
        match self {
            Self::File(path) => path,
            Self::Made(name, _) => Path::new(name),
        }
    }

    fn copy_beside(&self, path: &Path) -> io::Result<PathBuf> {
        match self {
            Self::File(file) => durable::prepare(path, File::open(file)?, 0o644),
            Self::Made(_, bytes) => durable::prepare(path, *bytes, 0o644),
        }
    }
}

/// Files that go again, unless everything that belongs to them was finished.
#[derive(Default)]
struct Unfinished(Vec<PathBuf>);

impl Unfinished {
    fn keep(mut self) {
        self.0.clear();
    }
}

impl Drop for Unfinished {
    fn drop(&mut self) {
        for path in &self.0 {
            let _ = fs::remove_file(path);
        }
    }
}
