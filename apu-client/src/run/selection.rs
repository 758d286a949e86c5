//! Narrows an upgrade to the packages with a security update, to those of a source, or to those that are named, and to what these need.
//!
//! `apt-get install --only-upgrade` marks each package that it is given as manually installed, and fails where one of them
//! is on hold. So the operation itself is planned, with preferences by which every other package stays at its version.

use std::collections::BTreeSet;

use apu_debian::{PackageKey, PackageName};
use apu_proto::{Action, Cause, Pending, Request};

use super::held::stay_at_version;
use super::refusal::Refusal;
use super::simulation::simulate;
use crate::apt::{Call, Plan, Target, Verb, mark_security, pending, read_targets};
use crate::dpkg::Database;
use crate::os::paths::ClientPaths;

/// Maximal number of simulations until nothing else would be upgraded. Each one leaves out what the one before still had: a
/// package that apt can upgrade only because another one stays.
const MAX_ROUNDS: usize = 8;

/// Whether a request selects some of the upgrades.
pub(super) fn is_narrowed(request: &Request) -> bool {
    request.is_only_security() || !request.sources().is_empty() || request.is_only_upgrade()
}

/// Plans the upgrade of `call` for what the request selects alone.
pub(super) fn plan_selection(
    paths: &ClientPaths,
    request: &Request,
    call: &Call,
    database: &Database,
) -> Result<(Call, Plan), Refusal> {
    let targets = match request.is_only_security() {
        true => {
            let targets = read_targets(paths);
            Some(targets.ok_or_else(|| Refusal::failed(Cause::SourcesNotUnderstood))?)
        }
        false => None,
    };
    let selection = Selection {
        paths,
        call,
        database,
        targets,
        wanted: Wanted {
            only_security: request.is_only_security(),
            sources: request.sources(),
            named: request.is_only_upgrade().then(|| named(request, database)),
        },
    };
    let mut first = call.clone();
    // A removal that only another package needs is none of this plan.
    first.remove |= call.verb == Verb::DistUpgrade;
    let Updates { wanted, others } = selection.updates(pending(&simulate(&first, database)?))?;
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
    database: &'a Database,
    /// The indexes, where only security updates are wanted.
    targets: Option<Vec<Target>>,
    wanted: Wanted<'a>,
}

/// Which upgrades a request wants: what all of these say.
struct Wanted<'a> {
    only_security: bool,
    /// Empty for any.
    sources: &'a [PackageName],
    /// None for any.
    named: Option<BTreeSet<PackageKey>>,
}

impl Wanted<'_> {
    /// Tells the upgrades that are wanted from the others.
    fn split(&self, pending: &[Pending], database: &Database) -> Updates {
        let is_of_source = |package: &PackageKey| {
            let source = database.source(package);
            self.sources.is_empty() || self.sources.iter().any(|named| Some(named.as_str()) == source)
        };
        let is_named = |package: &PackageKey| self.named.as_ref().is_none_or(|named| named.contains(package));
        let is_wanted = |one: &&Pending| {
            (!self.only_security || one.security) && is_of_source(&one.package) && is_named(&one.package)
        };
        let (wanted, others): (Vec<&Pending>, Vec<&Pending>) = pending.iter().partition(is_wanted);
        Updates {
            wanted: keys(wanted.into_iter()),
            others: keys(others.into_iter()),
        }
    }
}

/// The upgrades of a plan.
struct Updates {
    wanted: BTreeSet<PackageKey>,
    others: BTreeSet<PackageKey>,
}

impl Selection<'_> {
    /// Plans with these packages at their version, and with more of them until nothing is upgraded but what is wanted or
    /// needed.
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
            let mut plan = simulate(&call, self.database)?;
            let mut more = self.updates(pending(&plan))?.others;
            more.retain(|package| !needed.contains(package));
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
        let plan = simulate(&call, self.database).unwrap_or_default();
        upgraded(&plan).intersection(others).cloned().collect()
    }

    /// Tells the upgrades that are wanted from the others.
    fn updates(&self, mut pending: Vec<Pending>) -> Result<Updates, Refusal> {
        if let Some(targets) = &self.targets {
            mark_security(self.paths, targets, &mut pending)
                .map_err(|error| Refusal::fault(Action::AskAboutSources, &error))?;
        }
        Ok(self.wanted.split(&pending, self.database))
    }

    /// Leaves only what is wanted among the packages that are kept back.
    fn finish(&self, planned: Result<(Call, Plan), Refusal>) -> Result<(Call, Plan), Refusal> {
        let (call, mut plan) = planned?;
        let kept = (plan.kept_back.iter()).filter_map(|name| kept_back(name, self.database));
        let wanted = self.updates(kept.collect())?.wanted;
        let is_wanted =
            |name: &String| kept_back(name, self.database).is_some_and(|one| wanted.contains(&one.package));
        plan.kept_back.retain(is_wanted);
        Ok((call, plan))
    }
}

/// Returns the installed packages that the request names.
fn named(request: &Request, database: &Database) -> BTreeSet<PackageKey> {
    let keys = (request.packages().iter()).filter_map(|package| database.key_of(package).ok());
    keys.filter(|key| database.version(key.as_str()).is_some())
        .collect()
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_wanted_has_a_security_update_or_is_of_the_source_or_is_named() {
        let output = "Inst aa [1] (2 Debian:12/stable [all])\nInst bb [1] (2 Debian-Security:12/stable-security [all])\n\
                      Inst cc [1] (2 Debian-Security:12/stable-security [all])\nInst new (2 Debian:12/stable [all])\n";
        let updates = pending(&Plan::parse(output, "amd64").unwrap());
        let package = |name: &str, more: &str| {
            format!(
                "Package: {name}\nStatus: install ok installed\nArchitecture: amd64\nVersion: 1\n{more}\n"
            )
        };
        let database = [
            package("dpkg", ""),
            package("aa", "Source: s (1)\n"),
            package("bb", "Source: s\n"),
            package("cc", ""),
        ];
        let database = Database::parse([database.concat().as_str()]).unwrap();
        let wanted = |request: &str, sources: &[&str]| {
            let request = Request::parse(format!("apu/1 {request}").as_bytes()).unwrap();
            let sources: Vec<PackageName> = sources.iter().map(|source| source.parse().unwrap()).collect();
            let wanted = Wanted {
                only_security: request.is_only_security(),
                sources: &sources,
                named: request.is_only_upgrade().then(|| named(&request, &database)),
            };
            let Updates { wanted, others } = wanted.split(&updates, &database);
            assert_eq!(wanted.len() + others.len(), 3);
            let names: Vec<&str> = wanted.iter().map(PackageKey::name).collect();
            names.join(" ")
        };
        assert_eq!(wanted("upgrade only_security=yes", &[]), "bb cc");
        assert_eq!(wanted("upgrade", &["s1", "ss"]), "");
        assert_eq!(wanted("upgrade", &[]), "aa bb cc");
        assert_eq!(wanted("install only_upgrade=yes bb new", &[]), "bb");
        assert_eq!(wanted("install only_upgrade=yes cc:i386 new", &[]), "");
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
