//! What was read of each .deb, so that an unchanged one is never read again. Safe to delete at any time.
//!
//! After a first line come the .debs, each with a line of its own before its control file; what came last of a path
//! counts. New ones are appended.

use std::collections::HashMap;
use std::fmt::Write as _;
use std::io::{self, Write as _};
use std::ops::Range;
use std::path::Path;
use std::sync::Arc;

use flate2::Crc;
use rustix::fs::OFlags;

use super::index::Entry;
use super::scan::Stamp;
use crate::atomic_file;
use crate::deb::{Control, Deb, Shared};
use crate::folder::{About, Folder};
use crate::trusted::is_trusted;

/// The first line of a cache; another program version may check a .deb differently.
const HEAD: &str = concat!("apu-repo ", env!("CARGO_PKG_VERSION"), " 5\n");

/// Known .debs by their paths.
#[derive(Debug, Default)]
pub(super) struct Cache<'a> {
    records: HashMap<&'a str, Record<'a>>,
    /// Whether this version of the program wrote it.
    pub(super) is_ours: bool,
    /// Whether it ends where it should, and says everything once.
    pub(super) is_tidy: bool,
}

impl<'a> Cache<'a> {
    /// Takes what a cache's file holds; of one that is damaged, what stands before the damage.
    pub(super) fn of(file: &'a CacheFile) -> Self {
        if !file.text.starts_with(HEAD) {
            return Self::default();
        }
        let mut records = Vec::new();
        let mut end = HEAD.len();
        while let Some(record) = Record::at(&file.text, end) {
            end = record.control.end;
            records.push(record);
        }
        let count = records.len();
        let by_path = |record: Record<'a>| (record.path(), record);
        let records: HashMap<_, _> = records.into_iter().map(by_path).collect();
        Self {
            is_ours: true,
            is_tidy: file.is_text && end == file.text.len() && records.len() == count,
            records,
        }
    }

    /// What is known of the file at `path`, if it is still the same.
    pub(super) fn get(&self, path: &str, stamp: &Stamp) -> Option<Deb> {
        self.records.get(path)?.deb(stamp)
    }

    /// How many paths it says something of.
    pub(super) fn len(&self) -> usize {
        self.records.len()
    }

    /// Writes a new one. Not synced: a cache that a power cut damaged ends at the damage.
    pub(super) fn write(root: &Folder, path: &Path, entries: &[Entry]) -> io::Result<()> {
        atomic_file::replace_unsynced(root, path, (HEAD.to_owned() + &records(entries)).as_bytes())
    }

    /// Adds what came new to the one that is there.
    pub(super) fn append(root: &Folder, path: &Path, entries: &[Entry]) -> io::Result<()> {
        let mut file = root.open_to_write(path, OFlags::WRONLY | OFlags::APPEND, 0)?;
        let about = About::of(&file)?;
        // A second name would be that of another file.
        if about.names() != 1 || !is_trusted(about.owner()) {
            return Err(io::Error::other("it is not apu's alone"));
        }
        file.write_all(records(entries).as_bytes())
    }
}

/// What a cache's file holds, up to the first byte that is no text.
pub(super) struct CacheFile {
    text: Arc<String>,
    /// Whether that is all.
    is_text: bool,
}

impl CacheFile {
    /// One that cannot be read counts as empty.
    pub(super) fn read(root: &Folder, path: &Path) -> Self {
        let text = String::from_utf8(root.read(path).unwrap_or_default());
        let is_text = text.is_ok();
        let text = text.unwrap_or_else(|error| {
            let whole = error.utf8_error().valid_up_to();
            String::from_utf8_lossy(&error.as_bytes()[..whole]).into_owned()
        });
        let text = Arc::new(text);
        Self { text, is_text }
    }
}

fn records(entries: &[Entry]) -> String {
    let mut text = String::new();
    for Entry { path, stamp, deb } in entries {
        let control = deb.control.text();
        let start = text.len();
        // No path that is published has a blank.
        let _ = write!(text, "{path} {stamp} {} {} ", deb.sha256, control.len());
        let sum = sum(&text[start..], control);
        let _ = writeln!(text, "{sum:08x}");
        text.push_str(control);
    }
    text
}

/// One .deb as a cache has it.
#[derive(Debug)]
struct Record<'a> {
    /// Up to the checksum.
    line: &'a str,
    sum: &'a str,
    text: &'a Arc<String>,
    /// Where the control file stands in the text.
    control: Range<usize>,
}

impl<'a> Record<'a> {
    fn at(text: &'a Arc<String>, start: usize) -> Option<Self> {
        let (line, _) = text.get(start..)?.split_once('\n')?;
        let start = start + line.len() + 1;
        let (line, sum) = line.split_at_checked(line.rfind(' ')? + 1)?;
        let length: usize = line.trim_end().rsplit(' ').next()?.parse().ok()?;
        let control = start..start.checked_add(length)?;
        text.get(control.clone())?;
        Some(Self {
            line,
            sum,
            text,
            control,
        })
    }

    fn path(&self) -> &'a str {
        self.line.split(' ').next().unwrap_or_default()
    }

    /// Nothing if it is damaged, or is about another file.
    fn deb(&self, stamp: &Stamp) -> Option<Deb> {
        let mut words = self.line.split(' ').skip(1);
        if Stamp::read(&mut words)? != *stamp {
            return None;
        }
        let control = Shared::of(self.text, self.control.clone())?;
        if u32::from_str_radix(self.sum, 16) != Ok(sum(self.line, &control)) {
            return None;
        }
        Some(Deb {
            sha256: words.next()?.to_owned(),
            size: stamp.size,
            control: Control::from_text(control)?,
        })
    }
}

/// Tells a record that is whole from one that a power cut damaged.
fn sum(line: &str, control: &str) -> u32 {
    let mut crc = Crc::new();
    crc.update(line.as_bytes());
    crc.update(control.as_bytes());
    crc.sum()
}

#[cfg(test)]
mod tests {
    use std::fs;
    use std::path::Path;

    use super::super::scan::Stamp;
    use super::{Cache, CacheFile, Entry};
    use crate::deb::Deb;
    use crate::folder::Folder;

    const CACHE: &str = "cache";

    fn folder(cache: &Path) -> Folder {
        Folder::open(cache.parent().unwrap()).unwrap()
    }

    fn entries(dir: &Path, names: &[&str]) -> Vec<Entry> {
        let file = dir.join("file");
        fs::write(&file, "file").unwrap();
        let stamp = Stamp::at(&folder(&file), Path::new("file")).unwrap().unwrap();
        let deb = |name: &str| Deb {
            control: format!("Package: {name}\nVersion: 1\nArchitecture: all\nDescription: ü\n x\n")
                .parse()
                .unwrap(),
            size: stamp.size,
            sha256: "ab".repeat(32),
        };
        let entry = |name: &&str| Entry {
            path: format!("{name}.deb"),
            deb: deb(name),
            stamp,
        };
        names.iter().map(entry).collect()
    }

    /// Where the first of two entries ends, and all that is written of them.
    fn written(path: &Path, entries: &[Entry]) -> (usize, Vec<u8>) {
        Cache::write(&folder(path), Path::new(CACHE), &entries[..1]).unwrap();
        let first = fs::read(path).unwrap().len();
        Cache::append(&folder(path), Path::new(CACHE), &entries[1..]).unwrap();
        (first, fs::read(path).unwrap())
    }

    /// How many of `entries` come back, each as it was, and whether it can be appended to.
    fn found(path: &Path, entries: &[Entry]) -> (usize, bool) {
        let file = CacheFile::read(&folder(path), Path::new(CACHE));
        let cache = Cache::of(&file);
        let known = entries.iter().filter_map(|entry| {
            let deb = cache.get(&entry.path, &entry.stamp)?;
            assert_eq!(deb, entry.deb);
            Some(())
        });
        let known = known.count();
        (known, cache.is_tidy && known == cache.len())
    }

    #[test]
    fn what_is_known_comes_back_and_of_a_cut_cache_what_is_whole() {
        let dir = tempfile::tempdir().unwrap();
        let cache = dir.path().join("cache");
        let entries = entries(dir.path(), &["one", "two"]);
        let (first, whole) = written(&cache, &entries);
        for length in 0..=whole.len() {
            fs::write(&cache, &whole[..length]).unwrap();
            let (count, tidy) = found(&cache, &entries);
            let expected = usize::from(length >= first) + usize::from(length == whole.len());
            assert_eq!(count, expected, "{length}");
            let ends_well = [super::HEAD.len(), first, whole.len()].contains(&length);
            assert_eq!(tidy, ends_well, "{length}");
        }
    }

    #[test]
    fn what_is_damaged_is_not_known() {
        let dir = tempfile::tempdir().unwrap();
        let cache = dir.path().join("cache");
        let entries = entries(dir.path(), &["one", "two"]);
        let (first, whole) = written(&cache, &entries);
        for (at, bit) in (super::HEAD.len()..whole.len()).flat_map(|at| [(at, 1), (at, 0x80)]) {
            let mut damaged = whole.clone();
            damaged[at] ^= bit;
            fs::write(&cache, &damaged).unwrap();
            let (count, tidy) = found(&cache, &entries);
            assert!(count <= 1 && !tidy, "{at}: {count} {tidy}");
            assert!(count == 1 || at < first, "{at}: the first is whole");
        }
    }

    #[test]
    fn what_came_last_of_a_path_counts() {
        let dir = tempfile::tempdir().unwrap();
        let cache = dir.path().join("cache");
        let mut entries = entries(dir.path(), &["one"]);
        Cache::write(&folder(&cache), Path::new(CACHE), &entries).unwrap();
        entries[0].deb.sha256 = "cd".repeat(32);
        Cache::append(&folder(&cache), Path::new(CACHE), &entries).unwrap();
        assert_eq!(found(&cache, &entries), (1, false));
    }
}
