//! Chooses which hosts are asked to reboot, by what they and their classes say: a function of these words.

use apu_fleet::{Ending, Host, HostName, Outcome, Reboot, ServerAdvice, ServerCause, ServerReason};
use apu_proto::{Operation, RebootReport};

use super::answered::{Answered, Choice};

/// What is known before anybody is asked to reboot.
#[derive(Debug)]
pub(super) struct Asked<'a> {
    /// The hosts, and how they answered the question whether they need a reboot.
    pub(super) answered: Answered<'a>,
    /// Whether those reboot as well that do not need it.
    pub(super) all: bool,
    /// The words of the command line that name hosts and classes.
    pub(super) target: &'a str,
    /// The boot that this server is in.
    pub(super) own_boot: &'a str,
}

/// What a host says of a reboot, if it could answer that well.
pub(super) fn report_of(ending: &Ending) -> Option<&RebootReport> {
    // The server may refuse what the client answered, as of one that is too old.
    let is_answer = ending.outcome == Outcome::Unchanged;
    ending.result.as_ref().filter(|_| is_answer)?.reboot()
}

impl Asked<'_> {
    /// Chooses.
    pub(super) fn choose(&self) -> Choice {
        let mut choice = Choice::default();
        for host in self.answered.hosts {
            let Some(report) = self.answered.ending(&host.name).and_then(report_of) else {
                continue;
            };
            if !report.is_needed() && !self.all {
                continue;
            }
            match self.why_not(host, report) {
                None => choice.asked.push(host.name.clone()),
                Some(why) => choice.not_asked.push((host.name.clone(), why)),
            }
        }
        choice
    }

    fn why_not(&self, host: &Host, report: &RebootReport) -> Option<ServerReason> {
        let operation = Operation::Reboot;
        if report.boot_id.is_empty() {
            return Some(ServerCause::BootNotTold.into());
        }
        // Where its boot is this server's, no other boot of it could be seen from here.
        if report.boot_id == self.own_boot {
            let reason = ServerReason::from(ServerCause::ThisServer);
            return Some(reason.advise(ServerAdvice::RebootServer));
        }
        match host.reboot {
            Reboot::Never => return Some(ServerCause::NeverRebooted.into()),
            Reboot::Ask if !self.is_named(&host.name) => {
                let reason = ServerReason::from(ServerCause::RebootedByName);
                return Some(reason.advise(ServerAdvice::NameIt { operation }));
            }
            Reboot::Ask | Reboot::Any => {}
        }
        self.answered.why_its_group_waits(host, operation)
    }

    /// Whether the host is a word of the command line, and not one of a class or a range.
    fn is_named(&self, host: &HostName) -> bool {
        let mut words = self.target.split([' ', ',']);
        words.any(|word| word.parse::<HostName>().is_ok_and(|named| named == *host))
    }
}

#[cfg(test)]
mod tests {
    use apu_proto::{Answer, ClientOutcome, RebootReason, RunResult};

    use super::*;

    fn answers(boot_id: &str, reasons: Vec<RebootReason>) -> Ending {
        let report = RebootReport {
            boot_id: boot_id.into(),
            reasons,
            ..RebootReport::default()
        };
        let result = RunResult::new(ClientOutcome::Unchanged).with(Answer::Reboot(report));
        Ending::of_result(Box::new(result), None)
    }

    fn needs(boot_id: &str) -> Ending {
        answers(boot_id, vec![RebootReason::Dbus])
    }

    fn away() -> Ending {
        Ending::without_result(Outcome::Unreachable, ServerCause::TimedOut, None)
    }

    /// Each as `name: why`, those that reboot without a why.
    fn choose(target: &str, all: bool, hosts: Vec<(&str, Ending)>) -> Vec<String> {
        let mut endings = Vec::new();
        let mut named = Vec::new();
        for (line, ending) in hosts {
            let file = apu_fleet::ClassFile::parse(line);
            let Some(apu_fleet::Entry::Host(_, host)) = file.entries.first() else {
                panic!("{line}: {:?}", file.errors);
            };
            endings.push((host.name.clone(), ending));
            named.push(host.clone());
        }
        let asked = Asked {
            answered: Answered {
                endings: &endings,
                hosts: &named,
            },
            all,
            target,
            own_boot: "own",
        };
        let choice = asked.choose();
        let reboot = choice.asked.iter().map(ToString::to_string);
        let why = |(host, why): &(HostName, ServerReason)| {
            let cause = serde_json::to_value(&why.cause).unwrap();
            format!("{host}: {}", cause["cause"].as_str().unwrap())
        };
        reboot.chain(choice.not_asked.iter().map(why)).collect()
    }

    #[test]
    fn who_needs_it_reboots_and_with_all_everybody_who_answers() {
        let hosts = || vec![("a", needs("1")), ("b", answers("2", Vec::new())), ("c", away())];
        assert_eq!(choose("web", false, hosts()), ["a"]);
        assert_eq!(choose("web", true, hosts()), ["a", "b"]);
    }

    #[test]
    fn a_class_file_keeps_hosts_from_it_and_one_that_asks_has_to_be_named() {
        let hosts = || {
            vec![
                ("a reboot=never", needs("1")),
                ("b reboot=ask", needs("2")),
                ("c reboot=any", needs("3")),
                ("d reboot=never", answers("4", Vec::new())),
            ]
        };
        let told = ["c", "a: never-rebooted", "b: rebooted-by-name"];
        assert_eq!(choose("web", false, hosts()), told);
        // A range is no name, and never means never.
        assert_eq!(choose("a,b[1-2]", false, hosts()), told);
        assert_eq!(choose("web,B a", false, hosts()), ["b", "c", "a: never-rebooted"]);
    }

    #[test]
    fn this_server_and_a_host_that_tells_no_boot_are_never_asked() {
        let hosts = vec![("a", needs("own")), ("b", needs("")), ("c", needs("1"))];
        assert_eq!(
            choose("a,b,c", true, hosts),
            ["c", "a: this-server", "b: boot-not-told"]
        );
    }

    #[test]
    fn nobody_goes_down_while_another_of_its_group_does_not_answer() {
        let hosts = vec![
            ("a1 exclusive=a", away()),
            ("a2 exclusive=a", needs("1")),
            ("a3 exclusive=a", answers("2", Vec::new())),
            ("b1 exclusive=b", needs("3")),
            ("b2 exclusive=b", answers("4", Vec::new())),
            ("c", needs("5")),
        ];
        assert_eq!(choose("all", false, hosts), ["b1", "c", "a2: group-at-work"]);
    }
}
