//! Prepares an occurrence: its hosts fetch their lists, make the plan that is kept, and fetch its packages.

use std::error::Error;

use apu_site::Failure;

use super::capture::Captured;
use super::slot::Slot;
use super::state::PlanId;
use crate::apt_all::{self, Pushed};
use crate::stored_plans::find_with_sha256;
use crate::view::plans::counted;

/// What was found out.
pub(super) enum Prepared {
    /// Nothing would change, on any host.
    Nothing,
    /// A plan is kept.
    Plan {
        plan: PlanId,
        /// It in words, with the hosts that are not in it.
        text: String,
        /// It in one line.
        summary: String,
    },
}

/// Prepares; why that failed, where it did.
pub(super) fn prepare(slot: &Slot<'_>) -> Result<Prepared, String> {
    let (context, asked) = (slot.context, &slot.asked);
    let refreshed = apt_all::refresh(&Captured::of(context).context, asked);
    let refreshed = refreshed.map_err(|failure| chain(&failure))?;
    stopped(&refreshed)?;
    let captured = Captured::of(context);
    let planned = apt_all::plan(&captured.context, asked).map_err(|failure| chain(&failure))?;
    stopped(&planned)?;
    let Some(number) = planned.plan else {
        return match planned.status {
            0 => Ok(Prepared::Nothing),
            _ => Err("no host could say what would change".to_owned()),
        };
    };
    let (plan, sha256) = find_with_sha256(&context.site, number)
        .map_err(|error| format!("plan p{number} cannot be read: {error}"))?
        .ok_or_else(|| format!("plan p{number} is not there"))?;
    let mut text = without_last_line(&captured.text());
    let fetched = apt_all::download(&Captured::of(context).context, asked);
    let problem = match fetched {
        Ok(Pushed { status: 0, .. }) => None,
        Ok(pushed) => {
            stopped(&pushed)?;
            let run = pushed
                .run
                .map_or_else(String::new, |run| format!(": apu show {run}"));
            Some(format!("not every host could fetch the packages ahead{run}"))
        }
        Err(failure) => Some(format!("no packages were fetched ahead: {}", chain(&failure))),
    };
    if let Some(problem) = problem {
        text += &format!("{problem}\n");
    }
    Ok(Prepared::Plan {
        plan: PlanId { number, sha256 },
        text,
        summary: counted(&plan.hosts.iter().map(|(_, plan)| plan).collect::<Vec<_>>()),
    })
}

/// An interrupted push has said nothing of its hosts.
fn stopped(pushed: &Pushed) -> Result<(), String> {
    match pushed.status {
        130 => Err("it was interrupted".to_owned()),
        _ => Ok(()),
    }
}

/// What a plan says, without the line that names its number: a notice does that itself.
fn without_last_line(text: &str) -> String {
    let mut lines: Vec<&str> = text.lines().collect();
    if lines.last().is_some_and(|line| line.starts_with("plan p")) {
        lines.pop();
    }
    lines.iter().map(|line| format!("{line}\n")).collect()
}

/// A failure and its reasons, on one line.
pub(super) fn chain(failure: &Failure) -> String {
    let mut text = failure.to_string();
    let mut next = failure.source();
    while let Some(reason) = next {
        text += &format!(": {reason}");
        next = reason.source();
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_line_with_the_number_of_the_plan_is_not_told_twice() {
        let text =
            "web1: 1 change: 1 upgraded\n  a  1 -> 2\nplan p3 is kept; to carry it out: apu apply p3\n";
        assert_eq!(
            without_last_line(text),
            "web1: 1 change: 1 upgraded\n  a  1 -> 2\n"
        );
    }

    #[test]
    fn a_failure_is_told_with_its_reasons() {
        let failure = Failure::words("one").why(Failure::words("two").why(Failure::words("three")));
        assert_eq!(chain(&failure), "one: two: three");
    }
}
