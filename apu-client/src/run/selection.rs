//! Narrows an upgrade to the packages with a security update and to what these need.
//!
//! `apt-get install --only-upgrade` marks each package that it is given as manually installed, and fails where one of them
//! is on hold. So the operation itself is planned, with preferences by which every other package stays at its version.

use std::collections::BTreeSet;

use apu_debian::PackageKey;
use apu_proto::{Action, Cause, Pending};

use super::held::stay_at_version;
use super::refusal::Refusal;
use super::simulation::simulate;
use crate::apt::{Call, Plan, Target, Verb, mark_security, pending, read_targets};
use crate::dpkg::{Conffiles, Database};
use crate::os::paths::ClientPaths;

/// Maximal number of simulations until nothing else would be upgraded. Each one leaves out what the one before still had: a
/// package that apt can upgrade only because another one stays.
const MAX_ROUNDS: usize = 8;

/// Plans the upgrade of `call` for packages with a security update alone.
pub(super) fn plan_security(
    paths: &ClientPaths,
    call: &Call,
    conffiles: Conffiles,
    database: &Database,
) -> Result<(Call, Plan), Refusal> {
    let targets = read_targets(paths).ok_or_else(|| Refusal::failed(Cause::SourcesNotUnderstood))?;
    let selection = Selection {
        paths,
        call,
        conffiles,
        database,
        targets: &targets,
    };
    let mut first = call.clone();
    // A removal that only another package needs is none of this plan.
    first.remove |= call.verb == Verb::DistUpgrade;
    let all = selection.updates(&simulate(&first, conffiles, database)?)?;
    let wanted: BTreeSet<PackageKey> = keys(all.iter().filter(|one| one.security));
    let others: BTreeSet<PackageKey> = keys(all.iter().filter(|one| !one.security));
    let alone = selection.settle(others.clone(), &BTreeSet::new());
    if let Ok((_, plan)) = &alone
        && wanted.is_subset(&upgraded(plan))
    {
        return selection.finish(alone);
    }
    let needed = selection.needed_by(&wanted, &others);
    if needed.is_empty() {
        return selection.finish(alone);
    }
    let others = others.difference(&needed).cloned().collect();
    selection.finish(selection.settle(others, &needed))
}

struct Selection<'a> {
    paths: &'a ClientPaths,
    call: &'a Call,
    conffiles: Conffiles,
    database: &'a Database,
    targets: &'a [Target],
}

impl Selection<'_> {
    /// Plans with these packages at their version, and with more of them until nothing is upgraded but what has a security
    /// update or is needed.
    fn settle(
        &self,
        mut stay: BTreeSet<PackageKey>,
        needed: &BTreeSet<PackageKey>,
    ) -> Result<(Call, Plan), Refusal> {
        for _ in 0..MAX_ROUNDS {
            let packages: Vec<PackageKey> = stay.iter().cloned().collect();
            let call = stay_at_version(
                self.paths,
                self.call.clone(),
                packages.iter().map(ToString::to_string),
            )?;
            let mut plan = simulate(&call, self.conffiles, self.database)?;
            let more = others_than(&self.updates(&plan)?, needed);
            if more.is_empty() {
                plan.stay = packages;
                return Ok((call, plan));
            }
            stay.extend(more);
        }
        Err(Refusal::failed(Cause::CannotPlan))
    }

    /// The packages among `others` that apt would upgrade along with the wanted ones.
    fn needed_by(
        &self,
        wanted: &BTreeSet<PackageKey>,
        others: &BTreeSet<PackageKey>,
    ) -> BTreeSet<PackageKey> {
        let mut call = self.call.clone();
        call.verb = Verb::OnlyUpgrade;
        let exact = |key: &PackageKey| Some((key.name().parse().ok()?, key.architecture().to_owned()));
        call.packages = wanted.iter().filter_map(exact).collect();
        // What apt cannot plan together is planned without what it needs.
        let plan = simulate(&call, self.conffiles, self.database).unwrap_or_default();
        upgraded(&plan).intersection(others).cloned().collect()
    }

    /// Returns the upgrades of a plan, each with whether it is a security update.
    fn updates(&self, plan: &Plan) -> Result<Vec<Pending>, Refusal> {
        self.marked(pending(plan))
    }

    fn marked(&self, mut pending: Vec<Pending>) -> Result<Vec<Pending>, Refusal> {
        mark_security(self.paths, self.targets, &mut pending)
            .map_err(|error| Refusal::fault(Action::AskAboutSources, &error))?;
        Ok(pending)
    }

    /// Leaves only packages with a security update among those that are kept back.
    fn finish(&self, planned: Result<(Call, Plan), Refusal>) -> Result<(Call, Plan), Refusal> {
        let (call, mut plan) = planned?;
        let kept = (plan.kept_back.iter()).filter_map(|name| kept_back(name, self.database));
        let secure: BTreeSet<PackageKey> =
            keys(self.marked(kept.collect())?.iter().filter(|one| one.security));
        let is_secure =
            |name: &String| kept_back(name, self.database).is_some_and(|one| secure.contains(&one.package));
        plan.kept_back.retain(is_secure);
        Ok((call, plan))
    }
}

/// Returns a package that apt keeps back, from its installed version to any.
fn kept_back(name: &str, database: &Database) -> Option<Pending> {
    let package = match name.contains(':') {
        true => name.parse(),
        false => PackageKey::new(name, &database.architecture),
    };
    let package = package.ok()?;
    let old = database.version(package.as_str())?.to_owned();
    Some(Pending {
        package,
        old,
        new: String::new(),
        origin: String::new(),
        security: false,
    })
}

fn keys<'a>(pending: impl Iterator<Item = &'a Pending>) -> BTreeSet<PackageKey> {
    pending.map(|one| one.package.clone()).collect()
}

fn upgraded(plan: &Plan) -> BTreeSet<PackageKey> {
    keys(pending(plan).iter())
}

/// The updates that are no security updates, without those that are needed.
fn others_than(updates: &[Pending], needed: &BTreeSet<PackageKey>) -> BTreeSet<PackageKey> {
    let is_other = |one: &&Pending| !one.security && !needed.contains(&one.package);
    keys(updates.iter().filter(is_other))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn all_but_security_updates_and_what_they_need_stays() {
        let output = "Inst a [1] (2 Debian:12/stable [all])\nInst b [1] (2 Debian-Security:12/stable-security [all])\n\
                      Inst c [1] (2 Debian:12/stable [all])\nInst new (2 Debian:12/stable [all])\n";
        let updates = pending(&Plan::parse(output, "amd64").unwrap());
        let names = |needed: &[&str]| -> Vec<String> {
            let needed = needed.iter().map(|name| name.parse().unwrap()).collect();
            let others = others_than(&updates, &needed);
            others.iter().map(ToString::to_string).collect()
        };
        assert_eq!(names(&[]), ["a:amd64", "c:amd64"]);
        assert_eq!(names(&["c:amd64"]), ["a:amd64"]);
        assert_eq!(names(&["a:amd64", "c:amd64"]), Vec::<String>::new());
    }

    #[test]
    fn what_is_kept_back_is_looked_up_from_its_installed_version_on() {
        let text = "Package: dpkg\nStatus: install ok installed\nArchitecture: amd64\nVersion: 1\n\n\
                    Package: lab\nStatus: install ok installed\nArchitecture: i386\nVersion: 2\n";
        let database = Database::parse([text]).unwrap();
        let found = kept_back("lab:i386", &database).unwrap();
        assert_eq!((found.package.as_str(), found.old.as_str()), ("lab:i386", "2"));
        assert!(kept_back("dpkg", &database).is_some());
        assert!(kept_back("lab", &database).is_none());
    }
}
