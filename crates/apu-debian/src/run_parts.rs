//! Finds an administrator's own programs in a directory, as run-parts(8) takes them: which of its files are programs, and which of
//! these may be run.

use std::fs::{self, Metadata};
use std::io;
use std::os::unix::fs::MetadataExt;
use std::path::Path;

/// A program in the directory, and why it is not run.
#[derive(Debug, PartialEq, Eq)]
pub struct Found {
    /// Its file name.
    pub name: String,
    /// What keeps it from being run: `not run: ` and why.
    pub obstacle: Option<&'static str>,
}

/// The programs in the directory, sorted by name, with what keeps one from being run. A missing directory has none.
///
/// # Errors
/// Where the directory cannot be read.
pub fn find(directory: &Path) -> io::Result<Vec<Found>> {
    let entries = match fs::read_dir(directory) {
        Ok(entries) => entries,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Vec::new()),
        Err(error) => return Err(error),
    };
    let of_directory = fs::metadata(directory)?;
    let mut found = Vec::new();
    for entry in entries {
        let entry = entry?;
        let Ok(name) = entry.file_name().into_string() else {
            continue;
        };
        if !is_program_name(&name) {
            continue;
        }
        let metadata = fs::symlink_metadata(entry.path())?;
        if metadata.is_dir() || metadata.mode() & 0o111 == 0 {
            continue;
        }
        let obstacle = obstacle(&of_directory, &metadata);
        found.push(Found { name, obstacle });
    }
    found.sort_by(|one, other| one.name.cmp(&other.name));
    Ok(found)
}

/// Whether run-parts(8) would take a file of this name, by its default rule.
fn is_program_name(name: &str) -> bool {
    let is_plain = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_');
    !name.is_empty() && name.bytes().all(is_plain)
}

/// Why an executable file is not run.
fn obstacle(directory: &Metadata, file: &Metadata) -> Option<&'static str> {
    let is_of_root = |metadata: &Metadata| is_roots(metadata.uid(), metadata.mode());
    if file.is_symlink() {
        Some("not run: it is a symbolic link")
    } else if !file.is_file() {
        Some("not run: it is no regular file")
    } else if !is_of_root(file) {
        Some("not run: it is not root's alone to write")
    } else if !is_of_root(directory) {
        Some("not run: its directory is not root's alone to write")
    } else {
        None
    }
}

/// Whether only root may write a file or directory.
///
/// # Errors
/// Where it cannot be looked at.
pub fn is_roots_alone(path: &Path) -> io::Result<bool> {
    let metadata = fs::symlink_metadata(path)?;
    Ok(is_roots(metadata.uid(), metadata.mode()))
}

const fn is_roots(owner: u32, mode: u32) -> bool {
    owner == 0 && mode & 0o022 == 0
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_taken_as_run_parts_takes_them() {
        for name in ["web", "10-web_A", "_"] {
            assert!(is_program_name(name), "{name}");
        }
        for name in [
            "",
            "README.md",
            "web.dpkg-old",
            "web~",
            ".hidden",
            "w b",
            "wéb",
            "#web#",
        ] {
            assert!(!is_program_name(name), "{name}");
        }
    }

    #[test]
    fn only_what_is_roots_alone_to_write_is_run() {
        assert!(is_roots(0, 0o100_755));
        for (owner, mode) in [(1000, 0o100_755), (0, 0o100_775), (0, 0o100_757)] {
            assert!(!is_roots(owner, mode), "{owner} {mode:o}");
        }
    }
}
