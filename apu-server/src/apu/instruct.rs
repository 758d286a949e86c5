//! `apu pause`, `apu promote` and `apu abort`, and `apu resume` of a run that is paused: what a run that is under way is told.

use apu_archive::quote;
use apu_fleet::Instruction;
use apu_ledger::{Ledger, Paused, Run, RunStatus, Told};
use apu_site::{Failure, say};

use super::recorded::{find, ledger};
use crate::audit_line::AuditLine;
use crate::context::Context;
use crate::failure::ledger as failure_of;
use crate::who::Who;

/// Have a run that is under way begin nothing new until apu resume, for a day at most. What was begun on a host goes on to its end.
#[derive(Debug, clap::Args)]
pub(super) struct PauseArgs {
    /// The run: its number, @ for the last one, or the beginning of its id.
    #[arg(value_name = "RUN")]
    run: String,
}

/// Let the next wave of a run start, although whether the hosts of this one are well cannot be told.
///
/// What those hosts did counts as tested from then on.
#[derive(Debug, clap::Args)]
pub(super) struct PromoteArgs {
    /// The run: its number, @ for the last one, or the beginning of its id.
    #[arg(value_name = "RUN")]
    run: String,
}

/// Have a run that is under way begin nothing more. What was begun on a host goes on to its end.
#[derive(Debug, clap::Args)]
pub(super) struct AbortArgs {
    /// The run: its number, @ for the last one, or the beginning of its id.
    #[arg(value_name = "RUN")]
    run: String,
}

pub(super) fn pause(context: &Context, args: &PauseArgs) -> Result<u8, Failure> {
    let (ledger, run) = under_way(context, &args.run)?;
    if run.paused.is_some() {
        return Err(is_paused(&run));
    }
    tell(context, &ledger, &run, |by| Instruction::Pause { by })?;
    let number = run.number;
    say!(
        context.ui,
        "run {number} of {} was told to begin nothing new; to have it go on: apu resume {number}",
        quote(&run.by)
    );
    Ok(0)
}

pub(super) fn promote(context: &Context, args: &PromoteArgs) -> Result<u8, Failure> {
    let (ledger, run) = under_way(context, &args.run)?;
    let number = run.number;
    let wave = match run.paused {
        Some(Paused::Wave(wave)) => wave,
        Some(Paused::Asked) => return Err(is_paused(&run)),
        None => {
            return Err(Failure::words(format!("run {number} waits for no decision"))
                .why("a wave is promoted where it cannot be told whether its hosts are well")
                .advise(format!("apu show {number}")));
        }
    };
    tell(context, &ledger, &run, |by| Instruction::Promote { wave, by })?;
    say!(
        context.ui,
        "wave {wave} of run {number} of {} counts as well; to follow the next one: apu attach {number}",
        quote(&run.by)
    );
    Ok(0)
}

pub(super) fn abort(context: &Context, args: &AbortArgs) -> Result<u8, Failure> {
    let (ledger, run) = under_way(context, &args.run)?;
    tell(context, &ledger, &run, |_| Instruction::Stop)?;
    say!(
        context.ui,
        "run {} of {} was told to begin nothing more; to wait for its end: apu wait {}",
        run.number,
        quote(&run.by),
        run.number
    );
    Ok(0)
}

/// Has a run that an administrator paused go on; none where the run is not paused.
pub(super) fn resume(context: &Context, ledger: &Ledger, run: &Run) -> Option<Result<u8, Failure>> {
    match (run.status, run.paused?) {
        (RunStatus::Running, Paused::Wave(_)) => Some(Err(is_paused(run))),
        (RunStatus::Running, Paused::Asked) => Some(
            tell(context, ledger, run, |by| Instruction::Resume { by }).map(|()| {
                say!(context.ui, "run {} of {} goes on", run.number, quote(&run.by));
                0
            }),
        ),
        _ => None,
    }
}

/// Why another instruction is meant.
fn is_paused(run: &Run) -> Failure {
    let number = run.number;
    match run.paused {
        Some(Paused::Wave(wave)) => Failure::words(format!("run {number} waits for a decision"))
            .why(format!(
                "whether the hosts of wave {wave} are well cannot be told"
            ))
            .advise(format!(
                "apu show {number}, and then apu promote {number} or apu abort {number}"
            )),
        _ => Failure::words(format!("run {number} is paused"))
            .advise(format!("apu resume {number}, or apu abort {number}")),
    }
}

fn under_way(context: &Context, word: &str) -> Result<(Ledger, Run), Failure> {
    let ledger = ledger(context)?;
    let run = find(context, &ledger, word)?;
    if run.status == RunStatus::Running {
        return Ok((ledger, run));
    }
    Err(Failure::words(format!("run {} is not under way", run.number))
        .advise(format!("apu show {}", run.number)))
}

fn tell(
    context: &Context,
    ledger: &Ledger,
    run: &Run,
    instruction: impl FnOnce(String) -> Instruction,
) -> Result<(), Failure> {
    let by = Who::here().name().to_owned();
    let told = Told {
        instruction: instruction(by.clone()),
        by,
    };
    ledger
        .instruct(run.number, &told)
        .map_err(|error| failure_of(&context.site, error))?;
    let action = match told.instruction {
        Instruction::Pause { .. } => "pause",
        Instruction::Resume { .. } => "resume",
        Instruction::Promote { .. } => "promote",
        Instruction::Stop => "abort",
    };
    AuditLine::of_decision(action, run.number).write(&context.ui, &context.site, "apu");
    Ok(())
}
