//! Every .deb of an archive: the unchanged ones from the cache, the others read on all cores.

use std::collections::{HashMap, HashSet};
use std::path::{Path, PathBuf};

use super::cache::{Cache, CacheFile};
use super::index::Entry;
use super::layout::Layout;
use super::scan::{Found, RefusedDeb, Stamp};
use super::{Archive, ArchiveError, Refused, indexes};
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
    /// The .debs that are not published, and why.
    pub(super) left_out: Vec<RefusedDeb>,
    /// Their paths.
    out: HashSet<String>,
    /// Those that a web server cannot read, or that others may write.
    to_mend: Vec<String>,
}

impl Archive {
    /// Looks at every .deb of the archive.
    pub(super) fn known(&self) -> Result<Known, ArchiveError> {
        self.checked(self.look()?)
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
            debs: mut files,
            to_mend,
            mut refused,
        } = self.scan(&pool)?;
        let in_none = |(path, _): &mut (String, Stamp)| self.labels.layout.component(path).is_none();
        for (path, _) in files.extract_if(.., in_none) {
            let why = format!("it lies in no component: move it into {}/main", pool.display());
            refused.push((path.into(), DebError::NotJudged(why)));
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
            left_out: Vec::new(),
            out: HashSet::new(),
            to_mend,
        };
        Ok((known, refused))
    }

    /// What was checked less is remembered apart.
    fn cache(&self) -> PathBuf {
        self.own(match self.depth {
            Depth::Whole => "cache",
            Depth::Control => "cache-without-files",
        })
    }

    /// Leaves out what may not be published; where it is to be strict, that is the end.
    fn checked(&self, (mut known, refused): (Known, Vec<RefusedDeb>)) -> Result<Known, ArchiveError> {
        // The good ones need not be read again when the bad ones are mended.
        self.remember(&mut known);
        for (path, error) in refused {
            known.leave_out(path, error);
        }
        self.leave_out_rivals(&mut known);
        self.leave_out_essentials(&mut known);
        self.leave_out_strangers(&mut known);
        self.without_refused(known)
    }

    fn without_refused(&self, mut known: Known) -> Result<Known, ArchiveError> {
        // What this machine could not read now, it may read well the next time: nothing is taken out for that. Nor is what
        // it has read before.
        let is_named = |path: &Path| self.is_in_the_index(&format!("Filename: {}", path.display()));
        let is_the_machines = |(path, error): &RefusedDeb| {
            error.is_the_machines() || matches!(error, DebError::ReaderEnded(_)) && is_named(path)
        };
        let machines = known.left_out.iter().position(is_the_machines);
        if !self.is_strict && machines.is_none() {
            return Ok(known);
        }
        let mut left_out = std::mem::take(&mut known.left_out);
        if let Some(at) = machines {
            match left_out.remove(at) {
                (path, DebError::Read(error) | DebError::NoReader(error)) => {
                    return Err(self.failed("read", &path)(error));
                }
                ended => left_out.insert(at, ended),
            }
        }
        match Refused::of(left_out) {
            None => Ok(known),
            Some(refused) => Err(ArchiveError::Refused(refused)),
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
        let mut known = self.checked(looked?)?;
        for path in std::mem::take(&mut known.to_mend) {
            if known.out.contains(&path) {
                continue;
            }
            if let Err(why) = self.mend(&path) {
                known.leave_out(path.into(), DebError::NotJudged(why));
            }
        }
        self.without_refused(known)
    }

    /// Of several .debs with one name and version, the one that clients know already stays.
    fn leave_out_rivals(&self, known: &mut Known) {
        let mut sums = HashMap::new();
        let mut have_rivals = false;
        for entry in &known.debs {
            let control = &entry.deb.control;
            let name = (control.package(), control.version(), control.architecture());
            have_rivals |= sums
                .insert(name, &entry.deb.sha256)
                .is_some_and(|sum| *sum != entry.deb.sha256);
        }
        // To sort them takes much longer.
        if !have_rivals {
            return;
        }
        let mut entries: Vec<&Entry> = known.debs.iter().collect();
        entries.sort_by(|a, b| a.order(b));
        let mut out = Vec::new();
        for alike in entries.chunk_by(|a, b| a.is_named_like(b)) {
            let is_one = |entry: &&Entry| entry.deb.sha256 == alike[0].deb.sha256;
            if alike.iter().all(is_one) {
                continue;
            }
            let kept = alike.iter().find(|entry| self.has_published(&entry.deb.sha256));
            let rivals = alike
                .iter()
                .filter(|entry| kept.is_none_or(|kept| kept.deb.sha256 != entry.deb.sha256));
            for entry in rivals {
                let other = alike.iter().find(|other| other.deb.sha256 != entry.deb.sha256);
                let other = kept.or(other).map_or("", |other| other.path.as_str());
                let why = format!(
                    "it is {}, and so is {other}, with different content",
                    entry.name()
                );
                out.push((entry.path.clone(), why));
            }
        }
        for (path, why) in out {
            known.leave_out(path.into(), DebError::NotJudged(why));
        }
    }

    fn leave_out_essentials(&self, known: &mut Known) {
        let unasked = known.debs.iter().filter(|entry| self.is_unasked_essential(entry));
        let unasked: Vec<_> = unasked
            .map(|entry| (entry.path.clone(), entry.deb.control.package().to_owned()))
            .collect();
        for (path, package) in unasked {
            known.leave_out(path.into(), DebError::Essential { package });
        }
    }

    fn leave_out_strangers(&self, known: &mut Known) {
        for (path, why) in self.strangers(known) {
            known.leave_out(path.into(), why);
        }
    }

    /// Whether the index that clients have names a .deb with these bytes.
    pub(super) fn has_published(&self, sha256: &str) -> bool {
        self.is_in_the_index(&format!("SHA256: {sha256}"))
    }

    fn is_in_the_index(&self, wanted: &str) -> bool {
        let texts = indexes(&self.dir, self.labels.layout.suite()).unwrap_or_default();
        texts
            .iter()
            .any(|(_, text)| text.lines().any(|line| line == wanted))
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
        let mut entries: Vec<&Entry> = self.published().collect();
        entries.sort_by(|a, b| a.order(b));
        without_doubles(entries, layout)
    }

    fn leave_out(&mut self, path: PathBuf, error: DebError) {
        if self.out.insert(path.display().to_string()) {
            self.left_out.push((path, error));
        }
    }

    /// Every .deb, also one that lies there twice.
    pub(super) fn debs(&self) -> &[Entry] {
        &self.debs
    }

    /// The folder of a component, which may be a new one.
    pub(super) fn has_folder(&mut self, home: &Path) {
        let name = home.file_name().map(|name| name.to_string_lossy().into_owned());
        if let Some(name) = name.filter(|name| !self.components.contains(name)) {
            self.components.push(name);
        }
    }

    /// Every .deb that is published.
    pub(super) fn published(&self) -> impl Iterator<Item = &Entry> + Clone {
        self.debs.iter().filter(|entry| !self.out.contains(&entry.path))
    }

    /// One that was put there after the look.
    pub(super) fn push(&mut self, entry: Entry) {
        self.debs.push(entry);
        self.read += 1;
    }
}

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
