//! The last words of a run: every host once, equal ends together, and the numbers.

use std::borrow::Borrow;
use std::collections::{BTreeMap, HashMap};
use std::fmt::Write;

use apu_archive::quote;
use apu_fleet::{Ending, HostName, Outcome};
use apu_proto::Operation;

use super::body::{Body, HOST};
use super::groups::{Numbers, groups, set, short_set};
use super::paint::Paint;
use super::status::totals;

/// The most upgrades below one headline; `-v` shows all.
const LONGEST: usize = 25;

/// The most characters of the names of hosts that are well, where they are more than these; `-v` shows all. What needs a hand is named
/// in full.
const LONGEST_SET: usize = 40;
const FEW: usize = 8;

/// All ends of an operation as text; of the hosts that were told `before`, only the numbers.
#[must_use]
pub fn summary<E: Borrow<Ending>>(
    operation: Operation,
    endings: &[(HostName, E)],
    before: &[HostName],
    seconds: f64,
    paint: Paint,
    verbose: bool,
) -> String {
    let new: Vec<(HostName, &Ending)> = endings
        .iter()
        .filter(|(host, _)| !before.contains(host))
        .map(|(host, ending)| (host.clone(), ending.borrow()))
        .collect();
    let mut text = told(operation, &new, paint, verbose);
    if operation != Operation::Status {
        return text + &paint.letters(format!("{}\n", numbers(endings, seconds, paint)));
    }
    text.insert(0, '\n');
    let unwell: Vec<(HostName, &Ending)> = endings
        .iter()
        .map(|(host, ending)| (host.clone(), ending.borrow()))
        .filter(|(_, ending)| !is_a_row(operation, ending))
        .collect();
    let mut parts = vec![totals(endings)];
    if !unwell.is_empty() {
        parts.push(counts(&unwell, paint));
    }
    text + &paint.letters(format!("{}, in {}\n", parts.join("; "), duration(seconds)))
}

/// Each host with how it ended, equal ends together, without the numbers.
#[must_use]
pub fn told<E: Borrow<Ending>>(
    operation: Operation,
    endings: &[(HostName, E)],
    paint: Paint,
    verbose: bool,
) -> String {
    // An end that hosts share has one body.
    let mut known: HashMap<*const Ending, usize> = HashMap::new();
    let mut bodies = Numbers::default();
    let numbers = endings.iter().filter_map(|(host, ending)| {
        let ending = ending.borrow();
        let number = || bodies.of(Body::of(operation, ending));
        (!is_a_row(operation, ending)).then(|| (host, *known.entry(ending).or_insert_with(number)))
    });
    let groups = groups(numbers);
    let mut groups = bodies.things(groups);
    // The good ones first: what needs a hand stands last, where the eye is.
    groups.sort_by_key(|(body, _)| Outcome::ALL.iter().position(|outcome| *outcome == body.outcome));
    let mut text = String::new();
    for (body, hosts) in groups {
        let set = set(&hosts);
        let headline = paint.outcome(body.outcome, &body.headline);
        let named = match body.outcome.is_well() && !verbose && hosts.len() > FEW {
            true => short_set(&hosts, LONGEST_SET),
            false => set.clone(),
        };
        let _ = writeln!(text, "{}: {headline}", paint.strong(&named));
        let longest = if verbose { usize::MAX } else { LONGEST };
        for line in body.lines(&set, longest) {
            let _ = writeln!(text, "  {}", paint.change(&line));
        }
        if !body.advice.is_empty() {
            let _ = writeln!(text, "  try: {}", body.advice.replace(HOST, &quote(&set)));
        }
    }
    paint.letters(text)
}

/// Whether the status table has said everything about it.
fn is_a_row(operation: Operation, ending: &Ending) -> bool {
    operation == Operation::Status && ending.outcome.is_well()
}

/// `97 changed, 3 unreachable, in 12.3 s`.
#[must_use]
pub fn numbers<E: Borrow<Ending>>(endings: &[(HostName, E)], seconds: f64, paint: Paint) -> String {
    format!("{}, in {}", counts(endings, paint), duration(seconds))
}

/// `97 changed, 3 unreachable`.
#[must_use]
pub fn counts<E: Borrow<Ending>>(endings: &[(HostName, E)], paint: Paint) -> String {
    let mut counts: BTreeMap<Outcome, usize> = BTreeMap::new();
    for (_, ending) in endings {
        *counts.entry(ending.borrow().outcome).or_default() += 1;
    }
    let all = Outcome::ALL
        .into_iter()
        .filter_map(|outcome| counts.get(&outcome).map(|count| (outcome, count)));
    let parts: Vec<String> = all
        .map(|(outcome, count)| paint.outcome(outcome, &format!("{count} {outcome}")))
        .collect();
    parts.join(", ")
}

/// A time that people can read.
#[must_use]
pub fn duration(seconds: f64) -> String {
    if seconds < 100.0 {
        return format!("{seconds:.1} s");
    }
    let whole = seconds.round();
    format!("{:.0} min {:02.0} s", (whole / 60.0).floor(), whole % 60.0)
}

#[cfg(test)]
mod tests {
    use apu_fleet::{ServerAdvice, ServerCause, ServerReason};
    use apu_proto::{Advice, Cause, Change, ClientOutcome, Reason, RunResult};

    use super::*;

    fn host(name: &str) -> HostName {
        name.parse().unwrap()
    }

    fn upgraded() -> Ending {
        let change = |package: &str, old: Option<&str>, new: Option<&str>| Change {
            package: package.parse().unwrap(),
            old: old.map(str::to_owned),
            new: new.map(str::to_owned),
        };
        let mut result = RunResult::new(ClientOutcome::Changed);
        let report = result.packages_mut();
        report.changes = vec![
            change("libssl3:amd64", Some("3.0.15-1"), Some("3.0.16-1")),
            change("new:all", None, Some("1")),
            change("old:amd64", Some("2"), None),
        ];
        report.kept_back = vec!["linux-image-amd64".into()];
        report.conffiles_kept = vec!["/etc/foo.conf".into()];
        result.reboot_required = true;
        Ending::of_result(Box::new(result), None)
    }

    fn unreachable() -> Ending {
        let why = ServerReason::from(ServerCause::HostKeyUnknown).advise(ServerAdvice::PinHostKey);
        Ending::without_result(Outcome::Unreachable, why, None)
    }

    const PLAIN: Paint = Paint {
        colour: false,
        unicode: true,
    };

    #[test]
    fn equal_ends_are_told_once_and_what_needs_a_hand_stands_last() {
        let endings = [
            (host("db1"), unreachable()),
            (host("web01"), upgraded()),
            (host("db2"), unreachable()),
            (host("web02"), upgraded()),
        ];
        assert_eq!(
            summary(Operation::Upgrade, &endings, &[], 12.34, PLAIN, false),
            "web[01-02]: changed: 3 packages: 1 REMOVED, 1 new, 1 upgraded\n\
             \x20 old:amd64      REMOVED, was 2\n\
             \x20 new:all        new, 1\n\
             \x20 libssl3:amd64  3.0.15-1 → 3.0.16-1\n\
             \x20 kept back: linux-image-amd64\n\
             \x20 configuration kept, the package's lies beside it: /etc/foo.conf\n\
             \x20 reboot required\n\
             db[1-2]: unreachable: its host key is not known here\n\
             \x20 try: apu host-key 'db[1-2]'\n\
             2 changed, 2 unreachable, in 12.3 s\n"
        );
    }

    #[test]
    fn what_a_host_says_is_shown_clean_and_cut() {
        let text = format!("no\u{1b}[2J\r\nsecond\u{202e}line\n{}", "x\n".repeat(100));
        let mut reason = Reason::from(Cause::AptFailed).detailed(text);
        reason.advice = Some(Advice::Correct {
            path: "rm -rf \u{7}".into(),
        });
        let result = RunResult::because(ClientOutcome::Refused, reason);
        let shown = summary(
            Operation::Install,
            &[(host("web1"), Ending::of_result(Box::new(result), None))],
            &[],
            1.0,
            PLAIN,
            true,
        );
        assert!(
            shown.starts_with("web1: refused: no\u{fffd}[2J\n  | second\u{fffd}line\n  | x\n"),
            "{shown}"
        );
        assert!(
            shown.contains("  | … and 20 more lines\n  web1 suggests: rm -rf \u{fffd}\n"),
            "{shown}"
        );
    }

    #[test]
    fn a_terminal_without_unicode_gets_ascii() {
        let plain = Paint {
            colour: false,
            unicode: false,
        };
        let shown = summary(
            Operation::Upgrade,
            &[(host("web1"), upgraded())],
            &[],
            200.0,
            plain,
            false,
        );
        assert!(shown.is_ascii(), "{shown}");
        assert!(shown.ends_with("1 changed, in 3 min 20 s\n"), "{shown}");
    }

    #[test]
    fn a_long_list_is_cut_unless_all_is_asked_for() {
        let mut result = RunResult::new(ClientOutcome::Changed);
        let change = |n: usize| Change {
            package: format!("p{n}:amd64").parse().unwrap(),
            old: Some("0".into()),
            new: Some("1".into()),
        };
        result.packages_mut().changes = (0..60).map(change).collect();
        result.packages_mut().broken = vec![apu_proto::Broken {
            package: "foo:all".parse().unwrap(),
            state: "install ok half-configured".into(),
        }];
        let endings = [(host("web1"), Ending::of_result(Box::new(result), None))];
        let short = summary(Operation::Upgrade, &endings, &[], 1.0, PLAIN, false);
        assert!(
            short.contains("\n  … and 35 more upgrades, which -v shows\n  broken: foo:all ("),
            "{short}"
        );
        let long = summary(Operation::Upgrade, &endings, &[], 1.0, PLAIN, true);
        assert_eq!(long.lines().count(), 63);
    }

    #[test]
    fn a_host_that_was_told_before_is_counted_and_not_told_again() {
        let endings = [(host("db1"), unreachable()), (host("web01"), upgraded())];
        let text = summary(Operation::Upgrade, &endings, &[host("db1")], 1.0, PLAIN, false);
        assert!(!text.contains("db1"), "{text}");
        assert!(text.ends_with("1 changed, 1 unreachable, in 1.0 s\n"), "{text}");
    }
}
