//! Which packages are too young for a run: this server has first seen their .debs less than the minimum age ago.

use std::collections::{BTreeSet, HashMap};
use std::time::Duration;

use apu_debian::PackageKey;
use apu_proto::{DebSha256, PackageGlob, Plan, Request, RequestError, RequestOption, Step};
use apu_site::settings;
use jiff::Timestamp;

use super::args::Args;
use super::room::has_room_for_run;

/// How old a .deb has to be to be installed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct MinAge {
    age: Duration,
    /// Whether security updates may come at any age.
    security_at_once: bool,
}

impl MinAge {
    /// What the command line says, and apu.toml where that says nothing; none for an operation that names its packages.
    pub(super) fn of(args: &Args, settings: &settings::Rollout) -> Option<Self> {
        let age = args.min_age.or(settings.min_age).unwrap_or_default();
        // What is named is wanted now.
        let is_for = args.operation.takes_too_young() && !age.is_zero();
        is_for.then_some(Self {
            age,
            security_at_once: settings.security_at_once.unwrap_or(false),
        })
    }

    /// Returns the packages that a plan would install, and that are too young at this time.
    pub(super) fn too_young(
        self,
        plan: &Plan,
        first_seen: &HashMap<DebSha256, Timestamp>,
        now: Timestamp,
    ) -> BTreeSet<PackageGlob> {
        let exempt: BTreeSet<&PackageKey> = match self.security_at_once {
            true => plan.security.iter().flatten().collect(),
            false => BTreeSet::new(),
        };
        let age = |deb: &DebSha256| {
            let first = first_seen.get(deb)?;
            u64::try_from(now.duration_since(*first).as_secs()).ok()
        };
        let young = plan.transaction.steps().iter().filter_map(|step| match step {
            Step::Install { package, sha256, .. } if !exempt.contains(package) => {
                // A .deb that nobody knows has no age.
                let age = sha256.as_ref().and_then(age).unwrap_or(0);
                (age < self.age.as_secs()).then(|| named(package))
            }
            _ => None,
        });
        young.collect()
    }
}

/// The package, of any architecture; a name that cannot be written stands for every package.
fn named(package: &PackageKey) -> PackageGlob {
    package.name().parse().unwrap_or_else(|_| PackageGlob::any())
}

/// The .debs that the plans would install.
pub(super) fn debs<'a>(plans: impl Iterator<Item = &'a Plan>) -> BTreeSet<DebSha256> {
    let steps = plans.flat_map(|plan| plan.transaction.steps());
    let deb = |step: &Step| match step {
        Step::Install { sha256, .. } => *sha256,
        Step::Remove { .. } => None,
    };
    steps.filter_map(deb).collect()
}

/// The request without these packages. Where it would name more than a request can, it leaves every package as it is.
pub(super) fn without(
    request: &Request,
    young: &[PackageGlob],
) -> Result<(Request, Vec<PackageGlob>), RequestError> {
    let narrowed = |young: &[PackageGlob]| {
        let request = request.clone().with([RequestOption::TooYoung(young.to_vec())])?;
        has_room_for_run(&request)?;
        Ok((request, young.to_vec()))
    };
    narrowed(young).or_else(|_: RequestError| narrowed(&[PackageGlob::any()]))
}

#[cfg(test)]
mod tests {
    use apu_proto::Transaction;
    use clap::Parser;

    use super::*;

    const NOW: i64 = 1_700_000_000;

    fn hours_ago(hours: i64) -> Timestamp {
        Timestamp::from_second(NOW - hours * 3600).unwrap()
    }

    fn deb(byte: u8) -> DebSha256 {
        DebSha256::from_bytes([byte; 32])
    }

    fn install(package: &str, sha256: Option<u8>) -> Step {
        Step::Install {
            package: package.parse().unwrap(),
            old: Some("1".into()),
            new: "2".into(),
            sha256: sha256.map(deb),
            origin: String::new(),
        }
    }

    fn words(young: &BTreeSet<PackageGlob>) -> String {
        let words: Vec<String> = young.iter().map(ToString::to_string).collect();
        words.join(" ")
    }

    #[test]
    fn a_package_is_too_young_until_its_deb_was_first_seen_so_long_ago() {
        let plan = Plan {
            transaction: Transaction::new(vec![
                install("old:amd64", Some(1)),
                install("edge:amd64", Some(2)),
                install("new:amd64", Some(3)),
                install("new:i386", Some(3)),
                install("fix:amd64", Some(4)),
                install("unknown:amd64", None),
                install("unseen:amd64", Some(9)),
                Step::Remove {
                    package: "gone:amd64".parse().unwrap(),
                    old: "1".into(),
                },
            ]),
            security: Some(vec!["fix:amd64".parse().unwrap()]),
            ..Plan::default()
        };
        let seen = [
            (deb(1), hours_ago(100)),
            (deb(2), hours_ago(72)),
            (deb(3), hours_ago(71)),
            (deb(4), hours_ago(1)),
        ];
        let young = |security_at_once| {
            let min_age = MinAge {
                age: Duration::from_secs(3 * 86_400),
                security_at_once,
            };
            words(&min_age.too_young(&plan, &seen.into(), hours_ago(0)))
        };
        assert_eq!(young(false), "fix new unknown unseen");
        assert_eq!(young(true), "new unknown unseen");
        assert_eq!(debs([&plan].into_iter()).len(), 5);
    }

    #[test]
    fn the_age_is_that_of_the_command_line_or_else_of_the_class() {
        let age = |line: &str, toml: &str| {
            let args = Args::try_parse_from(format!("apt-all web {line}").split(' ')).unwrap();
            let settings = apu_site::Settings::parse(toml).unwrap().rollout("web");
            MinAge::of(&args, &settings).map(|min| (min.age.as_secs() / 3600, min.security_at_once))
        };
        let class = "[rollout.web]\nmin_age = '2d'\n[rollout.all]\nsecurity_at_once = true\n";
        assert_eq!(age("upgrade", ""), None);
        assert_eq!(age("upgrade --min-age 3d", ""), Some((72, false)));
        assert_eq!(age("dist-upgrade", class), Some((48, true)));
        assert_eq!(age("upgrade --min-age 1h", class), Some((1, true)));
        assert_eq!(age("upgrade --min-age 0", class), None);
        assert_eq!(age("install vim", class), None);
    }

    #[test]
    fn more_than_a_request_can_name_is_everything() {
        let request = Request::parse(b"apu/1 dist-upgrade dry_run=yes hold_packages=vim").unwrap();
        let of = |names: Vec<String>| {
            let young: Vec<PackageGlob> = names.iter().map(|name| name.parse().unwrap()).collect();
            let (request, named) = without(&request, &young).unwrap();
            assert_eq!(request.too_young(), named);
            (named.len(), request.to_string())
        };
        let (number, line) = of(vec!["a".into(), "b".into()]);
        assert_eq!(
            (number, line.as_str()),
            (
                2,
                "apu/1 dist-upgrade dry_run=yes hold_packages=vim too_young=a,b"
            )
        );
        let (number, line) = of((0..300).map(|number| format!("libpackage{number}")).collect());
        assert_eq!((number, line.ends_with(" too_young=*")), (1, true));
        let short = (0..300).map(|number| format!("p{number}")).collect();
        assert_eq!(of(short).0, 300);
    }
}
