//! The events of a push: facts in the order in which they happened, owned, serialisable, without any display setting.
//!
//! They are the lines of `apt-all --json`, which apu-events(7) documents.

use std::collections::BTreeMap;

use apu_debian::PackageKey;
use apu_proto::{Operation, PackageArg, Phase as Activity, RunId, StalledProcess};
use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use crate::hook::{Hook, ProgramEnd};
use crate::name::HostName;
use crate::outcome::{Ending, Outcome};
use crate::push_id::PushId;

/// An event, its time, and the push that it belongs to.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct TimedEvent {
    /// When it happened, in UTC; written as RFC 3339 has it, with milliseconds.
    #[serde(with = "rfc3339")]
    pub at: Timestamp,
    /// The push.
    pub push: PushId,
    /// What happened.
    #[serde(flatten)]
    pub event: Event,
}

mod rfc3339 {
    //! A time in JSON: `2026-11-05T06:07:08.009Z`.

    use jiff::Timestamp;
    use serde::de::{Deserialize, Deserializer, Error};
    use serde::ser::Serializer;

    // serde asks for a reference.
    #[allow(clippy::trivially_copy_pass_by_ref)]
    pub(super) fn serialize<S: Serializer>(at: &Timestamp, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(&format_args!("{at:.3}"))
    }

    pub(super) fn deserialize<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Timestamp, D::Error> {
        let text = String::deserialize(deserializer)?;
        text.parse().map_err(D::Error::custom)
    }
}

/// A part of a push, in which each of its hosts gets one request.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Phase {
    /// The hosts fetch the lists of the site's archives, where something was published for this push.
    RefreshLists,
    /// The hosts tell what would change.
    Plan,
    /// An administrator is asked whether to go on; no host is asked anything.
    Approve,
    /// The hosts do it.
    Apply,
    /// The hosts answer, and nothing changes there: `ping`, `status`, `check`, and following a run.
    Ask,
    /// One that a later version knows.
    #[serde(other)]
    Unknown,
}

impl Phase {
    /// The word for it.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::RefreshLists => "refresh-lists",
            Self::Plan => "plan",
            Self::Approve => "approve",
            Self::Apply => "apply",
            Self::Ask => "ask",
            Self::Unknown => "unknown",
        }
    }

    /// The phase in which an operation is carried out.
    #[must_use]
    pub const fn of(operation: Operation) -> Self {
        if operation.is_a_run() {
            Self::Apply
        } else {
            Self::Ask
        }
    }
}

/// What became of a wave.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum WaveVerdict {
    /// Its hosts are well, but for those that could not be reached: the next wave starts.
    Passed,
    /// Too many of its hosts did not end well.
    Failed,
    /// Whether its hosts are well cannot be told.
    Inconclusive,
    /// The same, and an administrator let the next wave start.
    Promoted,
    /// An administrator's Ctrl-C came before it had passed.
    Interrupted,
    /// One that a later version knows.
    #[serde(other)]
    Unknown,
}

/// Why a push is paused.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum PauseCause {
    /// Whether hosts of the wave are well cannot be told.
    Inconclusive,
    /// An administrator wants it.
    Asked,
    /// One that a later version knows.
    #[serde(other)]
    Unknown,
}

/// What an administrator said to a plan.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Approval {
    /// Go on.
    Yes,
    /// Anything else, the end of the input included.
    No,
    /// Ctrl-C.
    Interrupted,
}

/// Something that happened.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(tag = "event", rename_all = "kebab-case")]
pub enum Event {
    /// First: what is wanted of whom.
    PushStarted {
        /// The version of this list of events.
        version: u32,
        /// The operation.
        operation: Operation,
        /// Its packages, as `name[:arch][=version]`.
        packages: Vec<String>,
        /// Every host, in the order of their turns.
        hosts: Vec<HostName>,
        /// Who pushed: the user behind sudo, or the user.
        by: String,
    },
    /// A phase begins.
    PhaseStarted {
        /// Which one.
        phase: Phase,
        /// What its hosts are asked for.
        operation: Operation,
        /// The hosts that take part, in the order of their turns.
        hosts: Vec<HostName>,
    },
    /// A host's turn has come.
    HostStarted {
        /// The host.
        host: HostName,
        /// The run that is asked for, where the operation is one.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        run: Option<RunId>,
    },
    /// The request is on its way.
    Connected {
        /// The host.
        host: HostName,
        /// Over a connection that was kept open.
        reused: bool,
    },
    /// The client has answered.
    Hello {
        /// The host.
        host: HostName,
        /// The version of its apu-client.
        client: String,
    },
    /// The client waits for a lock.
    Waiting {
        /// The host.
        host: HostName,
        /// The lock's path there.
        lock: String,
        /// Who holds it.
        holder: String,
    },
    /// How far the client is.
    Progress {
        /// The host.
        host: HostName,
        /// Fetching, or installing.
        activity: Activity,
        /// 0 to 100, of this activity.
        percent: f32,
        /// The package at work.
        package: String,
    },
    /// A line that apt or dpkg printed there.
    Line {
        /// The host.
        host: HostName,
        /// Not to be trusted.
        text: String,
    },
    /// The run shows no sign of life there. It is told again for as long as it lasts, ever more rarely.
    Stalled {
        /// The host.
        host: HostName,
        /// For so many seconds by now.
        seconds: u64,
        /// The processes of the run, parents first; their names are not to be trusted.
        processes: Vec<StalledProcess>,
    },
    /// The connection was lost; the run is asked for again.
    Reconnecting {
        /// The host.
        host: HostName,
        /// What ended the connection.
        text: String,
    },
    /// The host goes down for a reboot, and is waited for until another boot answers a login.
    Rebooting {
        /// The host.
        host: HostName,
    },
    /// How a host ended in a phase: once for each host of it.
    HostFinished {
        /// The host.
        host: HostName,
        /// Since its turn came.
        seconds: f64,
        /// How it ended.
        #[serde(flatten)]
        ending: Box<Ending>,
    },
    /// Ctrl-C: nothing new is begun; the second time nothing is waited for either.
    Interrupted {
        /// How often by now.
        times: u32,
    },
    /// An administrator was asked whether to go on.
    Answered {
        /// The answer.
        answer: Approval,
    },
    /// A phase has ended.
    PhaseFinished {
        /// Which one.
        phase: Phase,
        /// Since it began.
        seconds: f64,
        /// How many of its hosts ended how.
        outcomes: BTreeMap<Outcome, usize>,
    },
    /// Hosts of a wave may start. There are waves only in a phase with more than one.
    WaveStarted {
        /// Which, counted from 1.
        wave: usize,
        /// Of how many.
        waves: usize,
        /// Its hosts, in the order of their turns.
        hosts: Vec<HostName>,
        /// For how many seconds they have to stay well before the next wave starts.
        soak: f64,
    },
    /// A host of a later wave leaves these packages as they are, since no canary has tested them, and does the rest of its plan.
    HeldBack {
        /// The host.
        host: HostName,
        /// The packages.
        packages: Vec<PackageKey>,
    },
    /// A host has made its change, and its health is watched before it has an outcome.
    Checking {
        /// The host.
        host: HostName,
        /// For how many seconds it has to stay well.
        soak: f64,
    },
    /// The programs of a hook about a host are called on this server.
    HookStarted {
        /// The host.
        host: HostName,
        /// Which hook.
        hook: Hook,
    },
    /// A program of a hook failed after what it is about had ended. One that fails before makes the reason of its hosts.
    HookFailed {
        /// Which hook.
        hook: Hook,
        /// The host; none where it is about the whole run.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        host: Option<HostName>,
        /// The path of the program.
        program: String,
        /// How it ended.
        end: ProgramEnd,
        /// What it said, line by line.
        #[serde(default, skip_serializing_if = "Vec::is_empty")]
        detail: Vec<String>,
    },
    /// All hosts of a wave have ended.
    WaveFinished {
        /// Which, counted from 1.
        wave: usize,
        /// Of how many.
        waves: usize,
        /// Whether the next one may start.
        verdict: WaveVerdict,
    },
    /// The run is in the ledger, under this number.
    Recorded {
        /// The number, counted from 1.
        number: u64,
    },
    /// No host starts until an administrator decides; what is at work goes on.
    Paused {
        /// Why.
        cause: PauseCause,
        /// In which wave, counted from 1.
        wave: usize,
        /// The inconclusive hosts.
        #[serde(default, skip_serializing_if = "Vec::is_empty")]
        hosts: Vec<HostName>,
        /// Who wanted it.
        #[serde(default, skip_serializing_if = "String::is_empty")]
        by: String,
        /// For how many seconds a decision is waited for. Without one, no host starts any more.
        limit: f64,
    },
    /// An administrator let the next wave start, although whether the hosts of this one are well cannot be told.
    Promoted {
        /// The wave that counts as passed, counted from 1.
        wave: usize,
        /// Who.
        by: String,
    },
    /// An administrator ended the pause that an administrator had wanted.
    Resumed {
        /// Who.
        by: String,
    },
    /// Last: how the push ended.
    PushFinished {
        /// The exit status.
        status: u8,
        /// Since it began, time for the answer included.
        seconds: f64,
        /// How many of all hosts ended how, each counted as it ended in its last phase.
        outcomes: BTreeMap<Outcome, usize>,
    },
    /// One that a later version knows.
    #[serde(other)]
    Unknown,
}

/// The version of the list of events. Events and fields may be added to it: a reader passes over what it does not know.
pub const EVENTS_VERSION: u32 = 1;

/// Packages as events carry them.
#[must_use]
pub fn package_words(packages: &[PackageArg]) -> Vec<String> {
    packages.iter().map(ToString::to_string).collect()
}

#[cfg(test)]
mod tests {
    use apu_proto::{ClientOutcome, RunResult};

    use super::*;
    use crate::reason::{Lost, ServerCause, StaleList};

    #[test]
    fn an_event_is_one_object_that_reads_back() {
        let why = ServerCause::ConnectionRefused;
        let timed = TimedEvent {
            at: Timestamp::from_millisecond(1_500).unwrap(),
            push: PushId::from_bytes([1; 16]),
            event: Event::HostFinished {
                host: "web1".parse().unwrap(),
                seconds: 0.25,
                ending: Box::new(Ending::without_result(Outcome::Unreachable, why, None)),
            },
        };
        let text = serde_json::to_string(&timed).unwrap();
        assert_eq!(
            text,
            r#"{"at":"1970-01-01T00:00:01.500Z","push":"01010101010101010101010101010101","event":"host-finished","host":"web1","seconds":0.25,"outcome":"unreachable","reason":{"code":"refused","cause":"connection-refused"}}"#
        );
        assert_eq!(serde_json::from_str::<TimedEvent>(&text).unwrap(), timed);
    }

    #[test]
    fn what_a_later_version_adds_is_passed_over() {
        let head = r#"{"at":"2026-11-05T06:07:08Z","push":"01010101010101010101010101010101","#;
        let read = |rest: &str| {
            serde_json::from_str::<TimedEvent>(&format!("{head}{rest}"))
                .unwrap()
                .event
        };
        assert_eq!(
            read(r#""event":"rocket-started","rocket":{"number":2}}"#),
            Event::Unknown
        );
        assert_eq!(
            read(r#""event":"interrupted","times":1,"by":"alice"}"#),
            Event::Interrupted { times: 1 }
        );
        let phase = read(r#""event":"phase-finished","phase":"soak","seconds":1.0,"outcomes":{}}"#);
        assert!(
            matches!(
                phase,
                Event::PhaseFinished {
                    phase: Phase::Unknown,
                    ..
                }
            ),
            "{phase:?}"
        );
    }

    /// One event after the other, each with every field that it can have.
    fn next(event: Option<&Event>) -> Option<Event> {
        let host = || "web1".parse().unwrap();
        Some(match event {
            None => Event::PushStarted {
                version: EVENTS_VERSION,
                operation: Operation::Install,
                packages: vec!["htop".into()],
                hosts: vec![host()],
                by: "alice".into(),
            },
            Some(Event::PushStarted { .. }) => Event::PhaseStarted {
                phase: Phase::Apply,
                operation: Operation::Install,
                hosts: vec![host()],
            },
            Some(Event::PhaseStarted { .. }) => Event::HostStarted {
                host: host(),
                run: Some(RunId::from_bytes([2; 16])),
            },
            Some(Event::HostStarted { .. }) => Event::Connected {
                host: host(),
                reused: true,
            },
            Some(Event::Connected { .. }) => Event::Hello {
                host: host(),
                client: "0.1.0".into(),
            },
            Some(Event::Hello { .. }) => Event::Waiting {
                host: host(),
                lock: "/var/lib/dpkg/lock".into(),
                holder: "apt-get (7)".into(),
            },
            Some(Event::Waiting { .. }) => Event::Progress {
                host: host(),
                activity: Activity::Install,
                percent: 50.0,
                package: "htop".into(),
            },
            Some(Event::Progress { .. }) => Event::Line {
                host: host(),
                text: "x".into(),
            },
            Some(Event::Line { .. }) => Event::Stalled {
                host: host(),
                seconds: 120,
                processes: vec![apu_proto::StalledProcess {
                    pid: 7,
                    name: "sleep".into(),
                    waits_in: "hrtimer_nanosleep".into(),
                }],
            },
            Some(Event::Stalled { .. }) => Event::Reconnecting {
                host: host(),
                text: "cut".into(),
            },
            Some(Event::Reconnecting { .. }) => Event::Rebooting { host: host() },
            Some(Event::Rebooting { .. }) => {
                let mut result = RunResult::new(ClientOutcome::Changed);
                result.reboot_required = true;
                let mut ending = Ending::of_result(Box::new(result), Some(RunId::from_bytes([2; 16])));
                ending.reason = Some(ServerCause::Lost(Lost::default()).into());
                ending.stale = vec![StaleList {
                    uri: "http://server/local".into(),
                    suite: "./".into(),
                    older_by: None,
                }];
                ending.garbage = 1;
                ending.health = Some(apu_proto::Verdict::Pass);
                Event::HostFinished {
                    host: host(),
                    seconds: 1.0,
                    ending: Box::new(ending),
                }
            }
            Some(Event::HostFinished { .. }) => Event::Interrupted { times: 1 },
            Some(Event::Interrupted { .. }) => Event::Answered {
                answer: Approval::Yes,
            },
            Some(Event::Answered { .. }) => Event::PhaseFinished {
                phase: Phase::Apply,
                seconds: 1.0,
                outcomes: [(Outcome::Changed, 1)].into(),
            },
            Some(Event::PhaseFinished { .. }) => Event::WaveStarted {
                wave: 1,
                waves: 2,
                hosts: vec![host()],
                soak: 60.0,
            },
            Some(Event::WaveStarted { .. }) => Event::Checking {
                host: host(),
                soak: 60.0,
            },
            Some(Event::Checking { .. }) => Event::HeldBack {
                host: host(),
                packages: vec!["htop:amd64".parse().unwrap()],
            },
            Some(Event::HeldBack { .. }) => Event::HookStarted {
                host: host(),
                hook: Hook::AfterHost,
            },
            Some(Event::HookStarted { .. }) => Event::HookFailed {
                hook: Hook::AfterHost,
                host: Some(host()),
                program: "/etc/apu-server/hooks.d/after-host".into(),
                end: ProgramEnd::Exited { status: 1 },
                detail: vec!["no answer".into()],
            },
            Some(Event::HookFailed { .. }) => Event::WaveFinished {
                wave: 1,
                waves: 2,
                verdict: WaveVerdict::Passed,
            },
            Some(Event::WaveFinished { .. }) => Event::Recorded { number: 412 },
            Some(Event::Recorded { .. }) => Event::Paused {
                cause: PauseCause::Inconclusive,
                wave: 1,
                hosts: vec![host()],
                by: "alice".into(),
                limit: 86400.0,
            },
            Some(Event::Paused { .. }) => Event::Promoted {
                wave: 1,
                by: "alice".into(),
            },
            Some(Event::Promoted { .. }) => Event::Resumed { by: "alice".into() },
            Some(Event::Resumed { .. }) => Event::PushFinished {
                status: 0,
                seconds: 1.0,
                outcomes: [(Outcome::Changed, 1)].into(),
            },
            Some(Event::PushFinished { .. } | Event::Unknown) => return None,
        })
    }

    #[test]
    fn the_manual_has_every_event_with_every_field_and_every_outcome() {
        let page = concat!(env!("CARGO_MANIFEST_DIR"), "/../../debian/man/apu-events.7");
        let page = std::fs::read_to_string(page).unwrap();
        let (_, events) = page.split_once(".SH EVENTS\n").unwrap();
        let (events, rest) = events.split_once(".SH OUTCOMES\n").unwrap();
        let mut last = next(None);
        let mut number = 0;
        while let Some(event) = last {
            number += 1;
            let json = serde_json::to_value(&event).unwrap();
            let name = json["event"].as_str().unwrap();
            let (_, entry) = events
                .split_once(&format!(".TP\n.B {name}\n"))
                .unwrap_or_else(|| panic!("{name} is not there"));
            let entry = entry.split(".TP\n").next().unwrap();
            for field in json.as_object().unwrap().keys().filter(|field| *field != "event") {
                assert!(
                    entry.lines().any(|line| line == format!(".B {field}")),
                    "{field} of {name} is not there: {entry}"
                );
            }
            last = next(Some(&event));
        }
        assert_eq!(number, 26);
        for outcome in Outcome::ALL {
            assert!(rest.contains(outcome.as_str()), "{outcome} is not there");
        }
        assert!(rest.contains("max-failures"));
        // The words that are added for people.
        let (_, entry) = events.split_once(".TP\n.B host-finished\n").unwrap();
        for field in ["text", "try"] {
            assert!(
                entry
                    .split(".TP\n")
                    .next()
                    .unwrap()
                    .contains(&format!("\n.B {field}\n"))
            );
        }
    }
}
