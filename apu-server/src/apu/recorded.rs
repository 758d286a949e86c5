//! What the commands that read the ledger have in common: the run that a word names, its hosts, and lines of JSON.

use std::collections::HashMap;

use apu_fleet::{Ending, HostName, Phase, RunState};
use apu_ledger::{Ledger, LedgerError, Run, RunRef, RunStatus};
use apu_site::{Failure, say};
use serde::Serialize;

use crate::context::Context;
use crate::failure::{self, RUNS};
use crate::view::json::json_line;
use crate::view::run_facts::RunHost;

/// Said where there is nothing to list.
const NONE: &str = "no run has begun here";

/// Says that there is no run: a list of none is an answer.
pub(super) fn no_runs(context: &Context, json: bool) -> u8 {
    if !json {
        say!(context.ui, "{NONE}");
    }
    0
}

/// Opens the ledger for a command that needs a run in it.
pub(super) fn ledger(context: &Context) -> Result<Ledger, Failure> {
    context.ledger()?.ok_or_else(|| Failure::words(NONE))
}

/// The run that a word names.
pub(super) fn find(context: &Context, ledger: &Ledger, word: &str) -> Result<Run, Failure> {
    let run: RunRef = word.parse().map_err(|error| {
        Failure::words(format!("{word:?} is not a run"))
            .why(error)
            .advise(RUNS)
    })?;
    ledger
        .find(&run)
        .map_err(|error| failure::ledger(&context.site, error))
}

/// How far a run is, and each of its hosts in the order of their turns.
pub(super) fn hosts(ledger: &Ledger, run: &Run) -> Result<(RunState, Vec<RunHost>), LedgerError> {
    let state = ledger.state(run)?;
    let mut endings: HashMap<HostName, Ending> = state
        .endings()
        .map(|(host, ending)| (host.clone(), ending.clone()))
        .collect();
    // Before the phase that changes something, a host that is well has only said what it would change.
    let has_only_planned = !matches!(run.status, RunStatus::Ended(_))
        && matches!(
            state.phase,
            Some(Phase::RefreshLists | Phase::Plan | Phase::Approve)
        );
    let host = |attempt: apu_ledger::Attempt| {
        let ending = endings.remove(&attempt.host);
        let ending = ending.filter(|ending| !(has_only_planned && ending.outcome.is_well()));
        RunHost::of(run.status, attempt, ending)
    };
    let hosts = ledger.attempts(run.number)?.into_iter().map(host).collect();
    Ok((state, hosts))
}

/// Prints a value as a line of JSON.
pub(super) fn say_json(context: &Context, value: &impl Serialize) -> Result<(), Failure> {
    let line = json_line(value).map_err(|error| Failure::machine("cannot write it as JSON").why(error))?;
    context.ui.show(&line);
    Ok(())
}
