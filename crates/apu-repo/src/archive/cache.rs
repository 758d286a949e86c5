//! What was read of each .deb, so that an unchanged one is never read again. Safe to delete at any time.
//!
//! After a first line come the .debs, each with a line of its own before its control file; what came last of a path
//! counts. New ones are appended.

use std::collections::HashMap;
use std::fmt::Write as _;
use std::fs::{self, OpenOptions};
use std::io::{self, Write as _};
use std::path::Path;

use flate2::Crc;

use super::index::Entry;
use super::scan::Stamp;
use crate::deb::{Control, Deb};
use crate::{durable, parallel};

/// The first line of a cache; another program version may judge a .deb differently.
const HEAD: &str = concat!("apu-repo ", env!("CARGO_PKG_VERSION"), " 4\n");

/// Known .debs by their paths.
#[derive(Debug, Default)]
pub(super) struct Cache {
    known: HashMap<String, (Stamp, Deb)>,
    /// Whether this version of the program wrote it.
    pub(super) is_ours: bool,
    /// Whether it ends where it should, and says everything once.
    is_tidy: bool,
}

impl Cache {
    /// Reads a cache; of one that is damaged, what stands before the damage.
    pub(super) fn read(path: &Path) -> Self {
        let bytes = fs::read(path).unwrap_or_default();
        let length = bytes.len();
        let text = text_of(bytes);
        let Some(mut rest) = text.strip_prefix(HEAD) else {
            return Self::default();
        };
        let mut records = Vec::new();
        while let Some((record, after)) = Record::first(rest) {
            records.push(record);
            rest = after;
        }
        let count = records.len();
        let known: HashMap<_, _> = parallel::map(&records, Record::known)
            .into_iter()
            .map_while(|known| known)
            .collect();
        Self {
            is_tidy: text.len() == length && rest.is_empty() && known.len() == count,
            known,
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

    /// Whether there is nothing in it but what was taken, so that it can be appended to.
    pub(super) fn is_used_up(&self) -> bool {
        self.is_tidy && self.known.is_empty()
    }

    /// Writes a new one. Not synced: a cache that a power cut damaged ends at the damage.
    pub(super) fn write<'a>(path: &Path, entries: impl IntoIterator<Item = &'a Entry>) -> io::Result<()> {
        durable::replace_unsynced(path, (HEAD.to_owned() + &records(entries)).as_bytes())
    }

    /// Adds what came new to the one that is there.
    pub(super) fn append<'a>(path: &Path, entries: impl IntoIterator<Item = &'a Entry>) -> io::Result<()> {
        let mut file = OpenOptions::new().append(true).open(path)?;
        file.write_all(records(entries).as_bytes())
    }
}

/// What stands before the first byte that is no text.
fn text_of(bytes: Vec<u8>) -> String {
    String::from_utf8(bytes).unwrap_or_else(|error| {
        let whole = error.utf8_error().valid_up_to();
        let mut bytes = error.into_bytes();
        bytes.truncate(whole);
        String::from_utf8(bytes).unwrap_or_default()
    })
}

fn records<'a>(entries: impl IntoIterator<Item = &'a Entry>) -> String {
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
struct Record<'a> {
    /// Up to the checksum.
    line: &'a str,
    sum: &'a str,
    control: &'a str,
}

impl<'a> Record<'a> {
    /// The first of `text`, and what stands after it.
    fn first(text: &'a str) -> Option<(Self, &'a str)> {
        let (line, rest) = text.split_once('\n')?;
        let (line, sum) = line.split_at_checked(line.rfind(' ')? + 1)?;
        let length = line.trim_end().rsplit(' ').next()?.parse().ok()?;
        let (control, rest) = rest.split_at_checked(length)?;
        Some((Self { line, sum, control }, rest))
    }

    /// Nothing if it is damaged.
    fn known(&self) -> Option<(String, (Stamp, Deb))> {
        if u32::from_str_radix(self.sum, 16) != Ok(sum(self.line, self.control)) {
            return None;
        }
        let mut words = self.line.split(' ');
        let path = words.next()?.to_owned();
        let stamp = Stamp::read(&mut words)?;
        let deb = Deb {
            sha256: words.next()?.to_owned(),
            size: stamp.size,
            control: Control::from_text(self.control.to_owned())?,
        };
        Some((path, (stamp, deb)))
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
    use super::{Cache, Entry};
    use crate::deb::Deb;

    fn entries(dir: &Path, names: &[&str]) -> Vec<Entry> {
        let file = dir.join("file");
        fs::write(&file, "file").unwrap();
        let stamp = Stamp::of(&file).unwrap().unwrap();
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

    /// How many of `entries` come back, each as it was, and whether nothing else is there.
    fn taken(path: &Path, entries: &[Entry]) -> (usize, bool) {
        let mut cache = Cache::read(path);
        let known = entries.iter().filter_map(|entry| {
            let deb = cache.take(&entry.path, &entry.stamp)?;
            assert_eq!(deb, entry.deb);
            Some(())
        });
        (known.count(), cache.is_used_up())
    }

    #[test]
    fn what_is_known_comes_back_and_of_a_cut_cache_what_is_whole() {
        let dir = tempfile::tempdir().unwrap();
        let cache = dir.path().join("cache");
        let entries = entries(dir.path(), &["one", "two"]);
        Cache::write(&cache, &entries[..1]).unwrap();
        let first = fs::read(&cache).unwrap().len();
        Cache::append(&cache, &entries[1..]).unwrap();
        let whole = fs::read(&cache).unwrap();
        for length in 0..=whole.len() {
            fs::write(&cache, &whole[..length]).unwrap();
            let (count, tidy) = taken(&cache, &entries);
            let expected = usize::from(length >= first) + usize::from(length == whole.len());
            assert_eq!(count, expected, "{length}");
            let ends_well = [super::HEAD.len(), first, whole.len()].contains(&length);
            assert_eq!(tidy, ends_well, "{length}");
        }
    }

    #[test]
    fn a_damaged_byte_ends_a_cache() {
        let dir = tempfile::tempdir().unwrap();
        let cache = dir.path().join("cache");
        let entries = entries(dir.path(), &["one", "two"]);
        Cache::write(&cache, &entries[..1]).unwrap();
        let first = fs::read(&cache).unwrap().len();
        Cache::append(&cache, &entries[1..]).unwrap();
        let whole = fs::read(&cache).unwrap();
        for (at, bit) in (super::HEAD.len()..whole.len()).flat_map(|at| [(at, 1), (at, 0x80)]) {
            let mut damaged = whole.clone();
            damaged[at] ^= bit;
            fs::write(&cache, &damaged).unwrap();
            let (count, tidy) = taken(&cache, &entries);
            assert!(count <= usize::from(at >= first) && !tidy, "{at}: {count} {tidy}");
        }
    }

    #[test]
    fn what_came_last_of_a_path_counts() {
        let dir = tempfile::tempdir().unwrap();
        let cache = dir.path().join("cache");
        let mut entries = entries(dir.path(), &["one"]);
        Cache::write(&cache, &entries).unwrap();
        entries[0].deb.sha256 = "cd".repeat(32);
        Cache::append(&cache, &entries).unwrap();
        assert_eq!(taken(&cache, &entries), (1, false));
    }
}
