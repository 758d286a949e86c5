//! Who is measured, at what, and how each is called.

use std::process::Command;

use apu_tests::Fleet;

use crate::desk::Desk;

/// How many hosts at once where a tool is told: what apt-all does by itself.
const AT_ONCE: &str = "50";

/// apt-all, or what an administrator would use instead.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Tool {
    AptAll,
    Clush,
    Pdsh,
    ParallelSsh,
    Xargs,
    Ansible,
}

impl Tool {
    pub(crate) const ALL: [Self; 6] = [
        Self::AptAll,
        Self::Clush,
        Self::Pdsh,
        Self::ParallelSsh,
        Self::Xargs,
        Self::Ansible,
    ];

    pub(crate) const fn name(self) -> &'static str {
        match self {
            Self::AptAll => "apt-all",
            Self::Clush => "clush",
            Self::Pdsh => "pdsh",
            Self::ParallelSsh => "parallel-ssh",
            Self::Xargs => "xargs ssh",
            Self::Ansible => "ansible",
        }
    }

    /// The program, and the Debian package that has it.
    pub(crate) const fn program(self) -> (&'static str, &'static str) {
        match self {
            Self::AptAll => ("apt-all", "apu-server"),
            Self::Clush => ("clush", "clustershell"),
            Self::Pdsh => ("pdsh", "pdsh"),
            Self::ParallelSsh => ("parallel-ssh", "pssh"),
            Self::Xargs => ("xargs", "findutils"),
            Self::Ansible => ("ansible", "ansible-core"),
        }
    }

    /// Whether it keeps connections open for the next call.
    pub(crate) fn keeps_connections(self, setup: Setup) -> bool {
        matches!(self, Self::AptAll | Self::Ansible) || setup == Setup::Kept
    }
}

/// How the peers are set up. apt-all is measured once, with what it does by itself.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Setup {
    /// As Debian ships them.
    Stock,
    /// With apt-all's key exchange, and as many hosts at once.
    OurKeyExchange,
    /// That, and connections kept open by ssh itself.
    Kept,
}

impl Setup {
    pub(crate) const ALL: [Self; 3] = [Self::Stock, Self::OurKeyExchange, Self::Kept];

    pub(crate) const fn title(self) -> &'static str {
        match self {
            Self::Stock => "peers as Debian ships them",
            Self::OurKeyExchange => "peers with our key exchange in ssh_config, 50 hosts at once",
            Self::Kept => "the same, and ControlPersist in ssh_config",
        }
    }

    pub(crate) const fn name(self) -> &'static str {
        match self {
            Self::Stock => "stock",
            Self::OurKeyExchange => "our-key-exchange",
            Self::Kept => "kept-open",
        }
    }

    /// What the administrator writes into ssh_config.
    pub(crate) fn ssh_config(self, key_exchange: &str) -> String {
        let first = format!("KexAlgorithms ^{key_exchange}\n");
        match self {
            Self::Stock => String::new(),
            Self::OurKeyExchange => first,
            Self::Kept => first + "ControlMaster auto\nControlPath /root/mux/%C\nControlPersist 60\n",
        }
    }
}

/// What is asked of every host.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Task {
    /// The least that there is: `apt-all ping`, the peers' `true`.
    Smallest,
    /// What an upgrade would bring: `apt-all status`, the peers' simulated upgrade.
    Look,
    /// A real upgrade of five packages, on all hosts at once. The peers upgrade without looking; apt-all always plans first.
    Upgrade,
    /// The same, for which a peer is called twice: it simulates the upgrade on all hosts, then upgrades them.
    PlannedUpgrade,
    /// The same, to a canary first, as apt-all does by itself; no peer has that.
    Rollout,
}

impl Task {
    pub(crate) const fn name(self) -> &'static str {
        match self {
            Self::Smallest => "smallest",
            Self::Look => "look",
            Self::Upgrade => "upgrade",
            Self::PlannedUpgrade => "plan-then-upgrade",
            Self::Rollout => "rollout",
        }
    }

    /// The task whose measurement of a tool counts for this one: apt-all plans first anyway, so that it is measured once.
    pub(crate) const fn measured_as(self, tool: Tool) -> Self {
        match (self, tool) {
            (Self::PlannedUpgrade, Tool::AptAll) => Self::Upgrade,
            _ => self,
        }
    }

    /// The tasks for which the tool is called, one after the other.
    const fn calls(self) -> &'static [Self] {
        match self {
            Self::Smallest => &[Self::Smallest],
            Self::Look => &[Self::Look],
            Self::Upgrade => &[Self::Upgrade],
            Self::PlannedUpgrade => &[Self::Look, Self::Upgrade],
            Self::Rollout => &[Self::Rollout],
        }
    }

    /// What apt-all is asked for.
    const fn operation(self) -> &'static str {
        match self {
            Self::Smallest => "ping",
            Self::Look => "status",
            Self::Upgrade | Self::PlannedUpgrade | Self::Rollout => "upgrade",
        }
    }

    /// What the peers run on each host.
    const fn shell(self) -> &'static str {
        match self {
            Self::Smallest => "true",
            Self::Look => "apt-get -qq --simulate upgrade",
            Self::Upgrade | Self::PlannedUpgrade | Self::Rollout => {
                "DEBIAN_FRONTEND=noninteractive apt-get -qq -y upgrade </dev/null"
            }
        }
    }
}

/// The calls of a task, which follow each other.
pub(crate) fn calls(tool: Tool, setup: Setup, task: Task, fleet: &Fleet, desk: &Desk) -> Vec<Command> {
    let tasks = task.measured_as(tool).calls().iter();
    tasks.map(|&task| call(tool, setup, task, fleet, desk)).collect()
}

/// One call.
pub(crate) fn call(tool: Tool, setup: Setup, task: Task, fleet: &Fleet, desk: &Desk) -> Command {
    let at_once = (setup != Setup::Stock).then_some(AT_ONCE);
    let shell = task.shell();
    // Where a tool has a limit of its own on a command's time, an upgrade has to be let through it.
    match tool {
        Tool::AptAll => {
            let mut command = fleet.server().command("apt-all");
            command.args(["default", task.operation()]);
            match task {
                Task::Smallest | Task::Look => {}
                Task::Upgrade | Task::PlannedUpgrade => _ = command.args(["--yes", "--waves", "100%"]),
                Task::Rollout => _ = command.arg("--yes"),
            }
            command
        }
        Tool::Clush => {
            let mut words = vec!["clush", "--hostfile=/root/names", "-S"];
            words.extend(at_once.iter().flat_map(|number| ["-f", number]));
            words.push(shell);
            desk.command(&words)
        }
        Tool::Pdsh => {
            let mut words = vec!["pdsh", "-R", "ssh", "-S", "-w", "^/root/names"];
            words.extend(at_once.iter().flat_map(|number| ["-f", number]));
            words.push(shell);
            desk.command(&words)
        }
        Tool::ParallelSsh => {
            let mut words = vec!["parallel-ssh", "-h", "/root/names", "-t", "0"];
            words.extend(at_once.iter().flat_map(|number| ["-p", number]));
            words.push(shell);
            desk.command(&words)
        }
        // By itself it would take one after the other, which nobody would do.
        Tool::Xargs => desk.command(&[
            "xargs",
            "-a",
            "/root/names",
            "-P",
            AT_ONCE,
            "-I",
            "{}",
            "ssh",
            "{}",
            shell,
        ]),
        Tool::Ansible => {
            let mut words = vec!["ansible", "all", "-i", "/root/names"];
            words.extend(at_once.iter().flat_map(|number| ["-f", number]));
            let module = if task == Task::Smallest {
                "command"
            } else {
                "shell"
            };
            words.extend(["-m", module, "-a", shell]);
            desk.command(&words)
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_peer_that_plans_first_is_called_twice_and_apt_all_is_measured_once() {
        let calls = |tool| Task::PlannedUpgrade.measured_as(tool).calls();
        let shells: Vec<&str> = calls(Tool::Clush).iter().map(|task| task.shell()).collect();
        assert_eq!(
            shells,
            [
                "apt-get -qq --simulate upgrade",
                "DEBIAN_FRONTEND=noninteractive apt-get -qq -y upgrade </dev/null"
            ]
        );
        assert_eq!(calls(Tool::AptAll), [Task::Upgrade]);
    }
}
