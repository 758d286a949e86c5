//! Carries out the plan of an occurrence: the one that was told, and no other.

use apu_fleet::PushId;
use apu_site::Failure;

use super::capture::Captured;
use super::clock::now;
use super::find_out::run_of;
use super::prepare::chain;
use super::slot::Slot;
use super::state::{End, PlanId};
use crate::apt_all::{self, ApplyOptions};
use crate::stored_plans::{StoredPlan, find_with_sha256};

/// The plan, where it is still the one that was told and may be carried out; why not, where it is not.
pub(super) fn plan(slot: &Slot<'_>, id: &PlanId) -> Result<StoredPlan, String> {
    let found = find_with_sha256(&slot.context.site, id.number).map_err(|error| error.to_string())?;
    match found {
        None => Err("it is not kept any more".to_owned()),
        Some((_, sha256)) if sha256 != id.sha256 => Err("it is not the one that was told".to_owned()),
        Some((plan, _)) if !plan.is_valid(now() as f64) => Err("it has expired".to_owned()),
        Some((plan, _)) => Ok(plan),
    }
}

/// Carries it out as a push of this identity. Returns how it ended, and what was printed.
pub(super) fn apply(slot: &Slot<'_>, plan: &StoredPlan, push: PushId) -> (End, String) {
    let captured = Captured::of(slot.context);
    let done = apt_all::apply_stored(&captured.context, plan, ApplyOptions::default(), push);
    let end = match done {
        Ok(pushed) => End::Ran {
            run: pushed.run.map(|run| run.get()),
            status: pushed.status,
        },
        Err(failure) => failed(slot, &failure, push),
    };
    (end, captured.text())
}

fn failed(slot: &Slot<'_>, failure: &Failure, push: PushId) -> End {
    let run = run_of(slot, push).ok().flatten();
    End::Failed {
        why: chain(failure),
        run: run.map(|run| run.number.get()),
    }
}
