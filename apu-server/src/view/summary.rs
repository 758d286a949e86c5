//! The last words of a run: every host once, equal ends together, and the numbers.

use std::collections::BTreeMap;
use std::fmt::Write;

use apu_fleet::{Ending, HostName, Outcome};
use apu_proto::Operation;

use super::body::{Body, HOST};
use super::groups::{groups, set};
use super::paint::Paint;

/// The most lines below one headline; `-v` shows all.
const LONGEST: usize = 25;

/// All ends of an operation as text.
#[must_use]
pub fn summary(
    operation: Operation,
    endings: &[(HostName, Ending)],
    seconds: f64,
    paint: Paint,
    verbose: bool,
) -> String {
    let bodies = endings
        .iter()
        .filter(|(_, ending)| !is_a_row(operation, ending))
        .map(|(host, ending)| (host, Body::of(operation, host, ending)));
    let mut groups = groups(bodies);
    // The good ones first: what needs a hand stands last, where the eye is.
    groups.sort_by_key(|(body, _)| Outcome::ALL.iter().position(|outcome| *outcome == body.outcome));
    let mut text = String::new();
    for (body, hosts) in groups {
        let set = set(&hosts);
        let headline = paint.outcome(body.outcome, &body.headline);
        let _ = writeln!(text, "{}: {headline}", paint.strong(&set));
        let longest = if verbose { usize::MAX } else { LONGEST };
        for line in body.details.iter().take(longest) {
            let _ = writeln!(text, "  {line}");
        }
        if body.details.len() > longest {
            let _ = writeln!(
                text,
                "  … and {} more, which -v shows",
                body.details.len() - longest
            );
        }
        if !body.advice.is_empty() {
            let _ = writeln!(text, "  try: {}", body.advice.replace(HOST, &set));
        }
    }
    if operation == Operation::Status {
        text.insert(0, '\n');
    }
    let _ = writeln!(text, "{}", numbers(endings, seconds, paint));
    paint.letters(text)
}

/// Whether the status table has said everything about it.
fn is_a_row(operation: Operation, ending: &Ending) -> bool {
    operation == Operation::Status && ending.outcome.is_well()
}

/// `97 changed, 3 unreachable, in 12.3 s`.
#[must_use]
pub fn numbers(endings: &[(HostName, Ending)], seconds: f64, paint: Paint) -> String {
    let mut counts: BTreeMap<Outcome, usize> = BTreeMap::new();
    for (_, ending) in endings {
        *counts.entry(ending.outcome).or_default() += 1;
    }
    let all = Outcome::ALL
        .into_iter()
        .filter_map(|outcome| counts.get(&outcome).map(|count| (outcome, count)));
    let parts: Vec<String> = all
        .map(|(outcome, count)| paint.outcome(outcome, &format!("{count} {outcome}")))
        .collect();
    format!("{}, in {}", parts.join(", "), duration(seconds))
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
