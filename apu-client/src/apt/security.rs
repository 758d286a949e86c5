//! Marks which pending updates are security updates.
//!
//! The rule is apt's own: an update counts if any version newer than the installed one, up to and including the
//! candidate, comes from a security archive, even if the candidate itself comes from another archive.

use std::collections::BTreeSet;
use std::fs::File;
use std::io::{self, BufRead, BufReader, Read};
use std::time::Duration;

use apu_debian::PackageKey;
use apu_proto::{Pending, Step};

use super::call::{APT_CACHE, cache_arguments};
use super::environment::ENVIRONMENT;
use super::plan::{Plan, is_security};
use super::targets::Target;
use crate::dpkg::compare;
use crate::os::paths::ClientPaths;
use crate::os::spawn;

const MADISON_TIMEOUT: Duration = Duration::from_secs(120);

/// Packages per call of apt-cache: the length of a command line is limited.
const PACKAGES_PER_CALL: usize = 500;

/// Maximal size of an index in bytes. That of all of Debian has 50 million.
const MAX_INDEX: u64 = 1 << 30;

/// Returns the upgrades of a plan, sorted; each is marked by its own archive alone.
pub(crate) fn pending(plan: &Plan) -> Vec<Pending> {
    let upgrades = plan.steps.iter().filter_map(|step| match step {
        Step::Install {
            package,
            old: Some(old),
            new,
            origin,
            ..
        } => Some(Pending {
            package: package.clone(),
            old: old.clone(),
            new: new.clone(),
            security: is_security(origin),
            origin: origin.clone(),
        }),
        _ => None,
    });
    let mut pending: Vec<Pending> = upgrades.collect();
    pending.sort_by(|one, other| one.package.cmp(&other.package));
    pending
}

/// Returns the upgrades of a plan that are security updates, sorted.
///
/// # Errors As [`mark_security`].
pub(crate) fn security_updates(
    paths: &ClientPaths,
    targets: &[Target],
    plan: &Plan,
) -> io::Result<Vec<PackageKey>> {
    let mut updates = pending(plan);
    mark_security(paths, targets, &mut updates)?;
    updates.retain(|one| one.security);
    Ok(updates.into_iter().map(|one| one.package).collect())
}

/// Sets `security` on each pending update that is a security update. The indexes are read without apt, which needs as long to
/// look at its cache as for a plan; only where an index is compressed is apt-cache asked.
///
/// # Errors Nothing could be read or asked; those whose own archive is one of security are marked nevertheless.
pub(crate) fn mark_security(
    paths: &ClientPaths,
    targets: &[Target],
    pending: &mut [Pending],
) -> io::Result<()> {
    for one in pending.iter_mut() {
        one.security = is_security(&one.origin);
    }
    let lists = paths.lists();
    let mut compressed = BTreeSet::new();
    for target in targets.iter().filter(|target| has_security_packages(target)) {
        let mut unknown: Vec<&mut Pending> = pending.iter_mut().filter(|one| !one.security).collect();
        if unknown.is_empty() {
            return Ok(());
        }
        match File::open(lists.join(&target.file)) {
            Ok(index) => mark_offered(BufReader::new(index.take(MAX_INDEX)), &mut unknown)?,
            Err(error) if error.kind() == io::ErrorKind::NotFound => {
                compressed.insert(target.description.as_str());
            }
            Err(error) => return Err(error),
        }
    }
    if compressed.is_empty() {
        return Ok(());
    }
    ask_apt_cache(paths, &compressed, pending)
}

/// Whether it is the index of the packages of a security archive.
fn has_security_packages(target: &Target) -> bool {
    let is_security = target.is_security || is_security(&format!(":{}", target.suite));
    is_security && target.description.ends_with(" Packages")
}

/// Marks those of which an index has a version between the installed one and the candidate.
fn mark_offered(mut index: impl BufRead, unknown: &mut [&mut Pending]) -> io::Result<()> {
    let mut line = Vec::new();
    let mut name = String::new();
    let (mut version, mut architecture) = (String::new(), String::new());
    loop {
        line.clear();
        let is_end = index.read_until(b'\n', &mut line)? == 0;
        let field = |field: &str| {
            let value = line.strip_prefix(field.as_bytes())?;
            Some(String::from_utf8_lossy(value).trim().to_owned())
        };
        if is_end || line == b"\n" {
            let is_offered = |one: &&mut &mut Pending| {
                let key = &one.package;
                let is_of = key.name() == name && [key.architecture(), "all"].contains(&&*architecture);
                is_of && is_between(&version, one)
            };
            if !name.is_empty() {
                (unknown.iter_mut().filter(is_offered)).for_each(|one| one.security = true);
            }
            for field in [&mut name, &mut version, &mut architecture] {
                field.clear();
            }
            if is_end {
                return Ok(());
            }
        } else if let Some(value) = field("Package:") {
            if unknown.iter().any(|one| one.package.name() == value) {
                name = value;
            }
        } else if name.is_empty() {
            // Another package's, as most lines are. Each stanza of an index begins with the name.
        } else if let Some(value) = field("Version:") {
            version = value;
        } else if let Some(value) = field("Architecture:") {
            architecture = value;
        }
    }
}

/// Asks apt-cache which versions these indexes have.
fn ask_apt_cache(paths: &ClientPaths, indexes: &BTreeSet<&str>, pending: &mut [Pending]) -> io::Result<()> {
    let mut unknown: Vec<&mut Pending> = pending.iter_mut().filter(|one| !one.security).collect();
    for some in unknown.chunks_mut(PACKAGES_PER_CALL) {
        let mut words = vec!["madison".to_owned()];
        words.extend(some.iter().map(|one| one.package.to_string()));
        let captured = spawn::capture(
            APT_CACHE,
            &cache_arguments(paths, &words),
            &ENVIRONMENT,
            MADISON_TIMEOUT,
        )?;
        let offered: Vec<Offer<'_>> = captured.stdout.lines().filter_map(offer).collect();
        for one in some.iter_mut() {
            one.security = offered.iter().any(|offer| {
                is_of(offer, one) && indexes.contains(offer.index) && is_between(offer.version, one)
            });
        }
    }
    Ok(())
}

/// One line of `apt-cache madison`: `NAME | VERSION | INDEX`.
struct Offer<'a> {
    name: &'a str,
    version: &'a str,
    index: &'a str,
}

fn offer(line: &str) -> Option<Offer<'_>> {
    let mut fields = line.splitn(3, '|').map(str::trim);
    Some(Offer {
        name: fields.next()?,
        version: fields.next()?,
        index: fields.next()?,
    })
}

/// Whether an offer is for the pending package. `madison` names the architecture in the index and not in the package's
/// name.
fn is_of(offer: &Offer<'_>, pending: &Pending) -> bool {
    let (name, architecture) = (pending.package.name(), pending.package.architecture());
    let index = format!(" {architecture} Packages");
    let fits = [index.as_str(), " all Packages"]
        .iter()
        .any(|end| offer.index.ends_with(end));
    // The index of a flat archive contains every architecture.
    let is_flat = offer.index.split(' ').count() <= 3;
    offer.name.split(':').next() == Some(name) && (fits || is_flat)
}

/// Whether a version is newer than the installed one, and no newer than the candidate where that is known.
fn is_between(version: &str, pending: &Pending) -> bool {
    let is_within = || pending.new.is_empty() || compare(version, &pending.new).is_le();
    compare(&pending.old, version).is_lt() && is_within()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn pending(package: &str, old: &str, new: &str) -> Pending {
        Pending {
            package: package.parse().unwrap(),
            old: old.into(),
            new: new.into(),
            origin: String::new(),
            security: false,
        }
    }

    #[test]
    fn a_version_counts_between_the_installed_one_and_the_candidate() {
        let one = pending("a:amd64", "1.0", "1.2");
        for (version, counts) in [
            ("0.9", false),
            ("1.0", false),
            ("0:1.0", false),
            ("1.1", true),
            ("1.2", true),
            ("1.3", false),
        ] {
            assert_eq!(is_between(version, &one), counts, "{version}");
        }
        let open = pending("a:amd64", "1.0", "");
        assert!(is_between("1.3", &open) && !is_between("1.0", &open));
    }

    #[test]
    fn an_index_marks_what_it_has_a_version_for_between_the_installed_one_and_the_candidate() {
        let index = "Package: a\nArchitecture: amd64\nVersion: 1.1\n\nPackage: b\nVersion: 3.0\nArchitecture: amd64\n\n\
                     Package: c\nArchitecture: i386\nVersion: 1.1\nDescription: x\n Version: 9\n\n\
                     Package: d\nSource: x (1)\nArchitecture: all\nVersion: 1.1\n\n\
                     Package: e\nArchitecture: all\nVersion: 1.1\n\nPackage: e\nArchitecture: all\nVersion: 2\n";
        let mut all: Vec<Pending> = [
            ("a", "1.0"),
            ("b", "1.0"),
            ("c", "1.0"),
            ("d", "1.0"),
            ("e", "1.1"),
        ]
        .map(|(name, old)| pending(&format!("{name}:amd64"), old, "2"))
        .into();
        let mut unknown: Vec<&mut Pending> = all.iter_mut().collect();
        mark_offered(index.as_bytes(), &mut unknown).unwrap();
        let marked: Vec<bool> = all.iter().map(|one| one.security).collect();
        assert_eq!(marked, [true, false, false, true, true]);
    }

    #[test]
    fn the_indexes_of_security_archives_are_read_and_no_others() {
        let root = tempfile::tempdir().unwrap();
        let paths = ClientPaths::below(root.path());
        std::fs::create_dir_all(paths.lists()).unwrap();
        let index = |file: &str, suite: &str, of: &str| {
            let text = "Package: a\nArchitecture: amd64\nVersion: 1.1\n";
            std::fs::write(paths.lists().join(file), text).unwrap();
            let line =
                format!("/l/{file}\tPackages\thttp://x\t{suite}\t/s:1\tno\tno\thttp://x {suite} {of}\tx\tx");
            Target::parse_all(&line).unwrap().remove(0)
        };
        let marks = |target: Target| {
            let mut one = [pending("a:amd64", "1.0", "2")];
            mark_security(&paths, &[target], &mut one).unwrap();
            one[0].security
        };
        assert!(marks(index("one_Packages", "bookworm-security", "Packages")));
        assert!(!marks(index("two_Packages", "bookworm", "Packages")));
        assert!(!marks(index(
            "three_Packages",
            "bookworm-security",
            "Translation-en"
        )));
        let mut named = index("four_Packages", "stable", "Packages");
        named.is_security = true;
        assert!(marks(named));
    }

    #[test]
    fn an_index_is_that_of_the_package_and_its_architecture() {
        let line = "   a | 1.1 | http://x/debian-security bookworm-security/main amd64 Packages";
        let found = offer(line).unwrap();
        assert_eq!(found.version, "1.1");
        assert!(is_of(&found, &pending("a:amd64", "1", "2")));
        assert!(!is_of(&found, &pending("a:i386", "1", "2")));
        assert!(!is_of(&found, &pending("b:amd64", "1", "2")));
        assert!(offer("a | 1").is_none());
    }

    #[test]
    fn pending_are_upgrades_and_not_what_comes_with_them() {
        let plan = Plan::parse(
            "Inst b [1] (2 Debian-Security:12/stable-security [amd64])\nInst a [1] (2 Site:x [all])\nInst new (1 Site:x [all])\n",
            "amd64",
        )
        .unwrap();
        let pending = super::pending(&plan);
        let shown: Vec<_> = pending
            .iter()
            .map(|one| (one.package.as_str(), one.security))
            .collect();
        assert_eq!(shown, [("a:amd64", false), ("b:amd64", true)]);
    }
}
