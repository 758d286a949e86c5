//! What was measured: kept as JSON, shown as a table, held against the targets.

use std::collections::BTreeMap;
use std::fmt;
use std::fs;
use std::path::Path;

use anyhow::{Context, Result};
use apu_tests::figures::{self, Target};
use serde_json::{Value, json};

use crate::tool::{Task, Tool};
use crate::workshop::Cost;

/// Everything that was measured so far.
pub(crate) struct Report {
    pub(crate) packages: usize,
    /// Of all .debs together.
    pub(crate) bytes: u64,
    pub(crate) rounds: usize,
    costs: BTreeMap<(Tool, Task), Vec<Cost>>,
}

impl Report {
    pub(crate) const fn new(packages: usize, bytes: u64, rounds: usize) -> Self {
        Self {
            packages,
            bytes,
            rounds,
            costs: BTreeMap::new(),
        }
    }

    pub(crate) fn add(&mut self, tool: Tool, task: Task, cost: Cost) {
        self.costs.entry((tool, task)).or_default().push(cost);
    }

    /// In seconds. The best of all rounds is what the work takes; the rest is what else the machine did.
    fn wall(&self, tool: Tool, task: Task) -> Option<f64> {
        self.best(tool, task, |cost| cost.wall)
    }

    fn cpu(&self, tool: Tool, task: Task) -> Option<f64> {
        self.best(tool, task, |cost| cost.cpu)
    }

    fn best(&self, tool: Tool, task: Task, seconds: fn(&Cost) -> f64) -> Option<f64> {
        let costs = self.costs.get(&(tool, task))?;
        costs.iter().map(seconds).min_by(f64::total_cmp)
    }

    /// How many times as long it took as apu.
    fn ratio(&self, tool: Tool, task: Task) -> Option<f64> {
        Some(self.wall(tool, task)? / self.wall(Tool::Apu, task)?)
    }

    fn best_peer(&self, task: Task) -> Option<f64> {
        let peers = Tool::ALL
            .into_iter()
            .filter(|tool| !matches!(tool, Tool::Apu | Tool::ApuWhole) && !tool.is_limit());
        peers
            .filter_map(|tool| self.ratio(tool, task))
            .min_by(f64::total_cmp)
    }

    fn targets(&self) -> [Target; 2] {
        let target = |what, wanted, task| Target {
            what,
            wanted,
            unit: "x",
            at_least: true,
            found: self.best_peer(task),
        };
        [
            target("cold, against the fastest peer", 4.0, Task::Cold),
            target("one .deb more, against the fastest peer", 10.0, Task::OneMore),
        ]
    }

    /// Writes everything as JSON.
    pub(crate) fn keep(&self, path: &Path) -> Result<()> {
        let text = serde_json::to_string_pretty(&self.as_json())?;
        fs::write(path, text + "\n").with_context(|| format!("cannot write {}", path.display()))
    }

    fn as_json(&self) -> Value {
        let rows = self.costs.iter().map(|(&(tool, task), costs)| {
            json!({
                "tool": tool.name(),
                "task": task.name(),
                "makes": tool.makes(),
                "wall_s": self.wall(tool, task),
                "cpu_s": self.cpu(tool, task),
                "times_as_long_as_apu": self.ratio(tool, task),
                "rounds": costs.iter().map(|cost| json!({"wall_s": cost.wall, "cpu_s": cost.cpu})).collect::<Vec<_>>(),
            })
        });
        json!({
            "at": figures::now(),
            "machine": figures::machine(),
            "packages": self.packages,
            "bytes": self.bytes,
            "rounds": self.rounds,
            "rows": rows.collect::<Vec<_>>(),
            "targets": self.targets().iter().map(Target::as_json).collect::<Vec<_>>(),
        })
    }
}

impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "\n{}", figures::machine())?;
        writeln!(
            f,
            "{} .debs, {:.0} MB, in the page cache; the best of {} rounds; x: times as long as apu",
            self.packages,
            self.bytes as f64 / 1e6,
            self.rounds
        )?;
        writeln!(
            f,
            "each makes Packages, .gz and a signed Release with SHA256; what more, stands at the end\n"
        )?;
        writeln!(
            f,
            "{:<22} {:>8} {:>7} {:>7}   {:>8} {:>7} {:>7}",
            "", "cold s", "x", "CPU s", "1 more s", "x", "CPU s"
        )?;
        for tool in Tool::ALL {
            if self.costs.contains_key(&(tool, Task::Cold)) {
                let [cold, more] = [Task::Cold, Task::OneMore].map(|task| self.cells(tool, task));
                writeln!(f, "{:<22} {cold}   {more}   {}", tool.name(), tool.makes())?;
            }
        }
        writeln!(f, "\ntargets")?;
        for target in self.targets() {
            writeln!(f, "{target}")?;
        }
        Ok(())
    }
}

impl Report {
    fn cells(&self, tool: Tool, task: Task) -> String {
        let number = |value: Option<f64>, digits: usize| {
            value.map_or_else(|| "-".to_owned(), |value| format!("{value:.digits$}"))
        };
        format!(
            "{:>8} {:>7} {:>7}",
            number(self.wall(tool, task), 3),
            number(self.ratio(tool, task), 2),
            number(self.cpu(tool, task), 2)
        )
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_target_is_held_against_the_fastest_peer_and_not_against_the_limit() {
        let mut report = Report::new(1000, 1, 1);
        for (tool, wall) in [
            (Tool::Apu, 2.0),
            (Tool::Aptly, 40.0),
            (Tool::Ftparchive, 9.0),
            (Tool::Sha256sum, 1.0),
        ] {
            report.add(tool, Task::Cold, Cost { wall, cpu: 1.0 });
        }
        let [cold, more] = report.targets();
        assert_eq!((cold.found, cold.met()), (Some(4.5), Some(true)));
        assert_eq!(more.met(), None, "nothing was measured");
    }
}
