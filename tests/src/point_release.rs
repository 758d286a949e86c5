//! Packages of Debian's in two versions: the oldest one that its archives still have, and the newest.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::Path;
use std::process::Command;

use anyhow::{Result, ensure};

use crate::index::paragraphs;
use crate::real_debs::Apt;
use crate::root::{Suite, own_archive};
use crate::tool::run;

/// What was fetched: the versions by package, the older and the newer one.
pub type Versions = BTreeMap<String, (String, String)>;

/// Fetches those of the packages that have an older and a newer version in the suite, its updates and its security archive, both into one
/// folder.
///
/// # Errors
/// Where they cannot be fetched from where this machine gets its own packages.
pub fn fetch_two_versions(packages: &BTreeSet<String>, folder: &Path) -> Result<Versions> {
    let archive = own_archive()?;
    let suite = Suite::Bookworm.name();
    let archive = archive.trim_end_matches('/');
    let sources = format!(
        "deb {archive} {suite} main\ndeb {archive} {suite}-updates main\ndeb {archive}-security {suite}-security main\n"
    );
    let state = tempfile::tempdir()?;
    let apt = Apt::of(state.path(), &sources)?;
    let mut known: BTreeMap<String, Vec<String>> = BTreeMap::new();
    for paragraph in paragraphs(&apt.packages()?) {
        let package = paragraph.get("Package");
        if packages.contains(package) {
            let versions = known.entry(package.to_owned()).or_default();
            versions.push(paragraph.get("Version").to_owned());
        }
    }
    let mut versions = Versions::new();
    for (package, all) in known {
        let Some((first, others)) = all.split_first() else {
            continue;
        };
        let (mut oldest, mut newest) = (first, first);
        for version in others {
            if is_older(version, oldest)? {
                oldest = version;
            }
            if is_older(newest, version)? {
                newest = version;
            }
        }
        if oldest != newest {
            versions.insert(package, (oldest.clone(), newest.clone()));
        }
    }
    ensure!(!versions.is_empty(), "no package has two versions");
    let wanted = versions
        .iter()
        .flat_map(|(package, (older, newer))| [older, newer].map(|version| format!("{package}={version}")));
    fs::create_dir_all(folder)?;
    run(apt.get().arg("download").args(wanted).current_dir(folder))?;
    Ok(versions)
}

/// Whether a version is older than another, by dpkg's own word.
fn is_older(version: &str, other: &str) -> Result<bool> {
    let status = Command::new("dpkg")
        .args(["--compare-versions", version, "lt", other])
        .status()?;
    Ok(status.success())
}
