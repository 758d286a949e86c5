//! `apu history`: the runs of one host.

use std::rc::Rc;

use apu_fleet::HostName;
use apu_ledger::{Attempt, Ledger, LedgerError, Run};
use apu_site::{Failure, say};
use jiff::tz::TimeZone;

use super::recorded::{no_runs, say_json};
use crate::context::Context;
use crate::failure;
use crate::view::history::{HostRun, history};
use crate::view::paint::Paint;
use crate::view::run_facts::RunHost;

/// List the last runs of one host, the newest first: how it ended, why, how long it took, and which packages changed.
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Examples:
  sudo apu history web1
  sudo apu history web1 -n 100 --verbose
  sudo apu history web1 --json | jq 'select(any(.changes[]; .package == \"libssl3:amd64\"))'")]
pub(super) struct Args {
    /// The host.
    #[arg(value_name = "HOST")]
    host: HostName,

    /// How many runs at most.
    #[arg(short, long, value_name = "N", default_value_t = 20, value_parser = clap::value_parser!(u32).range(1..))]
    number: u32,

    /// Print JSON, a run a line.
    #[arg(long)]
    json: bool,

    /// Every upgrade, and operations uncut.
    #[arg(short, long)]
    verbose: bool,
}

pub(super) fn run(context: &Context, args: &Args) -> Result<u8, Failure> {
    let Some(ledger) = context.ledger()? else {
        return Ok(no_runs(context, args.json));
    };
    let entries = entries(&ledger, args).map_err(|error| failure::ledger(&context.site, error))?;
    if args.json {
        for entry in &entries {
            say_json(context, &entry.facts())?;
        }
        return Ok(0);
    }
    if entries.is_empty() {
        say!(context.ui, "no run of {} is known here", args.host);
        return Ok(0);
    }
    let paint = Paint::for_stream(context.ui.stdout());
    let zone = TimeZone::system();
    context.ui.show(&history(
        &entries,
        &zone,
        context.ui.columns(),
        paint,
        args.verbose,
    ));
    Ok(0)
}

fn entries(ledger: &Ledger, args: &Args) -> Result<Vec<HostRun>, LedgerError> {
    let entry = |(run, attempt): (Run, Attempt)| {
        // One that is not final yet is none.
        let ending = match attempt.outcome {
            Some(_) => ledger.ending(&attempt)?,
            None => None,
        };
        let host = RunHost::of(run.status, attempt, ending.map(Rc::new));
        Ok(HostRun { run, host })
    };
    let known = ledger.history(&args.host, args.number)?;
    known.into_iter().map(entry).collect()
}
