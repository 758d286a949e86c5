//! Writes the preferences of one request: packages that stay at their version, in front of the machine's own preferences.
//!
//! apt takes the first stanza that names a package, and reads this file before the directory of preferences, so these
//! stanzas come before all others. The machine's own files stay as they are, and no other call of apt reads the file that a
//! killed process leaves behind.

use std::fmt::Write;
use std::fs::{self, File};
use std::io::{self, Read};
use std::path::Path;

use crate::os::paths::ClientPaths;
use crate::os::temporary_directory::TemporaryDirectory;

/// Maximal size of the machine's own file in bytes.
const MAX_SIZE: u64 = 1024 * 1024;

/// The file, in a directory that is removed when this value is dropped.
#[derive(Debug)]
pub(crate) struct Preferences {
    directory: TemporaryDirectory,
}

impl Preferences {
    /// Writes preferences by which packages stay at the installed version, or stay away; a package is named as in
    /// apt_preferences(5). `with_own` says whether those of the machine follow.
    pub(crate) fn write(paths: &ClientPaths, packages: &[String], with_own: bool) -> io::Result<Self> {
        let own = match paths.preferences().filter(|_| with_own) {
            Some(path) => own(&path)
                .map_err(|error| io::Error::new(error.kind(), format!("{}: {error}", path.display())))?,
            None => String::new(),
        };
        let directory = TemporaryDirectory::of_process(&paths.views())?;
        fs::write(file(&directory), stanzas(packages) + &own)?;
        Ok(Self { directory })
    }

    /// Returns the option that makes apt read the file in place of the machine's own.
    pub(super) fn option(&self) -> String {
        format!("Dir::Etc::Preferences={}", file(&self.directory).display())
    }
}

fn file(directory: &TemporaryDirectory) -> std::path::PathBuf {
    directory.path().join("preferences")
}

/// The status file of dpkg is the archive `now` for apt: what is installed has a priority, and nothing else has one.
fn stanzas(packages: &[String]) -> String {
    let mut text = String::new();
    for package in packages {
        let _ = write!(
            text,
            "Package: {package}\nPin: release a=now\nPin-Priority: 990\n\n\
             Package: {package}\nPin: version *\nPin-Priority: -1\n\n"
        );
    }
    text
}

/// Reads the machine's own file; nothing where there is none, as for apt.
fn own(path: &Path) -> io::Result<String> {
    let file = match File::open(path) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(String::new()),
        file => file?,
    };
    // /dev/null stands for no preferences.
    let mut bytes = Vec::new();
    file.take(MAX_SIZE + 1).read_to_end(&mut bytes)?;
    if bytes.len() as u64 > MAX_SIZE {
        return Err(io::Error::other("it is larger than preferences may be"));
    }
    String::from_utf8(bytes).map_err(io::Error::other)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_stays_comes_before_the_machines_own_preferences_and_these_stay_as_they_are() {
        let root = tempfile::tempdir().unwrap();
        let paths = ClientPaths::below(root.path());
        let own = paths.path("/etc/apt/preferences");
        fs::create_dir_all(own.parent().unwrap()).unwrap();
        let text = "Package: a\nPin: version *\nPin-Priority: 999\n";
        fs::write(&own, text).unwrap();
        let preferences =
            Preferences::write(&paths, &["a:amd64".to_owned(), "lib*".to_owned()], true).unwrap();
        let option = preferences.option();
        let path = option.strip_prefix("Dir::Etc::Preferences=").unwrap().to_owned();
        let written = fs::read_to_string(&path).unwrap();
        assert!(
            written
                .starts_with("Package: a:amd64\nPin: release a=now\nPin-Priority: 990\n\nPackage: a:amd64\n")
        );
        assert_eq!(written.matches("Package: lib*\n").count(), 2, "{written}");
        assert!(
            written.ends_with(&format!("Pin-Priority: -1\n\n{text}")),
            "{written}"
        );
        assert_eq!(fs::read_to_string(&own).unwrap(), text);
        drop(preferences);
        assert!(!Path::new(&path).exists());
    }

    #[test]
    fn a_machine_without_preferences_has_those_of_the_request_alone() {
        let root = tempfile::tempdir().unwrap();
        let paths = ClientPaths::below(root.path());
        let preferences = Preferences::write(&paths, &["a".to_owned()], true).unwrap();
        let text = fs::read_to_string(file(&preferences.directory)).unwrap();
        assert_eq!(text, stanzas(&["a".to_owned()]));
        // What cannot be read is not left out: it may be what keeps a package away.
        fs::create_dir_all(paths.path("/etc/apt/preferences")).unwrap();
        assert!(Preferences::write(&paths, &["a".to_owned()], true).is_err());
        // Unless it is not to be read at all.
        assert!(Preferences::write(&paths, &["a".to_owned()], false).is_ok());
    }
}
