//! What an archive offers of one package, read from its published index as a client reads it.

use std::io::ErrorKind;
use std::path::Path;

use apu_debian::deb822::{Comments, paragraphs};

use super::ArchiveError;
use crate::folder::Folder;

/// The newest version of `package` in the flat archive in `dir`; none where it was never published, or has it not.
///
/// # Errors
/// Where the index cannot be read.
pub fn newest_version(dir: &Path, package: &str) -> Result<Option<String>, ArchiveError> {
    let path = dir.join("Packages");
    let text = match Folder::open(dir).and_then(|root| root.read_text(Path::new("Packages"))) {
        Ok(text) => text,
        Err(error) if error.kind() == ErrorKind::NotFound => return Ok(None),
        Err(error) => return Err(ArchiveError::unreadable(&path, error)),
    };
    let entries =
        paragraphs(&text, Comments::Refused).map_err(|error| ArchiveError::unreadable(&path, error))?;
    // An index lists newer versions later.
    let last = entries
        .iter()
        .rfind(|entry| entry.get("Package") == Some(package));
    Ok(last.and_then(|entry| entry.get("Version")).map(str::to_owned))
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::newest_version;

    #[test]
    fn the_last_of_a_name_is_the_newest() {
        let dir = tempfile::tempdir().unwrap();
        assert_eq!(newest_version(dir.path(), "b").unwrap(), None);
        let index = "Package: a\nVersion: 1\n\nPackage: b\nVersion: 9\n\nPackage: b\nVersion: 10\n\nPackage: c\nVersion: 2\n";
        fs::write(dir.path().join("Packages"), index).unwrap();
        assert_eq!(newest_version(dir.path(), "b").unwrap().as_deref(), Some("10"));
        assert_eq!(newest_version(dir.path(), "d").unwrap(), None);
    }
}
