//! What a client says of a reboot: which boot it is in, and why it needs another one.

use serde::{Deserialize, Serialize};

use crate::bounded::first;
use crate::health::{Check, MAX_CHECKS};

/// The most reasons that an answer has.
pub const MAX_REBOOT_REASONS: usize = 16;

/// The most packages that a reason names.
pub const MAX_REBOOT_PACKAGES: usize = 64;

/// The answer to `reboot`: of a dry run as it is, of a run as it was before the machine went down.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct RebootReport {
    /// The kernel's random id of this boot; empty where it cannot be read. Not to be trusted.
    pub boot_id: String,
    /// The running kernel's release.
    pub kernel: String,
    /// Why a reboot is needed; empty where it is not. At most [`MAX_REBOOT_REASONS`].
    #[serde(
        skip_serializing_if = "Vec::is_empty",
        deserialize_with = "first::<_, _, MAX_REBOOT_REASONS>"
    )]
    pub reasons: Vec<RebootReason>,
    /// What came of each check of the machine's health after the reboot, as the server has asked for them; at most [`MAX_CHECKS`].
    #[serde(
        skip_serializing_if = "Vec::is_empty",
        deserialize_with = "first::<_, _, MAX_CHECKS>"
    )]
    pub checks: Vec<Check>,
}

impl RebootReport {
    /// Whether a reboot is needed.
    #[must_use]
    pub const fn is_needed(&self) -> bool {
        !self.reasons.is_empty()
    }
}

/// Why a machine needs a reboot. On the wire `why` is its name.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(tag = "why", rename_all = "kebab-case")]
pub enum RebootReason {
    /// A reboot would start a newer kernel of the running one's flavour.
    Kernel {
        /// The running kernel's release.
        running: String,
        /// The release of the one that would be started.
        newest: String,
    },
    /// Packages asked for it in `/run/reboot-required`.
    Packages {
        /// Their names, as far as they wrote them down; at most [`MAX_REBOOT_PACKAGES`].
        #[serde(default, deserialize_with = "first::<_, _, MAX_REBOOT_PACKAGES>")]
        packages: Vec<String>,
    },
    /// Newer microcode for the processor was installed since the machine started.
    Microcode,
    /// Services run with a C library that was replaced.
    Libc {
        /// How many.
        services: usize,
    },
    /// The message bus runs with code that was replaced, and nothing restarts it before a reboot.
    Dbus,
    /// One that a later version knows.
    #[serde(other)]
    Unknown,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_report_reads_back_and_one_of_a_later_version_is_understood_as_far_as_it_goes() {
        let report = RebootReport {
            boot_id: "b".into(),
            kernel: "6.1.0-1-amd64".into(),
            reasons: vec![
                RebootReason::Kernel {
                    running: "6.1.0-1-amd64".into(),
                    newest: "6.1.0-2-amd64".into(),
                },
                RebootReason::Packages {
                    packages: vec!["libc6".into()],
                },
                RebootReason::Libc { services: 3 },
                RebootReason::Microcode,
                RebootReason::Dbus,
            ],
            checks: Vec::new(),
        };
        let json = serde_json::to_string(&report).unwrap();
        assert_eq!(serde_json::from_str::<RebootReport>(&json).unwrap(), report);
        let later =
            r#"{"boot_id":"b","kernel":"k","reasons":[{"why":"firmware","device":"nvme0"}],"more":1}"#;
        let later: RebootReport = serde_json::from_str(later).unwrap();
        assert_eq!(later.reasons, [RebootReason::Unknown]);
        assert!(later.is_needed());
        let many = vec![r#"{"why":"dbus"}"#; MAX_REBOOT_REASONS + 9].join(",");
        let many: RebootReport = serde_json::from_str(&format!(r#"{{"reasons":[{many}]}}"#)).unwrap();
        assert_eq!(many.reasons.len(), MAX_REBOOT_REASONS);
    }
}
