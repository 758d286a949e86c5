//! Finds configuration files that exist in two versions: the machine's and the package's.
//!
//! dpkg and ucf leave the version that is not used beside the other one. After a run only files count that appeared during it; their
//! change time tells, which no program can set.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

use crate::dpkg::Database;
use crate::os::paths::ClientPaths;

/// Unused versions of configuration files, each with its change time.
pub(crate) type Leftovers = BTreeMap<PathBuf, (i64, i64)>;

/// Suffixes of the package's version, where the machine's was kept.
const KEPT: [&str; 3] = [".dpkg-dist", ".dpkg-new", ".ucf-dist"];
/// Suffixes of the machine's version, where the package's replaced it.
const REPLACED: [&str; 2] = [".dpkg-old", ".ucf-old"];

const MAX_DEPTH: usize = 16;

/// Looks for such files in `/etc`, and beside every other configuration file that dpkg knows.
pub(crate) fn find(paths: &ClientPaths, database: &Database) -> Leftovers {
    let mut found = Leftovers::new();
    walk(&paths.path("/etc"), MAX_DEPTH, &mut found);
    let all = database.packages.values().flat_map(|package| &package.conffiles);
    for path in all.filter(|path| !path.starts_with("/etc/")) {
        for suffix in KEPT.iter().chain(&REPLACED) {
            note(&paths.path(&format!("{path}{suffix}")), &mut found);
        }
    }
    found
}

fn walk(directory: &Path, depth: usize, found: &mut Leftovers) {
    for entry in fs::read_dir(directory).into_iter().flatten().flatten() {
        let path = entry.path();
        match entry.file_type() {
            Ok(kind) if kind.is_dir() && depth > 0 => walk(&path, depth - 1, found),
            Ok(kind) if kind.is_file() && has_suffix(&path, &KEPT, &REPLACED) => note(&path, found),
            _ => {}
        }
    }
}

fn has_suffix(path: &Path, kept: &[&str], replaced: &[&str]) -> bool {
    let name = path.to_string_lossy();
    kept.iter().chain(replaced).any(|suffix| name.ends_with(suffix))
}

fn note(path: &Path, found: &mut Leftovers) {
    if let Ok(metadata) = fs::symlink_metadata(path) {
        found.insert(path.to_owned(), change_time(&metadata));
    }
}

/// The configuration file beside which an unused version lies, its suffix, and whether the machine's version was kept.
pub(crate) fn of_leftover(path: &Path) -> Option<(PathBuf, &'static str, bool)> {
    let text = path.to_str()?;
    let stripped = |suffixes: &[&'static str], is_kept: bool| {
        suffixes
            .iter()
            .find_map(|suffix| Some((PathBuf::from(text.strip_suffix(suffix)?), *suffix, is_kept)))
    };
    stripped(&KEPT, true).or_else(|| stripped(&REPLACED, false))
}

/// Returns the configuration files that were kept between two looks, and those that were replaced.
pub(crate) fn appeared(before: &Leftovers, after: &Leftovers) -> (Vec<String>, Vec<String>) {
    let new: Vec<String> = (after.iter())
        .filter(|(path, time)| before.get(*path) != Some(time))
        .map(|(path, _)| path.display().to_string())
        .collect();
    let of = |suffixes: &[&str]| -> Vec<String> {
        let stripped = new
            .iter()
            .filter_map(|path| suffixes.iter().find_map(|end| path.strip_suffix(end)));
        stripped.map(str::to_owned).collect()
    };
    (of(&KEPT), of(&REPLACED))
}

/// The configuration files of packages that are not there, such as those that were deleted on the machine.
pub(crate) fn missing(paths: &ClientPaths, database: &Database) -> BTreeSet<String> {
    let all = database.packages.values().flat_map(|package| &package.conffiles);
    all.filter(|path| !is_there(paths, path)).cloned().collect()
}

/// Whether there is anything at this path, a broken link too.
pub(crate) fn is_there(paths: &ClientPaths, path: &str) -> bool {
    let found = fs::symlink_metadata(paths.path(path));
    !found.is_err_and(|error| error.kind() == std::io::ErrorKind::NotFound)
}

/// Returns a file's change time (ctime), which no program can set.
fn change_time(metadata: &fs::Metadata) -> (i64, i64) {
    (metadata.ctime(), metadata.ctime_nsec())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_missing_is_what_a_package_has_and_the_machine_has_not() {
        let root = tempfile::tempdir().unwrap();
        let paths = ClientPaths::below(root.path());
        fs::create_dir_all(paths.path("/etc")).unwrap();
        fs::write(paths.path("/etc/a.conf"), "").unwrap();
        std::os::unix::fs::symlink("nowhere", paths.path("/etc/b.conf")).unwrap();
        let brought = "0123456789abcdef0123456789abcdef";
        let database = Database::parse([format!(
            "Package: dpkg\nStatus: install ok installed\nArchitecture: amd64\nVersion: 1\n\n\
             Package: x\nStatus: install ok installed\nArchitecture: amd64\nVersion: 1\n\
             Conffiles:\n /etc/a.conf {brought}\n /etc/b.conf {brought}\n /etc/c.conf {brought}\n\n"
        )
        .as_str()])
        .unwrap();
        assert_eq!(
            missing(&paths, &database).into_iter().collect::<Vec<_>>(),
            ["/etc/c.conf"]
        );
    }

    #[test]
    fn only_what_appeared_during_the_run_is_told() {
        let root = tempfile::tempdir().unwrap();
        let paths = ClientPaths::below(root.path());
        let deep = paths.path("/etc/a/b");
        fs::create_dir_all(&deep).unwrap();
        fs::write(deep.join("old.conf.dpkg-dist"), "").unwrap();
        let database = Database::default();
        let before = find(&paths, &database);
        fs::write(deep.join("new.conf.dpkg-dist"), "").unwrap();
        fs::write(deep.join("taken.conf.dpkg-old"), "").unwrap();
        let (kept, replaced) = appeared(&before, &find(&paths, &database));
        let path = |name: &str| deep.join(name).display().to_string();
        assert_eq!(kept, [path("new.conf")]);
        assert_eq!(replaced, [path("taken.conf")]);
    }
}
