//! Contents: which file is in which package, as apt-file reads it.

use std::collections::HashMap;
use std::io;
use std::path::{Path, PathBuf};

use super::index::Entry;
use super::{Archive, ArchiveError, Refused};
use crate::atomic_file;
use crate::deb::{self, DebError, Depth};
use crate::folder::Folder;

/// The first line of the record of names.
const HEAD: &str = concat!("apu-repo ", env!("CARGO_PKG_VERSION"), " names 1");

/// The names of the files in each .deb, a line each, by the .deb's SHA-256.
#[derive(Default)]
pub(super) struct Names(HashMap<String, Vec<u8>>);

impl Archive {
    /// The files in each of these .debs; only those that the record does not know are unpacked.
    pub(super) fn names(&self, entries: &[&Entry]) -> Result<Names, ArchiveError> {
        let path = self.own("names");
        let mut names = Names::read(&self.root, &path);
        let known = names.0.len();
        let unknown: Vec<&Entry> = entries
            .iter()
            .filter(|entry| !names.0.contains_key(&entry.deb.sha256))
            .copied()
            .collect();
        let read = deb::read_all(&unknown, Depth::Whole, |entry| {
            self.root.open_file(Path::new(&entry.path))
        });
        let mut refused: Vec<(PathBuf, DebError)> = Vec::new();
        for (entry, read) in unknown.iter().zip(read) {
            match read {
                Ok(contents) => {
                    names.0.insert(entry.deb.sha256.clone(), contents.names);
                }
                Err(error) => refused.push((entry.path.clone().into(), error)),
            }
        }
        if names.forget_but(entries) || names.0.len() != known || !unknown.is_empty() {
            // Only speed is lost without it.
            let _ = names.write(&self.root, &path);
        }
        match Refused::of(refused) {
            None => Ok(names),
            Some(refused) => Err(ArchiveError::Refused(refused)),
        }
    }
}

impl Names {
    /// Reads the record; one that is missing or damaged is empty.
    fn read(root: &Folder, path: &Path) -> Self {
        let bytes = root.read(path).unwrap_or_default();
        Self::parse(&bytes).unwrap_or_default()
    }

    fn parse(bytes: &[u8]) -> Option<Self> {
        let mut rest = bytes.strip_prefix(HEAD.as_bytes())?.strip_prefix(b"\n")?;
        let mut names = HashMap::new();
        while !rest.is_empty() {
            let end = rest.iter().position(|&byte| byte == b'\n')?;
            let (line, after) = (std::str::from_utf8(&rest[..end]).ok()?, &rest[end + 1..]);
            let (sha256, length) = line.split_once(' ')?;
            let (files, after) = after.split_at_checked(length.parse().ok()?)?;
            names.insert(sha256.to_owned(), files.to_vec());
            rest = after;
        }
        Some(Self(names))
    }

    /// Says whether there was something to forget.
    fn forget_but(&mut self, entries: &[&Entry]) -> bool {
        let before = self.0.len();
        let wanted: std::collections::HashSet<&str> =
            entries.iter().map(|entry| entry.deb.sha256.as_str()).collect();
        self.0.retain(|sha256, _| wanted.contains(sha256.as_str()));
        self.0.len() != before
    }

    /// Not synced: a record that a power cut damaged counts as empty.
    fn write(&self, root: &Folder, path: &Path) -> io::Result<()> {
        let mut bytes = format!("{HEAD}\n").into_bytes();
        for (sha256, files) in &self.0 {
            bytes.extend_from_slice(format!("{sha256} {}\n", files.len()).as_bytes());
            bytes.extend_from_slice(files);
        }
        atomic_file::replace_unsynced(root, path, &bytes)
    }

    /// The text of Contents: a file a line, then the packages that have it as `SECTION/NAME`, both sorted.
    pub(super) fn contents(&self, entries: &[&Entry]) -> Vec<u8> {
        let places: Vec<String> = entries.iter().map(|entry| place(entry)).collect();
        let mut pairs: Vec<(&[u8], &str)> = Vec::new();
        for (entry, place) in entries.iter().zip(&places) {
            let files = self.0.get(&entry.deb.sha256).map_or(&[][..], Vec::as_slice);
            let files = files.split(|&byte| byte == b'\n').filter(|file| !file.is_empty());
            pairs.extend(files.map(|file| (file, place.as_str())));
        }
        pairs.sort_unstable();
        // Several versions of a package have most of their files in common.
        pairs.dedup();
        let mut text = Vec::new();
        let mut last: &[u8] = b"";
        for (file, place) in pairs {
            if file == last {
                text.push(b',');
            } else {
                if !text.is_empty() {
                    text.push(b'\n');
                }
                text.extend_from_slice(file);
                text.push(b'\t');
                last = file;
            }
            text.extend_from_slice(place.as_bytes());
        }
        if !text.is_empty() {
            text.push(b'\n');
        }
        text
    }
}

fn place(entry: &Entry) -> String {
    let package = entry.deb.control.package();
    match entry.deb.control.get("Section") {
        Some(section) if !section.is_empty() => format!("{section}/{package}"),
        _ => package.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use super::{Folder, HEAD, Names};

    #[test]
    fn a_damaged_record_is_empty() {
        let mut names = Names::default();
        names.0.insert("ab".into(), b"usr/bin/a\nusr/bin/b c\n".to_vec());
        let dir = tempfile::tempdir().unwrap();
        let (root, path) = (Folder::open(dir.path()).unwrap(), Path::new("names"));
        names.write(&root, path).unwrap();
        let whole = root.read(path).unwrap();
        assert_eq!(Names::parse(&whole).unwrap().0, names.0);
        for length in (HEAD.len() + 2)..whole.len() {
            assert!(Names::parse(&whole[..length]).is_none(), "cut after {length}");
        }
        assert!(Names::parse(b"another program\n").is_none());
    }
}
