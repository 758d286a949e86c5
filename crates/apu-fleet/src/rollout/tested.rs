//! The tested set: what canaries installed or removed and stayed well with. Later waves do nothing else.

use std::collections::HashSet;

use apu_debian::PackageKey;
use apu_proto::{DebSha256, Step, System, Transaction};

use super::Trial;

/// One change that a canary has made. The version that was there before is no part of it.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub enum Item {
    /// A version from a .deb with these contents; without a checksum nothing is known of them.
    Installed(PackageKey, String, DebSha256),
    /// Gone.
    Removed(PackageKey),
}

impl Item {
    /// The change that a step makes; none where its .deb is not known.
    fn of(step: &Step) -> Option<Self> {
        Some(match step {
            Step::Install {
                package, new, sha256, ..
            } => Self::Installed(package.clone(), new.clone(), (*sha256)?),
            Step::Remove { package, .. } => Self::Removed(package.clone()),
        })
    }
}

/// All that was tested, each on the release and architecture on which it was.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Tested(HashSet<(System, Item)>);

impl Tested {
    /// Takes in what a canary has done.
    pub fn add(&mut self, trial: &Trial) {
        let items = trial.transaction.steps().iter().filter_map(Item::of);
        self.0.extend(items.map(|item| (trial.system.clone(), item)));
    }

    /// The packages of a transaction that no canary has tested on such a system.
    #[must_use]
    pub fn missing<'a>(&self, trial: &'a Trial) -> Vec<&'a PackageKey> {
        let is_tested =
            |step: &Step| Item::of(step).is_some_and(|item| self.0.contains(&(trial.system.clone(), item)));
        let steps = trial.transaction.steps().iter();
        steps.filter(|step| !is_tested(step)).map(Step::package).collect()
    }

    /// The packages of a transaction that are no part of another one, which was approved.
    #[must_use]
    pub fn beyond<'a>(approved: &Transaction, transaction: &'a Transaction) -> Vec<&'a PackageKey> {
        let known: HashSet<Item> = approved.steps().iter().filter_map(Item::of).collect();
        let is_known = |step: &&Step| Item::of(step).is_some_and(|item| known.contains(&item));
        let steps = transaction.steps().iter();
        steps.filter(|step| !is_known(step)).map(Step::package).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn install(name: &str, old: Option<&str>, new: &str, sha256: Option<u8>) -> Step {
        Step::Install {
            package: format!("{name}:amd64").parse().unwrap(),
            old: old.map(str::to_owned),
            new: new.into(),
            sha256: sha256.map(|byte| DebSha256::from_bytes([byte; 32])),
            origin: String::new(),
        }
    }

    fn trial(release: &str, steps: Vec<Step>) -> Trial {
        let system = System {
            release: release.into(),
            architecture: "amd64".into(),
        };
        Trial {
            system,
            transaction: Transaction::new(steps),
            is_broken: false,
            too_young: Vec::new(),
            conffile_rules: Vec::new(),
        }
    }

    #[test]
    fn the_same_deb_is_tested_whatever_was_there_before_and_another_is_not() {
        let mut tested = Tested::default();
        tested.add(&trial(
            "debian 12",
            vec![
                install("a", Some("1"), "2", Some(7)),
                install("c", None, "1", Some(7)),
            ],
        ));
        let missing = |release, step| {
            let trial = trial(release, vec![step]);
            tested
                .missing(&trial)
                .into_iter()
                .map(ToString::to_string)
                .collect::<Vec<_>>()
        };
        let none: [&str; 0] = [];
        assert_eq!(missing("debian 12", install("a", Some("1"), "2", Some(7))), none);
        assert_eq!(missing("debian 12", install("a", None, "2", Some(7))), none);
        for (release, step) in [
            ("debian 12", install("a", Some("1"), "2", Some(8))),
            ("debian 12", install("a", Some("1"), "3", Some(7))),
            ("debian 13", install("a", Some("1"), "2", Some(7))),
            ("debian 12", install("a", Some("1"), "2", None)),
        ] {
            assert_eq!(missing(release, step.clone()), ["a:amd64"], "{release} {step}");
        }
        assert_eq!(
            missing("debian 12", install("b", None, "2", Some(7))),
            ["b:amd64"]
        );
    }

    #[test]
    fn a_removal_is_tested_by_a_removal_and_a_deb_without_a_checksum_by_nothing() {
        let remove = |name: &str| Step::Remove {
            package: format!("{name}:amd64").parse().unwrap(),
            old: "1".into(),
        };
        let mut tested = Tested::default();
        tested.add(&trial(
            "debian 12",
            vec![remove("a"), install("b", None, "1", None)],
        ));
        assert!(tested.missing(&trial("debian 12", vec![remove("a")])).is_empty());
        assert_eq!(tested.missing(&trial("debian 12", vec![remove("b")])).len(), 1);
        assert_eq!(
            tested
                .missing(&trial("debian 12", vec![install("b", None, "1", None)]))
                .len(),
            1
        );
    }
}
