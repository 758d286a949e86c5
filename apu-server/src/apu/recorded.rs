//! What the commands that read the ledger have in common: the run that a word names, its hosts, and lines of JSON.

use std::rc::Rc;

use apu_fleet::{Ending, Phase};
use apu_ledger::{Attempt, Ledger, LedgerError, Run, RunEnds, RunRef, RunStatus};
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

/// The hosts of a run in the order of their turns.
pub(super) fn hosts(ledger: &Ledger, run: &Run) -> Result<Vec<RunHost>, LedgerError> {
    Ok(hosts_of(run, ledger.ends(run)?))
}

/// The hosts of a run whose ends were read.
pub(super) fn hosts_of(run: &Run, ends: RunEnds) -> Vec<RunHost> {
    // Before the phase that changes something, a host that is well has only said what it would change.
    let has_only_planned = !matches!(run.status, RunStatus::Ended(_))
        && matches!(
            ends.phase,
            Some(Phase::RefreshLists | Phase::Plan | Phase::Approve)
        );
    let host = |(attempt, ending): (Attempt, Option<Rc<Ending>>)| {
        let ending = ending.filter(|ending| !(has_only_planned && ending.outcome.is_well()));
        RunHost::of(run.status, attempt, ending)
    };
    ends.hosts.into_iter().map(host).collect()
}

/// Prints a value as a line of JSON.
pub(super) fn say_json(context: &Context, value: &impl Serialize) -> Result<(), Failure> {
    let line = json_line(value).map_err(|error| Failure::machine("cannot write it as JSON").why(error))?;
    context.ui.show(&line);
    Ok(())
}
