//! The difference between two runs: hosts that ended differently, or on which other packages changed. Equal differences are told
//! once.

use std::collections::{BTreeSet, HashMap};
use std::fmt::Write;
use std::ptr;

use apu_fleet::HostName;
use apu_ledger::{Run, RunNumber};
use apu_proto::Change;
use jiff::tz::TimeZone;
use serde::Serialize;

use super::changes::Listing;
use super::clean::clean;
use super::columns::columns;
use super::groups::{Numbers, groups, set};
use super::paint::Paint;
use super::run_facts::{HostEnd, RunHost, Unended, shorten, when};

/// The most upgrades of one list; `-v` shows all.
const LONGEST: usize = 10;

/// What differs about a host.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Difference {
    /// How it ended in the first run; none where it was not in it.
    first: Option<HostEnd>,
    /// How it ended in the second run; none where it was not in it.
    second: Option<HostEnd>,
    /// What changed in the first run alone, sorted.
    only_first: Vec<Change>,
    /// What changed in the second run alone, sorted.
    only_second: Vec<Change>,
}

impl Difference {
    fn between(first: Option<&RunHost>, second: Option<&RunHost>) -> Option<Self> {
        let changes = |host| -> BTreeSet<&Change> { changes(host).iter().collect() };
        let (before, after) = (changes(first), changes(second));
        let only = |one: &BTreeSet<&Change>, other| one.difference(other).copied().cloned().collect();
        let difference = Self {
            first: first.map(|host| host.end),
            second: second.map(|host| host.end),
            only_first: only(&before, &after),
            only_second: only(&after, &before),
        };
        let is_equal = difference.first == difference.second
            && difference.only_first.is_empty()
            && difference.only_second.is_empty();
        (!is_equal).then_some(difference)
    }
}

fn changes(host: Option<&RunHost>) -> &[Change] {
    host.map_or(&[], RunHost::changes)
}

/// A side as it is recognised: hosts that ended alike share the list of their changes.
type Known = (Option<HostEnd>, *const [Change]);

/// The differences so far. Two sides that were compared for one host are not compared for the next.
#[derive(Default)]
struct Differences {
    compared: HashMap<(Known, Known), Option<usize>>,
    numbers: Numbers<Difference>,
}

impl Differences {
    /// The number of the difference of a host, which is in both of these or in one.
    fn number(&mut self, first: Option<&RunHost>, second: Option<&RunHost>) -> Option<usize> {
        let known = |host: Option<&RunHost>| (host.map(|host| host.end), ptr::from_ref(changes(host)));
        let compare = || Some(self.numbers.of(Difference::between(first, second)?));
        *self
            .compared
            .entry((known(first), known(second)))
            .or_insert_with(compare)
    }
}

/// The differences between two runs, each with the hosts that have it: in the order of the second run, and then those of the
/// first alone.
#[must_use]
pub fn differences<'a>(first: &'a [RunHost], second: &'a [RunHost]) -> Vec<(Difference, Vec<&'a HostName>)> {
    let by_name = |hosts: &'a [RunHost]| -> HashMap<&'a HostName, &'a RunHost> {
        hosts.iter().map(|host| (&host.host, host)).collect()
    };
    let (before, after) = (by_name(first), by_name(second));
    let gone = first.iter().filter(|host| !after.contains_key(&host.host));
    let mut differences = Differences::default();
    let numbers = second.iter().chain(gone).filter_map(|host| {
        let name = &host.host;
        let number = differences.number(before.get(name).copied(), after.get(name).copied())?;
        Some((name, number))
    });
    let groups = groups(numbers);
    differences.numbers.things(groups)
}

/// One side of a difference in JSON.
#[derive(Serialize)]
struct Side<'a> {
    run: RunNumber,
    #[serde(skip_serializing_if = "Option::is_none")]
    outcome: Option<apu_fleet::Outcome>,
    #[serde(skip_serializing_if = "Option::is_none")]
    host_state: Option<Unended>,
    only_here: &'a [Change],
}

impl<'a> Side<'a> {
    fn of(run: &Run, end: Option<HostEnd>, only_here: &'a [Change]) -> Option<Self> {
        let end = end?;
        Some(Self {
            run: run.number,
            outcome: end.outcome(),
            host_state: match end {
                HostEnd::Outcome(_) => None,
                HostEnd::Unended(unended) => Some(unended),
            },
            only_here,
        })
    }
}

/// A difference in JSON. A side is null where the hosts were not in that run.
#[derive(Serialize)]
struct Facts<'a> {
    hosts: &'a [&'a HostName],
    first: Option<Side<'a>>,
    second: Option<Side<'a>>,
}

/// A difference as one value of JSON.
#[must_use]
pub fn facts<'a>(
    (first, second): (&Run, &Run),
    difference: &'a Difference,
    hosts: &'a [&'a HostName],
) -> impl Serialize {
    Facts {
        hosts,
        first: Side::of(first, difference.first, &difference.only_first),
        second: Side::of(second, difference.second, &difference.only_second),
    }
}

/// The differences for people, below two lines that name the runs, of so many columns.
#[must_use]
pub fn text(
    (first, second): (&Run, &Run),
    differences: &[(Difference, Vec<&HostName>)],
    (zone, width): (&TimeZone, usize),
    paint: Paint,
    verbose: bool,
) -> String {
    let width = if verbose { usize::MAX } else { width };
    let row = |sign: &str, run: &Run| {
        vec![
            format!("{sign} {}", run.number),
            when(run.begun, zone),
            clean(&run.by),
            format!("{}: {}", clean(&run.target), clean(&run.operation)),
        ]
    };
    let mut text = String::new();
    for line in columns(&[row("-", first), row("+", second)], "  ") {
        let _ = writeln!(text, "{}", paint.strong(&shorten(&line, width, paint.unicode)));
    }
    for (difference, hosts) in differences {
        let _ = writeln!(
            text,
            "{}: {}",
            paint.strong(&set(hosts)),
            ends((first, second), difference)
        );
        let longest = if verbose { usize::MAX } else { LONGEST };
        for (sign, changes) in [("-", &difference.only_first), ("+", &difference.only_second)] {
            for line in Listing::of_changes(changes).lines(longest) {
                let _ = writeln!(text, "  {sign} {}", paint.change(&line));
            }
        }
    }
    if differences.is_empty() {
        text.push_str("no host differs\n");
    }
    paint.letters(text)
}

fn ends((first, second): (&Run, &Run), difference: &Difference) -> String {
    match (difference.first, difference.second) {
        (Some(one), Some(other)) if one == other => format!("{} in both", one.words()),
        (Some(one), Some(other)) => format!("{} → {}", one.words(), other.words()),
        (Some(one), None) => format!("{}, and not in {}", one.words(), second.number),
        (None, Some(other)) => format!("not in {}, {}", first.number, other.words()),
        (None, None) => String::new(),
    }
}

#[cfg(test)]
mod tests {
    use apu_fleet::Outcome;

    use super::super::json::json_line;
    use super::super::run_facts::{example_host, example_run};
    use super::*;

    const PLAIN: Paint = Paint {
        colour: false,
        unicode: true,
    };

    fn hosts() -> (Vec<RunHost>, Vec<RunHost>) {
        let (a, b) = (("a:all", Some("1"), Some("2")), ("b:all", Some("1"), None));
        let (changed, failed) = (Outcome::Changed, Outcome::Failed);
        (
            vec![
                example_host("web1", failed, &[]),
                example_host("web2", failed, &[]),
                example_host("web3", changed, &[a]),
                example_host("db1", changed, &[a, b]),
                example_host("old", changed, &[]),
            ],
            vec![
                example_host("new", changed, &[b]),
                example_host("web1", changed, &[a]),
                example_host("web2", changed, &[a]),
                example_host("web3", changed, &[a]),
                example_host("db1", changed, &[a]),
            ],
        )
    }

    #[test]
    fn equal_differences_are_told_once_and_equal_hosts_not_at_all() {
        let (first, second) = hosts();
        let (one, other) = (example_run(411), example_run(412));
        let found = differences(&first, &second);
        assert_eq!(
            text((&one, &other), &found, (&TimeZone::UTC, 80), PLAIN, false),
            "- 411  2023-11-14 22:13  alice  web: upgrade --yes\n\
             + 412  2023-11-14 22:13  alice  web: upgrade --yes\n\
             new: not in 411, changed\n  \
             + b:all  REMOVED, was 1\n\
             web[1-2]: failed → changed\n  \
             + a:all  1 → 2\n\
             db1: changed in both\n  \
             - b:all  REMOVED, was 1\n\
             old: changed, and not in 412\n"
        );
    }

    #[test]
    fn the_lines_that_name_the_runs_fit_unless_v_is_given() {
        let one = Run {
            operation: "install ".to_owned() + &"a-package-with-a-long-name ".repeat(5),
            ..example_run(411)
        };
        let head = |verbose| {
            let text = text((&one, &one), &[], (&TimeZone::UTC, 80), PLAIN, verbose);
            text.lines().next().unwrap().chars().count()
        };
        assert_eq!(head(false), 80);
        assert!(head(true) > 150);
    }

    #[test]
    fn two_equal_runs_have_no_difference() {
        let (first, _) = hosts();
        let found = differences(&first, &first);
        let (one, other) = (example_run(411), example_run(412));
        let text = text((&one, &other), &found, (&TimeZone::UTC, 80), PLAIN, false);
        assert!(text.ends_with("\nno host differs\n"), "{text}");
    }

    #[test]
    fn in_json_a_side_is_null_where_the_hosts_were_not_there() {
        let (first, second) = hosts();
        let found = differences(&first, &second);
        let (one, other) = (example_run(411), example_run(412));
        let line = |place: usize| {
            let (difference, hosts) = &found[place];
            json_line(&facts((&one, &other), difference, hosts)).unwrap()
        };
        assert_eq!(
            line(0),
            "{\"hosts\":[\"new\"],\"first\":null,\"second\":{\"run\":412,\"outcome\":\"changed\",\
             \"only_here\":[{\"package\":\"b:all\",\"old\":\"1\",\"new\":null}]}}\n"
        );
        assert_eq!(
            line(1),
            "{\"hosts\":[\"web1\",\"web2\"],\"first\":{\"run\":411,\"outcome\":\"failed\",\"only_here\":[]},\
             \"second\":{\"run\":412,\"outcome\":\"changed\",\
             \"only_here\":[{\"package\":\"a:all\",\"old\":\"1\",\"new\":\"2\"}]}}\n"
        );
    }
}
