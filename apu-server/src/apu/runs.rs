//! `apu runs`: the last presses of the button.

use apu_ledger::{Ledger, LedgerError, Outcomes, Run};
use apu_site::Failure;
use jiff::tz::TimeZone;

use super::recorded::{no_runs, say_json};
use crate::context::Context;
use crate::failure;
use crate::view::paint::Paint;
use crate::view::run_facts::CountedRun;
use crate::view::runs::runs;

/// How many runs are listed, unless another number is said.
const USUAL: u32 = 20;

/// List the last runs, the newest first: who pressed the button when, for which hosts, and how it ended.
///
/// A run that is broken off is one whose process is gone: the machine went down, or apt-all was killed.
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Examples:
  sudo apu runs
  sudo apu runs -n 100 --verbose
  sudo apu runs --json | jq 'select(.outcomes.failed)'")]
pub(super) struct Args {
    /// How many at most.
    #[arg(short, long, value_name = "N", default_value_t = USUAL, value_parser = clap::value_parser!(u32).range(1..))]
    number: u32,

    /// Print JSON, a run a line.
    #[arg(long)]
    json: bool,

    /// Cut nothing, however wide the lines become.
    #[arg(short, long)]
    verbose: bool,
}

impl Args {
    /// As without any word.
    pub(super) const fn usual() -> Self {
        Self {
            number: USUAL,
            json: false,
            verbose: false,
        }
    }
}

pub(super) fn run(context: &Context, args: &Args) -> Result<u8, Failure> {
    let Some(ledger) = context.ledger()? else {
        return Ok(no_runs(context, args.json));
    };
    let listed = listed(&ledger, args.number).map_err(|error| failure::ledger(&context.site, error))?;
    if args.json {
        for (run, outcomes) in &listed {
            say_json(context, &CountedRun::of(run, outcomes))?;
        }
        return Ok(0);
    }
    if listed.is_empty() {
        return Ok(no_runs(context, false));
    }
    let paint = Paint::for_stream(context.ui.stdout());
    let zone = TimeZone::system();
    context
        .ui
        .show(&runs(&listed, &zone, context.ui.columns(), paint, args.verbose));
    Ok(0)
}

fn listed(ledger: &Ledger, most: u32) -> Result<Vec<(Run, Outcomes)>, LedgerError> {
    let with_outcomes = |run: Run| {
        let outcomes = ledger.outcomes(run.number)?;
        Ok((run, outcomes))
    };
    ledger.runs(most)?.into_iter().map(with_outcomes).collect()
}
