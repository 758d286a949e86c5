//! Works for one slot: does what is decided, one step after the other. What is about to be done is on the disk before it is done, and
//! what was done after it.

use std::sync::atomic::{AtomicBool, Ordering};

use apu_site::settings::TellOn;
use apu_site::{Failure, say};

use super::clock::{now, time};
use super::decide::Step;
use super::prepare::Prepared;
use super::slot::{Slot, over};
use super::state::{End, Occurrence, PlanId, SlotState, State};
use super::{apply, find_out, prepare, words};
use crate::notices::{self, Notice, Told};
use crate::one_phase::new_push;

/// Whether all that was to be done now is well.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Well(pub(super) bool);

/// Does all that is to be done now, unless another process does.
///
/// # Errors
/// Where it cannot be told or kept how far the slot is, and where the slot cannot be as apu.toml has it.
pub(super) fn work(slot: &Slot<'_>, stop: &AtomicBool) -> Result<Well, Failure> {
    let Some(_at_work) = slot.store.work()? else {
        return Ok(Well(true));
    };
    let mut well = Well(true);
    while !stop.load(Ordering::Relaxed) {
        let mut state = slot.store.read()?;
        if state.now.is_none() {
            let Some(next) = slot.next(&state, now())? else {
                break;
            };
            state = slot.store.change(|state| {
                state.now.get_or_insert(next);
                state.clone()
            })?;
        }
        let Some(occurrence) = state.now else { break };
        if !step(slot, &occurrence, &mut well)? {
            break;
        }
    }
    Ok(well)
}

/// Does the next step; whether there may be another.
fn step(slot: &Slot<'_>, occurrence: &Occurrence, well: &mut Well) -> Result<bool, Failure> {
    let next = slot.step(occurrence, now());
    match (next, &occurrence.state) {
        (Step::Prepare, _) => prepare_it(slot, occurrence, well),
        (
            Step::Tell,
            State::Planned {
                plan, text, summary, ..
            },
        ) => {
            let notice = words::plan_notice(slot, occurrence.at, plan, text, summary);
            tell_plan(slot, occurrence, &notice, well)
        }
        (Step::Apply, State::Planned { plan, .. }) => apply_it(slot, occurrence, plan, well),
        (Step::FindOut, State::Applying { push, .. }) => {
            let run = find_out::run_of(slot, *push)?;
            match find_out::found(run.as_ref()) {
                Some(how) => end(slot, occurrence, &how, "", well),
                None => Ok(false),
            }
        }
        (Step::End(how), _) => end(slot, occurrence, &how, "", well),
        (Step::TellEnd, State::Ended { end, plan, text, .. }) => tell_end(slot, occurrence, end, *plan, text),
        (Step::Next, _) => {
            slot.store.change(|state| {
                if same(state, occurrence).is_some() {
                    over(state);
                }
            })?;
            Ok(true)
        }
        // Nothing now; the others are decided by states of their own.
        _ => Ok(false),
    }
}

/// The occurrence as it is kept, where it is still this one, in this state.
fn same<'a>(state: &'a mut SlotState, occurrence: &Occurrence) -> Option<&'a mut Occurrence> {
    (state.now.as_mut()).filter(|now| now.at == occurrence.at && now.state == occurrence.state)
}

fn prepare_it(slot: &Slot<'_>, occurrence: &Occurrence, well: &mut Well) -> Result<bool, Failure> {
    let ui = &slot.context.ui;
    say!(
        ui,
        "slot {}: the plan for {} is made",
        slot.name,
        time(occurrence.at)
    );
    let tried = State::Waiting {
        tried: Some(now()),
        why: None,
    };
    let mut trying = occurrence.clone();
    trying.state = tried.clone();
    let begins = slot.store.change(|state| {
        let same = same(state, occurrence);
        same.map(|occurrence| occurrence.state = tried).is_some()
    })?;
    if !begins {
        return Ok(true);
    }
    let state = match prepare::prepare(slot) {
        Ok(Prepared::Nothing) => State::Ended {
            end: End::Nothing,
            plan: None,
            text: String::new(),
            told: false,
        },
        Ok(Prepared::Plan { plan, text, summary }) => State::Planned {
            plan,
            text: notices::shortened(&text, "apu show"),
            summary,
            told: None,
        },
        Err(why) => {
            well.0 = false;
            ui.complain(&format!(
                "warning: slot {}: no plan was made\n  why: {why}\n",
                slot.name
            ));
            State::Waiting {
                tried: Some(now()),
                why: Some(why),
            }
        }
    };
    let goes_on = !matches!(state, State::Waiting { .. });
    slot.store.change(|kept| {
        if let Some(occurrence) = same(kept, &trying) {
            occurrence.state = state;
        }
    })?;
    Ok(goes_on)
}

/// Carries out the plan, where it is still the one that was told.
fn apply_it(
    slot: &Slot<'_>,
    occurrence: &Occurrence,
    plan: &PlanId,
    well: &mut Well,
) -> Result<bool, Failure> {
    let stored = match apply::plan(slot, plan) {
        Ok(stored) => stored,
        Err(why) => return end(slot, occurrence, &End::Failed { why, run: None }, "", well),
    };
    let push = new_push()?;
    let mut begun = occurrence.clone();
    begun.state = State::Applying {
        plan: plan.clone(),
        push,
    };
    // From here on it has begun, and does not begin again. Somebody may have held it since it was read.
    let applying = begun.state.clone();
    let begins = slot.store.change(|state| {
        let same = same(state, occurrence).filter(|kept| slot.step(kept, now()) == Step::Apply);
        same.map(|occurrence| occurrence.state = applying).is_some()
    })?;
    if !begins {
        return Ok(true);
    }
    say!(
        slot.context.ui,
        "slot {}: plan p{} is carried out",
        slot.name,
        plan.number
    );
    let (how, text) = apply::apply(slot, &stored, push);
    end(slot, &begun, &how, &text, well)
}

/// Tells the plan. Where that fails it is tried again the next time.
fn tell_plan(
    slot: &Slot<'_>,
    occurrence: &Occurrence,
    notice: &Notice,
    well: &mut Well,
) -> Result<bool, Failure> {
    let told = tell(slot, notice);
    well.0 &= told.is_delivered;
    let (is_delivered, warning) = (told.is_delivered, warning(&told));
    slot.store.change(|state| {
        if let Some(occurrence) = same(state, occurrence) {
            occurrence.warning = warning;
            if let State::Planned { told, .. } = &mut occurrence.state {
                *told = is_delivered.then(now);
            }
        }
    })?;
    Ok(is_delivered)
}

/// Writes down how it ended, which is told next.
fn end(
    slot: &Slot<'_>,
    occurrence: &Occurrence,
    how: &End,
    text: &str,
    well: &mut Well,
) -> Result<bool, Failure> {
    let plan = match &occurrence.state {
        State::Planned { plan, .. } | State::Applying { plan, .. } => Some(plan.number),
        State::Waiting { .. } | State::Ended { .. } => None,
    };
    well.0 &= how.is_well();
    let ended = State::Ended {
        end: how.clone(),
        plan,
        text: notices::shortened(text, "apu runs"),
        told: false,
    };
    let is_written = slot.store.change(|state| {
        let same = same(state, occurrence);
        same.map(|occurrence| occurrence.state = ended).is_some()
    })?;
    if is_written {
        let line = format!("slot {}: {}\n", slot.name, words::ended(how, plan));
        match how.is_well() {
            true => slot.context.ui.show(&line),
            false => slot.context.ui.complain(&format!("warning: {line}")),
        }
    }
    Ok(true)
}

/// Tells how it ended, once: a run is over whether that is delivered or not.
fn tell_end(
    slot: &Slot<'_>,
    occurrence: &Occurrence,
    end: &End,
    plan: Option<u32>,
    text: &str,
) -> Result<bool, Failure> {
    let is_wanted = !(end.is_well() && slot.context.settings.notices.on == TellOn::Failure);
    let warning = if is_wanted {
        warning(&tell(slot, &words::end_notice(slot, occurrence, end, plan, text)))
    } else {
        None
    };
    slot.store.change(|state| {
        if let Some(occurrence) = same(state, occurrence) {
            occurrence.warning = warning;
            if let State::Ended { told, .. } = &mut occurrence.state {
                *told = true;
            }
        }
    })?;
    Ok(true)
}

fn tell(slot: &Slot<'_>, notice: &Notice) -> Told {
    let told = notices::tell(&slot.context.site, slot.ways(), notice);
    for why in &told.warnings {
        let line = format!("warning: slot {}: {why}\n", slot.name);
        slot.context.ui.complain(&line);
    }
    told
}

fn warning(told: &Told) -> Option<String> {
    (!told.warnings.is_empty()).then(|| told.warnings.join("; "))
}
