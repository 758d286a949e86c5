//! `apu show`: a run, or a plan that was kept.

use apu_site::Failure;
use jiff::tz::TimeZone;

use super::plans;
use super::recorded::{find, hosts_of, ledger, say_json};
use crate::context::Context;
use crate::failure;
use crate::frozen;
use crate::view::paint::Paint;
use crate::view::run_report::Report;

/// Show a run: who began it and when, how each host ended, and what to type next; or a plan as it was shown when it was made.
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Examples:
  sudo apu show
  sudo apu show @-
  sudo apu show 412 --verbose
  sudo apu show p3")]
pub(super) struct Args {
    /// A run: its number, @ for the last one (as without a word), @- for the one before, or the beginning of its id; or a plan,
    /// such as p3.
    #[arg(value_name = "RUN|PLAN", default_value = "@", hide_default_value = true)]
    word: String,

    /// Every upgrade.
    #[arg(short, long)]
    verbose: bool,

    /// Print JSON: one object.
    #[arg(long)]
    json: bool,
}

pub(super) fn run(context: &Context, args: &Args) -> Result<u8, Failure> {
    if let Some(number) = plans::number(&args.word) {
        return plans::show(context, number, args.verbose, args.json);
    }
    let ledger = ledger(context)?;
    let run = find(context, &ledger, &args.word)?;
    let wrong = |error| failure::ledger(&context.site, error);
    let outcomes = ledger.outcomes(run.number).map_err(wrong)?;
    let ends = ledger.ends(&run).map_err(wrong)?;
    let report = Report {
        run: &run,
        outcomes: &outcomes,
        operation: ends.operation,
        seconds: ends.seconds,
        hosts: &hosts_of(&run, ends),
        frozen: run.client_run.and_then(|id| frozen::of_run(&context.site, id)),
    };
    if args.json {
        say_json(context, &report.facts())?;
        return Ok(0);
    }
    let paint = Paint::for_stream(context.ui.stdout());
    let zone = TimeZone::system();
    context
        .ui
        .show(&report.text(&zone, context.ui.columns(), paint, args.verbose));
    Ok(0)
}
