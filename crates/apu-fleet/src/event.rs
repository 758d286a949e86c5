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
mod tests;
