//! What was measured: kept as JSON, shown as tables, held against the targets.

use std::collections::BTreeMap;
use std::fmt;
use std::fs;
use std::path::Path;

use anyhow::{Context, Result};
use apu_tests::figures::{self, Target, median};
use serde_json::{Value, json};

use crate::meter::{Cost, Peak};
use crate::tool::{Setup, Task, Tool};

const MEGABYTE: f64 = 1e6;

/// Who did what.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Key {
    setup: Setup,
    tool: Tool,
    task: Task,
    /// Over connections that an earlier call left.
    warm: bool,
}

impl Key {
    pub(crate) const fn cold(tool: Tool, setup: Setup, task: Task) -> Self {
        Self {
            setup,
            tool,
            task: task.measured_as(tool),
            warm: false,
        }
    }

    pub(crate) const fn warm(tool: Tool, setup: Setup, task: Task) -> Self {
        Self {
            warm: true,
            ..Self::cold(tool, setup, task)
        }
    }
}

/// Everything that was measured so far.
pub(crate) struct Report {
    hosts: usize,
    rounds: usize,
    costs: BTreeMap<Key, Vec<Cost>>,
    peaks: BTreeMap<Key, Peak>,
}

impl Report {
    pub(crate) const fn new(hosts: usize, rounds: usize) -> Self {
        Self {
            hosts,
            rounds,
            costs: BTreeMap::new(),
            peaks: BTreeMap::new(),
        }
    }

    pub(crate) fn add(&mut self, key: Key, cost: Cost) {
        self.costs.entry(key).or_default().push(cost);
    }

    pub(crate) fn weigh(&mut self, key: Key, peak: Peak) {
        self.peaks.insert(key, peak);
    }

    /// The median of all rounds, in seconds.
    fn wall(&self, key: Key) -> Option<f64> {
        median(self.costs.get(&key)?.iter().map(|cost| cost.wall))
    }

    /// The median of all rounds, in milliseconds a host.
    fn cpu(&self, key: Key) -> Option<f64> {
        let seconds = median(self.costs.get(&key)?.iter().map(|cost| cost.cpu))?;
        Some(seconds * 1000.0 / self.hosts as f64)
    }

    /// Likewise, what it cost the client itself.
    fn clients_cpu(&self, key: Key) -> Option<f64> {
        let seconds = median(self.costs.get(&key)?.iter().map(|cost| cost.clients_cpu))?;
        Some(seconds * 1000.0 / self.hosts as f64)
    }

    /// The quickest peer of a setup at its first call.
    fn best_peer(&self, setup: Setup, task: Task) -> Option<f64> {
        let peers = Tool::ALL.into_iter().filter(|&tool| tool != Tool::AptAll);
        peers
            .filter_map(|tool| self.wall(Key::cold(tool, setup, task)))
            .min_by(f64::total_cmp)
    }

    fn targets(&self) -> Vec<Target> {
        let apt_all = |task, warm| Key {
            warm,
            ..Key::cold(Tool::AptAll, Setup::Stock, task)
        };
        let times_faster =
            |task, warm| Some(self.best_peer(Setup::Stock, task)? / self.wall(apt_all(task, warm))?);
        let memory = |task| {
            let peak = self.peaks.get(&apt_all(task, false))?;
            Some(peak.per_host()? / MEGABYTE)
        };
        let target = |what, at_least, wanted, unit, found| Target {
            what,
            wanted,
            unit,
            at_least,
            found,
        };
        let (smallest, upgrade, planned) = (Task::Smallest, Task::Upgrade, Task::PlannedUpgrade);
        let cpu = |warm| self.cpu(apt_all(smallest, warm));
        vec![
            target(
                "smallest operation, cold, against the best stock peer",
                true,
                2.5,
                "x",
                times_faster(smallest, false),
            ),
            target(
                "smallest operation, warm, against the best stock peer",
                true,
                8.0,
                "x",
                times_faster(smallest, true),
            ),
            target(
                "upgrade: best stock peer upgrades without looking",
                true,
                1.0,
                "x",
                times_faster(upgrade, false),
            ),
            target(
                "upgrade: best stock peer simulates, then upgrades",
                true,
                1.0,
                "x",
                times_faster(planned, false),
            ),
            target("server CPU a host, cold", false, 16.0, "ms", cpu(false)),
            target("server CPU a host, warm", false, 3.0, "ms", cpu(true)),
            target(
                "memory a host in flight (PSS)",
                false,
                2.0,
                "MB",
                memory(smallest),
            ),
            target(
                "memory a host in flight, upgrade (PSS)",
                false,
                2.0,
                "MB",
                memory(upgrade),
            ),
        ]
    }

    /// Writes everything as JSON.
    pub(crate) fn keep(&self, path: &Path) -> Result<()> {
        let text = serde_json::to_string_pretty(&self.as_json())?;
        fs::write(path, text + "\n").with_context(|| format!("cannot write {}", path.display()))
    }

    fn as_json(&self) -> Value {
        let rows = self.costs.iter().map(|(&key, costs)| {
            let peak = self.peaks.get(&key);
            json!({
                "tool": key.tool.name(),
                "setup": key.setup.name(),
                "task": key.task.name(),
                "connections": if key.warm { "kept" } else { "new" },
                "wall_s": self.wall(key),
                "cpu_ms_a_host": self.cpu(key),
                "clients_cpu_ms_a_host": self.clients_cpu(key),
                "times_as_long_as_apt_all": self.ratio(key),
                "rounds": costs.iter().map(|cost| json!({"wall_s": cost.wall, "cpu_s": cost.cpu, "clients_cpu_s": cost.clients_cpu})).collect::<Vec<_>>(),
                "peak": peak.map(|peak| json!({
                    "pss_bytes": peak.bytes,
                    "hosts": peak.hosts,
                    "processes": peak.processes,
                })),
            })
        });
        json!({
            "at": figures::now(),
            "machine": machine(),
            "hosts": self.hosts,
            "rounds": self.rounds,
            "rows": rows.collect::<Vec<_>>(),
            "targets": self.targets().iter().map(Target::as_json).collect::<Vec<_>>(),
        })
    }

    /// How many times as long it took as apt-all's first call for the same.
    fn ratio(&self, key: Key) -> Option<f64> {
        Some(self.wall(key)? / self.wall(Key::cold(Tool::AptAll, Setup::Stock, key.task))?)
    }
}

impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "\n{}", machine())?;
        writeln!(
            f,
            "{} hosts, medians of {} rounds (ansible: one); CPU and memory are the server's side alone; x: times as long as apt-all, cold",
            self.hosts, self.rounds
        )?;
        for setup in Setup::ALL {
            writeln!(f, "\n{}", setup.title())?;
            writeln!(
                f,
                "{:<18} {:>14} {:>9} {:>9} {:>9} {:>8} {:>14} {:>15} {:>16}",
                "",
                "true | ping s",
                "CPU ms",
                "clients'",
                "PSS MB",
                "MB",
                "look s",
                "upgrade s",
                "simulation and"
            )?;
            writeln!(
                f,
                "{:<18} {:>14} {:>9} {:>9} {:>9} {:>8} {:>14} {:>15} {:>16}",
                "", "", "a host", "CPU ms", "peak", "a host", "", "without looking", "upgrade s"
            )?;
            for tool in Tool::ALL {
                for warm in [false, true] {
                    let own_setup = if tool == Tool::AptAll { Setup::Stock } else { setup };
                    self.row(f, tool, own_setup, warm)?;
                }
            }
        }
        writeln!(
            f,
            "\napt-all always simulates first, so that its one upgrade stands in both columns; a peer is called once for the one and twice for the other"
        )?;
        let of = |task| self.wall(Key::cold(Tool::AptAll, Setup::Stock, task));
        for (task, what) in [
            (Task::Upgrade, "upgrades without looking"),
            (Task::PlannedUpgrade, "simulates, then upgrades"),
        ] {
            if let (Some(own), Some(peer)) = (of(task), self.best_peer(Setup::Stock, task)) {
                let ratio = peer / own;
                writeln!(
                    f,
                    "the best stock peer that {what}: {peer:.2} s, {ratio:.2} times as long as apt-all ({own:.2} s)"
                )?;
            }
        }
        if let (Some(at_once), Some(rollout)) = (of(Task::Upgrade), of(Task::Rollout)) {
            let more = rollout - at_once;
            writeln!(
                f,
                "the upgrade by apt-all, to a canary first: {rollout:.2} s, {more:.2} s more than to all at once"
            )?;
        }
        writeln!(f, "\ntargets")?;
        for target in self.targets() {
            writeln!(f, "{target}")?;
        }
        Ok(())
    }
}

impl Report {
    fn row(&self, f: &mut fmt::Formatter<'_>, tool: Tool, setup: Setup, warm: bool) -> fmt::Result {
        let key = |task| Key {
            warm,
            ..Key::cold(tool, setup, task)
        };
        let smallest = key(Task::Smallest);
        if !self.costs.contains_key(&smallest) {
            return Ok(());
        }
        let number = |value: Option<f64>, digits: usize| {
            value.map_or_else(|| "-".to_owned(), |value| format!("{value:.digits$}"))
        };
        let timed = |task| match (self.wall(key(task)), self.ratio(key(task))) {
            (Some(wall), Some(ratio)) => format!("{wall:.2} {:>6}", format!("{ratio:.2}x")),
            (Some(wall), None) => format!("{wall:.2}"),
            (None, _) => "-".to_owned(),
        };
        let peak = self.peaks.get(&smallest);
        writeln!(
            f,
            "{:<18} {:>14} {:>9} {:>9} {:>9} {:>8} {:>14} {:>15} {:>16}",
            format!("{} {}", tool.name(), if warm { "warm" } else { "" }),
            timed(Task::Smallest),
            number(self.cpu(smallest), 1),
            number(self.clients_cpu(smallest), 1),
            number(peak.map(|peak| peak.bytes as f64 / MEGABYTE), 0),
            number(peak.and_then(Peak::per_host).map(|bytes| bytes / MEGABYTE), 2),
            timed(Task::Look),
            timed(Task::Upgrade),
            timed(Task::PlannedUpgrade),
        )
    }
}

/// What the figures are of.
fn machine() -> String {
    let ssh = std::process::Command::new("ssh").arg("-V").output();
    let ssh = ssh.map(|output| String::from_utf8_lossy(&output.stderr).trim().to_owned());
    format!("{}, {}", figures::machine(), ssh.unwrap_or_default())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_target_is_held_against_the_best_stock_peer() {
        let mut report = Report::new(100, 1);
        let cost = |wall| Cost {
            wall,
            cpu: 1.0,
            clients_cpu: 2.0,
        };
        report.add(Key::cold(Tool::AptAll, Setup::Stock, Task::Smallest), cost(2.0));
        report.add(Key::cold(Tool::Clush, Setup::Stock, Task::Smallest), cost(8.0));
        report.add(Key::cold(Tool::Pdsh, Setup::Stock, Task::Smallest), cost(6.0));
        report.add(
            Key::cold(Tool::Pdsh, Setup::OurKeyExchange, Task::Smallest),
            cost(1.0),
        );
        let targets = report.targets();
        assert_eq!(targets[0].found, Some(3.0));
        assert_eq!(targets[0].met(), Some(true));
        assert_eq!(targets[1].met(), None, "nothing warm was measured");
        assert_eq!(targets[4].found, Some(10.0));
    }

    #[test]
    fn one_upgrade_of_apt_all_is_held_against_peers_that_look_first_and_peers_that_do_not() {
        let mut report = Report::new(100, 1);
        let mut add = |tool, task, wall| {
            let cost = Cost {
                wall,
                ..Cost::default()
            };
            report.add(Key::cold(tool, Setup::Stock, Task::Smallest), cost);
            report.add(Key::cold(tool, Setup::Stock, task), cost);
        };
        add(Tool::AptAll, Task::Upgrade, 20.0);
        add(Tool::Clush, Task::Upgrade, 18.0);
        add(Tool::Clush, Task::PlannedUpgrade, 30.0);
        add(Tool::Pdsh, Task::Upgrade, 22.0);
        add(Tool::Pdsh, Task::PlannedUpgrade, 25.0);
        let targets = report.targets();
        assert_eq!((targets[2].found, targets[2].met()), (Some(0.9), Some(false)));
        assert_eq!((targets[3].found, targets[3].met()), (Some(1.25), Some(true)));

        let text = report.to_string();
        for line in [
            "the best stock peer that upgrades without looking: 18.00 s, 0.90 times as long as apt-all (20.00 s)\n",
            "the best stock peer that simulates, then upgrades: 25.00 s, 1.25 times as long as apt-all (20.00 s)\n",
        ] {
            assert!(text.contains(line), "{text}");
        }
        let apt_all = text.lines().find(|line| line.starts_with("apt-all ")).unwrap();
        assert!(apt_all.ends_with("-    20.00  1.00x     20.00  1.00x"), "{text}");
        let rows = report.as_json()["rows"].clone();
        let found: Vec<(&str, f64)> = rows
            .as_array()
            .unwrap()
            .iter()
            .filter(|row| row["tool"] == "pdsh" && row["task"] != "smallest")
            .map(|row| {
                let ratio = row["times_as_long_as_apt_all"].as_f64().unwrap();
                (row["task"].as_str().unwrap(), ratio)
            })
            .collect();
        assert_eq!(found, [("upgrade", 1.1), ("plan-then-upgrade", 1.25)]);
    }
}
