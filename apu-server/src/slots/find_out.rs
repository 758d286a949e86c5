//! Finds out in the ledger what became of the run of an occurrence whose process is gone.

use apu_fleet::PushId;
use apu_ledger::{Run, RunStatus};
use apu_site::Failure;

use super::slot::Slot;
use super::state::End;
use crate::failure;

/// How many of the last runs are looked at. The one that is meant was begun after its slot's notice.
const LOOKED_AT: u32 = 10_000;

/// The run of a push; none where no host was asked.
pub(super) fn run_of(slot: &Slot<'_>, push: PushId) -> Result<Option<Run>, Failure> {
    let Some(ledger) = slot.context.ledger()? else {
        return Ok(None);
    };
    let runs = ledger.runs(LOOKED_AT);
    let runs = runs.map_err(|error| failure::ledger(&slot.context.site, error))?;
    Ok(runs.into_iter().find(|run| run.push == push))
}

/// How it ended; none where a process still works on it.
pub(super) fn found(run: Option<&Run>) -> Option<End> {
    let Some(run) = run else {
        return Some(End::BrokenOff { run: None });
    };
    let number = Some(run.number.get());
    match run.status {
        RunStatus::Running => None,
        RunStatus::Ended(status) => Some(End::Ran { run: number, status }),
        RunStatus::BrokenOff | RunStatus::WentOn(_) => Some(End::BrokenOff { run: number }),
    }
}
