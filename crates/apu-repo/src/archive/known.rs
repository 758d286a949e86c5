//! Every .deb of an archive: the unchanged ones from the cache, the others read on all cores.

use std::path::{Path, PathBuf};

use super::cache::{Cache, CacheFile};
use super::index::Entry;
use super::layout::Layout;
use super::scan::{Found, Stamp};
use super::{Archive, ArchiveError, Refused};
use crate::deb::{self, Contents, DebError, Depth};
use crate::folder::Folder;
use crate::parallel;

/// What lies in an archive's folders now.
pub(super) struct Known {
    /// Every .deb, also one that lies there twice.
    debs: Vec<Entry>,
    /// The folders of the components.
    pub(super) components: Vec<String>,
    /// How many .debs had to be read.
    pub(super) read: usize,
    /// Whether this version of the program was the last to publish.
    pub(super) by_us: bool,
    /// How many of the first .debs the cache says already, where it can be appended to.
    cached: Option<usize>,
}

impl Archive {
    /// Looks at every .deb of the archive.
    pub(super) fn known(&self) -> Result<Known, ArchiveError> {
        self.all_good(self.look()?)
    }

    /// Looks, and writes nothing.
    fn look(&self) -> Result<(Known, Vec<RefusedDeb>), ArchiveError> {
        let file = CacheFile::read(&self.root, &self.cache());
        let cache = Cache::of(&file);
        let pool = self.labels.layout.pool();
        let components = match self.labels.layout {
            Layout::Flat => Vec::new(),
            Layout::Suite(_) => self.components(&pool)?,
        };
        let Found {
            debs: files,
            mut refused,
        } = self.scan(&pool)?;
        if let Some((file, _)) = files
            .iter()
            .find(|(path, _)| self.labels.layout.component(path).is_none())
        {
            return Err(ArchiveError::NoComponent { file: file.clone() });
        }
        let found = parallel::map(&files, |(path, stamp)| cache.get(path, stamp));
        let (mut debs, mut unknown) = (Vec::with_capacity(files.len()), Vec::new());
        for ((path, stamp), deb) in files.into_iter().zip(found) {
            match deb {
                Some(deb) => debs.push(Entry { path, deb, stamp }),
                None => unknown.push((path, stamp)),
            }
        }
        let (cached, read) = (debs.len(), unknown.len());
        let mut new = Vec::new();
        refused.extend(read_all(&self.root, unknown, self.depth, &mut new));
        refused.extend(self.without_what_apt_refuses(&mut new)?);
        debs.append(&mut new);
        let known = Known {
            debs,
            components,
            read,
            by_us: cache.is_ours,
            cached: (cache.is_tidy && cache.len() == cached).then_some(cached),
        };
        Ok((known, refused))
    }

    /// What was judged less is remembered apart.
    fn cache(&self) -> PathBuf {
        self.own(match self.depth {
            Depth::Whole => "cache",
            Depth::Control => "cache-without-files",
        })
    }

    fn all_good(&self, (mut known, refused): (Known, Vec<RefusedDeb>)) -> Result<Known, ArchiveError> {
        match Refused::of(refused) {
            None => Ok(known),
            Some(refused) => {
                // The good ones need not be read again when the bad ones are mended.
                self.remember(&mut known);
                Err(ArchiveError::Refused(refused))
            }
        }
    }

    /// The same before something is published. Meanwhile, what an interrupted publisher left goes, and the keys are read.
    pub(super) fn known_to_publish(&self) -> Result<Known, ArchiveError> {
        let keys = || {
            self.clear_unfinished();
            self.keys().map(drop)
        };
        let (looked, keys) = parallel::both(|| self.look(), keys);
        keys?;
        self.all_good(looked?)
    }

    /// Writes the cache, where it is not as it should be.
    pub(super) fn remember(&self, known: &mut Known) {
        let path = self.cache();
        // Only speed is lost without it.
        let _ = match known.cached {
            Some(cached) if cached == known.debs.len() => Ok(()),
            Some(cached) => Cache::append(&self.root, &path, &known.debs[cached..])
                .or_else(|_| Cache::write(&self.root, &path, &known.debs)),
            None => Cache::write(&self.root, &path, &known.debs),
        };
        known.cached = Some(known.debs.len());
    }
}

impl Known {
    /// What the index names, in its order.
    pub(super) fn entries(&self, layout: &Layout) -> Result<Vec<&Entry>, ArchiveError> {
        let mut entries: Vec<&Entry> = self.debs.iter().collect();
        entries.sort_by(|a, b| a.order(b));
        without_doubles(entries, layout)
    }

    /// Every .deb, also one that lies there twice.
    pub(super) fn debs(&self) -> &[Entry] {
        &self.debs
    }

    /// One that was put there after the look.
    pub(super) fn push(&mut self, entry: Entry) {
        self.debs.push(entry);
        self.read += 1;
    }
}

pub(super) type RefusedDeb = (PathBuf, DebError);

fn read_all(
    root: &Folder,
    files: Vec<(String, Stamp)>,
    depth: Depth,
    debs: &mut Vec<Entry>,
) -> Vec<RefusedDeb> {
    let results = deb::read_all(&files, depth, |(path, _)| root.open_file(Path::new(path)));
    let mut refused = Vec::new();
    for ((path, stamp), result) in files.into_iter().zip(results) {
        match result {
            Ok(Contents { deb, .. }) => debs.push(Entry { path, deb, stamp }),
            Err(error) => refused.push((PathBuf::from(path), error)),
        }
    }
    refused
}

/// The same .deb in two places of a component is listed once; two contents under one name are an error.
fn without_doubles<'a>(entries: Vec<&'a Entry>, layout: &Layout) -> Result<Vec<&'a Entry>, ArchiveError> {
    let mut kept: Vec<&Entry> = Vec::with_capacity(entries.len());
    let mut alike = 0;
    for entry in entries {
        // The order puts equal names side by side.
        if kept.get(alike).is_some_and(|first| !first.is_named_like(entry)) {
            alike = kept.len();
        }
        if let Some(first) = kept.get(alike)
            && first.deb.sha256 != entry.deb.sha256
        {
            return Err(ArchiveError::Ambiguous {
                name: entry.name(),
                first: first.path.clone(),
                second: entry.path.clone(),
            });
        }
        let component = layout.component(&entry.path);
        if kept[alike..]
            .iter()
            .all(|other| layout.component(&other.path) != component)
        {
            kept.push(entry);
        }
    }
    Ok(kept)
}
