//! The reason of a result: a code, the cause with its parameters, what others printed about it, and what to try.

use serde::{Deserialize, Serialize};

use crate::answers::AnswersError;
use crate::bounded::first;
use crate::cause::Cause;
use crate::outcome::ReasonCode;
use crate::request::RequestError;

/// The most lines of detail that a reason has.
pub const MAX_DETAIL: usize = 40;

/// Why a request ended early or badly: facts, without a sentence.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(from = "Wire")]
pub struct Reason {
    /// For programs.
    pub code: ReasonCode,
    /// What happened, with its parameters.
    #[serde(flatten)]
    pub cause: Cause,
    /// What apt, dpkg, a script or the system printed about it, line by line; at most [`MAX_DETAIL`].
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub detail: Vec<String>,
    /// What to try.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub advice: Option<Advice>,
}

/// What an administrator may try. Each but the first two is a command on the client.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(tag = "what", rename_all = "kebab-case")]
pub enum Advice {
    /// Allow the request to remove packages.
    AllowRemove,
    /// Bring a newer apu-data.
    NewerApuData,
    /// Bring a newer apu-server to the server.
    NewerServer,
    /// Correct a file.
    Correct {
        /// The file.
        path: String,
    },
    /// `dpkg --audit`.
    DpkgAudit,
    /// `apt-config dump`.
    AptConfigDump,
    /// Look for a setting in apt's configuration files.
    FindAptSetting {
        /// The part of its name to search for.
        word: String,
    },
    /// `apt-get update`.
    AptGetUpdate,
    /// `apt-get indextargets`.
    IndexTargets,
    /// `apt-get clean`.
    AptGetClean,
    /// `apt-get autoremove`, which removes old kernels.
    AptGetAutoremove,
    /// `apt-mark showhold`.
    ShowHold,
    /// `apt-mark unhold` of these packages.
    Unhold {
        /// As dpkg names them.
        packages: Vec<String>,
    },
    /// `dpkg -l` of what is named alike.
    ListPackages {
        /// The beginning of the name.
        name: String,
    },
    /// `dpkg-reconfigure apu-data`.
    ReconfigureApuData,
    /// Remove the archives of the site from a file, then `dpkg-reconfigure apu-data`.
    RemoveSiteSource {
        /// The file.
        file: String,
    },
    /// Give the archive's index SHA-256, or hold the package.
    HoldOrSha256 {
        /// The package.
        package: String,
    },
    /// Give the package built for the native architecture, or let dpkg accept the other.
    AddArchitecture {
        /// dpkg's own.
        native: String,
        /// The other.
        architecture: String,
    },
    /// `apt-get update --allow-releaseinfo-change…`.
    AllowReleaseInfoChange {
        /// The changed field, such as `Label`; empty where apt named another.
        field: String,
    },
    /// `systemctl --failed`.
    FailedUnits,
    /// Restart apu-client, with systemd or without it.
    RestartClient,
    /// Advice of a later version.
    #[serde(other)]
    Unknown,
}

/// A reason as it is read: a cause or advice that is not known leaves the rest in use.
#[derive(Deserialize)]
struct Wire {
    code: ReasonCode,
    #[serde(default, deserialize_with = "first::<_, _, MAX_DETAIL>")]
    detail: Vec<String>,
    #[serde(default)]
    advice: Option<serde_json::Value>,
    #[serde(flatten)]
    rest: serde_json::Map<String, serde_json::Value>,
}

impl From<Wire> for Reason {
    fn from(wire: Wire) -> Self {
        let advice = wire.advice.map(serde_json::from_value);
        Self {
            code: wire.code,
            cause: serde_json::from_value(wire.rest.into()).unwrap_or(Cause::Unknown),
            detail: wire.detail,
            advice: advice.map(|advice| advice.unwrap_or(Advice::Unknown)),
        }
    }
}

impl From<Cause> for Reason {
    fn from(cause: Cause) -> Self {
        Self {
            code: cause.code(),
            cause,
            detail: Vec::new(),
            advice: None,
        }
    }
}

impl From<RequestError> for Reason {
    fn from(error: RequestError) -> Self {
        Self::from(Cause::Malformed).detailed(error.to_string())
    }
}

impl From<AnswersError> for Reason {
    fn from(error: AnswersError) -> Self {
        Self::from(Cause::Malformed).detailed(error.to_string())
    }
}

impl Reason {
    /// The same reason with what others printed about it.
    #[must_use]
    pub fn detailed(mut self, text: impl AsRef<str>) -> Self {
        let lines = text.as_ref().lines().map(str::trim_end);
        let room = MAX_DETAIL.saturating_sub(self.detail.len());
        self.detail.extend(
            lines
                .filter(|line| !line.is_empty())
                .take(room)
                .map(str::to_owned),
        );
        self
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cause::Action;

    #[test]
    fn a_reason_reads_back_as_it_was_written() {
        let downgrade = Cause::Downgrade {
            package: "foo:amd64".parse().unwrap(),
            old: "2".into(),
            new: "1".into(),
        };
        let fault = Cause::Fault {
            action: Action::RunProgram,
            object: Some("/usr/bin/dpkg".into()),
        };
        for (cause, expected) in [
            (
                downgrade,
                r#"{"code":"policy","cause":"downgrade","parameters":{"package":"foo:amd64","old":"2","new":"1"},"detail":["E: x","  y"],"advice":{"what":"correct","path":"/f"}}"#,
            ),
            (
                fault,
                r#"{"code":"client","cause":"fault","parameters":{"action":"run-program","object":"/usr/bin/dpkg"},"detail":["E: x","  y"],"advice":{"what":"correct","path":"/f"}}"#,
            ),
            (
                Cause::Drifted,
                r#"{"code":"drifted","cause":"drifted","detail":["E: x","  y"],"advice":{"what":"correct","path":"/f"}}"#,
            ),
        ] {
            let mut reason = Reason::from(cause).detailed("E: x\n\n  y \n");
            reason.advice = Some(Advice::Correct { path: "/f".into() });
            let text = serde_json::to_string(&reason).unwrap();
            assert_eq!(text, expected);
            assert_eq!(serde_json::from_str::<Reason>(&text).unwrap(), reason);
        }
    }

    #[test]
    fn what_another_version_wrote_leaves_the_rest_in_use() {
        for text in [
            r#"{"code":"apt","cause":"meteor","parameters":{"size":3},"detail":["E: x"],"advice":{"what":"run"}}"#,
            r#"{"code":"apt","cause":"downgrade","parameters":{"package":7},"detail":["E: x"],"advice":7}"#,
            r#"{"code":"apt","text":"a sentence","detail":["E: x"],"advice":{"what":"correct"}}"#,
        ] {
            let reason: Reason = serde_json::from_str(text).unwrap();
            assert_eq!(reason.code, ReasonCode::Apt, "{text}");
            assert_eq!(reason.cause, Cause::Unknown, "{text}");
            assert_eq!(reason.detail, ["E: x"], "{text}");
            assert_eq!(reason.advice, Some(Advice::Unknown), "{text}");
        }
        let later: Reason = serde_json::from_str(r#"{"code":"cosmic","cause":"drifted"}"#).unwrap();
        assert_eq!((later.code, later.cause), (ReasonCode::Other, Cause::Drifted));
        assert!(serde_json::from_str::<Reason>(r#"{"cause":"drifted"}"#).is_err());
    }

    #[test]
    fn a_detail_is_bounded() {
        let reason = Reason::from(Cause::AptFailed).detailed("line\n".repeat(1000));
        assert_eq!(reason.detail.len(), MAX_DETAIL);
        let text = format!(
            r#"{{"code":"apt","cause":"apt-failed","detail":{:?}}}"#,
            vec!["x"; 1000]
        );
        assert_eq!(
            serde_json::from_str::<Reason>(&text).unwrap().detail.len(),
            MAX_DETAIL
        );
    }
}
