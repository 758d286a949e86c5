//! Which services are stale, which of them restart and which stay: before anybody is asked, equal ones together, and afterwards.

use std::collections::BTreeMap;
use std::fmt::Write;

use apu_fleet::HostName;
use apu_proto::{FailedRestart, LeftService, NotRestarted, RestartReport, WhyLeft};

use super::clean::clean;
use super::groups::{groups, set};
use super::paint::Paint;

/// What the hosts restart, and below it what stays; hosts with the same services together.
#[must_use]
pub fn restarts(asked: &[(HostName, &RestartReport)], paint: Paint) -> String {
    let mut text = String::new();
    let told = asked.iter().map(|(host, report)| (host, lines(report)));
    for (lines, hosts) in groups(told) {
        let mut lines = lines.iter();
        let first = lines.next().map_or("", String::as_str);
        let _ = writeln!(text, "{}: {first}", paint.strong(&set(&hosts)));
        for line in lines {
            let _ = writeln!(text, "  {line}");
        }
    }
    paint.letters(text)
}

/// What is asked before so many services restart, with the waves where there is more than one; without a line end.
#[must_use]
pub fn question(services: usize, hosts: usize, waves: Option<&str>) -> String {
    let s = |number: usize| if number == 1 { "" } else { "s" };
    let waves = waves.map_or_else(String::new, |waves| format!(", {waves}"));
    format!(
        "Restart {services} service{} on {hosts} host{}{waves}? [y/N] ",
        s(services),
        s(hosts)
    )
}

fn lines(report: &RestartReport) -> Vec<String> {
    let mut lines = vec![format!("restarts {}", clean(&report.restarts.join(", ")))];
    lines.extend(left(report));
    lines
}

/// A line for each reason for which services stay as they are, and one for those that have no name here.
#[must_use]
pub fn left(report: &RestartReport) -> Vec<String> {
    let mut by_reason: BTreeMap<&WhyLeft, Vec<&str>> = BTreeMap::new();
    for LeftService { service, why } in &report.left {
        by_reason.entry(why).or_default().push(service);
    }
    let line = |(why, services): (&WhyLeft, Vec<&str>)| {
        clean(&format!(
            "stays stale: {} ({})",
            services.join(", "),
            why_left(why)
        ))
    };
    let more = (report.more > 0).then(|| format!("and {} more services", report.more));
    by_reason.into_iter().map(line).chain(more).collect()
}

/// A line for each service that was to be restarted and does not run with the new files; systemctl's words are the reason's.
#[must_use]
pub fn failed(report: &RestartReport) -> Vec<String> {
    let said = |failed: &&FailedRestart| !matches!(failed.why, NotRestarted::Systemctl { .. });
    let failed = report.failed.iter().filter(said);
    failed
        .map(|failed| clean(&format!("{}: {}", failed.service, why_failed(&failed.why))))
        .collect()
}

fn why_left(why: &WhyLeft) -> String {
    match why {
        WhyLeft::Bus => "a reboot is required: what is connected to the message bus would fail",
        WhyLeft::Sessions => "a reboot is required: sessions would end",
        WhyLeft::Network => "a reboot is required: the network would be cut",
        WhyLeft::Containers => "a reboot or a restart by hand is required: containers would stop",
        WhyLeft::Machines => "a reboot or a restart by hand is required: virtual machines would stop",
        WhyLeft::Storage => "a reboot is required: what is mounted from it would fail",
        WhyLeft::Once => "it would do its job once more",
        WhyLeft::Transient => "somebody started it with systemd-run",
        WhyLeft::Connection => "it ends with its connection",
        WhyLeft::Refused => "a reboot is required: its unit refuses to be stopped or started by hand",
        WhyLeft::KillsNothing => "a reboot is required: its unit has KillMode=none",
        WhyLeft::NamedByNeedrestart => "needrestart alone names it, for changed scripts: restart it by hand",
        WhyLeft::TakesDown => "a reboot is required: systemd takes the machine down with it",
        WhyLeft::Needed { by } => return format!("a reboot is required: {by} would stop with it"),
        WhyLeft::Policy => "this client's policy keeps it running",
        WhyLeft::NotUnderstood => "systemd does not show it as a running service of a known kind",
        WhyLeft::Unknown => "for a reason that only a later apu-server knows",
    }
    .to_owned()
}

fn why_failed(why: &NotRestarted) -> String {
    match why {
        NotRestarted::Systemctl { said } => said.clone(),
        NotRestarted::TimeUp { seconds } => {
            format!(
                "its restart did not end within {} and goes on",
                apu_fleet::span(*seconds)
            )
        }
        NotRestarted::NotRunning { state } => format!("it was restarted and does not run now: {state}"),
        NotRestarted::StillStale => "it was restarted and still runs with replaced files".to_owned(),
        NotRestarted::NotKnown => "it was restarted, and what it runs with now cannot be told".to_owned(),
        NotRestarted::NotBegun => "its restart was not begun".to_owned(),
        NotRestarted::Unknown => "for a reason that only a later apu-server knows".to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn report(restarts: &[&str], left: &[(&str, WhyLeft)]) -> RestartReport {
        let left = left.iter().map(|(service, why)| LeftService {
            service: (*service).to_owned(),
            why: why.clone(),
        });
        let restarts = restarts.iter().map(|name| (*name).to_owned()).collect();
        RestartReport::new(restarts, Vec::new(), left.collect())
    }

    #[test]
    fn equal_hosts_are_shown_once_and_a_clients_words_are_cleaned() {
        let stays = [("dbus", WhyLeft::Bus), ("getty@tty1", WhyLeft::Sessions)];
        let same = report(&["cron", "ssh"], &stays);
        let by = "mnt\u{1b}[2J.mount".to_owned();
        let mut other = report(&["a\nb"], &[("nfs", WhyLeft::Needed { by })]);
        other.more = 7;
        let host = |name: &str| -> HostName { name.parse().unwrap() };
        let asked = [
            (host("web1"), &same),
            (host("web2"), &same),
            (host("db1"), &other),
        ];
        let plain = Paint {
            colour: false,
            unicode: true,
        };
        let text = restarts(&asked, plain);
        assert!(!text.contains('\u{1b}'), "{text}");
        let lines: Vec<&str> = text.lines().collect();
        assert_eq!(
            lines[..3],
            [
                "web[1-2]: restarts cron, ssh",
                "  stays stale: dbus (a reboot is required: what is connected to the message bus would fail)",
                "  stays stale: getty@tty1 (a reboot is required: sessions would end)",
            ]
        );
        assert!(lines[3].starts_with("db1: restarts a"), "{text}");
        assert!(lines[4].ends_with(".mount would stop with it)"), "{text}");
        assert_eq!(lines[5..], ["  and 7 more services"]);
        assert_eq!(question(1, 1, None), "Restart 1 service on 1 host? [y/N] ");
        assert_eq!(
            question(5, 4, Some("first web1, then 3")),
            "Restart 5 services on 4 hosts, first web1, then 3? [y/N] "
        );
    }

    #[test]
    fn what_failed_is_told_once() {
        let mut report = report(&[], &[]);
        let said = "Job for a.service failed.".to_owned();
        report.failed = [
            ("a", NotRestarted::Systemctl { said }),
            ("b", NotRestarted::TimeUp { seconds: 300 }),
            (
                "c",
                NotRestarted::NotRunning {
                    state: "failed\u{1b}".into(),
                },
            ),
        ]
        .map(|(service, why)| FailedRestart {
            service: service.to_owned(),
            why,
        })
        .to_vec();
        let lines = failed(&report);
        assert_eq!(lines[0], "b: its restart did not end within 5 min and goes on");
        assert!(
            lines[1].starts_with("c: it was restarted and does not run now: failed"),
            "{lines:?}"
        );
        assert!(!lines[1].contains('\u{1b}'));
        assert_eq!(lines.len(), 2);
    }
}
