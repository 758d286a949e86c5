//! What a client says of the services that run with replaced files: which of them it restarts, which it could not restart, and which
//! it leaves as they are.

use serde::{Deserialize, Serialize};

use crate::bounded::{first, is_zero};
use crate::health::{Check, MAX_CHECKS};
use crate::services::MAX_SERVICES;

/// The most bytes of what systemctl says of one service.
pub const MAX_SAID: usize = 1024;

/// The answer to `restart-services`. A name is that of a unit without `.service`, and is not to be trusted.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct RestartReport {
    /// Of a dry run, the services that a run would restart now. Of a run, those that it has restarted: they run, and with no replaced
    /// file. In the order of their turns, at most [`MAX_SERVICES`].
    #[serde(
        skip_serializing_if = "Vec::is_empty",
        deserialize_with = "first::<_, _, MAX_SERVICES>"
    )]
    pub restarts: Vec<String>,
    /// Those that were to be restarted, and do not run with the new files now; at most [`MAX_SERVICES`].
    #[serde(
        skip_serializing_if = "Vec::is_empty",
        deserialize_with = "first::<_, _, MAX_SERVICES>"
    )]
    pub failed: Vec<FailedRestart>,
    /// Others that run with replaced files, and that are not restarted; by name, at most [`MAX_SERVICES`].
    #[serde(
        skip_serializing_if = "Vec::is_empty",
        deserialize_with = "first::<_, _, MAX_SERVICES>"
    )]
    pub left: Vec<LeftService>,
    /// How many there are beyond those that are named.
    #[serde(skip_serializing_if = "is_zero")]
    pub more: usize,
    /// What came of each check of the machine's health after the restarts, as the server has asked for them; at most [`MAX_CHECKS`].
    #[serde(
        skip_serializing_if = "Vec::is_empty",
        deserialize_with = "first::<_, _, MAX_CHECKS>"
    )]
    pub checks: Vec<Check>,
}

/// A service that could not be restarted.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
pub struct FailedRestart {
    /// Its name.
    pub service: String,
    /// Why.
    #[serde(flatten)]
    pub why: NotRestarted,
}

/// Why a service does not run with the new files after all. On the wire `why` is its name.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(tag = "why", rename_all = "kebab-case")]
pub enum NotRestarted {
    /// systemctl failed.
    Systemctl {
        /// What it said, at most [`MAX_SAID`] bytes.
        said: String,
    },
    /// It did not end within this many seconds. systemd goes on with the restart.
    TimeUp {
        /// The limit.
        seconds: u64,
    },
    /// It was restarted, and does not run now.
    NotRunning {
        /// Its state, as systemd calls it.
        state: String,
    },
    /// It was restarted, and goes on with replaced files.
    StillStale,
    /// It was restarted, and what it runs with now cannot be told.
    NotKnown,
    /// The run's time was over, or the machine was shutting down, before its turn.
    NotBegun,
    /// One that a later version knows.
    #[serde(other)]
    Unknown,
}

/// A service that runs with replaced files and is not restarted.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
pub struct LeftService {
    /// Its name.
    pub service: String,
    /// Why.
    #[serde(flatten)]
    pub why: WhyLeft,
}

/// Why a service is left as it is. On the wire `why` is its name.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(tag = "why", rename_all = "kebab-case")]
pub enum WhyLeft {
    /// The message bus: what is connected to it would fail.
    Bus,
    /// Somebody's session would end: logins, terminals, displays.
    Sessions,
    /// The network would be cut.
    Network,
    /// Containers would stop.
    Containers,
    /// Virtual machines would stop.
    Machines,
    /// File systems or disks that are in use would go away.
    Storage,
    /// needrestart alone names it: a script or its interpreter was changed, as far as needrestart can tell.
    NamedByNeedrestart,
    /// It does a job once, and would do it again.
    Once,
    /// Somebody started it by hand, with systemd-run.
    Transient,
    /// It serves one connection, and ends with it.
    Connection,
    /// systemd refuses that it is stopped or started by hand.
    Refused,
    /// A stop does not end its processes.
    KillsNothing,
    /// systemd would reboot the machine, or power it off, when it ends or fails.
    TakesDown,
    /// systemd would stop this other unit with it, which is not to be stopped.
    Needed {
        /// The unit.
        by: String,
    },
    /// The policy keeps it running.
    Policy,
    /// systemd does not show it as a running service of a kind that is understood.
    NotUnderstood,
    /// One that a later version knows.
    #[serde(other)]
    Unknown,
}

impl RestartReport {
    /// As many of these as are named, and the number of the others.
    #[must_use]
    pub fn new(restarts: Vec<String>, failed: Vec<FailedRestart>, left: Vec<LeftService>) -> Self {
        let mut report = Self {
            restarts,
            failed,
            left,
            ..Self::default()
        };
        report.left.sort();
        report.more = cut(&mut report.restarts) + cut(&mut report.failed) + cut(&mut report.left);
        report
    }
}

/// Leaves as many as are named, and returns the number of the others.
fn cut<T>(named: &mut Vec<T>) -> usize {
    let more = named.len().saturating_sub(MAX_SERVICES);
    named.truncate(MAX_SERVICES);
    more
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_report_reads_back_and_one_of_a_later_version_is_understood_as_far_as_it_goes() {
        let failed = |service: &str, why| FailedRestart {
            service: service.into(),
            why,
        };
        let left = |service: &str, why| LeftService {
            service: service.into(),
            why,
        };
        let report = RestartReport::new(
            vec!["nginx".into(), "ssh".into()],
            vec![
                failed("a", NotRestarted::Systemctl { said: "no".into() }),
                failed("b", NotRestarted::TimeUp { seconds: 300 }),
                failed("c", NotRestarted::StillStale),
            ],
            vec![
                left("dbus", WhyLeft::Bus),
                left(
                    "c",
                    WhyLeft::Needed {
                        by: "mnt.mount".into(),
                    },
                ),
            ],
        );
        assert_eq!(report.left[0].service, "c");
        let json = serde_json::to_string(&report).unwrap();
        assert!(json.contains(r#"{"service":"dbus","why":"bus"}"#), "{json}");
        assert_eq!(serde_json::from_str::<RestartReport>(&json).unwrap(), report);
        assert_eq!(serde_json::to_string(&RestartReport::default()).unwrap(), "{}");
        let later = r#"{"left":[{"service":"x","why":"comet","by":1}],"failed":[{"service":"y","why":"rain"}],"new":1}"#;
        let later: RestartReport = serde_json::from_str(later).unwrap();
        assert_eq!(
            (&later.left[0].why, &later.failed[0].why),
            (&WhyLeft::Unknown, &NotRestarted::Unknown)
        );
    }

    #[test]
    fn what_has_no_room_is_counted_by_the_client_and_cut_by_the_server() {
        let many = |number: usize| (0..number).map(|n| format!("s{n:03}")).collect::<Vec<_>>();
        let report = RestartReport::new(many(130), Vec::new(), Vec::new());
        assert_eq!((report.restarts.len(), report.more), (MAX_SERVICES, 30));
        let hostile = serde_json::json!({ "restarts": many(999) });
        let read: RestartReport = serde_json::from_value(hostile).unwrap();
        assert_eq!(read.restarts.len(), MAX_SERVICES);
    }
}
