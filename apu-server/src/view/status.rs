//! The answers to `status`: a table with a line for each host, and below it what many have in common.

use std::borrow::Borrow;
use std::fmt::Write;

use apu_fleet::{Ending, HostName, StaleList, span};
use apu_proto::{Pending, ReleaseDate, SourceLeftOut, Status};
use jiff::Timestamp;
use jiff::tz::TimeZone;

use super::clean::{clean, version};
use super::columns::columns;
use super::groups::{groups, set};
use super::holds::why;
use super::paint::Paint;
use super::server_reason::stale_list;
use super::size::size;

/// All states as text, in so many columns of a terminal; hosts without one are for the summary.
///
/// With `verbose` nothing is left out, however wide that is.
#[must_use]
pub fn table<E: Borrow<Ending>>(
    endings: &[(HostName, E)],
    zone: &TimeZone,
    width: usize,
    paint: Paint,
    verbose: bool,
) -> String {
    let states: Vec<State<'_>> = endings
        .iter()
        .filter_map(|(host, ending)| {
            let ending = ending.borrow();
            let status = ending.result.as_ref()?.status()?;
            let stale = &ending.stale;
            Some(State { host, status, stale })
        })
        .collect();
    if states.is_empty() {
        return String::new();
    }
    let mut rows = vec![HEAD.map(str::to_owned).to_vec()];
    rows.extend(states.iter().map(row));
    let width = if verbose { usize::MAX } else { width };
    let left_out = fit(&mut rows, width);
    let mut lines = columns(&rows, "  ").into_iter();
    let mut text = String::new();
    if let Some(head) = lines.next() {
        let _ = writeln!(text, "{}", paint.strong(&cut(&head, width)));
    }
    for line in lines {
        let _ = writeln!(text, "{}", cut(&line, width));
    }
    if !left_out.is_empty() {
        let note = format!("-v also shows {}", left_out.join(", "));
        let _ = writeln!(text, "{}", paint.faint(&cut(&note, width)));
    }
    let pending = states.iter().filter(|state| !state.status.pending.is_empty());
    for (list, hosts) in groups(pending.map(|state| (state.host, pending_lines(&state.status.pending)))) {
        let _ = writeln!(text, "\n{}: {} pending", paint.strong(&set(&hosts)), list.len());
        shorten(&mut text, &list, verbose);
    }
    let trouble = states.iter().map(|state| (state.host, state.trouble(zone)));
    for (list, hosts) in groups(trouble.filter(|(_, lines)| !lines.is_empty())) {
        let _ = writeln!(
            text,
            "\n{}: {}",
            paint.strong(&set(&hosts)),
            paint.warn("not as usual")
        );
        shorten(&mut text, &list, verbose);
    }
    if verbose {
        let lists = states
            .iter()
            .map(|state| (state.host, release_lines(&state.status.releases)));
        for (list, hosts) in groups(lists.filter(|(_, lines)| !lines.is_empty())) {
            let _ = writeln!(text, "\n{}: package lists were made", paint.strong(&set(&hosts)));
            shorten(&mut text, &list, verbose);
        }
    }
    paint.letters(text)
}

/// What a host answered, and what this server found in it.
struct State<'a> {
    host: &'a HostName,
    status: &'a Status,
    stale: &'a [StaleList],
}

impl State<'_> {
    fn trouble(&self, zone: &TimeZone) -> Vec<String> {
        let stale = (self.stale.iter()).map(|list| format!("stale: {}", clean(&stale_list(list))));
        trouble_lines(self.status, zone)
            .into_iter()
            .chain(stale)
            .collect()
    }
}

const HEAD: [&str; 11] = [
    "HOST", "SYSTEM", "PENDING", "SECURITY", "HELD", "BROKEN", "REBOOT", "LISTS", "FREE", "APU", "DATA",
];

/// The columns in the order in which a narrow terminal does without them. What they would say of trouble stands below
/// the table, too, and `apu status` has the versions of apu itself.
const SPARED: [&str; 9] = [
    "APU", "DATA", "SYSTEM", "HELD", "BROKEN", "FREE", "LISTS", "SECURITY", "REBOOT",
];

/// Takes columns out until the rows fit, those that say nothing first; the names of those that said something.
fn fit(rows: &mut [Vec<String>], width: usize) -> Vec<&'static str> {
    let is_wide = |rows: &[Vec<String>]| {
        columns(rows, "  ")
            .iter()
            .any(|line| line.chars().count() > width)
    };
    let place = |rows: &[Vec<String>], name: &str| rows[0].iter().position(|head| head == name);
    let take_out = |rows: &mut [Vec<String>], place: usize| {
        for row in rows {
            row.remove(place);
        }
    };
    for name in ["HELD", "BROKEN", "REBOOT", "SECURITY"] {
        if is_wide(rows)
            && let Some(place) = place(rows, name)
            && rows[1..].iter().all(|row| row[place] == "-")
        {
            take_out(rows, place);
        }
    }
    // The codename says what the number says.
    if is_wide(rows)
        && let Some(place) = place(rows, "SYSTEM")
    {
        for row in &mut rows[1..] {
            let words: Vec<&str> = row[place].split(' ').take(2).collect();
            row[place] = words.join(" ");
        }
    }
    let mut left_out = Vec::new();
    for name in SPARED {
        if is_wide(rows)
            && let Some(place) = place(rows, name)
        {
            take_out(rows, place);
            left_out.push(name);
        }
    }
    left_out
}

/// A line that ends where the terminal does.
fn cut(line: &str, width: usize) -> String {
    if line.chars().count() <= width {
        return line.to_owned();
    }
    let kept: String = line.chars().take(width.saturating_sub(1)).collect();
    format!("{}…", kept.trim_end())
}

/// What all hosts that answered have in common, in one line: `3 answered: 5 updates pending on 2 of them (1 for
/// security), 1 needs a reboot`.
#[must_use]
pub fn totals<E: Borrow<Ending>>(endings: &[(HostName, E)]) -> String {
    let states: Vec<&Status> = endings
        .iter()
        .filter_map(|(_, ending)| ending.borrow().result.as_ref()?.status())
        .collect();
    let count = |is_so: &dyn Fn(&Status) -> bool| states.iter().filter(|status| is_so(status)).count();
    let pending: usize = states.iter().map(|status| status.pending.len()).sum();
    let security = states
        .iter()
        .flat_map(|status| &status.pending)
        .filter(|pending| pending.security)
        .count();
    let behind = count(&|status| !status.pending.is_empty());
    let mut parts = vec![match pending {
        0 => "no update pending".to_owned(),
        1 => "1 update pending".to_owned(),
        number => format!("{number} updates pending on {behind} of them"),
    }];
    if security > 0 {
        parts[0] += &format!(" ({security} for security)");
    }
    for (number, one, many) in [
        (
            count(&|status| !status.broken.is_empty()),
            "has broken packages",
            "have broken packages",
        ),
        (
            count(&|status| reboot_word(status) != "-"),
            "needs a reboot",
            "need a reboot",
        ),
    ] {
        match number {
            0 => {}
            1 => parts.push(format!("1 {one}")),
            number => parts.push(format!("{number} {many}")),
        }
    }
    format!("{} answered: {}", states.len(), parts.join(", "))
}

fn shorten(text: &mut String, lines: &[String], verbose: bool) {
    let longest = if verbose { usize::MAX } else { 25 };
    for line in lines.iter().take(longest) {
        let _ = writeln!(text, "  {line}");
    }
    if lines.len() > longest {
        let _ = writeln!(text, "  … and {} more, which -v shows", lines.len() - longest);
    }
}

fn row(state: &State<'_>) -> Vec<String> {
    let State { host, status, stale } = state;
    let count = |number: usize| {
        if number == 0 {
            "-".to_owned()
        } else {
            number.to_string()
        }
    };
    let system = [&status.distribution, &status.release, &status.codename].map(|word| clean(word));
    let system: Vec<String> = system.into_iter().filter(|word| !word.is_empty()).collect();
    let reboot = reboot_word(status);
    let least = status.free.iter().map(|free| free.bytes).min();
    vec![
        host.to_string(),
        system.join(" "),
        count(status.pending.len()),
        count(status.pending.iter().filter(|pending| pending.security).count()),
        count(status.held.len()),
        count(status.broken.len()),
        reboot.to_owned(),
        match status.lists_age {
            Some(seconds) if !stale.is_empty() => format!("{} stale", span(seconds)),
            Some(seconds) => span(seconds),
            None => "never".to_owned(),
        },
        least.map_or_else(|| "?".to_owned(), size),
        clean(&status.client),
        clean(status.data.as_deref().unwrap_or("none")),
    ]
}

fn reboot_word(status: &Status) -> &'static str {
    let newer = status
        .newest_kernel
        .as_ref()
        .is_some_and(|newest| *newest != status.kernel);
    match (status.reboot_required, newer) {
        (false, false) => "-",
        (true, _) => "yes",
        (false, true) => "kernel",
    }
}

fn pending_lines(pending: &[Pending]) -> Vec<String> {
    let row = |pending: &Pending| {
        let versions = format!("{} → {}", version(&pending.old), version(&pending.new));
        let security = if pending.security { "security" } else { "" };
        vec![
            pending.package.to_string(),
            versions,
            clean(&pending.origin),
            security.to_owned(),
        ]
    };
    columns(&pending.iter().map(row).collect::<Vec<_>>(), "  ")
}

/// When the lists of each archive were made, as their Release file says.
fn release_lines(releases: &[ReleaseDate]) -> Vec<String> {
    let row = |release: &ReleaseDate| {
        let seconds = release.date.and_then(|date| i64::try_from(date).ok());
        let date = seconds.and_then(|seconds| Timestamp::from_second(seconds).ok());
        vec![
            clean(&format!("{} {}", release.uri, release.suite)),
            date.map_or_else(
                || "at an unknown time".to_owned(),
                |date| date.strftime("%Y-%m-%d %H:%M UTC").to_string(),
            ),
        ]
    };
    columns(&releases.iter().map(row).collect::<Vec<_>>(), "  ")
}

fn trouble_lines(status: &Status, zone: &TimeZone) -> Vec<String> {
    let broken = status
        .broken
        .iter()
        .map(|broken| format!("broken: {} ({})", broken.package, clean(&broken.state)));
    let held = status.held.iter().map(|package| {
        let hold = status.holds.iter().find(|hold| hold.package == *package);
        let why = hold.map_or_else(String::new, |hold| why(hold, zone));
        format!("on hold: {package}{why}")
    });
    let sources = status.sources_left_out.iter().map(left_out);
    broken.chain(held).chain(sources).collect()
}

/// A source of apu-data that a host does not use, with what keeps it out there.
pub(crate) fn left_out(left: &SourceLeftOut) -> String {
    let files = if left.files.is_empty() {
        String::new()
    } else {
        format!(", see {} there", clean(&left.files))
    };
    format!(
        "source left out: {}{files}: {}",
        clean(&left.source),
        clean(&left.words)
    )
}

#[cfg(test)]
mod tests {
    use apu_proto::{Answer, Broken, ClientOutcome, FreeSpace, Hold, RunResult};

    use super::*;

    fn ending(status: Status) -> Ending {
        let status = Box::new(status);
        let result = RunResult::new(ClientOutcome::Unchanged).with(Answer::Status { status });
        Ending::of_result(Box::new(result), None)
    }

    #[test]
    fn old_lists_of_the_sites_archives_are_stale_and_every_date_is_told_when_asked_for() {
        let release = |uri: &str, date| ReleaseDate {
            uri: uri.into(),
            suite: "./".into(),
            date,
            valid_until: None,
            own: false,
        };
        let mut old = ending(Status {
            lists_age: Some(30),
            releases: vec![
                release("http://server/local", Some(1_764_392_400)),
                release("http://v/\u{1b}", None),
            ],
            ..Status::default()
        });
        old.stale = vec![StaleList {
            uri: "http://server/local".into(),
            suite: "./".into(),
            older_by: Some(7_200),
        }];
        let endings = [("web1".parse().unwrap(), old)];
        let paint = Paint {
            colour: false,
            unicode: true,
        };
        let text = table(&endings, &TimeZone::UTC, 99, paint, false);
        assert!(text.contains("  30 s stale  "), "{text}");
        assert!(
            text.ends_with("\nweb1: not as usual\n  stale: lists of http://server/local ./ are 2 h older than what this server published last\n"),
            "{text}"
        );
        let text = table(&endings, &TimeZone::UTC, 99, paint, true);
        assert!(
            text.ends_with(
                "\nweb1: package lists were made\n  \
                 http://server/local ./  2025-11-29 05:00 UTC\n  http://v/\u{fffd} ./           at an unknown time\n"
            ),
            "{text}"
        );
    }

    #[test]
    fn a_state_is_a_row_and_what_many_have_in_common_is_told_once() {
        let pending = Pending {
            package: "libssl3:amd64".parse().unwrap(),
            old: "1".into(),
            new: "2".into(),
            origin: "Debian:12".into(),
            security: true,
        };
        let behind = Status {
            distribution: "debian".into(),
            release: "12".into(),
            codename: "bookworm".into(),
            pending: vec![pending],
            lists_age: Some(7200),
            free: vec![
                FreeSpace {
                    path: "/".into(),
                    bytes: 50 << 30,
                },
                FreeSpace {
                    path: "/var".into(),
                    bytes: 900 << 20,
                },
            ],
            kernel: "6.1.0-1".into(),
            newest_kernel: Some("6.1.0-2".into()),
            client: "0.1.0".into(),
            data: Some("3".into()),
            ..Status::default()
        };
        let odd = Status {
            distribution: "debian\u{1b}[31m".into(),
            held: ["nano", "vim"]
                .map(|name| format!("{name}:amd64").parse().unwrap())
                .to_vec(),
            holds: vec![Hold {
                package: "vim:amd64".parse().unwrap(),
                reason: Some("waits\u{1b} for #412".into()),
                by: Some("alice".parse().unwrap()),
                until: Some(1_798_066_800),
            }],
            broken: vec![Broken {
                package: "foo:amd64".parse().unwrap(),
                state: "install ok half-configured".into(),
            }],
            reboot_required: true,
            sources_left_out: vec![SourceLeftOut {
                source: "http://v.example.org/ s".into(),
                files: "/etc/apt/sources.list.d/v.list line 2".into(),
                words: "Conflicting values".into(),
            }],
            client: "0.1.0".into(),
            ..Status::default()
        };
        let endings = [
            ("web01".parse().unwrap(), ending(behind.clone())),
            ("web02".parse().unwrap(), ending(behind)),
            ("db1".parse().unwrap(), ending(odd)),
        ];
        let paint = Paint {
            colour: false,
            unicode: true,
        };
        let expected = "\
HOST   SYSTEM              PENDING  SECURITY  HELD  BROKEN  REBOOT  LISTS  FREE    APU    DATA
web01  debian 12 bookworm  1        1         -     -       kernel  2 h    900 MB  0.1.0  3
web02  debian 12 bookworm  1        1         -     -       kernel  2 h    900 MB  0.1.0  3
db1    debian\u{fffd}[31m         -        -         2     1       yes     never  ?       0.1.0  none

web[01-02]: 1 pending
  libssl3:amd64  1 → 2  Debian:12  security

db1: not as usual
  broken: foo:amd64 (install ok half-configured)
  on hold: nano:amd64
  on hold: vim:amd64 until 2026-12-23 23:00, by alice: waits\u{fffd} for #412
  source left out: http://v.example.org/ s, see /etc/apt/sources.list.d/v.list line 2 there: Conflicting values
";
        assert_eq!(table(&endings, &TimeZone::UTC, 99, paint, false), expected);
        assert_eq!(table(&endings, &TimeZone::UTC, 10, paint, true), expected);
        assert_eq!(table::<Ending>(&[], &TimeZone::UTC, 80, paint, false), "");
        let eighty = "\
HOST   SYSTEM       PENDING  SECURITY  HELD  BROKEN  REBOOT  LISTS  FREE    DATA
web01  debian 12    1        1         -     -       kernel  2 h    900 MB  3
web02  debian 12    1        1         -     -       kernel  2 h    900 MB  3
db1    debian\u{fffd}[31m  -        -         2     1       yes     never  ?       none
-v also shows APU

";
        let text = table(&endings, &TimeZone::UTC, 80, paint, false);
        assert!(text.starts_with(eighty), "{text}");
        for width in [10, 20, 30, 40, 60, 80] {
            let text = table(&endings, &TimeZone::UTC, width, paint, false);
            let (rows, _) = text.split_once("\n\n").unwrap();
            let widest = rows.lines().map(|line| line.chars().count()).max();
            assert!(widest <= Some(width), "{width}: {text}");
            assert!(rows.lines().nth(1).unwrap().starts_with("web01"), "{text}");
        }
        assert_eq!(
            totals(&endings),
            "3 answered: 2 updates pending on 2 of them (2 for security), 1 has broken packages, 3 need a reboot"
        );
    }
}
