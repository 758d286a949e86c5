//! Finds the files of ucf that are as their package brought them: they are to follow it, as dpkg's own do.
//!
//! ucf is told to keep the machine's files, since it overwrites changed ones without a copy otherwise; then it keeps unchanged ones, too.

use std::collections::{BTreeMap, BTreeSet};
use std::fs::File;
use std::io::{self, Read};

use super::ahead::edited;
use crate::os::paths::ClientPaths;

/// Where ucf keeps the MD5 of what it last brought, a line for each file.
const HASHES: &str = "/var/lib/ucf/hashfile";

/// Maximal size of that file, in bytes.
const MAX_SIZE: u64 = 4 * 1024 * 1024;

/// Returns the files that are unchanged; none where that cannot be told.
pub(super) fn unchanged(paths: &ClientPaths) -> BTreeSet<String> {
    let Ok(text) = read(paths) else {
        return BTreeSet::new();
    };
    let brought: BTreeMap<&str, &str> = text.lines().filter_map(entry).collect();
    let all: Vec<&str> = brought.keys().copied().collect();
    let Ok(edited) = edited(paths, &brought, &all) else {
        return BTreeSet::new();
    };
    let mut unchanged: BTreeSet<String> = all.into_iter().map(str::to_owned).collect();
    edited.iter().for_each(|path| _ = unchanged.remove(path));
    unchanged
}

fn read(paths: &ClientPaths) -> io::Result<String> {
    let mut text = String::new();
    let file = File::open(paths.path(HASHES))?;
    file.take(MAX_SIZE).read_to_string(&mut text)?;
    Ok(text)
}

/// The path of a line, and the MD5.
fn entry(line: &str) -> Option<(&str, &str)> {
    let (sum, path) = line.split_once("  ")?;
    (path.starts_with('/') && sum.len() == 32).then_some((path, sum))
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::*;

    #[test]
    fn what_the_machine_has_not_touched_is_unchanged() {
        let root = tempfile::tempdir().unwrap();
        let paths = ClientPaths::below(root.path());
        assert!(unchanged(&paths).is_empty());
        for folder in ["/etc", "/var/lib/ucf"] {
            fs::create_dir_all(paths.path(folder)).unwrap();
        }
        fs::write(paths.path("/etc/same"), "brought\n").unwrap();
        fs::write(paths.path("/etc/other"), "mine\n").unwrap();
        // md5sum of "brought\n", for a file that is so, one that is another, and one that is gone.
        let sum = "50d76e3d2bbf22234e14d673efd088c1";
        let line = |path: &str| format!("{sum}  {path}\n");
        let text = ["/etc/same", "/etc/other", "/etc/gone"].map(line).concat() + "x  /etc/x\nno line\n";
        fs::write(paths.path(HASHES), text).unwrap();
        assert_eq!(unchanged(&paths).into_iter().collect::<Vec<_>>(), ["/etc/same"]);
    }
}
