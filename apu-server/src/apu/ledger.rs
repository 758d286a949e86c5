//! `apu ledger`: looks after the file in which the server keeps its runs.

use apu_ledger::Retention;
use apu_site::{Failure, say};
use clap::Subcommand;
use jiff::Timestamp;

use super::recorded::no_runs;
use crate::context::Context;
use crate::failure;
use crate::frozen;
use crate::view::clean::clean;

/// Look after the ledger, /var/lib/apu-server/apu.db, in which the runs are kept.
#[derive(Debug, clap::Args)]
pub(super) struct Args {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Prove that the ledger holds together: that no host started twice, none before its wave, and that the table says what the
    /// events say.
    ///
    /// Exit status: 0 it does, 1 something does not hold.
    #[command(after_help = "\
Examples:
  sudo apu ledger check")]
    Check,
    /// Forget the oldest runs beyond what is kept: two years, 10,000 runs, 2 GiB. A run that has not ended is kept.
    #[command(after_help = "\
Examples:
  sudo apu ledger prune")]
    Prune,
}

pub(super) fn run(context: &Context, args: &Args) -> Result<u8, Failure> {
    let Some(ledger) = context.ledger()? else {
        return Ok(no_runs(context, false));
    };
    let wrong = |error| failure::ledger(&context.site, error);
    match args.command {
        Command::Check => {
            let found = ledger.check().map_err(wrong)?;
            for sentence in &found {
                say!(context.ui, "{}", clean(sentence));
            }
            if found.is_empty() {
                say!(context.ui, "the ledger holds together");
            }
            Ok(u8::from(!found.is_empty()))
        }
        Command::Prune => {
            let gone = ledger
                .prune(&Retention::default(), Timestamp::now())
                .map_err(wrong)?;
            frozen::sweep(&context.site);
            match gone {
                0 => say!(context.ui, "nothing is to be forgotten"),
                1 => say!(context.ui, "1 run was forgotten"),
                gone => say!(context.ui, "{gone} runs were forgotten"),
            }
            Ok(0)
        }
    }
}
