//! Finds the packages of a plan that the policy holds back, since the machine has changed configuration files of theirs.
//!
//! Where the .deb is in apt's cache, what dpkg would ask about decides. Where it is not, each package with such a file stays: whether the
//! next version has another one of it is not known then.

use std::path::PathBuf;

use apu_debian::PackageKey;
use apu_proto::{HeldBack, MAX_HELD_BACK, Step};

use super::ahead::{changed_by, edited};
use super::conffile_rules::{ConffileRules, Rule};
use super::refusal::Refusal;
use crate::apt::{Download, Plan, missing_debs};
use crate::dpkg::Database;
use crate::os::paths::ClientPaths;

/// Finds them. The .debs of the plan are asked for only where there is a candidate.
pub(super) fn to_hold_back(
    paths: &ClientPaths,
    rules: &ConffileRules,
    plan: &Plan,
    database: &Database,
    debs: impl FnOnce() -> Result<Vec<Download>, Refusal>,
) -> Result<Vec<HeldBack>, Refusal> {
    let installs = plan.steps.iter().filter_map(install).enumerate();
    let candidates: Vec<(usize, HeldBack)> = installs
        .filter_map(|(place, package)| Some((place, candidate(paths, rules, database, package)?)))
        .collect();
    if candidates.is_empty() {
        return Ok(Vec::new());
    }
    // Each step that installs has its .deb, in the same order.
    let debs = debs()?;
    let settled = candidates.into_iter().filter_map(|(place, held)| {
        let Some(deb) = debs.get(place).and_then(|deb| cached(paths, deb)) else {
            return Some(held);
        };
        match changed_by(paths, &held.package, deb, database) {
            Ok(changed) => of_paths(rules, held.package, changed.into_iter()),
            Err(_) => Some(held),
        }
    });
    Ok(settled.collect())
}

const fn install(step: &Step) -> Option<&PackageKey> {
    match step {
        Step::Install { package, .. } => Some(package),
        Step::Remove { .. } => None,
    }
}

/// The .deb in apt's cache, where it is that one.
fn cached(paths: &ClientPaths, deb: &Download) -> Option<PathBuf> {
    let cache = paths.archives();
    let missing = missing_debs(&cache, std::slice::from_ref(deb)).ok()?;
    missing.is_empty().then(|| cache.join(&deb.file))
}

/// A package that may be held back: the machine has changed files of it that the policy holds back for. Files that cannot be looked at
/// count as changed.
fn candidate(
    paths: &ClientPaths,
    rules: &ConffileRules,
    database: &Database,
    package: &PackageKey,
) -> Option<HeldBack> {
    let brought = database.conffile_hashes(package);
    let held: Vec<&str> = brought
        .keys()
        .copied()
        .filter(|path| rules.of(path) == Rule::HoldBack)
        .collect();
    if held.is_empty() {
        return None;
    }
    let changed = match edited(paths, &brought, &held) {
        Ok(changed) => changed,
        Err(_) => held.iter().map(|path| (*path).to_owned()).collect(),
    };
    of_paths(rules, package.clone(), changed.into_iter())
}

/// The package, held back for those of its files that have the rule `hold-back`.
fn of_paths(
    rules: &ConffileRules,
    package: PackageKey,
    paths: impl Iterator<Item = String>,
) -> Option<HeldBack> {
    let held = paths.filter(|path| rules.of(path) == Rule::HoldBack);
    let paths: Vec<String> = held.take(MAX_HELD_BACK).collect();
    (!paths.is_empty()).then_some(HeldBack { package, paths })
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::*;

    #[derive(serde::Deserialize)]
    struct File {
        conffiles: ConffileRules,
    }

    fn rules(text: &str) -> ConffileRules {
        toml::from_str::<File>(text).unwrap().conffiles
    }

    #[test]
    fn what_the_machine_has_changed_holds_its_package_back_and_nothing_else_does() {
        let root = tempfile::tempdir().unwrap();
        let paths = ClientPaths::below(root.path());
        fs::create_dir_all(paths.path("/etc")).unwrap();
        for (name, text) in [
            ("a.conf", "mine\n"),
            ("b.conf", "mine\n"),
            ("same.conf", "brought\n"),
        ] {
            fs::write(paths.path("/etc").join(name), text).unwrap();
        }
        let said = std::process::Command::new("md5sum")
            .arg(paths.path("/etc/same.conf"))
            .output()
            .unwrap();
        let brought = String::from_utf8(said.stdout).unwrap()[..32].to_owned();
        let package = |name: &str| {
            format!(
                "Package: {name}\nStatus: install ok installed\nArchitecture: amd64\nVersion: 1\n\
                 Conffiles:\n /etc/{name}.conf {brought}\n\n"
            )
        };
        let dpkg = "Package: dpkg\nStatus: install ok installed\nArchitecture: amd64\nVersion: 1\n\n";
        let text = [dpkg.to_owned(), package("a"), package("b"), package("same")].concat();
        let database = Database::parse([text.as_str()]).unwrap();
        let output =
            "Inst a [1] (2 S:x [amd64])\nInst b [1] (2 S:x [amd64])\nInst same [1] (2 S:x [amd64])\n";
        let plan = Plan::parse(output, "amd64").unwrap();
        let held = |text: &str| {
            let found = to_hold_back(&paths, &rules(text), &plan, &database, || Ok(Vec::new())).unwrap();
            let named = |held: HeldBack| format!("{} {}", held.package, held.paths.join(" "));
            found.into_iter().map(named).collect::<Vec<_>>()
        };
        assert_eq!(
            held("[conffiles]\nhold-back = [\"/etc/a*\"]"),
            ["a:amd64 /etc/a.conf"]
        );
        assert_eq!(
            held("[conffiles]\ndefault = \"hold-back\"\nkeep = [\"/etc/b.conf\"]"),
            ["a:amd64 /etc/a.conf"]
        );
        assert_eq!(held("conffiles = \"keep\""), [""; 0]);
        // The .debs are asked for only where a package may be held back.
        let same = rules("[conffiles]\nhold-back = [\"/etc/same.conf\"]");
        let found = to_hold_back(&paths, &same, &plan, &database, || unreachable!()).unwrap();
        assert!(found.is_empty());
        // One that is gone was changed, too.
        fs::remove_file(paths.path("/etc/same.conf")).unwrap();
        let found = to_hold_back(&paths, &same, &plan, &database, || Ok(Vec::new())).unwrap();
        assert_eq!(found.len(), 1);
    }
}
