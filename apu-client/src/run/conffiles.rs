//! Finds configuration files that exist in two versions: the machine's and the package's.
//!
//! dpkg and ucf leave the version that is not used beside the other one. After a run only files count that appeared during it; their
//! change time tells, which no program can set.

use std::collections::BTreeMap;
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

/// Returns a file's change time (ctime), which no program can set.
fn change_time(metadata: &fs::Metadata) -> (i64, i64) {
    (metadata.ctime(), metadata.ctime_nsec())
}

#[cfg(test)]
mod tests {
    use super::*;

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
