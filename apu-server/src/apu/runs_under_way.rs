//! `apu resume`, `apu retry` and `apu wait`: what is done with a run that has begun.

use std::thread::sleep;
use std::time::Duration;

use apu_fleet::{HostName, Outcome, fold};
use apu_ledger::{Attempt, Paused, Run, RunStatus};
use apu_site::{Failure, say};

use super::instruct;
use super::recorded::{find, ledger};
use crate::apt_all::{self, Shown};
use crate::context::Context;
use crate::failure::ledger as failure_of;
use crate::ledger::is_meant;

/// How often a run is looked at that is waited for.
const PAUSE: Duration = Duration::from_millis(300);

/// Go on with a run whose apt-all was killed, or that apu pause paused.
///
/// After a kill, each host whose end is not known is asked for the same run, and what it has done already is not done twice.
#[derive(Debug, clap::Args)]
pub(super) struct ResumeArgs {
    /// The run: its number, @ for the last one, or the beginning of its id.
    #[arg(value_name = "RUN", default_value = "@")]
    run: String,

    #[command(flatten)]
    shown: Shown,
}

/// Do what a run asked for again, on those of its hosts that did not end well.
///
/// It is a run of its own: it plans anew, and shows its plan and asks as apt-all does.
#[derive(Debug, clap::Args)]
pub(super) struct RetryArgs {
    /// The run: its number, @ for the last one, or the beginning of its id.
    #[arg(value_name = "RUN", default_value = "@")]
    run: String,

    /// Only the hosts that were asked and did not end well.
    #[arg(long)]
    failed: bool,

    /// Only the hosts that could not be reached.
    #[arg(long, conflicts_with = "failed")]
    unreachable: bool,

    /// Do not show and ask first; do what the hosts plan.
    #[arg(short, long)]
    yes: bool,

    #[command(flatten)]
    shown: Shown,
}

/// Wait until a run has ended; the exit status is that of the run.
#[derive(Debug, clap::Args)]
pub(super) struct WaitArgs {
    /// The run: its number, @ for the last one, or the beginning of its id.
    #[arg(value_name = "RUN", default_value = "@")]
    run: String,
}

pub(super) fn resume(context: &Context, args: &ResumeArgs) -> Result<u8, Failure> {
    let ledger = ledger(context)?;
    let run = find(context, &ledger, &args.run)?;
    if let Some(done) = instruct::resume(context, &ledger, &run) {
        return done;
    }
    apt_all::resume(context, ledger, &run, args.shown)
}

pub(super) fn retry(context: &Context, args: &RetryArgs) -> Result<u8, Failure> {
    let ledger = ledger(context)?;
    let run = find(context, &ledger, &args.run)?;
    let number = run.number;
    let attempts = ledger
        .attempts(number)
        .map_err(|error| failure_of(&context.site, error))?;
    match run.status {
        RunStatus::Ended(_) => {}
        RunStatus::Running => {
            return Err(
                Failure::words(format!("run {number} is under way")).advise(format!("apu wait {number}"))
            );
        }
        RunStatus::WentOn(next) => {
            return Err(Failure::words(format!("run {next} went on with run {number}"))
                .advise(format!("apu retry {next}")));
        }
        RunStatus::BrokenOff if attempts.iter().any(|attempt| attempt.started.is_some()) => {
            return Err(Failure::words(format!("run {number} was broken off"))
                .why("what became of its hosts is found out first")
                .advise(format!("apu resume {number}")));
        }
        RunStatus::BrokenOff => {}
    }
    let wanted = |attempt: &Attempt| {
        if args.failed || args.unreachable {
            let how = if args.failed {
                Outcome::Failed
            } else {
                Outcome::Unreachable
            };
            return is_meant(attempt.outcome, how.as_str());
        }
        attempt.outcome.is_none_or(|outcome| !outcome.is_well())
    };
    let hosts: Vec<HostName> = attempts
        .into_iter()
        .filter(wanted)
        .map(|attempt| attempt.host)
        .collect();
    if hosts.is_empty() {
        say!(
            context.ui,
            "run {number} has no such host: nothing is to be done again"
        );
        return Ok(0);
    }
    // apt-all opens it for the run that it begins.
    drop(ledger);
    let hosts = of_classes(context, hosts)?;
    apt_all::repeat(context, &run, &hosts, (args.yes, args.shown))
}

/// The hosts that the classes still have; the others are named.
fn of_classes(context: &Context, hosts: Vec<HostName>) -> Result<Vec<HostName>, Failure> {
    let inventory = context.inventory()?;
    let is_known = |host: &HostName| inventory.resolve(&[host.to_string()], &[]).is_ok();
    let (known, gone): (Vec<HostName>, Vec<HostName>) = hosts.into_iter().partition(is_known);
    if gone.is_empty() {
        return Ok(known);
    }
    let names = fold(gone.iter().map(HostName::as_str));
    if known.is_empty() {
        return Err(Failure::words(format!("{names} is in no class any more"))
            .why("so there is nobody to ask again")
            .advise("write the hosts into a class again"));
    }
    context
        .ui
        .complain(&format!("{names}: in no class any more, left out\n"));
    Ok(known)
}

pub(super) fn wait(context: &Context, args: &WaitArgs) -> Result<u8, Failure> {
    let ledger = ledger(context)?;
    let mut run = find(context, &ledger, &args.run)?;
    let word = run.number.to_string();
    let mut is_told = false;
    while run.status == RunStatus::Running {
        // The reader may be the administrator who has to decide.
        if let Some(paused) = run.paused.filter(|_| !is_told) {
            is_told = true;
            let number = run.number;
            let how = match paused {
                Paused::Asked => "resume",
                Paused::Wave(_) => "promote",
            };
            context.ui.complain(&format!(
                "run {number} is paused\n  try: apu {how} {number}, or apu abort {number}\n"
            ));
        }
        sleep(PAUSE);
        run = find(context, &ledger, &word)?;
    }
    ended(&run)
}

fn ended(run: &Run) -> Result<u8, Failure> {
    match run.status {
        RunStatus::Ended(status) => Ok(status),
        RunStatus::WentOn(next) => Err(Failure::machine(format!("run {} was broken off", run.number))
            .why(format!("run {next} went on with it"))
            .advise(format!("apu wait {next}"))),
        RunStatus::Running | RunStatus::BrokenOff => {
            Err(Failure::machine(format!("run {} was broken off", run.number))
                .why("its apt-all was killed")
                .advise(format!("apu resume {}", run.number)))
        }
    }
}
