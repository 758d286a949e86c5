//! What a directory says of itself when nobody changes it.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use super::layout::release_dir;
use super::release;

/// The names of the suites that are published in `dir`, sorted.
#[must_use]
pub fn suites(dir: &Path) -> Vec<String> {
    let folders = fs::read_dir(dir.join("dists")).into_iter().flatten().flatten();
    let mut names: Vec<String> = folders
        .filter(|folder| folder.path().join("InRelease").exists())
        .filter_map(|folder| folder.file_name().into_string().ok())
        .collect();
    names.sort();
    names
}

/// The Packages files of the flat archive in `dir`, or of one of its suites.
///
/// # Errors
/// Where it was not published, or cannot be read.
pub fn indexes(dir: &Path, suite: Option<&str>) -> io::Result<Vec<PathBuf>> {
    let folder = dir.join(release_dir(suite));
    let text = fs::read_to_string(folder.join("Release"))?;
    let unreadable = || io::Error::new(io::ErrorKind::InvalidData, "its Release is none of apu's");
    let release = release::parse(&text).ok_or_else(unreadable)?;
    let names = release.files.iter().map(|file| &file.name);
    let plain = names.filter(|name| name.rsplit('/').next() == Some("Packages"));
    Ok(plain.map(|name| folder.join(name)).collect())
}
