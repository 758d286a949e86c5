//! What was measured: kept as JSON, shown as a table, held against the targets.

use std::fmt;
use std::fs;
use std::path::Path;

use anyhow::{Context, Result};
use apu_tests::figures::{self, Target};
use serde_json::{Value, json};

use crate::share::{self, Share};

/// The most processor time of a query, in seconds.
const QUERY: f64 = 0.3;

/// The most by which a ledger may lengthen a run, in percent.
const LONGER: f64 = 2.0;

/// Everything that was measured so far.
pub(crate) struct Report {
    hosts: usize,
    runs: u32,
    bytes: u64,
    /// Each query with the processor time of every round, in seconds.
    queries: Vec<(&'static str, Vec<f64>)>,
    pub(crate) share: Option<Share>,
}

impl Report {
    pub(crate) const fn new(hosts: usize, runs: u32, bytes: u64) -> Self {
        Self {
            hosts,
            runs,
            bytes,
            queries: Vec::new(),
            share: None,
        }
    }

    pub(crate) fn add(&mut self, query: &'static str, seconds: f64) {
        match self.queries.iter_mut().find(|(known, _)| *known == query) {
            Some((_, rounds)) => rounds.push(seconds),
            None => self.queries.push((query, vec![seconds])),
        }
    }

    /// The best of all rounds is what the work takes; the rest is what else the machine did.
    fn targets(&self) -> Vec<Target> {
        let target = |what, wanted, unit, found| Target {
            what,
            wanted,
            unit,
            at_least: false,
            found,
        };
        let best = |rounds: &[f64]| rounds.iter().copied().min_by(f64::total_cmp);
        let queries = self.queries.iter();
        let queries = queries.map(|(query, rounds)| target(*query, QUERY, "s", best(rounds)));
        let share = target(
            "how much longer a run takes",
            LONGER,
            "%",
            self.share.map(Share::longer),
        );
        queries.chain([share]).collect()
    }

    /// Writes everything as JSON.
    pub(crate) fn keep(&self, path: &Path) -> Result<()> {
        let text = serde_json::to_string_pretty(&self.as_json())?;
        fs::write(path, text + "\n").with_context(|| format!("cannot write {}", path.display()))
    }

    fn as_json(&self) -> Value {
        let share = self
            .share
            .map(|share| json!({"without_s": share.without, "with_s": share.with, "waiting_s": share.busy}));
        let queries = self.queries.iter();
        let queries = queries.map(|(query, rounds)| json!({"query": query, "cpu_s": rounds}));
        json!({
            "at": figures::now(),
            "machine": figures::machine(),
            "hosts": self.hosts,
            "runs": self.runs,
            "bytes": self.bytes,
            "queries": queries.collect::<Vec<_>>(),
            "run": share,
            "targets": self.targets().iter().map(Target::as_json).collect::<Vec<_>>(),
        })
    }
}

impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "\n{}", figures::machine())?;
        writeln!(
            f,
            "a ledger of {} runs of {} hosts, {:.0} MB; processor time of apu, the best of all rounds\n",
            self.runs,
            self.hosts,
            self.bytes as f64 / 1e6
        )?;
        for target in self.targets() {
            writeln!(f, "{target}")?;
        }
        let Some(share) = self.share else { return Ok(()) };
        writeln!(
            f,
            "\na run of {} hosts that work {} s each: without a ledger {:.2} s, with one {:.2} s; for {:.1} % of it the engine \
             waits for the ledger",
            share::HOSTS,
            share::WORK.as_secs(),
            share.without,
            share.with,
            share.waiting()
        )
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_best_round_counts_and_a_run_is_never_shorter_with_a_ledger() {
        let mut report = Report::new(10, 2, 1);
        report.add("show", 0.5);
        report.add("show", 0.2);
        report.share = Some(Share {
            without: 2.0,
            with: 1.9,
            busy: 0.1,
        });
        let targets = report.targets();
        assert_eq!((targets[0].found, targets[0].met()), (Some(0.2), Some(true)));
        assert_eq!(targets[1].found, Some(0.0));
    }
}
