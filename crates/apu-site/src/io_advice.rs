//! What to try after an error of the system: it depends on the error, and on who runs the program.

use std::io::{self, ErrorKind};
use std::path::Path;

use crate::failure::{Failure, FailureKind};

/// Whose turn it is, and what to try, where something with `path` did not work.
#[must_use]
pub fn io_advice(error: &io::Error, path: &Path) -> (FailureKind, String) {
    advice_for(error.kind(), path, nix::unistd::geteuid().is_root())
}

fn advice_for(kind: ErrorKind, path: &Path, is_root: bool) -> (FailureKind, String) {
    let shown = path.display();
    // What can be looked at: the path itself, or what is left of it.
    let there = path.ancestors().find(|path| path.symlink_metadata().is_ok());
    let there = there.unwrap_or(Path::new("/")).display();
    match kind {
        ErrorKind::PermissionDenied if is_root => (
            FailureKind::Machine,
            format!("look at `findmnt -T {there}` and `lsattr -d {there}`: root itself is kept out"),
        ),
        ErrorKind::PermissionDenied => (FailureKind::Words, "run it as root, with sudo".to_owned()),
        ErrorKind::NotFound => (
            FailureKind::Words,
            format!("look at `ls -ld {there}`: {shown} is not there"),
        ),
        ErrorKind::NotADirectory | ErrorKind::IsADirectory | ErrorKind::AlreadyExists => {
            (FailureKind::Words, format!("look at `ls -ld {there}`"))
        }
        ErrorKind::InvalidFilename | ErrorKind::InvalidInput => (
            FailureKind::Words,
            "give it another name: a shorter one, of plain letters".to_owned(),
        ),
        ErrorKind::InvalidData => (FailureKind::Words, format!("make {shown} a text file in UTF-8")),
        ErrorKind::StorageFull | ErrorKind::QuotaExceeded | ErrorKind::FileTooLarge => (
            FailureKind::Machine,
            format!("look at `df -h {there}` and `df -i {there}`"),
        ),
        ErrorKind::ReadOnlyFilesystem => (
            FailureKind::Machine,
            format!("look at `findmnt -T {there}`: it is mounted read-only"),
        ),
        _ => (
            FailureKind::Machine,
            format!("look at `ls -ld {there}` and `findmnt -T {there}`"),
        ),
    }
}

impl Failure {
    /// A failure of the system at `path`, with what to try.
    #[must_use]
    pub fn of_io(what: impl Into<String>, error: io::Error, path: &Path) -> Self {
        let (kind, advice) = io_advice(&error, path);
        let failure = match kind {
            FailureKind::Words => Self::words(what),
            FailureKind::Machine => Self::machine(what),
        };
        failure.advise(advice).why(error)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn advice_is_right_for_its_cause() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("not/there");
        let there = directory.path().display();
        let advice = |kind, is_root| advice_for(kind, &path, is_root);
        let (kind, text) = advice(ErrorKind::PermissionDenied, false);
        assert_eq!(
            (kind, text.as_str()),
            (FailureKind::Words, "run it as root, with sudo")
        );
        let (kind, text) = advice(ErrorKind::PermissionDenied, true);
        assert_eq!(kind, FailureKind::Machine);
        assert!(!text.contains("sudo") && text.contains("lsattr"), "{text}");
        let (_, text) = advice(ErrorKind::InvalidFilename, true);
        assert!(!text.contains("df ") && text.contains("another name"), "{text}");
        let (_, text) = advice(ErrorKind::StorageFull, true);
        assert!(text.starts_with(&format!("look at `df -h {there}`")), "{text}");
        let (_, text) = advice(ErrorKind::ReadOnlyFilesystem, true);
        assert!(text.contains("read-only"), "{text}");
        // What is looked at is there.
        let (kind, text) = advice(ErrorKind::NotFound, true);
        assert_eq!(kind, FailureKind::Words);
        assert!(text.contains(&format!("`ls -ld {there}`")), "{text}");
    }

    #[test]
    fn the_systems_own_errors_have_the_kinds_that_are_told_apart() {
        let directory = tempfile::tempdir().unwrap();
        let long = std::fs::File::create(directory.path().join("x".repeat(300))).unwrap_err();
        assert_eq!(long.kind(), ErrorKind::InvalidFilename);
        std::fs::write(directory.path().join("file"), "").unwrap();
        let below = std::fs::File::open(directory.path().join("file/x")).unwrap_err();
        assert_eq!(below.kind(), ErrorKind::NotADirectory);
    }
}
