//! What would be done, before anybody is asked: equal transactions together.

use std::collections::HashMap;
use std::fmt::Write;

use apu_fleet::HostName;
use apu_proto::{ChangedConffiles, PackageGlob, Plan, Transaction, TransactionId};

use super::changes::{Counts, HELD, Listing, NOT_INSTALLED, UNKNOWN_SOURCES, held_back, named};
use super::clean::clean;
use super::groups::{groups, set};
use super::paint::Paint;

/// The most upgrades of one transaction that are shown; `-v` shows all. Everything else is always shown.
const LONGEST: usize = 40;

/// The plans of these hosts as text.
#[must_use]
pub fn plans(planned: &[(HostName, &Plan)], paint: Paint, verbose: bool) -> String {
    let mut text = String::new();
    let transactions: HashMap<TransactionId, &Transaction> = (planned.iter())
        .map(|(_, plan)| (plan.transaction.id(), &plan.transaction))
        .collect();
    let of_hosts = planned;
    let planned = planned.iter().map(|(host, plan)| {
        let kept = [
            answered(plan),
            left_out(plan),
            held_back(&plan.held_back),
            new_questions(plan),
            named("kept back", &plan.kept_back),
            named(HELD, &plan.held),
            too_young(plan),
            named(NOT_INSTALLED, &plan.not_installed),
            named(UNKNOWN_SOURCES, &plan.unknown_sources),
            named("to be held, and not installed", &plan.held_nothing),
        ];
        let kept: Vec<String> = changed_conffiles(plan)
            .into_iter()
            .chain(changed_ucf_files(plan))
            .chain(kept.into_iter().flatten())
            .collect();
        let sizes = plan.sizes.as_ref().map(|sizes| {
            let (download, disk) = (clean(&sizes.download), clean(&sizes.disk));
            format!("to fetch: {download}; on disk: {disk}")
        });
        let listing = Listing::of_plan(plan);
        let repair = plan
            .repair
            .then(|| "its package database is broken, and is repaired first".to_owned());
        (host, (listing, repair, kept, sizes, plan.transaction.id()))
    });
    // The first hosts with a listing, and their transaction.
    let mut shown: HashMap<Listing, (&Transaction, String)> = HashMap::new();
    for ((listing, repair, kept, sizes, id), hosts) in groups(planned) {
        let transaction = transactions[&id];
        let what = match (listing.counts.all(), &repair) {
            (0, Some(_)) => "nothing but a repair".to_owned(),
            _ => headline(&listing.counts, hosts.len()),
        };
        let _ = writeln!(text, "{}: {what}", paint.strong(&set(&hosts)));
        let longest = if verbose { usize::MAX } else { LONGEST };
        let lines = listing.lines(longest).into_iter();
        for line in repair.into_iter().chain(lines).chain(kept).chain(sizes) {
            let _ = writeln!(text, "  {}", paint.change(&line));
        }
        let (first, others) = shown.entry(listing).or_insert_with(|| (transaction, set(&hosts)));
        if let Some(packages) = named("other contents than there", &transaction.other_contents(first)) {
            let _ = writeln!(text, "  the same versions as on {others}; {packages}");
        }
    }
    text += &services(of_hosts, paint);
    paint.letters(text)
}

/// The running services that the plans reach, where clients say so: equal ones together.
fn services(planned: &[(HostName, &Plan)], paint: Paint) -> String {
    let told = planned.iter().filter_map(|(host, plan)| {
        let services = plan.services.as_ref()?;
        (!services.is_empty()).then_some((host, services))
    });
    let mut text = String::new();
    for (services, hosts) in groups(told) {
        let more = (services.more > 0).then(|| format!("and {} more", services.more));
        let kinds = [
            named("restarts", &services.restarts),
            named("stale", &services.stale),
            more,
        ];
        let kinds: Vec<String> = kinds.into_iter().flatten().collect();
        let _ = writeln!(text, "{}: {}", paint.strong(&set(&hosts)), kinds.join("; "));
    }
    text
}

/// The configuration files about which dpkg would ask.
fn changed_conffiles(plan: &Plan) -> Vec<String> {
    let (stay, replaced) = (
        "changed here and in the packages, stay as they are",
        "changed here and in the packages, are replaced",
    );
    kept_and_replaced(plan.changed_conffiles.as_ref(), stay, replaced)
}

/// The files of ucf that were changed here.
fn changed_ucf_files(plan: &Plan) -> Vec<String> {
    let (stay, replaced) = (
        "changed here, files of ucf, stay as they are",
        "changed here, files of ucf, are replaced if the packages bring others",
    );
    kept_and_replaced(plan.changed_ucf_files.as_ref(), stay, replaced)
}

/// The files that stay, and those that are replaced, each behind its words.
fn kept_and_replaced(changed: Option<&ChangedConffiles>, stay: &str, replaced: &str) -> Vec<String> {
    let Some(changed) = changed else {
        return Vec::new();
    };
    let what = if changed.keeps { stay } else { replaced };
    let lists = [
        (what, &changed.paths, changed.more),
        (replaced, &changed.replaced, changed.more_replaced),
    ];
    let line = |(what, paths, more): (&str, &Vec<String>, usize)| Some(and_more(named(what, paths)?, more));
    lists.into_iter().filter_map(line).collect()
}

/// The questions of debconf that are new to the machine.
fn new_questions(plan: &Plan) -> Option<String> {
    let questions = plan.new_questions.as_ref()?;
    let is_answered = |name: &&String| {
        plan.answered
            .iter()
            .any(|answer| answer.question.as_str() == **name)
    };
    let others: Vec<&String> = questions.names.iter().filter(|name| !is_answered(name)).collect();
    let named = named("may ask, and the defaults apply", &others)?;
    Some(and_more(named, questions.more))
}

/// The questions that the server answers, each with the answer that it replaces.
fn answered(plan: &Plan) -> Option<String> {
    let questions = plan.answered.iter().map(|answer| match &answer.was {
        Some(was) => format!("{} (was: {was})", answer.question),
        None => answer.question.to_string(),
    });
    named("answered by the server", &questions.collect::<Vec<String>>())
}

/// The answers that are for packages which do not change.
fn left_out(plan: &Plan) -> Option<String> {
    match plan.answers_left_out {
        0 => None,
        1 => Some("1 answer of the server is for a package that does not change here".to_owned()),
        more => Some(format!(
            "{more} answers of the server are for packages that do not change here"
        )),
    }
}

fn and_more(named: String, more: usize) -> String {
    match more {
        0 => named,
        more => format!("{named} and {more} more"),
    }
}

/// What is left as it is since it is too young.
fn too_young(plan: &Plan) -> Option<String> {
    match plan.too_young.as_slice() {
        [all] if *all == PackageGlob::any() => {
            Some("too young: more packages than a request can name, so that none changes".to_owned())
        }
        some => named("too young", some),
    }
}

fn headline(counts: &Counts, hosts: usize) -> String {
    match (counts.all(), hosts) {
        (0, _) => "nothing to do".to_owned(),
        (1, 1) => format!("1 change: {counts}"),
        (1, _) => format!("the same change: {counts}"),
        (number, 1) => format!("{number} changes: {counts}"),
        (number, _) => format!("the same {number} changes: {counts}"),
    }
}

/// What one host would do, in one line.
#[must_use]
pub fn outlook(plan: &Plan) -> String {
    headline(&Listing::of_plan(plan).counts, 1)
}

/// What these hosts would do in numbers: `6 hosts, 1 REMOVED, 30 upgraded (2 security)`.
#[must_use]
pub fn counted(planned: &[&Plan]) -> String {
    format!("{}, {}", hosts(planned), changes(planned, 0))
}

fn hosts(planned: &[&Plan]) -> String {
    match planned.len() {
        1 => "1 host".to_owned(),
        number => format!("{number} hosts"),
    }
}

/// All changes in numbers, with the number of packages that become manually installed.
fn changes(planned: &[&Plan], marked: usize) -> String {
    let mut all = Counts::default();
    for plan in planned {
        all.add(&Listing::of_plan(plan).counts);
    }
    let broken = planned.iter().filter(|plan| plan.repair).count();
    let parts = [
        (all.all(), all.to_string()),
        (marked, format!("{marked} marked as installed manually")),
        (broken, format!("{broken} to repair")),
    ];
    let parts: Vec<String> = (parts.into_iter().filter(|(number, _)| *number > 0))
        .map(|(_, part)| part)
        .collect();
    parts.join(", ")
}

/// What is asked before all of this is done, with the number of packages that become manually installed and the waves, where
/// there is more than one; without a line end.
#[must_use]
pub fn question(planned: &[&Plan], marked: usize, waves: Option<&str>) -> String {
    let (hosts, changes) = (hosts(planned), changes(planned, marked));
    let waves = waves.map_or_else(String::new, |waves| format!(", {waves}"));
    format!("Altogether {changes}. Go on with {hosts}{waves}? [y/N] ")
}

#[cfg(test)]
mod tests {
    use apu_proto::{DebSha256, Step};

    use super::*;

    fn upgrade(name: &str) -> Step {
        Step::Install {
            package: name.parse().unwrap(),
            old: Some("3.0.15-1".into()),
            new: "3.0.16-1".into(),
            sha256: None,
            origin: "Debian-Security:12/stable-security".into(),
        }
    }

    fn remove(name: &str) -> Step {
        Step::Remove {
            package: name.parse().unwrap(),
            old: "1".into(),
        }
    }

    fn host(name: &str) -> HostName {
        name.parse().unwrap()
    }

    const PLAIN: Paint = Paint {
        colour: false,
        unicode: true,
    };

    #[test]
    fn equal_transactions_are_shown_once_and_removals_come_first() {
        let install = upgrade("libssl3:amd64");
        let same = Plan {
            transaction: Transaction::new(vec![install.clone(), remove("foo:amd64")]),
            kept_back: vec!["bar".into()],
            held: vec!["linux-image-amd64".into()],
            changed_conffiles: Some(ChangedConffiles {
                keeps: true,
                paths: vec!["/etc/foo.conf".into()],
                more: 2,
                replaced: vec!["/etc/bar.conf".into()],
                more_replaced: 0,
            }),
            changed_ucf_files: Some(
                ChangedConffiles::new(true, ["/etc/ucf".to_owned()].into())
                    .replacing(["/etc/ucf\u{1b}".to_owned()].into()),
            ),
            held_back: vec![apu_proto::HeldBack {
                package: "nginx:amd64".parse().unwrap(),
                paths: vec!["/etc/nginx.conf".into()],
            }],
            new_questions: Some(apu_proto::NewQuestions {
                names: vec!["foo/host".into(), "foo/port".into()],
                questions: Vec::new(),
                more: 0,
            }),
            answered: [("foo/host", Some("a\nb")), ("foo/secret", None)]
                .map(|(question, was)| apu_proto::AnsweredQuestion {
                    question: question.parse().unwrap(),
                    was: was.map(str::to_owned),
                })
                .into(),
            answers_left_out: 2,
            held_nothing: vec!["nginx*".into()],
            not_installed: vec!["libssl3".into()],
            unknown_sources: vec!["opensl".into()],
            too_young: vec!["bash".parse().unwrap(), "vim".parse().unwrap()],
            sizes: Some(apu_proto::Sizes {
                download: "5396 kB".into(),
                disk: "20.0 MB more".into(),
            }),
            ..Plan::default()
        };
        let other = Plan {
            transaction: Transaction::new(vec![install]),
            security: Some(vec!["libssl3:amd64".parse().unwrap()]),
            ..Plan::default()
        };
        let none = Plan::default();
        let planned = [
            (host("web01"), &same),
            (host("db1"), &other),
            (host("web02"), &same),
            (host("mail"), &none),
        ];
        assert_eq!(
            plans(&planned, PLAIN, false),
            "web[01-02]: the same 2 changes: 1 REMOVED, 1 upgraded\n\
             \x20 foo:amd64      REMOVED, was 1\n\
             \x20 libssl3:amd64  3.0.15-1 → 3.0.16-1  Debian-Security:12/stable-security\n\
             \x20 changed here and in the packages, stay as they are: /etc/foo.conf and 2 more\n\
             \x20 changed here and in the packages, are replaced: /etc/bar.conf\n\
             \x20 changed here, files of ucf, stay as they are: /etc/ucf\n\
             \x20 changed here, files of ucf, are replaced if the packages bring others: /etc/ucf\u{fffd}\n\
             \x20 answered by the server: foo/host (was: a\u{fffd}b), foo/secret\n\
             \x20 2 answers of the server are for packages that do not change here\n\
             \x20 held back for configuration files that were changed here: nginx:amd64 (/etc/nginx.conf)\n\
             \x20 may ask, and the defaults apply: foo/port\n\
             \x20 kept back: bar\n\
             \x20 held for this run: linux-image-amd64\n\
             \x20 too young: bash, vim\n\
             \x20 to be upgraded, and not installed: libssl3\n\
             \x20 no installed package is of the source: opensl\n\
             \x20 to be held, and not installed: nginx*\n\
             \x20 to fetch: 5396 kB; on disk: 20.0 MB more\n\
             db1: 1 change: 1 upgraded (1 security)\n\
             \x20 libssl3:amd64  3.0.15-1 → 3.0.16-1  security, from Debian-Security:12/stable-security\n\
             mail: nothing to do\n"
        );
    }

    #[test]
    fn services_stand_behind_the_changes_and_equal_ones_together() {
        let plan = |restarts: &[&str], stale: &[&str], more| {
            let words = |words: &[&str]| words.iter().map(|word| (*word).to_owned()).collect();
            Plan {
                transaction: Transaction::new(vec![upgrade("a:amd64")]),
                services: Some(apu_proto::Services {
                    restarts: words(restarts),
                    stale: words(stale),
                    more,
                }),
                ..Plan::default()
            }
        };
        let both = plan(&["postgresql@15-main", "ssh"], &["cron"], 0);
        let (many, none) = (plan(&[], &["a\nb"], 7), plan(&[], &[], 0));
        let planned = [
            (host("web1"), &both),
            (host("web2"), &many),
            (host("web3"), &both),
            (host("web4"), &none),
        ];
        let text = plans(&planned, PLAIN, false);
        let (changes, services) = text.split_once("Debian-Security:12/stable-security\n").unwrap();
        assert!(changes.starts_with("web[1-4]: the same change"), "{text}");
        assert_eq!(
            services,
            "web[1,3]: restarts: postgresql@15-main, ssh; stale: cron\n\
             web2: stale: a\u{fffd}b; and 7 more\n"
        );
    }

    #[test]
    fn a_repair_is_told_before_the_changes() {
        let plan = |steps| Plan {
            transaction: Transaction::new(steps),
            repair: true,
            ..Plan::default()
        };
        let (alone, before) = (plan(Vec::new()), plan(vec![remove("foo:amd64")]));
        assert_eq!(
            plans(&[(host("web1"), &alone), (host("web2"), &before)], PLAIN, false),
            "web1: nothing but a repair\n\
             \x20 its package database is broken, and is repaired first\n\
             web2: 1 change: 1 REMOVED\n\
             \x20 its package database is broken, and is repaired first\n\
             \x20 foo:amd64  REMOVED, was 1\n"
        );
    }

    #[test]
    fn other_bytes_under_the_same_versions_are_told() {
        let plan = |sha256: u8| {
            let mut step = upgrade("a:amd64");
            if let Step::Install { sha256: sum, .. } = &mut step {
                *sum = Some(DebSha256::from_bytes([sha256; 32]));
            }
            Plan {
                transaction: Transaction::new(vec![step]),
                ..Plan::default()
            }
        };
        let (one, other) = (plan(1), plan(2));
        let planned = [(host("web1"), &one), (host("web2"), &other), (host("web3"), &one)];
        let text = plans(&planned, PLAIN, false);
        assert_eq!(text.matches("other contents").count(), 1, "{text}");
        assert!(text.starts_with("web[1,3]: the same change"), "{text}");
        assert!(
            text.ends_with("  the same versions as on web[1,3]; other contents than there: a:amd64\n"),
            "{text}"
        );
    }

    #[test]
    fn a_removal_is_seen_and_counted_in_the_longest_plan() {
        let upgrades = (100..200).map(|n| upgrade(&format!("a{n}:amd64")));
        let new = (100..160).map(|n| Step::Install {
            package: format!("n{n}:amd64").parse().unwrap(),
            old: None,
            new: "1".into(),
            sha256: None,
            origin: "Site:local".into(),
        });
        let steps = upgrades.chain(new).chain([remove("zz:amd64")]).collect();
        let long = Plan {
            transaction: Transaction::new(steps),
            kept_back: vec!["kept".into()],
            ..Plan::default()
        };
        let text = plans(&[(host("web1"), &long)], PLAIN, false);
        let lines: Vec<&str> = text.lines().collect();
        assert_eq!(lines[0], "web1: 161 changes: 1 REMOVED, 60 new, 100 upgraded");
        assert_eq!(lines[1], "  zz:amd64    REMOVED, was 1");
        assert!(text.contains("  n159:amd64  new, 1 "), "{text}");
        assert_eq!(lines[102], "  … and 60 more upgrades, which -v shows");
        assert_eq!(lines[103], "  kept back: kept");
        let twice = [&long, &long];
        assert_eq!(
            question(&twice, 0, None),
            "Altogether 2 REMOVED, 120 new, 200 upgraded. Go on with 2 hosts? [y/N] "
        );
        assert!(question(&twice[..1], 0, None).ends_with(". Go on with 1 host? [y/N] "));
        let waves = question(&twice, 0, Some("first web1, then 1"));
        assert!(
            waves.ends_with(". Go on with 2 hosts, first web1, then 1? [y/N] "),
            "{waves}"
        );
    }

    #[test]
    fn a_mark_is_counted_where_no_package_changes() {
        let nothing = Plan::default();
        let repair = Plan {
            repair: true,
            ..Plan::default()
        };
        assert_eq!(
            question(&[&repair], 0, None),
            "Altogether 1 to repair. Go on with 1 host? [y/N] "
        );
        assert_eq!(
            question(&[&nothing], 1, None),
            "Altogether 1 marked as installed manually. Go on with 1 host? [y/N] "
        );
    }
}
