//! Chooses which stale services are restarted and which are left, and in which order: a function of what /proc and systemd say.

use std::collections::{BTreeMap, BTreeSet, HashMap};

use apu_proto::{LeftService, WhyLeft};

use super::never_restarted::never_restarted;
use super::units::Unit;

/// Services whose restart comes last: the way into the machine, while everything else has been seen to run.
const LAST: [&str; 2] = ["ssh", "sshd"];

/// The kinds of services that go on running. One of another kind does a job and ends.
const RUNNING: [&str; 7] = [
    "simple",
    "exec",
    "forking",
    "dbus",
    "notify",
    "notify-reload",
    "idle",
];

/// Kinds of units that may be stopped and started again with a service.
const STOPPED_WITH_IT: [&str; 4] = [".service", ".socket", ".timer", ".path"];

/// What is done with the stale services.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Choice {
    /// Those that are restarted, in the order of their turns.
    pub(super) restart: Vec<String>,
    /// The others, by name.
    pub(super) left: Vec<LeftService>,
}

impl Choice {
    /// Adds services that needrestart names and that are not among these.
    pub(super) fn add_named(&mut self, services: BTreeSet<String>) {
        let is_known = |service: &String| {
            self.restart.contains(service) || self.left.iter().any(|left| left.service == *service)
        };
        let new: Vec<String> = services
            .into_iter()
            .filter(|service| is_a_name(service) && !is_known(service))
            .collect();
        let why = WhyLeft::NamedByNeedrestart;
        self.left.extend(new.into_iter().map(|service| LeftService {
            service,
            why: why.clone(),
        }));
        self.left.sort();
    }
}

/// Chooses. `stale` has the processes of each service that have replaced files, `is_kept` says which services the policy keeps running.
pub(super) fn choose(
    stale: &BTreeMap<String, BTreeSet<u32>>,
    units: &HashMap<String, Unit>,
    is_kept: &dyn Fn(&str) -> bool,
) -> Choice {
    let mut choice = Choice::default();
    for (service, processes) in stale {
        let unit = units.get(&format!("{service}.service"));
        if unit.is_some_and(|unit| !is_stale(unit, processes)) {
            continue;
        }
        match why_left(service, unit, is_kept) {
            None => choice.restart.push(service.clone()),
            Some(why) => choice.left.push(LeftService {
                service: service.clone(),
                why,
            }),
        }
    }
    // A stable sort: the others stay in the order of their names.
    choice
        .restart
        .sort_by_key(|service| LAST.contains(&service.as_str()));
    choice
}

/// Whether a restart would replace one of these processes. Where only the main process is ended, the others are sessions and jobs,
/// which go on with what they have and end by themselves.
pub(super) fn is_stale(unit: &Unit, processes: &BTreeSet<u32>) -> bool {
    match unit.main_process() {
        Some(main) if unit.get("KillMode") == "process" => processes.contains(&main),
        _ => !processes.is_empty(),
    }
}

/// The services that a name can be of, as systemd has them: nothing else is handed to systemctl.
pub(super) fn is_a_name(service: &str) -> bool {
    let is_allowed = |byte: u8| byte.is_ascii_alphanumeric() || b":-_.\\@".contains(&byte);
    !service.is_empty() && service.len() <= 255 && service.bytes().all(is_allowed)
}

fn why_left(service: &str, unit: Option<&Unit>, is_kept: &dyn Fn(&str) -> bool) -> Option<WhyLeft> {
    let is_running = |unit: &&Unit| unit.get("LoadState") == "loaded" && unit.get("ActiveState") == "active";
    if let Some(why) = never_restarted(service) {
        return Some(why);
    }
    if is_kept(service) {
        return Some(WhyLeft::Policy);
    }
    let Some(unit) = unit.filter(is_running) else {
        return Some(WhyLeft::NotUnderstood);
    };
    if unit.is_yes("Transient") {
        return Some(WhyLeft::Transient);
    }
    match unit.get("Type") {
        "oneshot" => return Some(WhyLeft::Once),
        kind if RUNNING.contains(&kind) => {}
        _ => return Some(WhyLeft::NotUnderstood),
    }
    if unit.get("StandardInput") == "socket" {
        return Some(WhyLeft::Connection);
    }
    if unit.is_yes("RefuseManualStart") || unit.is_yes("RefuseManualStop") || !unit.is_yes("CanStart") {
        return Some(WhyLeft::Refused);
    }
    match unit.get("KillMode") {
        "control-group" | "mixed" | "process" => {}
        "none" => return Some(WhyLeft::KillsNothing),
        _ => return Some(WhyLeft::NotUnderstood),
    }
    let actions = ["SuccessAction", "FailureAction", "StartLimitAction"];
    if actions
        .iter()
        .any(|action| !matches!(unit.get(action), "" | "none"))
    {
        return Some(WhyLeft::TakesDown);
    }
    let is_hurt = |other: &&str| {
        let name = other.strip_suffix(".service");
        name.is_some_and(|name| never_restarted(name).is_some() || is_kept(name))
            || !STOPPED_WITH_IT.iter().any(|kind| other.ends_with(kind))
    };
    let by = unit.stopped_with_it().find(is_hurt)?.to_owned();
    Some(WhyLeft::Needed { by })
}

#[cfg(test)]
mod tests {
    use super::super::units::parse;
    use super::*;

    const USUAL: &str = "LoadState=loaded\nActiveState=active\nType=notify\nKillMode=control-group\nMainPID=1\nCanStart=yes\n\
                         RefuseManualStart=no\nRefuseManualStop=no\nTransient=no\nStandardInput=null\nSuccessAction=none\n\
                         FailureAction=none\nStartLimitAction=none\n";

    /// A service like most, with these lines in place of its own.
    fn unit(service: &str, other: &str) -> String {
        let is_other = |line: &&str| {
            let key = line.split('=').next();
            !other.lines().any(|other| other.split('=').next() == key)
        };
        let usual: Vec<&str> = USUAL.lines().filter(is_other).collect();
        format!("Id={service}.service\n{}\n{other}\n\n", usual.join("\n"))
    }

    /// Chooses among services whose processes 1 and 2, or as given, are stale; the policy keeps `kept`.
    fn chosen(services: &[(&str, &str)], processes: &[u32]) -> Choice {
        let stale = services
            .iter()
            .map(|(service, _)| ((*service).to_owned(), processes.iter().copied().collect()))
            .collect();
        let answer: String = services
            .iter()
            .map(|(service, other)| unit(service, other))
            .collect();
        choose(&stale, &parse(&answer), &|name| name == "kept")
    }

    #[test]
    fn the_way_into_the_machine_is_restarted_last() {
        let services = ["zabbix", "ssh", "sshd", "cron", "ssh-agent"].map(|service| (service, ""));
        let choice = chosen(&services, &[1]);
        assert_eq!(choice.restart, ["cron", "ssh-agent", "zabbix", "ssh", "sshd"]);
        assert_eq!(choice.left, []);
    }

    #[test]
    fn what_systemd_does_not_show_as_a_running_service_that_may_be_restarted_is_left() {
        for (other, why) in [
            ("", None),
            ("Type=forking\nMainPID=0", None),
            ("KillMode=mixed", None),
            ("LoadState=masked", Some(WhyLeft::NotUnderstood)),
            ("LoadState=not-found", Some(WhyLeft::NotUnderstood)),
            ("ActiveState=deactivating", Some(WhyLeft::NotUnderstood)),
            ("ActiveState=failed", Some(WhyLeft::NotUnderstood)),
            ("Type=oneshot", Some(WhyLeft::Once)),
            ("Type=of-a-later-systemd", Some(WhyLeft::NotUnderstood)),
            ("Transient=yes", Some(WhyLeft::Transient)),
            ("StandardInput=socket", Some(WhyLeft::Connection)),
            ("RefuseManualStop=yes", Some(WhyLeft::Refused)),
            ("RefuseManualStart=yes", Some(WhyLeft::Refused)),
            ("CanStart=no", Some(WhyLeft::Refused)),
            ("KillMode=none", Some(WhyLeft::KillsNothing)),
            ("KillMode=", Some(WhyLeft::NotUnderstood)),
            ("SuccessAction=poweroff", Some(WhyLeft::TakesDown)),
            ("FailureAction=reboot-force", Some(WhyLeft::TakesDown)),
            ("StartLimitAction=reboot", Some(WhyLeft::TakesDown)),
            ("RequiredBy=a.service\nConsistsOf=b.socket c.timer", None),
            (
                "RequiredBy=a.service mnt-data.mount",
                Some(WhyLeft::Needed {
                    by: "mnt-data.mount".into(),
                }),
            ),
            (
                "BoundBy=docker.service",
                Some(WhyLeft::Needed {
                    by: "docker.service".into(),
                }),
            ),
            (
                "ConsistsOf=kept.service",
                Some(WhyLeft::Needed {
                    by: "kept.service".into(),
                }),
            ),
            (
                "PropagatesStopTo=graphical.target",
                Some(WhyLeft::Needed {
                    by: "graphical.target".into(),
                }),
            ),
        ] {
            let choice = chosen(&[("web", other)], &[1]);
            let found = choice.left.first().map(|left| left.why.clone());
            assert_eq!(
                (found, choice.restart.len()),
                (why.clone(), usize::from(why.is_none())),
                "{other}"
            );
        }
        let choice = chosen(&[("dbus", ""), ("kept", "")], &[1]);
        let why: Vec<&WhyLeft> = choice.left.iter().map(|left| &left.why).collect();
        assert_eq!(
            (why, choice.restart.len()),
            (vec![&WhyLeft::Bus, &WhyLeft::Policy], 0)
        );
        // systemd says nothing of it at all.
        let stale = BTreeMap::from([("ghost".to_owned(), [1].into())]);
        let choice = choose(&stale, &HashMap::new(), &|_| false);
        assert_eq!(choice.left[0].why, WhyLeft::NotUnderstood);
    }

    #[test]
    fn sessions_and_jobs_that_a_restart_leaves_alone_make_no_service_stale() {
        let process = |main: &str| format!("KillMode=process\nMainPID={main}");
        for (other, stale, is_restarted) in [
            (process("1"), &[1, 7][..], true),
            (process("1"), &[7], false),
            // An init script: systemd knows no main process.
            (process("0"), &[7], true),
            (String::new(), &[7], true),
        ] {
            let choice = chosen(&[("ssh", other.as_str())], stale);
            assert_eq!(
                choice.restart.len(),
                usize::from(is_restarted),
                "{other} {stale:?}"
            );
            assert_eq!(choice.left, []);
        }
    }

    #[test]
    fn only_names_that_a_unit_can_have_reach_systemctl() {
        for name in ["ssh", "postgresql@15-main", "dev-disk\\x2dby", "-x", "a:b.c_d"] {
            assert!(is_a_name(name), "{name}");
        }
        for name in ["", "a*", "a b", "a/b", "a[1]", "ä", "a\n", &"a".repeat(256)] {
            assert!(!is_a_name(name), "{name}");
        }
    }
}
