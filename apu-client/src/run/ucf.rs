//! Finds the files of ucf(1) that were changed on the machine, which a plan tells, and those that are as their package brought them, which
//! are to follow it, as dpkg's own do.
//!
//! ucf is told to keep the machine's files, since it overwrites changed ones without a copy otherwise; then it keeps unchanged ones, too.

use std::collections::{BTreeMap, BTreeSet};
use std::fs::File;
use std::io::{self, Read};

use apu_proto::{ChangedConffiles, Step};

use super::ahead::{by_path, edited};
use super::conffile_rules::ConffileRules;
use crate::apt::Plan;
use crate::os::paths::ClientPaths;

/// Where ucf keeps the MD5 of what it last brought, a line for each file.
pub(super) const HASHES: &str = "/var/lib/ucf/hashfile";

/// Where ucfr(1) keeps which package has which file, a line for each file.
const REGISTRY: &str = "/var/lib/ucf/registry";

/// Maximal size of each of them, in bytes.
const MAX_SIZE: u64 = 4 * 1024 * 1024;

/// The files of ucf before a run.
#[derive(Debug, Default)]
pub(super) struct UcfFiles {
    /// As their packages brought them.
    pub(super) unchanged: BTreeSet<String>,
    /// Others than these, or gone.
    pub(super) changed: BTreeSet<String>,
}

impl UcfFiles {
    /// Looks at all files that ucf knows; there are none without ucf.
    ///
    /// # Errors
    /// Where that cannot be told.
    pub(super) fn find(paths: &ClientPaths) -> io::Result<Self> {
        let text = match read(paths, HASHES) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Self::default()),
            text => text?,
        };
        let brought: BTreeMap<&str, &str> = text.lines().filter_map(entry).collect();
        let all: Vec<&str> = brought.keys().copied().collect();
        let changed: BTreeSet<String> = edited(paths, &brought, &all)?.into_iter().collect();
        let unchanged = all.into_iter().map(str::to_owned);
        Ok(Self {
            unchanged: unchanged.filter(|path| !changed.contains(path)).collect(),
            changed,
        })
    }
}

/// Returns the files of the packages that a plan installs or upgrades which were changed on the machine, by what becomes of them if their
/// packages bring other versions. Whether they do is up to their scripts. None where there are none, or that cannot be told.
pub(crate) fn changed_ahead(
    paths: &ClientPaths,
    plan: &Plan,
    rules: &ConffileRules,
) -> Option<ChangedConffiles> {
    let packages = plan.steps.iter().filter_map(|step| match step {
        Step::Install { package, .. } => Some(package.name()),
        Step::Remove { .. } => None,
    });
    let packages: BTreeSet<&str> = packages.collect();
    let registry = read(paths, REGISTRY).ok()?;
    let owners = registry.lines().filter_map(owner);
    let registered = owners.filter_map(|(package, path)| packages.contains(package).then_some(path));
    let registered: BTreeSet<&str> = registered.collect();
    if registered.is_empty() {
        return None;
    }
    let hashes = read(paths, HASHES).ok()?;
    let brought: BTreeMap<&str, &str> = (hashes.lines().filter_map(entry))
        .filter(|(path, _)| registered.contains(path))
        .collect();
    let files: Vec<&str> = brought.keys().copied().collect();
    let changed = edited(paths, &brought, &files).ok()?;
    (!changed.is_empty()).then(|| by_path(paths, rules, changed.into_iter().collect()))
}

fn read(paths: &ClientPaths, file: &str) -> io::Result<String> {
    let mut text = String::new();
    let opened = File::open(paths.path(file))?;
    opened.take(MAX_SIZE + 1).read_to_string(&mut text)?;
    // Of a part of it, nobody knows which files are left out.
    if text.len() as u64 > MAX_SIZE {
        return Err(io::Error::other(format!(
            "{file} is longer than {MAX_SIZE} bytes"
        )));
    }
    Ok(text)
}

/// The package of a line of the registry, and the path.
fn owner(line: &str) -> Option<(&str, &str)> {
    let (package, path) = line.split_once(char::is_whitespace)?;
    let path = path.trim_start();
    path.starts_with('/').then_some((package, path))
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
        assert!(UcfFiles::find(&paths).unwrap().unchanged.is_empty());
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
        let found = UcfFiles::find(&paths).unwrap();
        assert_eq!(found.unchanged.into_iter().collect::<Vec<_>>(), ["/etc/same"]);
        let changed: Vec<String> = found.changed.into_iter().collect();
        assert_eq!(changed, ["/etc/gone", "/etc/other"]);
        // What is not read as a whole tells of no file.
        fs::write(paths.path(HASHES), [0xff]).unwrap();
        UcfFiles::find(&paths).unwrap_err();
        let long = File::create(paths.path(HASHES)).unwrap();
        long.set_len(MAX_SIZE + 1).unwrap();
        UcfFiles::find(&paths).unwrap_err();
    }

    #[test]
    fn what_was_changed_is_told_ahead_for_the_packages_that_come() {
        let root = tempfile::tempdir().unwrap();
        let paths = ClientPaths::below(root.path());
        let plan = Plan::parse(
            "Inst lab [1] (2 S:x [all])\nRemv gone [1]\nInst lab-doc [1] (2 S:x [all])\n",
            "amd64",
        )
        .unwrap();
        let rules = ConffileRules::default();
        assert_eq!(changed_ahead(&paths, &plan, &rules), None);
        for folder in ["/etc", "/var/lib/ucf"] {
            fs::create_dir_all(paths.path(folder)).unwrap();
        }
        let files = [
            ("lab", "same", Some("brought\n")),
            ("lab", "a changed one", Some("mine\n")),
            ("lab-doc", "deleted", None),
            ("labs", "of-another", Some("mine\n")),
            ("gone", "of-what-goes", Some("mine\n")),
        ];
        let (mut hashes, mut registry) = (String::new(), "no line\n".to_owned());
        for (package, name, text) in files {
            hashes += &format!("50d76e3d2bbf22234e14d673efd088c1  /etc/{name}\n");
            // As ucfr writes it.
            registry += &format!("{package} \t /etc/{name}\n");
            if let Some(text) = text {
                fs::write(paths.path("/etc").join(name), text).unwrap();
            }
        }
        registry += "lab \t /etc/never-brought\n";
        fs::write(paths.path(REGISTRY), &registry).unwrap();
        fs::write(paths.path(HASHES), &hashes).unwrap();
        let both = ["/etc/a changed one".to_owned(), "/etc/deleted".to_owned()];
        let kept = ChangedConffiles::new(true, both.into());
        assert_eq!(changed_ahead(&paths, &plan, &rules), Some(kept));
        // What was deleted here stays so.
        let rules = rules.with(&["new:/etc/*".parse().unwrap()], true);
        let [replaced, kept] = ["/etc/a changed one", "/etc/deleted"].map(|path| [path.to_owned()].into());
        let told = ChangedConffiles::new(true, kept).replacing(replaced);
        assert_eq!(changed_ahead(&paths, &plan, &rules), Some(told));
        // A package that has none, and one whose files are all as they came.
        let other = Plan::parse("Inst other [1] (2 S:x [all])\n", "amd64").unwrap();
        assert_eq!(changed_ahead(&paths, &other, &rules), None);
        fs::write(paths.path(REGISTRY), "lab \t /etc/same\n").unwrap();
        assert_eq!(changed_ahead(&paths, &plan, &rules), None);
    }
}
