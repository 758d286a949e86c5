//! Rollouts: which hosts of a push change first, and what has to be well there before others follow.
//!
//! Everything here is a pure value. The waves are fixed when the plan is made; the decider of the engine reads them.

mod tested;
mod watch;
mod waves;

use std::time::Duration;

use apu_proto::{ConffileRuleFor, PackageGlob, Plan, System, Transaction};
use serde::{Deserialize, Serialize};

pub use self::tested::{Item, Tested};
pub(crate) use self::watch::{Next, PATIENCE, PATIENCE_AFTER_REBOOT, Watch};
pub use self::waves::{Canaries, WaveOptions, waves};

/// What a host is to do, and on what: what a canary tests for the others.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Trial {
    /// The release and architecture of the host.
    pub system: System,
    /// What it is to do.
    pub transaction: Transaction,
    /// Whether it has broken packages before: what fails there says little about the others.
    pub is_broken: bool,
    /// What it leaves as it is, since it is too young for the run.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub too_young: Vec<PackageGlob>,
    /// What becomes there of configuration files that were changed both on the host and in a package.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub conffile_rules: Vec<ConffileRuleFor>,
}

impl Trial {
    /// What a host has planned.
    #[must_use]
    pub fn of(plan: &Plan) -> Self {
        Self {
            system: plan.system.clone(),
            transaction: plan.transaction.clone(),
            is_broken: plan.repair,
            too_young: plan.too_young.clone(),
            // The server knows them: a plan has none.
            conffile_rules: Vec::new(),
        }
    }
}

/// The waves of one phase. The hosts of a phase take their turns in the order of its tasks, wave after wave.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Rollout {
    /// How many hosts each wave has, in order; empty where all hosts are one wave.
    pub waves: Vec<usize>,
    /// How long the hosts of a wave have to stay well before the next wave starts.
    pub soak: Duration,
    /// How long an administrator's decision is waited for where it cannot be told whether the hosts of a wave are well. Without one,
    /// or with zero, no other host starts.
    #[serde(default)]
    pub pause_limit: Duration,
    /// The command of the administrator's that checks each host from the server after its change, its program first.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub check: Option<Vec<String>>,
    /// The origins whose .debs the canaries give for the later waves, as globs; empty for none.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub freeze: Vec<String>,
}

impl Rollout {
    /// The number of waves.
    #[must_use]
    pub fn number(&self) -> usize {
        self.waves.len().max(1)
    }

    /// Whether there is no wave but one.
    #[must_use]
    pub fn is_at_once(&self) -> bool {
        self.number() == 1
    }

    /// The hosts of a wave, counted from 0, of a phase with so many hosts.
    pub(crate) fn range(&self, wave: usize, hosts: usize) -> std::ops::Range<usize> {
        let end = |waves: usize| self.waves.iter().take(waves).sum::<usize>().min(hosts);
        if wave + 1 >= self.number() {
            // The last has all that is left.
            return end(wave)..hosts;
        }
        end(wave)..end(wave + 1)
    }

    /// The wave of a host.
    pub(crate) fn wave_of(&self, host: usize) -> usize {
        let mut end = 0;
        let passed = self.waves.iter().take(self.number() - 1).take_while(|size| {
            end += **size;
            end <= host
        });
        passed.count()
    }
}

/// Packages without which nobody logs in: after a change of one, a new login is tried on every host.
const NEEDED_FOR_LOGIN: [&str; 12] = [
    "openssh",
    "libc6",
    "libc-bin",
    "libpam",
    "systemd",
    "libsystemd",
    "libnss",
    "login",
    "passwd",
    "ifupdown",
    "network-manager",
    "netplan",
];

/// Whether a transaction changes what a login over ssh needs.
#[must_use]
pub fn touches_login(transaction: &Transaction) -> bool {
    let is_needed = |name: &str| {
        NEEDED_FOR_LOGIN.iter().any(|needed| name.starts_with(needed))
            || name == "apu-client"
            || name == "apu-data"
    };
    transaction
        .steps()
        .iter()
        .any(|step| is_needed(step.package().name()))
}

#[cfg(test)]
mod tests {
    use apu_proto::Step;

    use super::*;

    #[test]
    fn every_host_is_in_one_wave_and_the_last_has_the_rest() {
        for (sizes, hosts) in [
            (vec![], 5),
            (vec![5], 5),
            (vec![1, 4], 5),
            (vec![2, 2, 1], 5),
            (vec![1, 1], 5),
            (vec![3, 9], 2),
        ] {
            let rollout = Rollout {
                waves: sizes.clone(),
                ..Rollout::default()
            };
            let mut next = 0;
            for wave in 0..rollout.number() {
                let range = rollout.range(wave, hosts);
                assert_eq!(range.start, next, "{sizes:?}");
                for host in range.clone() {
                    assert_eq!(rollout.wave_of(host), wave, "{sizes:?} {host}");
                }
                next = range.end;
            }
            assert_eq!(next, hosts, "{sizes:?}");
        }
    }

    #[test]
    fn what_a_login_needs_is_told_by_the_names_of_the_packages() {
        let touches = |name: &str| {
            let step = Step::Remove {
                package: format!("{name}:amd64").parse().unwrap(),
                old: "1".into(),
            };
            touches_login(&Transaction::new(vec![step]))
        };
        for name in [
            "openssh-server",
            "libc6",
            "libpam-modules",
            "systemd",
            "libnss-systemd",
            "apu-client",
        ] {
            assert!(touches(name), "{name}");
        }
        for name in ["htop", "postgresql", "apu-client-extra", "vim"] {
            assert!(!touches(name), "{name}");
        }
    }
}
