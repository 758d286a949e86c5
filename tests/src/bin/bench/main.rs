//! Measures apt-all against what an administrator would use instead: on one fleet of real Debian clients, in one run.
//!
//! It prints what it found and keeps it in `target/bench.json`. It judges nothing by its exit status: how fast a machine
//! is on one day is no reason for a red build.

#![allow(
    clippy::print_stdout,
    reason = "its report is for the terminal where it was started"
)]

mod clients;
mod desk;
mod group;
mod meter;
mod report;
mod tool;

use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result, bail, ensure};
use apu_tests::figures::note;
use apu_tests::{Flavour, Fleet};

use crate::desk::Desk;
use crate::group::Group;
use crate::meter::{Cost, Meter, Peak};
use crate::report::{Key, Report};
use crate::tool::{Setup, Task, Tool, call, calls};

const USAGE: &str = "usage: bench [--hosts N] [--rounds N] [--tools NAME[,NAME]...] [--no-upgrade]";

/// Where the figures are kept.
const KEPT: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../target/bench.json");

/// What to measure.
struct Plan {
    hosts: usize,
    rounds: usize,
    tools: Vec<Tool>,
    upgrade: bool,
}

impl Plan {
    fn from(mut words: impl Iterator<Item = String>) -> Result<Self> {
        let mut plan = Self {
            hosts: 100,
            rounds: 3,
            tools: Tool::ALL.to_vec(),
            upgrade: true,
        };
        while let Some(word) = words.next() {
            let mut value = || words.next().context(USAGE);
            match word.as_str() {
                "--hosts" => plan.hosts = value()?.parse().context(USAGE)?,
                "--rounds" => plan.rounds = value()?.parse().context(USAGE)?,
                "--tools" => {
                    plan.tools = value()?.split(',').map(tool_named).collect::<Result<_>>()?;
                }
                "--no-upgrade" => plan.upgrade = false,
                _ => bail!(USAGE),
            }
        }
        ensure!(plan.hosts > 0 && plan.rounds > 0, USAGE);
        Ok(plan)
    }

    /// Every tool in every setup that it is measured in.
    fn pairs(&self) -> Vec<(Tool, Setup)> {
        let all = Setup::ALL
            .into_iter()
            .flat_map(|setup| self.tools.iter().map(move |&tool| (tool, setup)));
        // apt-all is what it is, and ansible keeps its connections by itself.
        all.filter(|&(tool, setup)| match tool {
            Tool::AptAll => setup == Setup::Stock,
            Tool::Ansible => setup != Setup::Kept,
            _ => true,
        })
        .collect()
    }
}

fn tool_named(name: &str) -> Result<Tool> {
    let found = Tool::ALL.into_iter().find(|tool| tool.name() == name);
    found.with_context(|| format!("no tool is named {name}\n{USAGE}"))
}

fn main() -> Result<()> {
    let plan = Plan::from(std::env::args().skip(1))?;
    for tool in &plan.tools {
        let (program, package) = tool.program();
        let here = Command::new("sh")
            .args(["-c", "command -v \"$1\" >/dev/null", "sh", program])
            .status()?
            .success();
        ensure!(
            here || *tool == Tool::AptAll,
            "{program} is missing; try: apt-get install {package}"
        );
    }
    let group = Group::around_us()?;
    let mut fleet = Fleet::of_size(plan.hosts).flavour(Flavour::Python);
    if !plan.tools.contains(&Tool::AptAll) {
        fleet = fleet.without_server();
    }
    let fleet = fleet.try_up()?;
    let desk = Desk::set_up(&fleet)?;
    let scratch = tempfile::tempdir()?;
    let bench = Bench {
        fleet: &fleet,
        desk: &desk,
        group: &group,
        output: scratch.path().join("output"),
    };
    let mut report = Report::new(plan.hosts, plan.rounds);
    bench.warm_up(&plan.tools)?;

    for round in 1..=plan.rounds {
        for (tool, setup) in plan.pairs() {
            note(&format!(
                "round {round} of {}: {}, {}",
                plan.rounds,
                tool.name(),
                setup.name()
            ));
            bench.quick(round, tool, setup, &mut report)?;
        }
        report.keep(Path::new(KEPT))?;
    }
    for &tool in &plan.tools {
        note(&format!("memory: {}", tool.name()));
        let peak = bench.weigh(tool, Setup::Stock, Task::Smallest)?;
        report.weigh(Key::cold(tool, Setup::Stock, Task::Smallest), peak);
    }
    if plan.upgrade {
        note("preparing the clients for upgrades");
        clients::prepare(&fleet)?;
        for round in 1..=plan.rounds {
            for (tool, setup) in plan.pairs() {
                if !measured(round, tool, setup, Task::Upgrade) {
                    continue;
                }
                note(&format!(
                    "upgrade {round} of {}: {}, {}",
                    plan.rounds,
                    tool.name(),
                    setup.name()
                ));
                bench.upgrade(tool, setup, Task::Upgrade, &mut report)?;
                // apt-all's one upgrade counts for both: it plans first anyway.
                let other = if tool == Tool::AptAll {
                    Task::Rollout
                } else {
                    Task::PlannedUpgrade
                };
                bench.upgrade(tool, setup, other, &mut report)?;
            }
            report.keep(Path::new(KEPT))?;
        }
        if plan.tools.contains(&Tool::AptAll) {
            note("memory of an upgrade: apt-all");
            let key = Key::cold(Tool::AptAll, Setup::Stock, Task::Upgrade);
            report.weigh(key, bench.weigh(Tool::AptAll, Setup::Stock, Task::Upgrade)?);
        }
    }
    report.keep(Path::new(KEPT))?;
    print!("{report}");
    println!("\nkept in target/bench.json");
    Ok(())
}

/// What is worth its time: the tuned setups are about connections, and ansible takes minutes for what takes others seconds.
fn measured(round: usize, tool: Tool, setup: Setup, task: Task) -> bool {
    (setup == Setup::Stock || task == Task::Smallest) && (tool != Tool::Ansible || round == 1)
}

struct Bench<'a> {
    fleet: &'a Fleet,
    desk: &'a Desk,
    /// Everything of the fleet, and we.
    group: &'a Group,
    output: PathBuf,
}

impl Bench<'_> {
    /// What changes nothing on the clients: from no connection at all, and again over those that were kept.
    fn quick(&self, round: usize, tool: Tool, setup: Setup, report: &mut Report) -> Result<()> {
        for task in [Task::Smallest, Task::Look] {
            if !measured(round, tool, setup, task) {
                continue;
            }
            self.forget_connections(tool, setup)?;
            let command = call(tool, setup, task, self.fleet, self.desk);
            let meter = Meter::beside(self.group)?;
            let cold = meter.measure(&command, &self.output)?;
            report.add(Key::cold(tool, setup, task), cold);
            if tool.keeps_connections(setup) {
                let warm = meter.measure(&command, &self.output)?;
                report.add(Key::warm(tool, setup, task), warm);
            }
        }
        Ok(())
    }

    /// Whoever speaks to the clients first pays for all that their machine has to read for the first time: nobody
    /// that is measured does.
    fn warm_up(&self, tools: &[Tool]) -> Result<()> {
        for tool in [Tool::Xargs, Tool::AptAll] {
            if tools.contains(&tool) {
                note(&format!("warming up: {}", tool.name()));
                self.forget_connections(tool, Setup::Stock)?;
                let command = call(tool, Setup::Stock, Task::Smallest, self.fleet, self.desk);
                Meter::beside(self.group)?.measure(&command, &self.output)?;
            }
        }
        Ok(())
    }

    fn upgrade(&self, tool: Tool, setup: Setup, task: Task, report: &mut Report) -> Result<()> {
        self.forget_connections(tool, setup)?;
        clients::reset(self.fleet)?;
        let meter = Meter::beside(self.group)?;
        let mut cost = Cost::default();
        for command in calls(tool, setup, task, self.fleet, self.desk) {
            cost = cost + meter.measure(&command, &self.output)?;
        }
        clients::verify_upgraded(self.fleet, tool.name())?;
        report.add(Key::cold(tool, setup, task), cost);
        Ok(())
    }

    fn weigh(&self, tool: Tool, setup: Setup, task: Task) -> Result<Peak> {
        self.forget_connections(tool, setup)?;
        if task == Task::Upgrade {
            clients::reset(self.fleet)?;
        }
        let command = call(tool, setup, task, self.fleet, self.desk);
        Meter::beside(self.group)?.weigh(&command, &self.output, self.fleet.keeper())
    }

    /// The masters themselves ended with the meter that they were measured by.
    fn forget_connections(&self, tool: Tool, setup: Setup) -> Result<()> {
        self.desk.prepare(setup)?;
        if tool == Tool::AptAll {
            self.fleet.server().sh("rm -rf /run/apu-server/mux").ok();
        }
        Ok(())
    }
}
