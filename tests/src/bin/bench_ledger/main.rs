//! Measures the ledger: what each query costs where it is large, and how much longer it makes a run.
//!
//! It prints what it found and keeps it in `target/bench-ledger.json`. How fast a machine is on one day is no reason for a red
//! build. It needs neither root nor packages.

#![allow(
    clippy::print_stdout,
    reason = "its report is for the terminal where it was started"
)]

mod generated;
mod report;
mod share;

use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use anyhow::{Context, Result, bail, ensure};
use apu_tests::figures::note;
use nix::sys::resource::{UsageWho, getrusage};

use crate::report::Report;

const USAGE: &str = "usage: bench_ledger [--hosts N] [--runs N] [--rounds N]";

/// Where the figures are kept.
const KEPT: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../target/bench-ledger.json");

/// Every query, with RUN for the last run and BEFORE for the one before it.
const QUERIES: [&str; 9] = [
    "runs",
    "runs -n 100",
    "show RUN",
    "show RUN --json",
    "diff BEFORE RUN",
    "diff BEFORE RUN --json",
    "log RUN",
    "history node00042",
    "locks",
];

/// What to measure.
struct Plan {
    hosts: usize,
    runs: u32,
    rounds: usize,
}

impl Plan {
    fn from(mut words: impl Iterator<Item = String>) -> Result<Self> {
        let mut plan = Self {
            hosts: 10_000,
            runs: 100,
            rounds: 5,
        };
        while let Some(word) = words.next() {
            let value = words.next().context(USAGE)?;
            match word.as_str() {
                "--hosts" => plan.hosts = value.parse().context(USAGE)?,
                "--runs" => plan.runs = value.parse().context(USAGE)?,
                "--rounds" => plan.rounds = value.parse().context(USAGE)?,
                _ => bail!(USAGE),
            }
        }
        ensure!(plan.hosts > 42 && plan.runs > 1 && plan.rounds > 0, USAGE);
        Ok(plan)
    }
}

fn main() -> Result<()> {
    let plan = Plan::from(std::env::args().skip(1))?;
    // Built with this program, into the same directory.
    let apu = std::env::current_exe()?.with_file_name("apu");
    ensure!(apu.exists(), "{} is missing", apu.display());
    let site = tempfile::tempdir()?;
    note(&format!("recording {} runs of {} hosts", plan.runs, plan.hosts));
    let bytes = generated::ledger(site.path(), plan.hosts, plan.runs)?;
    let mut report = Report::new(plan.hosts, plan.runs, bytes);
    for round in 1..=plan.rounds {
        note(&format!("round {round} of {}", plan.rounds));
        for query in QUERIES {
            report.add(query, cpu_of(&apu, site.path(), query, plan.runs)?);
        }
    }
    note("a run with a ledger and without one");
    report.share = Some(share::of_a_run()?);
    report.keep(Path::new(KEPT))?;
    print!("{report}");
    println!("\nkept in target/bench-ledger.json");
    Ok(())
}

/// The processor time of one query, in seconds.
fn cpu_of(apu: &PathBuf, site: &Path, query: &str, runs: u32) -> Result<f64> {
    let query = query
        .replace("RUN", &runs.to_string())
        .replace("BEFORE", &(runs - 1).to_string());
    let mut command = Command::new(apu);
    command.args(query.split(' ')).arg("--root").arg(site);
    let before = children()?;
    let ended = command
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .status()
        .with_context(|| format!("cannot start {}", apu.display()))?;
    ensure!(ended.success(), "apu {query} failed");
    Ok(children()? - before)
}

/// The processor time of all children that have ended, in seconds.
fn children() -> Result<f64> {
    let usage = getrusage(UsageWho::RUSAGE_CHILDREN)?;
    let times = [usage.user_time(), usage.system_time()];
    Ok(times
        .iter()
        .map(|time| time.tv_sec() as f64 + time.tv_usec() as f64 / 1e6)
        .sum())
}
