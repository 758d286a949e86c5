//! What the notices of a slot say, in words and as facts.

use apu_site::fqdn;
use jiff::Timestamp;
use serde_json::{Value, json};

use super::clock::time;
use super::slot::Slot;
use super::state::{End, Occurrence, PlanId};
use crate::notices::{Notice, shortened};
use crate::view::json::json_time;

fn json_seconds(at: i64) -> String {
    json_time(Timestamp::from_second(at).unwrap_or_default())
}

/// How an occurrence ended, in a few words; `plan` is its plan.
pub(crate) fn ended(end: &End, plan: Option<u32>) -> String {
    let run = |run: &Option<u64>| run.map_or_else(|| "no run".to_owned(), |run| format!("run {run}"));
    let plan = plan.map_or_else(|| "its plan".to_owned(), |plan| format!("plan p{plan}"));
    match end {
        End::Nothing => "nothing would change".to_owned(),
        End::Skipped { by } => format!("held by {by}"),
        End::Missed { why: Some(why) } => format!("missed: {why}"),
        End::Missed { why: None } => "missed: its time passed".to_owned(),
        End::NotTold => format!("{plan} was not carried out: nobody could be told of it in time"),
        End::Withdrawn => format!("{plan} was not carried out: apu.toml says something else by now"),
        End::Failed { why, run: None } => format!("{plan} was not carried out: {why}"),
        End::Failed { why, run: Some(run) } => format!("run {run} failed: {why}"),
        End::Ran { run: of, status: 0 } => format!("{}: all hosts are well", run(of)),
        End::Ran { run: of, status: 1 } => format!("{}: not all hosts are well", run(of)),
        End::Ran { run: of, status: 130 } => format!("{}: interrupted", run(of)),
        End::Ran { run: of, status } => format!("{}: ended with status {status}", run(of)),
        End::BrokenOff { run: of } => format!("{}: broken off", run(of)),
    }
}

/// What identifies a notice of an occurrence.
fn id(slot: &Slot<'_>, at: i64, what: &str) -> String {
    format!("{}.{at}.{what}", slot.name)
}

/// The facts that every notice of a slot has.
fn facts(slot: &Slot<'_>, notice: &str, at: i64, more: Value) -> Value {
    let mut facts = json!({
        "notice": notice,
        "server": fqdn(&slot.context.site),
        "slot": slot.name,
        "class": slot.asked.target,
        "operation": slot.asked.operation,
        "at": json_seconds(at),
    });
    if let (Some(facts), Value::Object(more)) = (facts.as_object_mut(), more) {
        facts.extend(more);
    }
    facts
}

/// The notice of a plan; `text` is the plan itself, and `summary` that in one line.
pub(super) fn plan_notice(slot: &Slot<'_>, at: i64, plan: &PlanId, text: &str, summary: &str) -> Notice {
    let (name, number, target) = (slot.name, plan.number, &slot.asked.target);
    let operation = slot.asked.operation;
    let when = time(at);
    let server = fqdn(&slot.context.site);
    let text = shortened(text, &format!("apu show p{number} -v"));
    let text = format!(
        "At {when}, {server} does what is below on {target}, and nothing else.\n\n\
         to hold it: sudo apu slots skip {name}\n\
         to see it:  sudo apu show p{number}\n\n{text}"
    );
    let more = json!({
        "plan": format!("p{number}"),
        "summary": summary,
        "hold": format!("apu slots skip {name}"),
    });
    Notice {
        subject: format!("[apu] {name}: {operation} of {target} at {when}: {summary}"),
        text,
        facts: facts(slot, "planned", at, more),
        id: id(slot, at, &format!("p{number}")),
        follows: None,
    }
}

/// The notice of an end; `text` is what was printed then.
pub(super) fn end_notice(
    slot: &Slot<'_>,
    occurrence: &Occurrence,
    end: &End,
    plan: Option<u32>,
    text: &str,
) -> Notice {
    let (name, target, at) = (slot.name, &slot.asked.target, occurrence.at);
    let said = ended(end, plan);
    let run = match end {
        End::Ran { run, .. } | End::BrokenOff { run } | End::Failed { run, .. } => *run,
        _ => None,
    };
    let (operation, when) = (slot.asked.operation, time(at));
    let mut told = format!("{operation} of {target} at {when}: {said}\n");
    let advice = match (end, run) {
        (End::BrokenOff { .. }, Some(run)) => Some(format!(
            "apu resume {run}, which finds out what became of its hosts and goes on"
        )),
        (_, Some(run)) => Some(format!("apu show {run}")),
        (End::Missed { .. } | End::NotTold, None) => {
            Some(format!("apt-all {} {operation}", apu_archive::quote(target)))
        }
        _ => None,
    };
    if let Some(advice) = advice {
        told += &format!("try: {advice}\n");
    }
    if !text.is_empty() {
        let rest = run.map_or_else(|| "apu runs".to_owned(), |run| format!("apu show {run} -v"));
        told += &format!("\n{}", shortened(text, &rest));
    }
    let more = json!({
        "plan": plan.map(|plan| format!("p{plan}")),
        "run": run,
        "end": end,
        "well": end.is_well(),
    });
    Notice {
        subject: format!("[apu] {name}: {said}"),
        text: told,
        facts: facts(slot, "ended", at, more),
        id: id(slot, at, "end"),
        follows: plan.map(|plan| id(slot, at, &format!("p{plan}"))),
    }
}
