//! Chooses which hosts are asked to restart their stale services, by what they say.

use apu_fleet::{Ending, Outcome};
use apu_proto::{Operation, RestartReport};

use super::answered::{Answered, Choice};

/// What a host says of its services, if it could answer that well.
pub(super) fn restarts_of(ending: &Ending) -> Option<&RestartReport> {
    // The server may refuse what the client answered, as of one that is too old.
    let is_answer = ending.outcome == Outcome::Unchanged;
    ending.result.as_ref().filter(|_| is_answer)?.restarts()
}

/// Chooses those that have a service to restart, unless another of their exclusive group may be down.
pub(super) fn choose(answered: Answered<'_>) -> Choice {
    let mut choice = Choice::default();
    for host in answered.hosts {
        let report = answered.ending(&host.name).and_then(restarts_of);
        if report.is_none_or(|report| report.restarts.is_empty()) {
            continue;
        }
        match answered.why_its_group_waits(host, Operation::RestartServices) {
            None => choice.asked.push(host.name.clone()),
            Some(why) => choice.not_asked.push((host.name.clone(), why)),
        }
    }
    choice
}

#[cfg(test)]
mod tests {
    use apu_fleet::{ClassFile, Entry, Host, HostName, ServerCause};
    use apu_proto::{Answer, ClientOutcome, LeftService, RunResult, WhyLeft};

    use super::*;

    fn answers(restarts: &[&str]) -> Ending {
        let left = LeftService {
            service: "dbus".into(),
            why: WhyLeft::Bus,
        };
        let restarts = restarts.iter().map(|name| (*name).to_owned()).collect();
        let report = RestartReport::new(restarts, Vec::new(), vec![left]);
        let result = RunResult::new(ClientOutcome::Unchanged).with(Answer::Restarts(report));
        Ending::of_result(Box::new(result), None)
    }

    #[test]
    fn hosts_with_something_to_restart_are_asked_and_none_whose_group_may_be_down() {
        let away = || Ending::without_result(Outcome::Unreachable, ServerCause::TimedOut, None);
        let mut too_old = answers(&["web"]);
        too_old.outcome = Outcome::Refused;
        let (mut hosts, mut endings): (Vec<Host>, Vec<(HostName, Ending)>) = (Vec::new(), Vec::new());
        for (line, ending) in [
            ("a", answers(&["cron", "ssh"])),
            ("b", answers(&[])),
            ("c", away()),
            ("d1 exclusive=d", answers(&["db"])),
            ("d2 exclusive=d", away()),
            ("e1 exclusive=e reboot=never", answers(&["db"])),
            ("e2 exclusive=e", answers(&["db"])),
            ("f", too_old),
        ] {
            let file = ClassFile::parse(line);
            let Some(Entry::Host(_, host)) = file.entries.first() else {
                panic!("{line}: {:?}", file.errors);
            };
            endings.push((host.name.clone(), ending));
            hosts.push(host.clone());
        }
        let choice = choose(Answered {
            endings: &endings,
            hosts: &hosts,
        });
        let asked: Vec<&str> = choice.asked.iter().map(HostName::as_str).collect();
        assert_eq!(asked, ["a", "e1", "e2"]);
        let [(host, why)] = choice.not_asked.as_slice() else {
            panic!("{choice:?}");
        };
        assert_eq!(host.as_str(), "d1");
        assert!(matches!(why.cause, ServerCause::GroupAtWork { .. }), "{why:?}");
    }
}
