//! Copies the source files of apt for one process, so that apt reads exactly the text that was checked.

use std::fs::{self, DirBuilder, File};
use std::io::{self, Read};
use std::os::unix::fs::{DirBuilderExt, symlink};
use std::path::{Path, PathBuf};

use super::lists;
use crate::os::paths::ClientPaths;
use crate::os::temporary_directory::TemporaryDirectory;

/// Maximal size of a source file in bytes, and maximal number of them. Real files have a few lines.
const MAX_FILE_SIZE: u64 = 1024 * 1024;
const MAX_FILES: usize = 2000;

/// The copies, in a directory that is removed when this value is dropped.
#[derive(Debug)]
pub(crate) struct SourceCopy {
    directory: TemporaryDirectory,
    /// The main source file: the machine's path, and the copy's.
    list: (PathBuf, PathBuf),
    /// The directory of the other source files, likewise.
    parts: (PathBuf, PathBuf),
}

impl SourceCopy {
    /// Copies the source files that apt would read on this client.
    pub(crate) fn take(paths: &ClientPaths) -> io::Result<Self> {
        let directory = TemporaryDirectory::of_process(&paths.views())?;
        let private = |path: &Path| DirBuilder::new().mode(0o700).recursive(true).create(path);
        let (list, parts) = (paths.source_list(), paths.source_parts());
        let name = list.file_name().map_or_else(|| "none".into(), ToOwned::to_owned);
        let copies = Self {
            list: (list, directory.path().join("main").join(name)),
            parts: (parts, directory.path().join("parts")),
            directory,
        };
        for path in ["main", "parts", "lists/partial"] {
            private(&copies.directory.path().join(path))?;
        }
        for (from, to) in copies.files(paths)? {
            copy_file(&from, &to).map_err(|error| {
                io::Error::new(error.kind(), format!("cannot read {}: {error}", from.display()))
            })?;
        }
        Ok(copies)
    }

    /// Returns the source files: the machine's path of each, and the copy's.
    pub(crate) fn files(&self, paths: &ClientPaths) -> io::Result<Vec<(PathBuf, PathBuf)>> {
        let mut files: Vec<(PathBuf, PathBuf)> = Vec::new();
        for path in paths.source_files()? {
            let to = if path == self.list.0 {
                self.list.1.clone()
            } else {
                self.parts.1.join(path.file_name().unwrap_or_default())
            };
            files.push((path, to));
        }
        if files.len() > MAX_FILES {
            return Err(io::Error::other(format!(
                "there are more than {MAX_FILES} source files"
            )));
        }
        Ok(files)
    }

    /// Returns options that make apt read the copies.
    pub(crate) fn source_options(&self) -> Vec<String> {
        vec![
            format!("Dir::Etc::SourceList={}", self.list.1.display()),
            format!("Dir::Etc::SourceParts={}", self.parts.1.display()),
        ]
    }

    /// Returns the lists directory of the copy: it has empty indexes and no Release file.
    pub(crate) fn lists(&self) -> PathBuf {
        self.directory.path().join("lists")
    }

    /// Creates an empty file for each index in [`Self::lists`].
    pub(crate) fn add_empty_indexes(&self, names: impl IntoIterator<Item = String>) -> io::Result<()> {
        let lists = self.lists();
        for name in names {
            if !name.ends_with("Release") && !name.ends_with("Release.gpg") && !name.contains('/') {
                File::create(lists.join(name))?;
            }
        }
        Ok(())
    }

    /// Returns options that make apt read the lists of `directory` except those that are left out.
    pub(crate) fn lists_without(
        &self,
        directory: &Path,
        is_left_out: impl Fn(&str) -> bool,
    ) -> io::Result<Vec<String>> {
        let shown = self.directory.path().join("shown");
        DirBuilder::new()
            .mode(0o700)
            .recursive(true)
            .create(shown.join("partial"))?;
        for name in lists::snapshot(directory).into_keys() {
            if !is_left_out(&name) {
                symlink(directory.join(&name), shown.join(&name))?;
            }
        }
        let cache = |name: &str| self.directory.path().join(name).display().to_string();
        Ok(vec![
            format!("Dir::State::lists={}", shown.display()),
            format!("Dir::Cache::pkgcache={}", cache("pkgcache.bin")),
            format!("Dir::Cache::srcpkgcache={}", cache("srcpkgcache.bin")),
        ])
    }

    /// Returns the directory alone, to be kept for as long as apt reads it.
    pub(crate) fn into_directory(self) -> TemporaryDirectory {
        self.directory
    }

    /// Replaces the paths of the copies in a text by the machine's own paths.
    pub(crate) fn restore_paths(&self, text: &str) -> String {
        let named = |text: &str, (own, copy): &(PathBuf, PathBuf)| {
            text.replace(&copy.display().to_string(), &own.display().to_string())
        };
        named(&named(text, &self.list), &self.parts)
    }

    /// Returns the copy that an entry of a [`Target`](super::Target) names, and the line or stanza in it.
    pub(crate) fn copied_entry(&self, entry: &str) -> Option<(PathBuf, usize)> {
        let (path, at) = entry.rsplit_once(':')?;
        let path = PathBuf::from(path);
        let is_copy = path == self.list.1 || path.parent() == Some(self.parts.1.as_path());
        is_copy.then_some((path, at.parse().ok()?))
    }
}

/// Copies a file with its modification time: apt rebuilds its cache where a source file is newer than the cache.
fn copy_file(from: &Path, to: &Path) -> io::Result<()> {
    let file = File::open(from)?;
    let modified = file.metadata()?.modified()?;
    let mut bytes = Vec::new();
    file.take(MAX_FILE_SIZE + 1).read_to_end(&mut bytes)?;
    if bytes.len() as u64 > MAX_FILE_SIZE {
        return Err(io::Error::other("it is larger than a source file may be"));
    }
    fs::write(to, bytes)?;
    File::open(to)?.set_modified(modified)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_copies_have_the_text_and_the_time_of_the_sources_and_go_with_the_view() {
        let root = tempfile::tempdir().unwrap();
        let paths = ClientPaths::below(root.path());
        let write = |path: &str| {
            let path = paths.path(path);
            fs::create_dir_all(path.parent().unwrap()).unwrap();
            fs::write(&path, format!("# {}\n", path.display())).unwrap();
            path
        };
        let old = write("/etc/apt/sources.list");
        let time = std::time::UNIX_EPOCH + std::time::Duration::from_secs(1_000_000_000);
        File::options()
            .write(true)
            .open(&old)
            .unwrap()
            .set_modified(time)
            .unwrap();
        write("/etc/apt/sources.list.d/a.sources");
        write("/etc/apt/sources.list.d/a.sources.save");
        let copies = SourceCopy::take(&paths).unwrap();
        let files = copies.files(&paths).unwrap();
        assert_eq!(files.len(), 2);
        for (own, copy) in &files {
            assert_eq!(fs::read(own).unwrap(), fs::read(copy).unwrap());
            let said = format!("E: Malformed entry 1 in {}", copy.display());
            assert!(copies.restore_paths(&said).ends_with(&own.display().to_string()));
        }
        let copied = files[0].1.clone();
        assert_eq!(copied.metadata().unwrap().modified().unwrap(), time);
        drop(copies);
        assert!(!copied.exists());
    }

    #[test]
    fn what_a_killed_process_left_is_removed() {
        let root = tempfile::tempdir().unwrap();
        let paths = ClientPaths::below(root.path());
        let stale = paths.state().join("views/4194999-0/lists");
        fs::create_dir_all(&stale).unwrap();
        drop(SourceCopy::take(&paths).unwrap());
        assert!(!stale.exists());
    }
}
