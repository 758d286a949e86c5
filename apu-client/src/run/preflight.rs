//! What must be right before a run may begin: the policy, the sources, the lists' time, and some space.

use std::fs;
use std::path::{Path, PathBuf};
use std::time::SystemTime;

use apu_proto::{Operation, ReasonCode, Request};
use nix::sys::statvfs::statvfs;

use crate::apt::{audit, waives_expiry};
use crate::policy::Policy;
use crate::release;
use crate::site::Site;
use crate::verdict::{Stop, advise, failed, own_fault, refused};

/// Below this a transaction does not begin: dpkg and the log need room themselves.
const LEAST_SPACE: u64 = 16 * 1024 * 1024;

/// Reads the policy and asks it.
pub(crate) fn configuration(site: &Site, request: &Request) -> Result<Policy, Stop> {
    let path = site.policy();
    let policy = Policy::read(site).map_err(|error| {
        let why = std::error::Error::source(&error).map_or(String::new(), |why| format!(": {why}"));
        let text = format!("this client's policy cannot be used: {error}{why}");
        advise(
            refused(ReasonCode::Configuration, text),
            path.display().to_string(),
        )
    })?;
    policy.allows(request).map_err(|why| {
        advise(
            refused(ReasonCode::Policy, why.to_string()),
            path.display().to_string(),
        )
    })?;
    Ok(policy)
}

/// Looks at what must be right before apt may fetch or install anything.
pub(crate) fn preflight(site: &Site, operation: Operation) -> Result<(), Stop> {
    let mut may_be_old = false;
    for path in source_files(site) {
        let text =
            fs::read(&path).map_err(|error| own_fault(&format!("cannot read {}", path.display()), &error))?;
        let text = String::from_utf8_lossy(&text);
        let deb822 = is_deb822(&path);
        judge_source(&path, &text, deb822)?;
        may_be_old |= waives_expiry(&text, deb822);
    }
    let installs = matches!(
        operation,
        Operation::Install | Operation::Upgrade | Operation::DistUpgrade
    );
    if let Some((list, until)) = release::expired(&site.lists(), SystemTime::now())
        && installs
        && !may_be_old
    {
        let text = format!("the package lists are out of date: {list} was valid until {until}");
        return Err(advise(
            failed(ReasonCode::Lists, text),
            "on the client: apt-get update",
        ));
    }
    Ok(())
}

/// Refuses a file that names an archive which apt would trust unsigned.
pub(super) fn judge_source(path: &Path, text: &str, deb822: bool) -> Result<(), Stop> {
    audit(text, deb822).map_err(|insecure| {
        let text = format!(
            "{}: {insecure}: apt would take packages without a signature",
            path.display()
        );
        advise(
            refused(ReasonCode::Configuration, text),
            path.display().to_string(),
        )
    })
}

/// Whether a source file is in deb822, by its name as apt has it.
pub(super) fn is_deb822(path: &Path) -> bool {
    path.extension().is_some_and(|extension| extension == "sources")
}

/// The source files that our apt calls read.
pub(super) fn source_files(site: &Site) -> Vec<PathBuf> {
    let (mut files, directory) = if site.is_exclusive() {
        (Vec::new(), site.exclusive_sources())
    } else {
        (
            vec![site.path("/etc/apt/sources.list")],
            site.path("/etc/apt/sources.list.d"),
        )
    };
    let entries = fs::read_dir(directory).into_iter().flatten().flatten();
    let is_source = |path: &PathBuf| {
        path.extension()
            .is_some_and(|end| end == "list" || end == "sources")
    };
    files.extend(entries.map(|entry| entry.path()).filter(is_source));
    files.retain(|path| path.is_file());
    files.sort();
    files
}

/// Whether dpkg and the run's record have room to work at all.
pub(super) fn space(site: &Site) -> Result<(), Stop> {
    for path in [site.dpkg(), site.state(), site.root().to_owned()] {
        if !has_room(&path) {
            let text = format!(
                "there is hardly any space left on the file system of {}",
                path.display()
            );
            return Err(advise(
                failed(ReasonCode::Space, text),
                "on the client: apt-get clean",
            ));
        }
    }
    Ok(())
}

fn has_room(path: &Path) -> bool {
    #[allow(clippy::unnecessary_cast, clippy::useless_conversion)]
    let room =
        |room: nix::sys::statvfs::Statvfs| u64::from(room.blocks_free()) * u64::from(room.fragment_size());
    statvfs(path).map_or(true, |found| room(found) >= LEAST_SPACE)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn site_with(files: &[(&str, &str)]) -> (tempfile::TempDir, Site) {
        let root = tempfile::tempdir().unwrap();
        let site = Site::below(root.path());
        for (path, text) in files {
            let path = site.path(path);
            fs::create_dir_all(path.parent().unwrap()).unwrap();
            fs::write(path, text).unwrap();
        }
        (root, site)
    }

    #[test]
    fn a_source_that_apt_would_trust_unsigned_stops_everything() {
        let (_root, site) = site_with(&[
            ("/etc/apt/sources.list", "deb http://x/ stable main\n"),
            (
                "/etc/apt/sources.list.d/a.list",
                "deb [trusted=yes] http://y/ ./\n",
            ),
        ]);
        let reason = preflight(&site, Operation::Install).unwrap_err().reason.unwrap();
        assert_eq!(reason.code, ReasonCode::Configuration);
        assert!(
            reason.advice.ends_with("/etc/apt/sources.list.d/a.list"),
            "{}",
            reason.advice
        );
    }

    #[test]
    fn nothing_is_installed_from_lists_whose_time_is_over() {
        let release = (
            "/var/lib/apt/lists/x_InRelease",
            "Valid-Until: Sat, 01 Jan 2000 00:00:00 UTC\n",
        );
        let (_root, site) = site_with(&[release]);
        let code = |operation| {
            preflight(&site, operation)
                .err()
                .and_then(|stop| stop.reason)
                .map(|why| why.code)
        };
        assert_eq!(code(Operation::DistUpgrade), Some(ReasonCode::Lists));
        assert_eq!(code(Operation::Update), None);
        assert_eq!(code(Operation::Remove), None);
        let waived = (
            "/etc/apt/sources.list",
            "deb [check-valid-until=no] http://x/ a b\n",
        );
        let (_root, site) = site_with(&[release, waived]);
        assert!(preflight(&site, Operation::DistUpgrade).is_ok());
    }

    #[test]
    fn what_apt_does_not_read_is_not_judged() {
        let (_root, site) = site_with(&[
            (
                "/etc/apt/sources.list.d/a.list.save",
                "deb [trusted=yes] http://y/ ./\n",
            ),
            (
                "/etc/apt/sources.list.d/b.sources",
                "Types: deb\nURIs: http://x/\nSuites: ./\nSigned-By: /k\n",
            ),
        ]);
        assert!(preflight(&site, Operation::Install).is_ok());
    }

    #[test]
    fn an_exclusive_client_is_judged_by_the_sources_that_it_uses() {
        let (_root, site) = site_with(&[
            ("/etc/apt/sources.list", "deb [trusted=yes] http://x/ ./\n"),
            (
                "/usr/share/apu-data/exclusive/apu.sources",
                "Types: deb\nURIs: http://x/\nSuites: ./\n",
            ),
        ]);
        assert!(preflight(&site, Operation::Install).is_ok());
    }
}
