//! The result of a request: how it ended, why, and the answer that the operation gives.

use apu_debian::PackageKey;
use serde::{Deserialize, Serialize};

use crate::bounded::first;
use crate::conffile::{Conffile, HeldBack, MAX_CONFFILES, MAX_HELD_BACK};
use crate::conffile_decision::ConffileDecision;
use crate::health::{Check, MAX_CHECKS};
use crate::hold::{Hold, MAX_HOLDS};
use crate::note::{MAX_NOTES, Note};
use crate::operation::Operation;
use crate::outcome::ClientOutcome;
use crate::reason::Reason;
use crate::reboot::RebootReport;
use crate::restart::RestartReport;
use crate::status::{Broken, ReleaseDate, Status};
use crate::transaction::Plan;

/// The result of a request. For a run it comes from dpkg's database before and after, never from an exit status alone.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(try_from = "Wire")]
pub struct RunResult {
    /// How it ended.
    pub outcome: ClientOutcome,
    /// What was asked for; none where that could not be read.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub operation: Option<Operation>,
    /// Why, wherever the outcome is neither changed nor unchanged.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reason: Option<Reason>,
    /// Other facts worth a line: a repair that was needed, a source that is not followed.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub notes: Vec<Note>,
    /// Whether the machine asks for a reboot.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub reboot_required: bool,
    /// apt's exit status, for the record.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub apt_exit: Option<i32>,
    /// How long it took on the client, in seconds.
    #[serde(default)]
    pub seconds: f64,
    /// What the operation answers.
    #[serde(flatten)]
    pub answer: Answer,
}

/// A result as it is read: one of another version has an answer that is not known, or none.
#[derive(Deserialize)]
struct Wire {
    outcome: ClientOutcome,
    #[serde(default)]
    operation: Option<Operation>,
    #[serde(default)]
    reason: Option<Reason>,
    #[serde(default, deserialize_with = "first::<_, _, MAX_NOTES>")]
    notes: Vec<serde_json::Value>,
    #[serde(default)]
    reboot_required: bool,
    #[serde(default)]
    apt_exit: Option<i32>,
    #[serde(default)]
    seconds: f64,
    #[serde(flatten)]
    rest: serde_json::Map<String, serde_json::Value>,
}

impl TryFrom<Wire> for RunResult {
    type Error = serde_json::Error;

    fn try_from(wire: Wire) -> Result<Self, serde_json::Error> {
        let answer = if wire.rest.contains_key("answer") {
            serde_json::from_value(wire.rest.into())?
        } else {
            Answer::Unknown
        };
        Ok(Self {
            outcome: wire.outcome,
            operation: wire.operation,
            reason: wire.reason,
            notes: (wire.notes.into_iter())
                .map(|note| serde_json::from_value(note).unwrap_or(Note::Unknown))
                .collect(),
            reboot_required: wire.reboot_required,
            apt_exit: wire.apt_exit,
            seconds: wire.seconds,
            answer,
        })
    }
}

/// What a client answers, by the kind of the request.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(tag = "answer", rename_all = "kebab-case")]
pub enum Answer {
    /// The outcome says everything: a ping, or a request that ended before it found anything out.
    #[default]
    Plain,
    /// To `status`.
    Status {
        /// The client's state.
        status: Box<Status>,
    },
    /// To `check`.
    Check {
        /// Packages that are neither installed nor gone.
        #[serde(default, skip_serializing_if = "Vec::is_empty")]
        broken: Vec<Broken>,
    },
    /// To `health`.
    Health {
        /// What came of each check; at most [`MAX_CHECKS`].
        #[serde(default, deserialize_with = "first::<_, _, MAX_CHECKS>")]
        checks: Vec<Check>,
    },
    /// To `conffiles`.
    Conffiles {
        /// The configuration files, by their paths; at most [`MAX_CONFFILES`].
        #[serde(default, deserialize_with = "first::<_, _, MAX_CONFFILES>")]
        files: Vec<Conffile>,
        /// How many more there are.
        #[serde(default)]
        more: usize,
    },
    /// To `conffile`.
    Conffile {
        /// What was decided.
        decision: ConffileDecision,
        /// Where the client keeps the versions that it put away; none where nothing was, or where they were put back.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        backup: Option<String>,
    },
    /// To `showhold`.
    Holds {
        /// The packages on hold, by name; at most [`MAX_HOLDS`].
        #[serde(default, deserialize_with = "first::<_, _, MAX_HOLDS>")]
        holds: Vec<Hold>,
        /// How many more there are.
        #[serde(default)]
        more: usize,
    },
    /// To `update`.
    Lists {
        /// When each archive's lists were made.
        #[serde(default, skip_serializing_if = "Vec::is_empty")]
        releases: Vec<ReleaseDate>,
    },
    /// To a dry run, or instead of a run that would have changed something else than what was approved.
    Plan(Box<Plan>),
    /// To `reboot`.
    Reboot(RebootReport),
    /// To `restart-services`.
    Restarts(RestartReport),
    /// To a run that changes packages.
    Packages(PackageReport),
    /// An answer of another version: a later one, or one from before answers had a kind.
    #[serde(other)]
    Unknown,
}

/// What a run did to the packages.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct PackageReport {
    /// What changed, sorted.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub changes: Vec<Change>,
    /// Packages that were installed automatically and are now marked as installed manually; sorted.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub marked_manual: Vec<PackageKey>,
    /// Packages with a newer version that were not upgraded, by name.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub kept_back: Vec<String>,
    /// Packages that the request kept as they are, and that it would have installed or upgraded otherwise, by name.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub held: Vec<String>,
    /// Packages that stay at their version for configuration files that were changed on the machine, as its policy says; at most
    /// [`MAX_HELD_BACK`].
    #[serde(
        default,
        skip_serializing_if = "Vec::is_empty",
        deserialize_with = "first::<_, _, MAX_HELD_BACK>"
    )]
    pub held_back: Vec<HeldBack>,
    /// Packages that are neither installed nor gone after the run.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub broken: Vec<Broken>,
    /// Configuration files where this machine's version was kept; the package's lies beside it.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub conffiles_kept: Vec<String>,
    /// Debconf questions that nobody answered, so that their default holds.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub questions_defaulted: Vec<String>,
    /// Debconf questions that the server's answers were set for before the packages came.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub questions_answered: Vec<String>,
    /// What came of each check of the machine's health after the run; at most [`MAX_CHECKS`], and none where nothing changed.
    #[serde(
        default,
        skip_serializing_if = "Vec::is_empty",
        deserialize_with = "first::<_, _, MAX_CHECKS>"
    )]
    pub checks: Vec<Check>,
}

/// One package's change that dpkg's database shows after a run.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct Change {
    /// The package.
    pub package: PackageKey,
    /// The version before; none for what was not installed.
    pub old: Option<String>,
    /// The version after; none for what was removed.
    pub new: Option<String>,
}

impl RunResult {
    /// A result that says nothing but its outcome.
    #[must_use]
    pub const fn new(outcome: ClientOutcome) -> Self {
        Self {
            outcome,
            operation: None,
            reason: None,
            notes: Vec::new(),
            reboot_required: false,
            apt_exit: None,
            seconds: 0.0,
            answer: Answer::Plain,
        }
    }

    /// A result that ended for a reason.
    #[must_use]
    pub fn because(outcome: ClientOutcome, reason: impl Into<Reason>) -> Self {
        Self {
            reason: Some(reason.into()),
            ..Self::new(outcome)
        }
    }

    /// The same result with an answer.
    #[must_use]
    pub fn with(mut self, answer: Answer) -> Self {
        self.answer = answer;
        self
    }

    /// What the client would do.
    #[must_use]
    pub fn plan(&self) -> Option<&Plan> {
        match &self.answer {
            Answer::Plan(plan) => Some(plan),
            _ => None,
        }
    }

    /// What a run did to the packages.
    #[must_use]
    pub const fn packages(&self) -> Option<&PackageReport> {
        match &self.answer {
            Answer::Packages(report) => Some(report),
            _ => None,
        }
    }

    /// The same, to be added to; an answer of another kind is replaced by an empty report.
    pub fn packages_mut(&mut self) -> &mut PackageReport {
        if self.packages().is_none() {
            self.answer = Answer::Packages(PackageReport::default());
        }
        match &mut self.answer {
            Answer::Packages(report) => report,
            _ => unreachable!("it has just been made one"),
        }
    }

    /// Puts what came of later checks of the machine's health in place of those that it has.
    pub fn replace_checks(&mut self, checks: Vec<Check>) {
        match &mut self.answer {
            Answer::Reboot(report) => report.checks = checks,
            Answer::Restarts(report) => report.checks = checks,
            _ => self.packages_mut().checks = checks,
        }
    }

    /// The client's state.
    #[must_use]
    pub fn status(&self) -> Option<&Status> {
        match &self.answer {
            Answer::Status { status } => Some(status),
            _ => None,
        }
    }

    /// Packages that are neither installed nor gone.
    #[must_use]
    pub fn broken(&self) -> &[Broken] {
        match &self.answer {
            Answer::Status { status } => &status.broken,
            Answer::Check { broken } => broken,
            Answer::Plan(plan) => &plan.broken,
            Answer::Packages(report) => &report.broken,
            _ => &[],
        }
    }

    /// What came of each check of the machine's health, where checks were made.
    #[must_use]
    pub fn checks(&self) -> &[Check] {
        match &self.answer {
            Answer::Packages(report) => &report.checks,
            Answer::Health { checks } => checks,
            Answer::Reboot(report) => &report.checks,
            Answer::Restarts(report) => &report.checks,
            _ => &[],
        }
    }

    /// The configuration files that exist in two versions, or are missing.
    #[must_use]
    pub fn conffiles(&self) -> &[Conffile] {
        match &self.answer {
            Answer::Conffiles { files, .. } => files,
            _ => &[],
        }
    }

    /// The packages that stay at their version for their configuration files.
    #[must_use]
    pub fn held_back(&self) -> &[HeldBack] {
        match &self.answer {
            Answer::Plan(plan) => &plan.held_back,
            Answer::Packages(report) => &report.held_back,
            _ => &[],
        }
    }

    /// The packages on hold, as `showhold` tells them.
    #[must_use]
    pub fn holds(&self) -> &[Hold] {
        match &self.answer {
            Answer::Holds { holds, .. } => holds,
            _ => &[],
        }
    }

    /// What a client says of a reboot.
    #[must_use]
    pub const fn reboot(&self) -> Option<&RebootReport> {
        match &self.answer {
            Answer::Reboot(report) => Some(report),
            _ => None,
        }
    }

    /// What a client says of the services that run with replaced files.
    #[must_use]
    pub const fn restarts(&self) -> Option<&RestartReport> {
        match &self.answer {
            Answer::Restarts(report) => Some(report),
            _ => None,
        }
    }

    /// Packages with a newer version that are not upgraded, by name.
    #[must_use]
    pub fn kept_back(&self) -> &[String] {
        match &self.answer {
            Answer::Status { status } => &status.kept_back,
            Answer::Plan(plan) => &plan.kept_back,
            Answer::Packages(report) => &report.kept_back,
            _ => &[],
        }
    }

    /// Packages that the request keeps as they are, by name.
    #[must_use]
    pub fn held(&self) -> &[String] {
        match &self.answer {
            Answer::Plan(plan) => &plan.held,
            Answer::Packages(report) => &report.held,
            _ => &[],
        }
    }

    /// Packages that are, or would be, marked as installed manually.
    #[must_use]
    pub fn marked_manual(&self) -> &[PackageKey] {
        match &self.answer {
            Answer::Plan(plan) => &plan.marked_manual,
            Answer::Packages(report) => &report.marked_manual,
            _ => &[],
        }
    }

    /// When each archive's lists were made, as far as the client was asked.
    #[must_use]
    pub fn releases(&self) -> &[ReleaseDate] {
        match &self.answer {
            Answer::Status { status } => &status.releases,
            Answer::Lists { releases } => releases,
            _ => &[],
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::health::Verdict;

    #[test]
    fn each_answer_reads_back_as_it_was_written() {
        let answers = [
            Answer::Plain,
            Answer::Status {
                status: Box::default(),
            },
            Answer::Check { broken: Vec::new() },
            Answer::Lists { releases: Vec::new() },
            Answer::Reboot(RebootReport::default()),
            Answer::Restarts(RestartReport::default()),
            Answer::Plan(Box::default()),
            Answer::Holds {
                holds: vec![Hold {
                    package: "vim:amd64".parse().unwrap(),
                    reason: Some("waits for #412".into()),
                    by: Some("alice".parse().unwrap()),
                    until: Some(1_798_066_800),
                }],
                more: 0,
            },
            Answer::Conffile {
                decision: ConffileDecision::New,
                backup: Some("/var/lib/apu-client/conffiles/x".into()),
            },
            Answer::Health {
                checks: vec![Check::new("units", Verdict::Fail, "web.service")],
            },
            Answer::Packages(PackageReport {
                kept_back: vec!["linux-image-amd64".into()],
                checks: vec![Check::new("dpkg", Verdict::Pass, "")],
                ..PackageReport::default()
            }),
        ];
        for answer in answers {
            let result = RunResult::new(ClientOutcome::Unchanged).with(answer);
            let text = serde_json::to_string(&result).unwrap();
            assert_eq!(
                serde_json::from_str::<RunResult>(&text).unwrap(),
                result,
                "{text}"
            );
        }
    }

    #[test]
    fn checks_are_read_of_both_answers_and_to_a_bound() {
        let check = r#"{"name":"units","verdict":"pass"}"#;
        let many = vec![check; 999].join(",");
        for answer in ["health", "packages"] {
            let text = format!(r#"{{"outcome":"changed","answer":"{answer}","checks":[{many}]}}"#);
            let result: RunResult = serde_json::from_str(&text).unwrap();
            assert_eq!(result.checks().len(), MAX_CHECKS, "{answer}");
            let none = format!(r#"{{"outcome":"changed","answer":"{answer}"}}"#);
            assert!(
                serde_json::from_str::<RunResult>(&none)
                    .unwrap()
                    .checks()
                    .is_empty()
            );
        }
    }

    #[test]
    fn an_answer_of_another_version_is_passed_over_and_a_wrong_one_is_an_error() {
        let read = |text: &str| serde_json::from_str::<RunResult>(text);
        let later = read(r#"{"outcome":"changed","answer":"fireworks","rockets":3}"#).unwrap();
        assert_eq!(later.answer, Answer::Unknown);
        let before = read(r#"{"outcome":"changed","changes":[],"broken":[],"seconds":1.5}"#).unwrap();
        assert_eq!((before.answer, before.seconds), (Answer::Unknown, 1.5));
        let notes = r#"{"outcome":"changed","answer":"plain","notes":["a sentence",{"note":"comet","said":1},{"note":"client-ended"}]}"#;
        assert_eq!(
            read(notes).unwrap().notes,
            [Note::Unknown, Note::Unknown, Note::ClientEnded]
        );
        let many = format!(
            r#"{{"outcome":"changed","answer":"plain","notes":[0{}]}}"#,
            ",0".repeat(9999)
        );
        assert_eq!(read(&many).unwrap().notes.len(), MAX_NOTES);
        for wrong in [
            r#"{"outcome":"changed","answer":null}"#,
            r#"{"outcome":"changed","answer":"packages","changes":1}"#,
            r#"{"answer":"plain"}"#,
        ] {
            assert!(read(wrong).is_err(), "{wrong}");
        }
    }
}
