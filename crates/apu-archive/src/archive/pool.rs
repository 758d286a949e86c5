//! Changing which .debs an archive holds.

use std::collections::{BTreeMap, HashSet};
use std::io;
use std::path::{Path, PathBuf};

use super::index::Entry;
use super::known::Known;
use super::layout::Layout;
use super::scan::Stamp;
use super::{Archive, ArchiveError, Published, Refused};
use crate::atomic_file;
use crate::deb::{self, Deb, Depth};
use crate::folder::{Folder, open_regular};
use crate::words::Word;

impl Archive {
    /// What the archive holds, in the order of its index.
    pub fn list(&self) -> Result<Vec<Entry>, ArchiveError> {
        let known = self.known()?;
        Ok(known.entries(&self.labels.layout)?.into_iter().cloned().collect())
    }

    /// Adds .debs, each looked at file by file first, and publishes. One that is there already, byte for byte,
    /// is fine; one of the same name and version with other bytes is not.
    pub fn add(&self, files: &[PathBuf]) -> Result<(Vec<Entry>, Published), ArchiveError> {
        self.add_to(None, files)
    }

    /// As [`Archive::add`], into a component of a suite; without one, into its only or first one.
    pub fn add_to(
        &self,
        component: Option<&Word>,
        files: &[PathBuf],
    ) -> Result<(Vec<Entry>, Published), ArchiveError> {
        self.add_all(component, files.iter().map(|file| Coming::File(file)))
    }

    /// Adds a .deb that was made here and now, and publishes.
    pub fn add_made(&self, name: &str, bytes: &[u8]) -> Result<(Vec<Entry>, Published), ArchiveError> {
        self.add_all(None, std::iter::once(Coming::Made(name, bytes)))
    }

    /// The folder for new .debs.
    pub(super) fn home(&self, component: Option<&Word>) -> PathBuf {
        match &self.labels.layout {
            Layout::Flat => PathBuf::new(),
            Layout::Suite(suite) => {
                let first = suite.components.first();
                let component = component.or(first).map_or("main", |word| word.as_str());
                self.labels.layout.pool().join(component)
            }
        }
    }

    fn add_all<'a>(
        &self,
        component: Option<&Word>,
        files: impl Iterator<Item = Coming<'a>>,
    ) -> Result<(Vec<Entry>, Published), ArchiveError> {
        let mut known = self.known_to_publish()?;
        let home = self.home(component);
        self.make_folder(&home)?;
        known.has_folder(&home);
        let mut copies = Unfinished::of(&self.root);
        let (mut came, mut debs, mut refused) = (Vec::new(), Vec::new(), Vec::new());
        for file in files {
            let path = file.path();
            // What is checked is the archive's own copy: the original may change under our eyes.
            let copy = home.join(path.file_name().unwrap_or_default());
            let copy = file
                .copy_beside(&self.root, &copy)
                .map_err(ArchiveError::io("copy", path))?;
            copies.paths.push(copy.clone());
            came.push((copy, path.to_owned(), matches!(file, Coming::Made(..))));
        }
        let read = deb::read_all(&came, Depth::Whole, |(copy, ..)| self.root.open_file(copy));
        for ((copy, path, is_made), read) in came.into_iter().zip(read) {
            match read {
                Ok(contents) => match self.strange(&contents.deb, is_made) {
                    None => debs.push((copy, contents.deb)),
                    Some(why) => refused.push((path, why)),
                },
                Err(error) => refused.push((path, error)),
            }
        }
        let mut new = Vec::new();
        for (copy, deb) in &debs {
            let path = home.join(deb.file_name()).display().to_string();
            let stamp = Stamp::at(&self.root, copy)
                .and_then(|stamp| stamp.ok_or_else(|| io::Error::other("it is no file any more")))
                .map_err(self.failed("look at", copy))?;
            let deb = deb.clone();
            new.push(Entry { path, deb, stamp });
        }
        refused.extend(self.without_what_apt_refuses(&mut new)?);
        if let Some(refused) = Refused::of(refused) {
            return Err(ArchiveError::Refused(refused));
        }
        self.remember_carriers(debs.iter().map(|(_, deb)| deb))?;
        let mut placed = Unfinished::of(&self.root);
        let mut added = Vec::new();
        for ((copy, _), mut entry) in debs.iter().zip(new) {
            // Also under another file name it would be the same version twice.
            let same: Vec<&Entry> = known
                .published()
                .filter(|there| there.is_named_like(&entry))
                .collect();
            if same.iter().any(|same| same.deb.sha256 != entry.deb.sha256) {
                return Err(ArchiveError::Taken { name: entry.name() });
            }
            if let Some(same) = same.iter().find(|same| self.side_by_side(same, &entry)) {
                added.push((*same).clone());
                continue;
            }
            let path = self.free_path(&home, &entry.deb);
            if !atomic_file::create_from(&self.root, copy, &path).map_err(self.failed("write", &path))? {
                return Err(self.failed("write", &path)(io::ErrorKind::AlreadyExists.into()));
            }
            entry.path = path.display().to_string();
            placed.paths.push(path);
            known.push(entry.clone());
            added.push(entry);
        }
        let entries = known.entries(&self.labels.layout)?;
        let published = self.publish_entries(&known, &entries)?;
        placed.keep();
        self.remember(&mut known);
        Ok((added, published))
    }

    /// A path in `home` where nothing lies: without the epoch, or with it where another version has that name.
    fn free_path(&self, home: &Path, deb: &Deb) -> PathBuf {
        let names = [deb.file_name(), deb.file_name_with_epoch()];
        let [usual, other] = names.map(|name| home.join(name));
        if self.root.look(&usual).is_ok() {
            other
        } else {
            usual
        }
    }

    /// Publishes without packages, each a name and perhaps a version, and then removes their files.
    pub fn remove(&self, packages: &[(&str, Option<&str>)]) -> Result<(Vec<Entry>, Published), ArchiveError> {
        let known = self.known_to_publish()?;
        let mut left = known.entries(&self.labels.layout)?;
        let mut gone = Vec::new();
        for (package, version) in packages {
            let is_meant = |entry: &mut &Entry| {
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
        self.take_out(&known, &left, &gone)
    }

    /// Keeps the newest `keep` versions of each package for each architecture, in each component.
    pub fn prune(&self, keep: usize) -> Result<(Vec<Entry>, Published), ArchiveError> {
        let known = self.known_to_publish()?;
        let entries = known.entries(&self.labels.layout)?;
        let mut by_package: BTreeMap<_, Vec<&Entry>> = BTreeMap::new();
        for &entry in &entries {
            let control = &entry.deb.control;
            let component = self.labels.layout.component(&entry.path);
            let key = (component, control.package(), control.architecture());
            by_package.entry(key).or_default().push(entry);
        }
        // An index lists newer versions later.
        let mut gone: Vec<&Entry> = Vec::new();
        for versions in by_package.values() {
            let old = versions.len().saturating_sub(keep);
            gone.extend(&versions[..old]);
        }
        let paths: HashSet<&str> = gone.iter().map(|entry| entry.path.as_str()).collect();
        let left: Vec<&Entry> = entries
            .into_iter()
            .filter(|entry| !paths.contains(entry.path.as_str()))
            .collect();
        self.take_out(&known, &left, &gone)
    }

    /// Whether they are of one component.
    fn side_by_side(&self, one: &Entry, other: &Entry) -> bool {
        let component = |entry| self.labels.layout.component(entry);
        component(&one.path) == component(&other.path)
    }

    /// First the index forgets them, then they go: no client is ever sent to a file that is not there.
    fn take_out(
        &self,
        known: &Known,
        left: &[&Entry],
        gone: &[&Entry],
    ) -> Result<(Vec<Entry>, Published), ArchiveError> {
        let published = self.publish_entries(known, left)?;
        // A .deb that lies there twice is listed once; its other copy would come back with the next publishing.
        let is_gone = |there: &&Entry| {
            gone.iter()
                .any(|gone| there.is_named_like(gone) && self.side_by_side(there, gone))
        };
        for entry in known.debs().iter().filter(is_gone) {
            let path = Path::new(&entry.path);
            self.root.remove(path).map_err(self.failed("remove", path))?;
        }
        Ok((gone.iter().copied().cloned().collect(), published))
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

    fn copy_beside(&self, root: &Folder, path: &Path) -> io::Result<PathBuf> {
        match self {
            Self::File(file) => atomic_file::prepare(root, path, open_regular(file)?, 0o644),
            Self::Made(_, bytes) => atomic_file::prepare(root, path, *bytes, 0o644),
        }
    }
}

/// Files that go again, unless everything that belongs to them was finished.
struct Unfinished<'a> {
    root: &'a Folder,
    paths: Vec<PathBuf>,
}

impl<'a> Unfinished<'a> {
    fn of(root: &'a Folder) -> Self {
        let paths = Vec::new();
        Self { root, paths }
    }

    fn keep(mut self) {
        self.paths.clear();
    }
}

impl Drop for Unfinished<'_> {
    fn drop(&mut self) {
        for path in &self.paths {
            let _ = self.root.remove(path);
        }
    }
}
