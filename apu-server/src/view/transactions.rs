//! What would be done, before anybody is asked: equal transactions together.

use std::fmt::Write;

use apu_fleet::HostName;
use apu_proto::Transaction;

use super::body::steps;
use super::groups::{groups, set};
use super::paint::Paint;

/// The transactions of these hosts as text.
#[must_use]
pub fn transactions(planned: &[(HostName, &Transaction)], paint: Paint, verbose: bool) -> String {
    const LONGEST: usize = 40;
    let steps = |(host, transaction): &'_ (HostName, &Transaction)| {
        (host.clone(), steps(transaction), transaction.steps().len())
    };
    let planned: Vec<_> = planned.iter().map(steps).collect();
    let mut text = String::new();
    for ((lines, number), hosts) in groups(
        planned
            .iter()
            .map(|(host, lines, number)| (host, (lines, *number))),
    ) {
        let what = match (number, hosts.len()) {
            (0, _) => "nothing to do".to_owned(),
            (1, 1) => "1 change".to_owned(),
            (1, _) => "the same change".to_owned(),
            (_, 1) => format!("{number} changes"),
            _ => format!("the same {number} changes"),
        };
        let _ = writeln!(text, "{}: {what}", paint.strong(&set(&hosts)));
        let longest = if verbose { usize::MAX } else { LONGEST };
        for line in lines.iter().take(longest) {
            let line = if line.contains("  REMOVED, was ") {
                paint.warn(line)
            } else {
                line.clone()
            };
            let _ = writeln!(text, "  {line}");
        }
        if lines.len() > longest {
            let _ = writeln!(text, "  … and {} more, which -v shows", lines.len() - longest);
        }
    }
    paint.letters(text)
}
