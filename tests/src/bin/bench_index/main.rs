//! Measures `apu repo publish` against what an administrator would use instead: on the same real .debs, in one run.
//!
//! It prints what it found and keeps it in `target/bench-index.json`. How fast a machine is on one day is no reason for
//! a red build; an index that says something else than the peers' is, unless it is listed why.

#![allow(
    clippy::print_stdout,
    reason = "its report is for the terminal where it was started"
)]

mod report;
mod tool;
mod workshop;

use std::path::Path;
use std::process::Command;

use anyhow::{Context, Result, bail, ensure};
use apu_tests::figures::note;
use apu_tests::index::{Comparison, Peer};
use apu_tests::real_debs;

use crate::report::Report;
use crate::tool::Tool;
use crate::workshop::Workshop;

const USAGE: &str = "usage: bench_index [--debs N] [--rounds N] [--tools NAME[,NAME]...] [--no-comparison]";

/// Where the figures are kept.
const KEPT: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../target/bench-index.json");

/// What to measure.
struct Plan {
    debs: usize,
    rounds: usize,
    tools: Vec<Tool>,
    comparison: bool,
}

impl Plan {
    fn from(mut words: impl Iterator<Item = String>) -> Result<Self> {
        let mut plan = Self {
            debs: 1000,
            rounds: 3,
            tools: Tool::ALL.to_vec(),
            comparison: true,
        };
        while let Some(word) = words.next() {
            let mut value = || words.next().context(USAGE);
            match word.as_str() {
                "--debs" => plan.debs = value()?.parse().context(USAGE)?,
                "--rounds" => plan.rounds = value()?.parse().context(USAGE)?,
                "--tools" => {
                    plan.tools = value()?.split(',').map(tool_named).collect::<Result<_>>()?;
                }
                "--no-comparison" => plan.comparison = false,
                _ => bail!(USAGE),
            }
        }
        ensure!(plan.debs > 0 && plan.rounds > 0, USAGE);
        Ok(plan)
    }
}

fn tool_named(name: &str) -> Result<Tool> {
    let found = Tool::ALL.into_iter().find(|tool| tool.name() == name);
    found.with_context(|| format!("no tool is named {name}\n{USAGE}"))
}

fn main() -> Result<()> {
    let plan = Plan::from(std::env::args().skip(1))?;
    for (program, package) in plan.tools.iter().filter_map(|tool| tool.program()) {
        let here = Command::new("sh")
            .args(["-c", "command -v \"$1\" >/dev/null", "sh", program])
            .status()?
            .success();
        ensure!(here, "{program} is missing; try: apt-get install {package}");
    }
    // One more, to be added.
    let debs = real_debs(plan.debs + 1)?;
    let workshop = Workshop::with(&debs)?;
    let mut report = Report::new(workshop.packages(), workshop.bytes()?, plan.rounds);
    for round in 1..=plan.rounds {
        let mut tools = plan.tools.clone();
        // What one leaves in the processor's caches and on the disk is not always the same one's luck.
        if round % 2 == 0 {
            tools.reverse();
        }
        for tool in tools {
            note(&format!("round {round} of {}: {}", plan.rounds, tool.name()));
            for (task, cost) in workshop.measure(tool)? {
                report.add(tool, task, cost);
            }
        }
        report.keep(Path::new(KEPT))?;
    }
    print!("{report}");
    println!("\nkept in target/bench-index.json");
    if plan.comparison {
        compare(&workshop)?;
    }
    Ok(())
}

/// Holds apu's index against its peers', field by field.
fn compare(workshop: &Workshop) -> Result<()> {
    note("comparing the indexes");
    let (debs, ours) = workshop.index("comparison")?;
    let mut unlisted = Vec::new();
    for peer in Peer::ALL {
        let comparison = Comparison::of(&ours, &peer.index(&debs)?, peer);
        print!("\n{comparison}");
        unlisted.extend(comparison.unlisted());
    }
    ensure!(
        unlisted.is_empty(),
        "the index differs in what is not listed in tests/src/index/listed.rs:\n{}",
        unlisted.join("\n")
    );
    Ok(())
}
