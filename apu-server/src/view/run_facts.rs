//! Facts of a run and of its hosts, as the ledger has them: the words for them, and their form in JSON.

use std::collections::BTreeMap;
use std::rc::Rc;

use apu_fleet::{Description, Ending, HostName, HostReason, Outcome, PushId};
use apu_ledger::{Attempt, Outcomes, Paused, Run, RunNumber, RunStatus};
use apu_proto::{Change, RunId};
use jiff::Timestamp;
use jiff::tz::TimeZone;
use serde::Serialize;

use super::json::json_time;
use super::reason::describe;

/// When something happened, by the clock on the wall.
#[must_use]
pub fn when(at: Timestamp, zone: &TimeZone) -> String {
    at.to_zoned(zone.clone()).strftime("%F %H:%M").to_string()
}

/// How far a run is: `running`, `paused: wave 1 is inconclusive`, `ended: 3 changed, 1 failed`, `broken off`, or `went on as 413`.
#[must_use]
pub fn state(run: &Run, outcomes: &Outcomes) -> String {
    match run.status {
        RunStatus::Running => match run.paused {
            None => "running".to_owned(),
            Some(Paused::Asked) => "paused".to_owned(),
            Some(Paused::Wave(wave)) => format!("paused: wave {wave} is inconclusive"),
        },
        RunStatus::BrokenOff => "broken off".to_owned(),
        RunStatus::WentOn(next) => format!("went on as {next}"),
        RunStatus::Ended(_) => {
            let count = |outcome: Outcome| Some(format!("{} {outcome}", outcomes.get(&Some(outcome))?));
            let counts: Vec<String> = Outcome::ALL.into_iter().filter_map(count).collect();
            match counts.is_empty() {
                true => "ended".to_owned(),
                false => format!("ended: {}", counts.join(", ")),
            }
        }
    }
}

/// A text of at most so many characters, with a mark where it was cut.
#[must_use]
pub fn shorten(text: &str, most: usize, unicode: bool) -> String {
    if text.chars().count() <= most {
        return text.to_owned();
    }
    let mark = if unicode { "…" } else { "..." };
    let kept = most.saturating_sub(mark.chars().count());
    text.chars().take(kept).chain(mark.chars()).collect()
}

/// What is known of a host in a run in which it has no outcome.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Unended {
    /// It does what it was asked.
    AtWork,
    /// Its turn has not come.
    Waiting,
    /// It was asked, and the run was broken off before it answered.
    Unknown,
    /// It was never asked to change anything.
    NotAsked,
}

impl Unended {
    /// The words for it.
    #[must_use]
    pub const fn words(self) -> &'static str {
        match self {
            Self::AtWork => "at work",
            Self::Waiting => "waits for its turn",
            Self::Unknown => "unknown",
            Self::NotAsked => "not asked",
        }
    }
}

/// How a host ended in a run, or why it has not.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum HostEnd {
    /// It ended.
    Outcome(Outcome),
    /// It did not.
    Unended(Unended),
}

impl HostEnd {
    /// The word for it.
    #[must_use]
    pub const fn words(self) -> &'static str {
        match self {
            Self::Outcome(outcome) => outcome.as_str(),
            Self::Unended(unended) => unended.words(),
        }
    }

    /// The outcome, where there is one.
    #[must_use]
    pub const fn outcome(self) -> Option<Outcome> {
        match self {
            Self::Outcome(outcome) => Some(outcome),
            Self::Unended(_) => None,
        }
    }
}

/// A host of a run.
#[derive(Debug, Clone, PartialEq)]
pub struct RunHost {
    /// Its name.
    pub host: HostName,
    /// When it was about to be asked to do it.
    pub started: Option<Timestamp>,
    /// When it ended.
    pub ended: Option<Timestamp>,
    /// How long it took, in seconds.
    pub seconds: Option<f64>,
    /// How it ended, or why it has not.
    pub end: HostEnd,
    /// All that is known of its end.
    pub ending: Option<Rc<Ending>>,
}

impl RunHost {
    /// A host of a run with this status, and its end where that is final.
    #[must_use]
    pub fn of(status: RunStatus, attempt: Attempt, ending: Option<Rc<Ending>>) -> Self {
        let unended = || match (status, attempt.is_open()) {
            (RunStatus::Running, true) => Unended::AtWork,
            (RunStatus::Running, false) => Unended::Waiting,
            (_, true) => Unended::Unknown,
            (_, false) => Unended::NotAsked,
        };
        let outcome = attempt.outcome.or(ending.as_ref().map(|ending| ending.outcome));
        let end = outcome.map_or_else(|| HostEnd::Unended(unended()), HostEnd::Outcome);
        Self {
            end,
            host: attempt.host,
            started: attempt.started,
            ended: attempt.ended,
            seconds: attempt.seconds,
            ending,
        }
    }

    /// The packages that changed there.
    #[must_use]
    pub fn changes(&self) -> &[Change] {
        let result = self.ending.as_ref().and_then(|ending| ending.result.as_ref());
        let report = result.and_then(|result| result.packages());
        report.map_or(&[], |report| &report.changes)
    }

    /// Why it did not end well.
    #[must_use]
    pub fn reason(&self) -> Option<&HostReason> {
        self.ending.as_ref()?.reason.as_ref()
    }
}

/// A run in JSON.
#[derive(Debug, Serialize)]
pub struct RunFacts<'a> {
    run: RunNumber,
    push: PushId,
    #[serde(skip_serializing_if = "Option::is_none")]
    id: Option<RunId>,
    #[serde(skip_serializing_if = "Option::is_none")]
    parent: Option<RunNumber>,
    #[serde(skip_serializing_if = "Option::is_none")]
    next: Option<RunNumber>,
    operation: &'a str,
    target: &'a str,
    by: &'a str,
    began: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    ended: Option<String>,
    state: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    inconclusive_wave: Option<usize>,
    #[serde(skip_serializing_if = "Option::is_none")]
    status: Option<u8>,
}

impl<'a> RunFacts<'a> {
    /// The facts of a run.
    #[must_use]
    pub fn of(run: &'a Run) -> Self {
        let (state, status) = match run.status {
            RunStatus::Running if run.paused.is_some() => ("paused", None),
            RunStatus::Running => ("running", None),
            RunStatus::Ended(status) => ("ended", Some(status)),
            RunStatus::BrokenOff => ("broken-off", None),
            RunStatus::WentOn(_) => ("went-on", None),
        };
        let next = match run.status {
            RunStatus::WentOn(next) => Some(next),
            _ => None,
        };
        Self {
            run: run.number,
            push: run.push,
            id: run.client_run,
            parent: run.parent,
            next,
            operation: &run.operation,
            target: &run.target,
            by: &run.by,
            began: json_time(run.begun),
            ended: run.ended.map(json_time),
            state,
            inconclusive_wave: match run.paused {
                Some(Paused::Wave(wave)) if run.status == RunStatus::Running => Some(wave),
                _ => None,
            },
            status,
        }
    }
}

/// A run in JSON, with how many of its hosts ended how.
#[derive(Debug, Serialize)]
pub struct CountedRun<'a> {
    #[serde(flatten)]
    run: RunFacts<'a>,
    hosts: usize,
    outcomes: BTreeMap<Outcome, usize>,
}

impl<'a> CountedRun<'a> {
    /// A run and its numbers.
    #[must_use]
    pub fn of(run: &'a Run, outcomes: &Outcomes) -> Self {
        let known = |(outcome, count): (&Option<Outcome>, &usize)| Some(((*outcome)?, *count));
        Self {
            run: RunFacts::of(run),
            hosts: outcomes.values().sum(),
            outcomes: outcomes.iter().filter_map(known).collect(),
        }
    }
}

/// A host of a run in JSON.
#[derive(Debug, Serialize)]
pub struct HostFacts<'a> {
    host: &'a HostName,
    #[serde(skip_serializing_if = "Option::is_none")]
    host_started: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    host_ended: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    outcome: Option<Outcome>,
    #[serde(skip_serializing_if = "Option::is_none")]
    host_state: Option<Unended>,
    #[serde(skip_serializing_if = "Option::is_none")]
    seconds: Option<f64>,
    changes: &'a [Change],
    #[serde(skip_serializing_if = "Option::is_none")]
    reason: Option<&'a HostReason>,
    #[serde(flatten)]
    description: Option<Description>,
}

impl<'a> HostFacts<'a> {
    /// The facts of a host.
    #[must_use]
    pub fn of(host: &'a RunHost) -> Self {
        let host_state = match host.end {
            HostEnd::Outcome(_) => None,
            HostEnd::Unended(unended) => Some(unended),
        };
        let reason = host.reason();
        Self {
            host: &host.host,
            host_started: host.started.map(json_time),
            host_ended: host.ended.map(json_time),
            outcome: host.end.outcome(),
            host_state,
            seconds: host.seconds,
            changes: host.changes(),
            reason,
            description: reason.map(|reason| describe(&host.host, reason)),
        }
    }
}

/// A run like any other, for tests.
#[cfg(test)]
pub(crate) fn example_run(number: u32) -> Run {
    Run {
        number: serde_json::from_str(&number.to_string()).unwrap(),
        push: PushId::from_bytes([1; 16]),
        client_run: Some(RunId::from_bytes([7; 16])),
        parent: None,
        operation: "upgrade --yes".into(),
        request: "apu/1 upgrade".into(),
        target: "web".into(),
        by: "alice".into(),
        begun: Timestamp::from_second(1_700_000_000).unwrap(),
        ended: Some(Timestamp::from_second(1_700_000_060).unwrap()),
        status: RunStatus::Ended(0),
        paused: None,
        min_age: None,
        allow_restart: Vec::new(),
        owner: None,
    }
}

/// A host whose packages changed, for tests: each with the version before and after.
#[cfg(test)]
pub(super) fn example_host(
    name: &str,
    outcome: Outcome,
    changes: &[(&str, Option<&str>, Option<&str>)],
) -> RunHost {
    let mut result = apu_proto::RunResult::new(apu_proto::ClientOutcome::Changed);
    let change = |(package, old, new): &(&str, Option<&str>, Option<&str>)| Change {
        package: package.parse().unwrap(),
        old: old.map(str::to_owned),
        new: new.map(str::to_owned),
    };
    result.packages_mut().changes = changes.iter().map(change).collect();
    let mut ending = Ending::of_result(Box::new(result), None);
    ending.outcome = outcome;
    RunHost {
        host: name.parse().unwrap(),
        started: Some(Timestamp::from_second(1_700_000_001).unwrap()),
        ended: Some(Timestamp::from_second(1_700_000_003).unwrap()),
        seconds: Some(2.0),
        end: HostEnd::Outcome(outcome),
        ending: Some(ending.into()),
    }
}

#[cfg(test)]
mod tests {
    use super::super::json::json_line;
    use super::*;

    #[test]
    fn a_state_counts_the_hosts_of_a_run_that_has_ended() {
        let outcomes = [(Some(Outcome::Failed), 1), (Some(Outcome::Changed), 3), (None, 2)].into();
        let state = |status, paused, outcomes: &Outcomes| {
            let run = Run {
                status,
                paused,
                ..example_run(412)
            };
            state(&run, outcomes)
        };
        assert_eq!(
            state(RunStatus::Ended(1), None, &outcomes),
            "ended: 3 changed, 1 failed"
        );
        assert_eq!(state(RunStatus::Running, None, &outcomes), "running");
        assert_eq!(state(RunStatus::BrokenOff, None, &outcomes), "broken off");
        assert_eq!(state(RunStatus::Ended(0), None, &Outcomes::new()), "ended");
        let paused = |paused| state(RunStatus::Running, Some(paused), &outcomes);
        assert_eq!(paused(Paused::Asked), "paused");
        assert_eq!(paused(Paused::Wave(2)), "paused: wave 2 is inconclusive");
        // Its process was killed in the pause.
        assert_eq!(
            state(RunStatus::BrokenOff, Some(Paused::Asked), &outcomes),
            "broken off"
        );
    }

    #[test]
    fn a_run_that_is_paused_says_so_in_json() {
        let run = Run {
            status: RunStatus::Running,
            ended: None,
            paused: Some(Paused::Wave(2)),
            ..example_run(412)
        };
        let json = json_line(&CountedRun::of(&run, &Outcomes::new())).unwrap();
        assert!(
            json.contains("\"state\":\"paused\",\"inconclusive_wave\":2,"),
            "{json}"
        );
    }

    #[test]
    fn a_text_is_cut_with_a_mark_that_the_terminal_has() {
        assert_eq!(shorten("größer", 6, true), "größer");
        assert_eq!(shorten("größeres", 6, true), "größe…");
        assert_eq!(shorten("größeres", 6, false), "grö...");
    }

    #[test]
    fn a_run_and_a_host_have_these_fields() {
        let run = Run {
            parent: serde_json::from_str("411").unwrap(),
            ..example_run(412)
        };
        let outcomes = [(Some(Outcome::Changed), 3), (None, 2)].into();
        assert_eq!(
            json_line(&CountedRun::of(&run, &outcomes)).unwrap(),
            "{\"run\":412,\"push\":\"01010101010101010101010101010101\",\"id\":\"07070707070707070707070707070707\",\
             \"parent\":411,\"operation\":\"upgrade --yes\",\"target\":\"web\",\"by\":\"alice\",\
             \"began\":\"2023-11-14T22:13:20.000Z\",\"ended\":\"2023-11-14T22:14:20.000Z\",\"state\":\"ended\",\"status\":0,\
             \"hosts\":5,\"outcomes\":{\"changed\":3}}\n"
        );
        let host = example_host("web1", Outcome::Changed, &[("a:all", Some("1"), Some("2"))]);
        assert_eq!(
            json_line(&HostFacts::of(&host)).unwrap(),
            "{\"host\":\"web1\",\"host_started\":\"2023-11-14T22:13:21.000Z\",\"host_ended\":\"2023-11-14T22:13:23.000Z\",\
             \"outcome\":\"changed\",\"seconds\":2.0,\"changes\":[{\"package\":\"a:all\",\"old\":\"1\",\"new\":\"2\"}]}\n"
        );
        let unended = RunHost {
            started: None,
            ended: None,
            seconds: None,
            end: HostEnd::Unended(Unended::NotAsked),
            ending: None,
            ..host
        };
        assert_eq!(
            json_line(&HostFacts::of(&unended)).unwrap(),
            "{\"host\":\"web1\",\"host_state\":\"not-asked\",\"changes\":[]}\n"
        );
    }
}
