//! Reads what the machine's administrator lets the server do, from `/etc/apu-client/policy.toml`.

use std::fs;
use std::io;
use std::os::unix::fs::MetadataExt;
use std::time::Duration;

use apu_debian::{Closed, WallTime, Windows, ZoneName, matches_glob};
use apu_proto::{Cause, ConffileDecision, Operation, Reason, Request};
use serde::Deserialize;

use super::conffile_rules::ConffileRules;
use super::stall::StallLimits;
use crate::os::paths::ClientPaths;

/// The policy. Each key has a default; an unknown key is an error.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub(crate) struct Policy {
    operations: Vec<Operation>,
    removals: Removals,
    reboots: Reboots,
    restarts: Restarts,
    keep_running: Vec<String>,
    conffiles: ConffileRules,
    conffile_decisions: ConffileDecisions,
    answers: TakenAnswers,
    install: Install,
    maintenance: Windows,
    /// After how many seconds without a sign of life a run is said to have stalled; 0 is never.
    stall_after: u32,
    /// After how many such seconds what it waits for is ended; 0 is never.
    end_stalled: u32,
}

#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(default, deny_unknown_fields)]
struct Install {
    allow: Vec<String>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "kebab-case")]
enum Removals {
    WhenAsked,
    Never,
}

/// Whether the server may answer debconf's questions.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "kebab-case")]
enum TakenAnswers {
    WhenAsked,
    Never,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "kebab-case")]
enum Reboots {
    WhenNeeded,
    WhenAsked,
    Never,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "kebab-case")]
enum Restarts {
    WhenNeeded,
    Never,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "kebab-case")]
enum ConffileDecisions {
    WhenAsked,
    Keep,
    Never,
}

impl Default for Install {
    fn default() -> Self {
        let allow = vec!["*".to_owned()];
        Self { allow }
    }
}

impl Default for Policy {
    fn default() -> Self {
        let all = Operation::ALL.into_iter();
        Self {
            operations: all.filter(|operation| *operation != Operation::Remove).collect(),
            removals: Removals::WhenAsked,
            reboots: Reboots::WhenNeeded,
            restarts: Restarts::WhenNeeded,
            keep_running: Vec::new(),
            conffiles: ConffileRules::default(),
            conffile_decisions: ConffileDecisions::WhenAsked,
            answers: TakenAnswers::WhenAsked,
            install: Install::default(),
            maintenance: Windows::default(),
            stall_after: 120,
            end_stalled: 0,
        }
    }
}

/// Why the policy cannot be used. Then everything except ping is refused.
#[derive(Debug)]
pub(crate) enum PolicyError {
    /// It cannot be read.
    Read(io::Error),
    /// It is not root's alone to write.
    Owner,
    /// Its text is wrong.
    Form(String),
}

impl PolicyError {
    /// The reason for which a request is refused then.
    pub(crate) fn reason(&self) -> Reason {
        match self {
            Self::Read(error) => Reason::from(Cause::PolicyUnreadable).detailed(error.to_string()),
            Self::Owner => Cause::PolicyOfOthers.into(),
            Self::Form(text) => Reason::from(Cause::PolicyMalformed).detailed(text),
        }
    }
}

impl Policy {
    /// Reads the client's policy. A missing file is an error, since the defaults may allow more than the file did.
    pub(crate) fn read(paths: &ClientPaths) -> Result<Self, PolicyError> {
        let path = paths.policy();
        let metadata = fs::metadata(&path).map_err(PolicyError::Read)?;
        if metadata.uid() != 0 || metadata.mode() & 0o022 != 0 {
            return Err(PolicyError::Owner);
        }
        let text = fs::read_to_string(&path).map_err(PolicyError::Read)?;
        Self::parse(&text)
    }

    /// After how long a run without a sign of life is said to have stalled, and what it waits for is ended.
    pub(crate) fn stall_limits(&self) -> StallLimits {
        let limit = |seconds: u32| (seconds > 0).then(|| Duration::from_secs(seconds.into()));
        StallLimits {
            tell: limit(self.stall_after),
            end: limit(self.end_stalled),
        }
    }

    /// Whether the server may answer questions of the packages that it has installed.
    pub(crate) const fn takes_answers(&self) -> bool {
        matches!(self.answers, TakenAnswers::WhenAsked)
    }

    pub(crate) fn parse(text: &str) -> Result<Self, PolicyError> {
        toml::from_str(text).map_err(|error| PolicyError::Form(error.to_string().trim_end().to_owned()))
    }

    /// Whether a request is allowed. `ping` always is, and so is `attach`: its run was allowed when it started.
    pub(crate) fn allows(&self, request: &Request) -> Result<(), Cause> {
        let operation = request.operation();
        if matches!(operation, Operation::Ping | Operation::Attach) {
            return Ok(());
        }
        // Parts of what installs packages, which no list of operations names.
        let is_allowed = match operation {
            Operation::SendDebs | Operation::TakeDebs => {
                (self.operations.iter()).any(|operation| operation.takes_from_archives())
            }
            _ => self.operations.contains(&operation),
        };
        if !is_allowed {
            return Err(Cause::OperationForbidden { operation });
        }
        let removes = request.allows_removal() || operation.removes_packages();
        if removes && self.removals == Removals::Never {
            return Err(Cause::RemovalForbidden { operation });
        }
        if operation == Operation::Reboot {
            self.allows_reboot(request.is_even_if_not_needed())?;
        }
        if operation == Operation::RestartServices && self.restarts == Restarts::Never {
            return Err(Cause::OperationForbidden { operation });
        }
        if let (Some(path), Some(decision)) = (request.conffile_path(), request.conffile_decision()) {
            self.allows_decision(path.as_str(), decision)?;
        }
        if operation == Operation::Install {
            for package in request.packages() {
                let name = package.name.as_str();
                if !self.install.allow.iter().any(|glob| matches_glob(glob, name)) {
                    return Err(Cause::PackageForbidden {
                        package: name.to_owned(),
                    });
                }
            }
        }
        Ok(())
    }
}

impl Policy {
    /// Whether the server never has this service restarted, by its name without `.service`.
    pub(crate) fn keeps_running(&self, service: &str) -> bool {
        let mut globs = self.keep_running.iter();
        globs.any(|glob| matches_glob(glob, service))
    }

    /// The rules for configuration files in a request: this machine's own, and those of the request that are not weaker.
    pub(crate) fn conffile_rules(&self, request: &Request) -> ConffileRules {
        let may_replace = self.conffile_decisions == ConffileDecisions::WhenAsked;
        self.conffiles.with(request.conffile_rules(), may_replace)
    }

    fn allows_decision(&self, path: &str, decision: ConffileDecision) -> Result<(), Cause> {
        if decision == ConffileDecision::New && !self.conffiles.allow_new(path) {
            return Err(Cause::DecisionForbidden { decision });
        }
        match (self.conffile_decisions, decision) {
            (ConffileDecisions::Never, _) => Err(Cause::OperationForbidden {
                operation: Operation::Conffile,
            }),
            (ConffileDecisions::Keep, ConffileDecision::New) => Err(Cause::DecisionForbidden { decision }),
            (ConffileDecisions::WhenAsked | ConffileDecisions::Keep, _) => Ok(()),
        }
    }

    fn allows_reboot(&self, even_if_not_needed: bool) -> Result<(), Cause> {
        match self.reboots {
            Reboots::Never => Err(Cause::OperationForbidden {
                operation: Operation::Reboot,
            }),
            Reboots::WhenNeeded if even_if_not_needed => Err(Cause::RebootOnlyWhenNeeded),
            Reboots::WhenNeeded | Reboots::WhenAsked => Ok(()),
        }
    }

    /// Whether packages may be changed now, the machine rebooted and services restarted. `now` is asked for the time of a zone only where the policy has windows.
    pub(crate) fn allows_now(
        &self,
        request: &Request,
        now: impl FnOnce(Option<&ZoneName>) -> io::Result<WallTime>,
    ) -> Result<(), Box<Reason>> {
        let operation = request.operation();
        if !request.takes_turns() || self.maintenance.is_empty() {
            return Ok(());
        }
        let now = now(self.maintenance.zone.as_ref())
            .map_err(|error| Box::new(Reason::from(Cause::NoWallTime).detailed(error.to_string())))?;
        match self.maintenance.closed(now) {
            None => Ok(()),
            Some(Closed::Blackout(blackout)) => {
                Err(Box::new(Cause::InBlackout { operation, blackout }.into()))
            }
            Some(Closed::Outside(windows)) => {
                Err(Box::new(Cause::OutsideWindows { operation, windows }.into()))
            }
        }
    }
}

#[cfg(test)]
mod tests;
