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
mod tests {
    use super::*;

    fn check(policy: &str, request: &str) -> Result<(), Cause> {
        let request = Request::parse(format!("apu/1 {request}").as_bytes()).unwrap();
        Policy::parse(policy).unwrap().allows(&request)
    }

    const SHIPPED: &str = include_str!("../../policy.toml");

    #[test]
    fn the_policy_that_is_installed_says_what_the_defaults_are() {
        assert_eq!(Policy::parse(SHIPPED).unwrap(), Policy::default());
    }

    #[test]
    fn the_list_of_operations_in_the_policy_that_is_installed_narrows_it_once_it_counts() {
        let policy = SHIPPED.replace("#operations = ", "operations = ");
        assert_eq!(check(&policy, "upgrade"), Ok(()));
        assert_eq!(
            check(&policy, "dist-upgrade"),
            Err(Cause::OperationForbidden {
                operation: Operation::DistUpgrade
            })
        );
    }

    #[test]
    fn all_but_remove_is_allowed_by_default() {
        for policy in ["", SHIPPED] {
            for request in [
                "status",
                "dist-upgrade allow_remove=yes",
                "install vim",
                "autoremove",
                "clean",
            ] {
                assert_eq!(check(policy, request), Ok(()), "{request}");
            }
            assert_eq!(
                check(policy, "remove vim"),
                Err(Cause::OperationForbidden {
                    operation: Operation::Remove
                })
            );
        }
    }

    #[test]
    fn an_operation_that_is_not_listed_is_refused_and_ping_never_is() {
        let policy = "operations = [\"status\"]";
        assert_eq!(check(policy, "ping"), Ok(()));
        assert_eq!(
            check(policy, "update"),
            Err(Cause::OperationForbidden {
                operation: Operation::Update
            })
        );
    }

    #[test]
    fn debs_travel_where_they_may_be_installed() {
        let run = format!("run_id={}", "0".repeat(32));
        let sum = "0".repeat(64);
        for words in [
            format!("send-debs {run} debs_sha256={sum}"),
            format!("take-debs {run} debs_follow={sum}:1"),
        ] {
            assert_eq!(check("operations = [\"upgrade\"]", &words), Ok(()));
            assert_eq!(check("", &words), Ok(()));
            assert!(check("operations = [\"status\", \"remove\"]", &words).is_err());
        }
    }

    #[test]
    fn install_is_narrowed_to_the_names_that_are_allowed() {
        let policy = "[install]\nallow = [\"site-*\", \"vim\", \"lib?1\"]";
        for name in ["site-a", "site-b-c", "vim", "libx1"] {
            assert_eq!(check(policy, &format!("install {name}")), Ok(()), "{name}");
        }
        for name in ["vim-tiny", "my-site-a", "libxx1"] {
            let refused = Err(Cause::PackageForbidden { package: name.into() });
            assert_eq!(check(policy, &format!("install vim {name}")), refused);
        }
    }

    #[test]
    fn removals_can_be_ruled_out_whatever_a_request_says() {
        let policy = "removals = \"never\"";
        assert_eq!(check(policy, "dist-upgrade"), Ok(()));
        assert!(check(policy, "dist-upgrade allow_remove=yes").is_err());
        assert!(check(policy, "autoremove").is_err());
    }

    #[test]
    fn a_machine_is_rebooted_only_where_it_needs_that_or_its_policy_says_more() {
        let (needed, any) = ("reboot", "reboot even_if_not_needed=yes");
        for policy in ["", SHIPPED, "reboots = \"when-needed\""] {
            assert_eq!(check(policy, needed), Ok(()));
            assert_eq!(check(policy, any), Err(Cause::RebootOnlyWhenNeeded));
        }
        let policy = "reboots = \"when-asked\"";
        assert_eq!([needed, any].map(|words| check(policy, words)), [Ok(()), Ok(())]);
        let operation = Operation::Reboot;
        for policy in ["reboots = \"never\"", "operations = [\"status\"]"] {
            for words in [needed, any, "reboot dry_run=yes"] {
                assert_eq!(check(policy, words), Err(Cause::OperationForbidden { operation }));
            }
        }
    }

    #[test]
    fn services_are_restarted_unless_the_policy_forbids_it_and_never_those_that_it_keeps() {
        for policy in ["", SHIPPED, "restarts = \"when-needed\""] {
            assert_eq!(check(policy, "restart-services"), Ok(()));
        }
        let operation = Operation::RestartServices;
        for policy in ["restarts = \"never\"", "operations = [\"status\", \"reboot\"]"] {
            for words in ["restart-services", "restart-services dry_run=yes"] {
                assert_eq!(check(policy, words), Err(Cause::OperationForbidden { operation }));
            }
        }
        let kept = Policy::parse("keep_running = [\"postgresql@*\", \"slapd\"]").unwrap();
        let keeps = |service| kept.keeps_running(service);
        assert!(keeps("postgresql@15-main") && keeps("slapd"));
        assert!(!keeps("postgresql") && !keeps("slapd2") && !Policy::default().keeps_running("slapd"));
    }

    #[test]
    fn decisions_about_configuration_files_are_allowed_narrowed_or_forbidden() {
        let request = |decision: &str| match decision {
            "undo" => "conffile conffile_path=/etc/x conffile_decision=undo".to_owned(),
            _ => format!(
                "conffile conffile_path=/etc/x conffile_decision={decision} conffile_versions=.dpkg-dist:fcbc800d:ed9c86a6"
            ),
        };
        let operation = Operation::Conffile;
        for decision in ["keep", "new", "undo"] {
            for policy in ["", SHIPPED, "conffile_decisions = \"when-asked\""] {
                assert_eq!(check(policy, &request(decision)), Ok(()), "{decision}");
            }
            for policy in ["conffile_decisions = \"never\"", "operations = [\"conffiles\"]"] {
                let refused = Err(Cause::OperationForbidden { operation });
                assert_eq!(check(policy, &request(decision)), refused, "{decision}");
            }
        }
        let keep = "conffile_decisions = \"keep\"";
        assert_eq!(
            ["keep", "undo"].map(|word| check(keep, &request(word))),
            [Ok(()), Ok(())]
        );
        let decision = ConffileDecision::New;
        assert_eq!(
            check(keep, &request("new")),
            Err(Cause::DecisionForbidden { decision })
        );
    }

    #[test]
    fn packages_change_only_in_the_windows_and_a_clock_that_cannot_be_told_opens_none() {
        let policy = "[maintenance]\nwindows = [\"Sat 22:00-06:00\"]\nblackouts = [\"2026-12-20..2027-01-06\"]\nzone = \"Europe/Berlin\"";
        let on = |date, weekday, hour: u16| WallTime {
            date,
            weekday,
            minute: hour * 60,
        };
        let allows = |policy: &str, request: &str, now: io::Result<WallTime>| {
            let request = Request::parse(format!("apu/1 {request}").as_bytes()).unwrap();
            let policy = Policy::parse(policy).unwrap();
            policy.allows_now(&request, |zone| {
                assert_eq!(zone.map(ZoneName::as_str), Some("Europe/Berlin"));
                now
            })
        };
        let (saturday, friday) = (on((2026, 11, 28), 5, 23), on((2026, 11, 27), 4, 23));
        assert_eq!(allows(policy, "upgrade", Ok(saturday)), Ok(()));
        let cause = allows(policy, "upgrade", Ok(friday)).unwrap_err().cause;
        let windows = vec!["Sat 22:00-06:00".to_owned()];
        let operation = Operation::Upgrade;
        assert_eq!(cause, Cause::OutsideWindows { operation, windows });
        let windows = vec!["Sat 22:00-06:00".to_owned()];
        let reboot = Operation::Reboot;
        let cause = allows(policy, "reboot", Ok(friday)).unwrap_err().cause;
        assert_eq!(
            cause,
            Cause::OutsideWindows {
                operation: reboot,
                windows
            }
        );
        let restart = allows(policy, "restart-services", Ok(friday)).unwrap_err();
        assert!(
            matches!(restart.cause, Cause::OutsideWindows { .. }),
            "{restart:?}"
        );
        let cause = allows(policy, "upgrade", Ok(on((2026, 12, 26), 5, 23)))
            .unwrap_err()
            .cause;
        let blackout = "2026-12-20..2027-01-06".to_owned();
        assert_eq!(cause, Cause::InBlackout { operation, blackout });
        let unknown = allows(policy, "upgrade", Err(io::Error::other("no date"))).unwrap_err();
        assert_eq!(unknown.cause, Cause::NoWallTime);
        // What changes no package, and a policy without windows, need no clock.
        for (policy, request) in [
            (policy, "update"),
            (policy, "upgrade dry_run=yes"),
            (policy, "upgrade download_only=yes"),
            (policy, "reboot dry_run=yes"),
            (policy, "restart-services dry_run=yes"),
            ("", "upgrade"),
        ] {
            let request = Request::parse(format!("apu/1 {request}").as_bytes()).unwrap();
            let policy = Policy::parse(policy).unwrap();
            assert_eq!(policy.allows_now(&request, |_| unreachable!()), Ok(()));
        }
    }

    #[test]
    fn what_may_not_be_done_may_not_be_fetched_either() {
        let policy =
            "operations = [\"upgrade\", \"install\"]\nremovals = \"never\"\n[install]\nallow = [\"vim\"]";
        assert_eq!(check(policy, "upgrade download_only=yes"), Ok(()));
        assert_eq!(check(policy, "install download_only=yes vim"), Ok(()));
        for request in [
            "dist-upgrade download_only=yes",
            "install download_only=yes htop",
            "install allow_remove=yes download_only=yes vim",
        ] {
            assert!(check(policy, request).is_err(), "{request}");
        }
    }

    #[test]
    fn a_mistake_is_an_error_and_never_a_default() {
        for text in [
            "operation = []",
            "operations = [\"updat\"]",
            "conffiles = \"old\"",
            "[conffiles]\nkeep = [\"x\"]",
            "answers = \"when-needed\"",
            "reboots = \"always\"",
            "restarts = \"when-asked\"",
            "conffile_decisions = \"new\"",
            "keep_running = \"ssh\"",
            "[install]\nallowed = []",
            "install = 1",
            "[maintenance]\nwindow = []",
            "[maintenance]\nwindows = [\"Sat 22:00\"]",
            "[maintenance]\nzone = \"../../etc\"",
            "[",
        ] {
            assert!(Policy::parse(text).is_err(), "{text}");
        }
    }

    #[test]
    fn a_policy_that_somebody_else_may_write_is_no_policy() {
        use std::os::unix::fs::PermissionsExt;
        let root = tempfile::tempdir().unwrap();
        let paths = ClientPaths::below(root.path());
        assert!(matches!(Policy::read(&paths), Err(PolicyError::Read(_))));
        fs::create_dir_all(paths.policy().parent().unwrap()).unwrap();
        fs::write(paths.policy(), "").unwrap();
        fs::set_permissions(paths.policy(), fs::Permissions::from_mode(0o666)).unwrap();
        assert!(matches!(Policy::read(&paths), Err(PolicyError::Owner)));
    }
}
