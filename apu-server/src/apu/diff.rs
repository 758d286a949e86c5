//! `apu diff`: what two runs did differently.

use apu_site::Failure;
use jiff::tz::TimeZone;

use super::recorded::{find, hosts, ledger, say_json};
use crate::context::Context;
use crate::failure;
use crate::view::paint::Paint;
use crate::view::run_diff::{differences, facts, text};

/// Show the hosts that ended differently in two runs, or on which other packages changed.
///
/// Lines with - are of the first run alone, lines with + of the second. Hosts with the same difference stand together.
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Examples:
  sudo apu diff @- @
  sudo apu diff 411 412 --verbose")]
pub(super) struct Args {
    /// A run: its number, @ for the last one, @- for the one before, or the beginning of its id.
    #[arg(value_name = "RUN")]
    first: String,

    /// Another one.
    #[arg(value_name = "RUN")]
    second: String,

    /// Print JSON, a difference with its hosts a line.
    #[arg(long)]
    json: bool,

    /// Every upgrade.
    #[arg(short, long)]
    verbose: bool,
}

pub(super) fn run(context: &Context, args: &Args) -> Result<u8, Failure> {
    let ledger = ledger(context)?;
    let first = find(context, &ledger, &args.first)?;
    let second = find(context, &ledger, &args.second)?;
    let wrong = |error| failure::ledger(&context.site, error);
    let before = hosts(&ledger, &first).map_err(wrong)?;
    let after = hosts(&ledger, &second).map_err(wrong)?;
    let found = differences(&before, &after);
    let runs = (&first, &second);
    if args.json {
        for (difference, hosts) in &found {
            say_json(context, &facts(runs, difference, hosts))?;
        }
        return Ok(0);
    }
    let paint = Paint::for_stream(context.ui.stdout());
    let place = (&TimeZone::system(), context.ui.columns());
    context.ui.show(&text(runs, &found, place, paint, args.verbose));
    Ok(0)
}
