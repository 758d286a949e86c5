//! The queue: which hosts of a push wait for another turn.

use std::collections::HashMap;
use std::sync::Arc;

use apu_fleet::{Code, Ending, HostName, Outcome, RunState, ServerCode, Trial};
use apu_ledger::RunNumber;
use apu_site::{Failure, Site, Ui, say};
use jiff::Timestamp;
use jiff::tz::TimeZone;

use super::args::Shown;
use crate::failure::ledger as ledger_failure;
use crate::ledger::made;
use crate::view::groups::set;
use crate::view::run_facts::when;

/// Why a host that ended so waits for another turn; none where another turn would not help, or where it has had its own.
pub(crate) fn why_queued(ending: &Ending) -> Option<&'static str> {
    let code = match ending.reason.as_ref()?.code() {
        Code::Server(code) => code,
        Code::Client(_) => return None,
    };
    match (ending.outcome, code) {
        // These need a hand, and no time.
        (
            Outcome::Unreachable,
            ServerCode::UnknownHostKey
            | ServerCode::ChangedHostKey
            | ServerCode::KeyRefused
            | ServerCode::NoCommonAlgorithm
            | ServerCode::Here,
        ) => None,
        (Outcome::Unreachable, _) => Some("unreachable"),
        (Outcome::Skipped, ServerCode::Held) => Some("held"),
        (Outcome::Skipped, ServerCode::Window) => Some("window"),
        _ => None,
    }
}

/// A host that waits, why, and what it was approved to do.
pub(super) type Waiting = (HostName, &'static str, Option<Arc<Trial>>);

/// The hosts that wait for another turn of a push in this state.
pub(super) fn waiting(run: &RunState, approved: &HashMap<HostName, Arc<Trial>>) -> Vec<Waiting> {
    let waiting = run
        .endings()
        .filter_map(|(host, ending)| Some((host.clone(), why_queued(ending)?, approved.get(host).cloned())));
    waiting.collect()
}

/// Queues the hosts that wait, and says so.
pub(super) fn enqueue(
    (ui, shown): (&Ui, Shown),
    site: &Site,
    run: RunNumber,
    waiting: &[Waiting],
    until: Timestamp,
) -> Result<(), Failure> {
    if waiting.is_empty() {
        return Ok(());
    }
    let hosts = waiting
        .iter()
        .map(|(host, why, trial)| (host, *why, trial.as_deref()));
    let queued = made(site).and_then(|mut ledger| ledger.enqueue(run, hosts, (Timestamp::now(), until)));
    queued.map_err(|error| ledger_failure(site, error))?;
    if !shown.quiet {
        let names: Vec<&HostName> = waiting.iter().map(|(host, ..)| host).collect();
        let until = when(until, &TimeZone::system());
        let text = format!("{}: asked again until {until}; apu queue lists them", set(&names));
        match shown.json {
            true => ui.complain(&format!("{text}\n")),
            false => say!(ui, "{text}"),
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use apu_fleet::ServerCause;

    use super::*;

    #[test]
    fn who_only_needs_time_waits_and_who_needs_a_hand_does_not() {
        let why = |outcome, cause: ServerCause| why_queued(&Ending::without_result(outcome, cause, None));
        let held = || ServerCause::HeldByRun {
            run: "411".into(),
            operation: "upgrade".into(),
            by: "alice".into(),
        };
        let closed = ServerCause::OutsideWindows {
            class: "all".into(),
            windows: Vec::new(),
        };
        for (outcome, cause, expected) in [
            (Outcome::Unreachable, ServerCause::TimedOut, Some("unreachable")),
            (
                Outcome::Unreachable,
                ServerCause::ConnectionRefused,
                Some("unreachable"),
            ),
            (Outcome::Unreachable, ServerCause::HostKeyChanged, None),
            (Outcome::Unreachable, ServerCause::KeyRefused, None),
            (Outcome::Skipped, held(), Some("held")),
            (Outcome::Skipped, closed, Some("window")),
            (Outcome::Skipped, ServerCause::NotStarted, None),
            (Outcome::Lost, ServerCause::TimedOut, None),
        ] {
            assert_eq!(why(outcome, cause.clone()), expected, "{outcome} {cause:?}");
        }
    }
}
