//! Keeps packages at their version in one run: those that the request names, and those that are left out of a selection.
//!
//! dpkg's own holds are not touched, so that a run that is killed leaves none behind.

use apu_debian::PackageKey;
use apu_proto::{Action, Cause, PackageGlob, Request};

use super::refusal::Refusal;
use crate::apt::{Call, Plan};
use crate::dpkg::Database;
use crate::os::paths::ClientPaths;

/// Returns the call with these packages at their version, each named as in apt_preferences(5).
pub(super) fn stay_at_version(
    paths: &ClientPaths,
    call: Call,
    packages: impl IntoIterator<Item = String>,
) -> Result<Call, Refusal> {
    call.stay_at_version(paths, packages)
        .map_err(|error| Refusal::fault(Action::KeepState, &error))
}

/// What the request keeps at its version: what it holds, and what is too young for it.
fn kept(request: &Request) -> impl Iterator<Item = &PackageGlob> {
    request.hold().iter().chain(request.too_young())
}

/// Returns the call with what the request keeps at its version, of any architecture.
pub(super) fn hold(paths: &ClientPaths, request: &Request, call: Call) -> Result<Call, Refusal> {
    stay_at_version(paths, call, kept(request).map(|glob| format!("{glob}:any")))
}

/// Refuses a plan that changes what the request keeps: preferences keep a version from coming, and no package from being removed.
pub(super) fn check_held(request: &Request, plan: &Plan) -> Result<(), Refusal> {
    let changed = plan.steps.iter().map(apu_proto::Step::package);
    let is_kept = |name: &str| kept(request).any(|glob| glob.matches(name));
    let changed: Vec<PackageKey> = (changed.filter(|package| is_kept(package.name())))
        .cloned()
        .collect();
    if changed.is_empty() {
        return Ok(());
    }
    Err(Refusal::new(Cause::ChangesHeld { packages: changed }))
}

/// Returns what the request keeps from coming, by name: what `unheld` would bring, or has a newer version of.
pub(super) fn kept_from_coming(request: &Request, unheld: &Plan, database: &Database) -> Vec<String> {
    let own = |package: &PackageKey| {
        let is_native = package.architecture() == database.architecture;
        if is_native {
            package.name().to_owned()
        } else {
            package.to_string()
        }
    };
    let coming = unheld.steps.iter().map(|step| own(step.package()));
    let mut names: Vec<String> = coming.chain(unheld.kept_back.iter().cloned()).collect();
    names.retain(|name| is_held(request, name.split(':').next().unwrap_or_default()));
    names.sort();
    names.dedup();
    names
}

/// Returns what the request keeps and no installed package is named.
pub(super) fn names_nothing(request: &Request, database: &Database) -> Vec<String> {
    let is_installed = |glob: &&PackageGlob| {
        let mut keys = database.packages.keys();
        keys.any(|key| glob.matches(key.name()) && database.version(key.as_str()).is_some())
    };
    let globs = request.hold().iter();
    globs
        .filter(|glob| !is_installed(glob))
        .map(ToString::to_string)
        .collect()
}

fn is_held(request: &Request, name: &str) -> bool {
    request.hold().iter().any(|glob| glob.matches(name))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn request(words: &str) -> Request {
        Request::parse(format!("apu/1 {words}").as_bytes()).unwrap()
    }

    fn plan(output: &str) -> Plan {
        Plan::parse(output, "amd64").unwrap()
    }

    fn database() -> Database {
        let text = "Package: dpkg\nStatus: install ok installed\nArchitecture: amd64\nVersion: 1\n\n\
                    Package: lib-a\nStatus: deinstall ok config-files\nArchitecture: amd64\nVersion: 1\n";
        Database::parse([text]).unwrap()
    }

    #[test]
    fn a_plan_that_changes_what_is_held_is_refused_by_the_names() {
        let request = request("dist-upgrade allow_remove=yes hold_packages=lib-*,vim");
        for output in [
            "Remv vim [1]\n",
            "Inst lib-a [1] (2 S:x [all])\n",
            "Inst lib-new:i386 (2 S:x [i386])\n",
        ] {
            let refusal = check_held(&request, &plan(output)).unwrap_err();
            let cause = refusal.result.reason.unwrap().cause;
            assert!(
                matches!(&cause, Cause::ChangesHeld { packages } if packages.len() == 1),
                "{cause:?}"
            );
        }
        let young = self::request("upgrade too_young=vim");
        assert!(check_held(&young, &plan("Inst vim [1] (2 S:x [all])\n")).is_err());
        assert!(check_held(&young, &plan("Inst vim-tiny [1] (2 S:x [all])\n")).is_ok());
        assert!(
            check_held(
                &request,
                &plan("Inst other [1] (2 S:x [all])\nRemv vim-tiny [1]\n")
            )
            .is_ok()
        );
    }

    #[test]
    fn what_is_kept_from_coming_is_named_once() {
        let request = request("upgrade hold_packages=lib-*");
        let unheld = plan(
            "The following packages have been kept back:\n  lib-a other\nInst lib-b [1] (2 S:x [amd64])\n\
             Inst lib-b:i386 [1] (2 S:x [i386])\nInst zlib [1] (2 S:x [all])\n",
        );
        assert_eq!(
            kept_from_coming(&request, &unheld, &database()),
            ["lib-a", "lib-b", "lib-b:i386"]
        );
    }

    #[test]
    fn a_name_that_nothing_installed_has_is_told() {
        let request = request("upgrade hold_packages=dpk?,lib-*,vim");
        assert_eq!(names_nothing(&request, &database()), ["lib-*", "vim"]);
    }
}
