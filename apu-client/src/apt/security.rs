//! Marks which pending updates are security updates.
//!
//! The rule is apt's own: an update counts if any version newer than the installed one, up to and including the
//! candidate, comes from a security archive, even if the candidate itself comes from another archive.

use std::collections::BTreeSet;
use std::time::Duration;

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

/// Sets `security` on each pending update that is a security update.
///
/// # Errors apt-cache could not be asked; those whose own archive is one of security are marked nevertheless.
pub(crate) fn mark_security(
    paths: &ClientPaths,
    targets: &[Target],
    pending: &mut [Pending],
) -> std::io::Result<()> {
    for one in pending.iter_mut() {
        one.security = is_security(&one.origin);
    }
    let indexes: BTreeSet<&str> = (targets.iter())
        .filter(|target| target.is_security || is_security(&format!(":{}", target.suite)))
        .map(|target| target.description.as_str())
        .filter(|description| description.ends_with(" Packages"))
        .collect();
    if indexes.is_empty() {
        return Ok(());
    }
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
