//! `apu slots`: the times at which classes are updated without a hand, how far each is, and how one is held.

use apu_proto::Operation;
use apu_site::{Failure, report, say};
use clap::Subcommand;
use jiff::Timestamp;
use serde::Serialize;

use super::plans;
use super::recorded::say_json;
use crate::context::Context;
use crate::slots::{self, End, Occurrence, Slot, SlotState, State, ended, now, time};
use crate::view::clean::clean;
use crate::view::json::json_time;
use crate::who::Who;

/// List the slots: the times at which a class is updated without a hand, as [slot.NAME] of apu.toml says.
///
/// The plan of a slot is made and told ahead. At its time that plan is carried out, and no other. See apu.toml(5).
#[derive(Debug, clap::Args)]
#[command(
    args_conflicts_with_subcommands = true,
    after_help = "\
Examples:
  sudo apu slots
  sudo apu slots skip thursday"
)]
// The brackets are shown in the help; they are no link.
#[allow(rustdoc::broken_intra_doc_links)]
pub(super) struct Args {
    #[command(subcommand)]
    command: Option<Command>,

    /// Print JSON, a slot a line.
    #[arg(long)]
    json: bool,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Hold the next time of a slot: its plan is not carried out. The time after that is not held.
    #[command(after_help = "\
Examples:
  sudo apu slots skip thursday")]
    Skip(Name),
    /// Let the next time of a slot go on that was held.
    #[command(after_help = "\
Examples:
  sudo apu slots unskip thursday")]
    Unskip(Name),
    /// Do what is to be done now: make plans and tell them, carry out those whose time has come. apu-slots.timer calls it every five
    /// minutes.
    ///
    /// Exit status: 0 all well, 1 something is not, 2 a slot cannot be used as it is written, 3 this machine failed.
    #[command(after_help = "\
Examples:
  sudo apu slots run")]
    Run,
}

#[derive(Debug, clap::Args)]
struct Name {
    /// The slot's name, as in [slot.NAME].
    #[arg(value_name = "SLOT")]
    name: String,
}

pub(super) fn run(context: &Context, args: &Args) -> Result<u8, Failure> {
    match &args.command {
        None => list(context, args.json),
        Some(Command::Skip(Name { name })) => hold(context, name, true),
        Some(Command::Unskip(Name { name })) => hold(context, name, false),
        Some(Command::Run) => slots::run(context),
    }
}

fn hold(context: &Context, name: &str, is_held: bool) -> Result<u8, Failure> {
    let slot = Slot::named(context, name)?;
    let who = Who::here();
    let at = slot.hold(is_held.then(|| who.name()), now())?;
    let Some(at) = at.map(time) else {
        return Err(Failure::words(format!("slot {name} does not come again")).advise("apu slots"));
    };
    match is_held {
        true => say!(
            context.ui,
            "slot {name} is held at {at}; to let it go on: apu slots unskip {name}"
        ),
        false => say!(context.ui, "slot {name} goes on at {at}"),
    }
    Ok(0)
}

fn list(context: &Context, json: bool) -> Result<u8, Failure> {
    if context.settings.slot.is_empty() && !json {
        say!(context.ui, "there is no slot; apu.toml(5) has an example");
    }
    let mut status = 0;
    for slot in Slot::all(context) {
        if let Err(failure) = slot.and_then(|slot| show(&slot, json)) {
            // The others are listed all the same.
            let (text, of_failure) = report(&failure);
            context.ui.complain(&text);
            status = status.max(of_failure);
        }
    }
    Ok(status)
}

fn show(slot: &Slot<'_>, json: bool) -> Result<(), Failure> {
    let now = now();
    let state = slot.look(now)?;
    if json {
        say_json(slot.context, &Facts::of(slot, &state))?;
    } else {
        slot.context.ui.show(&lines(slot, &state));
    }
    slot.check(now)
}

/// A slot in words.
fn lines(slot: &Slot<'_>, state: &SlotState) -> String {
    let (name, asked) = (slot.name, &slot.asked);
    let mut text = format!("{name}: {} {}", clean(&asked.target), asked.operation);
    match &state.now {
        None => text += ", does not come again\n",
        Some(occurrence) => {
            let how = how_far(slot, occurrence);
            text += &format!(", {}: {}\n", time(occurrence.at), clean(&how));
        }
    }
    if let Some((last, end, plan)) = last(state) {
        text += &format!("  {}: {}\n", time(last.at), clean(&ended(end, plan)));
    }
    for warning in warnings(state) {
        text += &format!("  warning: {}\n", clean(warning));
    }
    text
}

/// How far an occurrence is, in words.
fn how_far(slot: &Slot<'_>, occurrence: &Occurrence) -> String {
    if let Some(by) = &occurrence.skipped_by {
        return format!("held by {by}");
    }
    match &occurrence.state {
        State::Waiting { why: Some(why), .. } => format!("no plan as yet: {why}"),
        State::Waiting { why: None, .. } => {
            format!("waiting, its plan is made {}", time(slot.plans_at(occurrence)))
        }
        State::Planned {
            plan, told: Some(_), ..
        } => format!("planned as {}", plans::name(plan.number)),
        State::Planned { plan, told: None, .. } => {
            format!("planned as {}, which is not told yet", plans::name(plan.number))
        }
        State::Applying { plan, .. } => format!("{} is carried out", plans::name(plan.number)),
        State::Ended { end, plan, .. } => ended(end, *plan),
    }
}

/// The last occurrence that is over, with its end and its plan.
fn last(state: &SlotState) -> Option<(&Occurrence, &End, Option<u32>)> {
    let last = state.last.as_ref()?;
    match &last.state {
        State::Ended { end, plan, .. } => Some((last, end, *plan)),
        _ => None,
    }
}

fn warnings(state: &SlotState) -> impl Iterator<Item = &str> {
    let occurrences = state.last.iter().chain(&state.now);
    occurrences.filter_map(|occurrence| occurrence.warning.as_deref())
}

/// A slot in JSON.
#[derive(Serialize)]
struct Facts<'a> {
    slot: &'a str,
    class: &'a str,
    operation: Operation,
    at: &'a str,
    notice: u64,
    next: Option<String>,
    state: Option<&'static str>,
    plan: Option<String>,
    held_by: Option<&'a str>,
    last: Option<Last<'a>>,
    warnings: Vec<&'a str>,
}

/// How the occurrence before ended, in JSON.
#[derive(Serialize)]
struct Last<'a> {
    at: String,
    plan: Option<String>,
    #[serde(flatten)]
    end: &'a End,
}

impl<'a> Facts<'a> {
    fn of(slot: &'a Slot<'_>, state: &'a SlotState) -> Self {
        let at = |seconds: i64| json_time(Timestamp::from_second(seconds).unwrap_or_default());
        let now = state.now.as_ref();
        let plan = now.and_then(|now| match &now.state {
            State::Planned { plan, .. } | State::Applying { plan, .. } => Some(plan.number),
            State::Waiting { .. } | State::Ended { .. } => None,
        });
        let word = |now: &Occurrence| match (&now.skipped_by, &now.state) {
            (Some(_), State::Waiting { .. } | State::Planned { .. }) => "held",
            (_, State::Waiting { .. }) => "waiting",
            (_, State::Planned { told: None, .. }) => "planned",
            (_, State::Planned { .. }) => "told",
            (_, State::Applying { .. }) => "applying",
            (_, State::Ended { .. }) => "ended",
        };
        Self {
            slot: slot.name,
            class: &slot.asked.target,
            operation: slot.asked.operation,
            at: slot.settings.at.as_str(),
            notice: slot.settings.notice.as_secs(),
            next: now.map(|now| at(now.at)),
            state: now.map(word),
            plan: plan.map(plans::name),
            held_by: now.and_then(|now| now.skipped_by.as_deref()),
            last: last(state).map(|(last, end, plan)| Last {
                at: at(last.at),
                plan: plan.map(plans::name),
                end,
            }),
            warnings: warnings(state).collect(),
        }
    }
}
