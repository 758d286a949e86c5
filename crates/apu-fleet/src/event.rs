//! Facts about a run in the order in which they happened: owned, serialisable, without any display setting.

use std::collections::BTreeMap;
use std::time::{SystemTime, UNIX_EPOCH};

use apu_proto::{Operation, PackageArg, Phase, RunId};
use serde::{Deserialize, Serialize};

use crate::name::HostName;
use crate::outcome::{Ending, Outcome};

/// An event and its time.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Stamped {
    /// Seconds since 1970, in UTC.
    pub at: f64,
    /// What happened.
    #[serde(flatten)]
    pub event: Event,
}

impl Stamped {
    /// The event, now.
    #[must_use]
    pub fn now(event: Event) -> Self {
        Self { at: now(), event }
    }
}

/// Seconds since 1970, in UTC, as events have them.
#[must_use]
pub fn now() -> f64 {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    (since.as_secs_f64() * 1000.0).round() / 1000.0
}

/// What an operation is asked for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Purpose {
    /// To be told what it would do.
    Plan,
    /// To be done.
    Run,
}

/// Something that happened.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(tag = "event", rename_all = "kebab-case")]
pub enum Event {
    /// First: what is asked of whom.
    Begin {
        /// The version of this list of events.
        version: u32,
        /// For a plan or to be done.
        purpose: Purpose,
        /// The operation.
        operation: Operation,
        /// Its packages, as `name[:arch][=version]`.
        packages: Vec<String>,
        /// Every host, in the order of their turns.
        hosts: Vec<HostName>,
    },
    /// A host's turn has come.
    Start {
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
        phase: Phase,
        /// 0 to 100, of this phase.
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
    /// The connection was lost; the run is asked for again.
    Again {
        /// The host.
        host: HostName,
        /// What ended the first connection.
        text: String,
    },
    /// A host's last word.
    End {
        /// The host.
        host: HostName,
        /// Since its turn came.
        seconds: f64,
        /// How it ended.
        #[serde(flatten)]
        ending: Ending,
    },
    /// Ctrl-C: nothing new is begun; the second time nothing is waited for either.
    Interrupt {
        /// How often by now.
        times: u32,
    },
    /// Last: how many hosts ended how.
    Done {
        /// Since the beginning.
        seconds: f64,
        /// Outcomes that happened, with their numbers.
        outcomes: BTreeMap<Outcome, usize>,
    },
}

/// The version of the list of events.
pub const EVENTS_VERSION: u32 = 1;

/// Packages as events carry them.
pub(crate) fn package_words(packages: &[PackageArg]) -> Vec<String> {
    packages.iter().map(ToString::to_string).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::outcome::{Obstacle, Why};

    #[test]
    fn an_event_is_one_object_that_reads_back() {
        let why = Why::here(Obstacle::Refused, "connection refused", "");
        let stamped = Stamped {
            at: 1.5,
            event: Event::End {
                host: "web1".parse().unwrap(),
                seconds: 0.25,
                ending: Ending::without_result(Outcome::Unreachable, why, None),
            },
        };
        let text = serde_json::to_string(&stamped).unwrap();
        assert_eq!(
            text,
            r#"{"at":1.5,"event":"end","host":"web1","seconds":0.25,"outcome":"unreachable","reason":{"code":"refused","text":"connection refused"}}"#
        );
        assert_eq!(serde_json::from_str::<Stamped>(&text).unwrap(), stamped);
    }
}
