//! A table of hosts. Hosts with equal cells share a line.

use apu_fleet::HostName;

use super::columns::columns;
use super::groups::{groups, set};
use super::paint::Paint;
use super::run_facts::shorten;

/// The most characters of a set of hosts; where nothing is to be folded, each host has a line.
const LONGEST: usize = 30;

/// The hosts with their cells below a head, whose first word is that of the hosts; with `verbose` a line for each host.
#[must_use]
pub(super) fn host_table<'a, const N: usize>(
    head: [&str; N],
    hosts: impl Iterator<Item = (&'a HostName, Vec<String>)>,
    paint: Paint,
    verbose: bool,
) -> String {
    let lines: Vec<(String, Vec<String>)> = if verbose {
        hosts.map(|(host, cells)| (host.to_string(), cells)).collect()
    } else {
        let sets = groups(hosts).into_iter();
        sets.map(|(cells, hosts)| (shorten(&set(&hosts), LONGEST, paint.unicode), cells))
            .collect()
    };
    let lines = lines.into_iter();
    let rows = lines.map(|(hosts, cells)| std::iter::once(hosts).chain(cells).collect());
    paint.letters(with_head(head, rows, paint).join("\n") + "\n")
}

/// Lines in columns below a head.
pub(super) fn with_head<const N: usize>(
    head: [&str; N],
    rows: impl Iterator<Item = Vec<String>>,
    paint: Paint,
) -> Vec<String> {
    let head = head.map(str::to_owned).to_vec();
    let rows: Vec<Vec<String>> = std::iter::once(head).chain(rows).collect();
    let mut lines = columns(&rows, "  ");
    if let Some(head) = lines.first_mut() {
        *head = paint.strong(head);
    }
    lines
}
