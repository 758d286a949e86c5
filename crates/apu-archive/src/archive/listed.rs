//! What a directory says of itself when nobody changes it.

use std::io;
use std::path::{Path, PathBuf};

use rustix::fs::FileType;

use super::layout::release_dir;
use super::release;
use crate::folder::Folder;

/// The names of the suites that are published in `dir`, sorted; a link to a suite is none.
#[must_use]
pub fn suites(dir: &Path) -> Vec<String> {
    let dists = Folder::open(dir).and_then(|root| root.folder(Path::new("dists")));
    let Ok(dists) = dists else { return Vec::new() };
    let is_suite = |name: &Path| {
        let signed = dists.look(&name.join("InRelease"));
        signed.is_ok_and(|about| about.kind() == FileType::RegularFile)
    };
    let folders = dists.list().unwrap_or_default().into_iter();
    let names = folders.filter(|(name, _)| is_suite(Path::new(name)));
    let mut names: Vec<String> = names.filter_map(|(name, _)| name.into_string().ok()).collect();
    names.sort();
    names
}

/// The Packages files of the flat archive in `dir`, or of one of its suites: their paths, and their texts.
///
/// # Errors
/// Where it was not published, or cannot be read.
pub fn indexes(dir: &Path, suite: Option<&str>) -> io::Result<Vec<(PathBuf, String)>> {
    let root = Folder::open(dir)?;
    let folder = release_dir(suite);
    let text = root.read_text(&folder.join("Release"))?;
    let unreadable = || io::Error::new(io::ErrorKind::InvalidData, "its Release is none of apu's");
    let release = release::parse(&text).ok_or_else(unreadable)?;
    let names = release.files.iter().map(|file| &file.name);
    let plain = names.filter(|name| name.rsplit('/').next() == Some("Packages"));
    plain
        .map(|name| {
            let path = folder.join(name);
            let text = root.read_text(&path)?;
            Ok((dir.join(path), text))
        })
        .collect()
}
