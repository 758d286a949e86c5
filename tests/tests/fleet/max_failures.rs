//! `--max-failures`: once more hosts failed than may, nothing new is started, and the others are told why.

use apu_tests::{Fleet, Run, Stage};

use crate::sitting::Sitting;

/// Four hosts with an upgrade, of which the first does not allow it.
fn without_the_first() -> Fleet {
    let fleet = Fleet::of(["web1", "web2", "web3", "web4"]).in_class("web").up();
    fleet.upstream_offers(Stage::After);
    fleet.apt_all("web update").exited(0);
    fleet
        .host("web1")
        .sh("sed -i 's/^#operations = .*/operations = [\"status\"]/' /etc/apu-client/policy.toml")
        .ok();
    fleet
}

#[track_caller]
fn upgraded(fleet: &Fleet, expected: [bool; 3]) {
    for (name, is_new) in ["web2", "web3", "web4"].into_iter().zip(expected) {
        let version = if is_new { "2.0" } else { "1.0" };
        assert_eq!(
            fleet.host(name).version_of("pkg-a").as_deref(),
            Some(version),
            "{name}"
        );
    }
}

#[test]
fn with_the_failure_above_the_limit_nothing_new_starts_and_what_is_at_work_goes_on() {
    let fleet = without_the_first();
    let run = fleet.apt_all("web upgrade --yes --parallel 1 --max-failures 0");
    run.ended("web1", "refused").exited(1);
    for name in ["web2", "web3", "web4"] {
        run.ended(name, "skipped")
            .because(name, "\"code\":\"max-failures\"")
            .because(name, "1 of 4 hosts failed, --max-failures is 0");
    }
    upgraded(&fleet, [false, false, false]);

    // Rounded down, 24 % of four hosts are none.
    let shown = fleet.plain_apt_all("web upgrade --yes --parallel 1 --max-failures 24%");
    assert_eq!(shown.code, 1, "{shown:?}");
    for part in [
        "web[2-4]: skipped: 1 of 4 hosts failed, --max-failures is 0\n",
        "try: mend what failed, and then: apt-all 'web[2-4]' upgrade\n",
        "1 refused, 3 skipped, in ",
    ] {
        assert!(shown.stdout.contains(part), "no {part:?} in {}", shown.stdout);
    }
    upgraded(&fleet, [false, false, false]);

    // One fails at once, and the other is at work then.
    for (name, script) in [
        ("web2", "dpkg-query -W pkg-a | grep -q '1.0$'"),
        ("web3", "sleep 3"),
    ] {
        let path = "/etc/apu-client/checks.d/site";
        let host = fleet.host(name);
        host.write(path, &format!("#!/bin/sh\n{script}\n"));
        host.sh(&format!("chmod 755 {path}")).ok();
    }
    let run = fleet.apt_all("web upgrade --yes --exclude web1 --parallel 2 --max-failures 0 --waves 100%");
    run.ended("web2", "partial")
        .ended("web3", "changed")
        .ended("web4", "skipped")
        .because("web4", "1 of 3 hosts failed, --max-failures is 0")
        .exited(1);
    upgraded(&fleet, [true, true, false]);

    let run = fleet.apt_all("web upgrade --yes --parallel 1 --max-failures 25%");
    run.ended("web1", "refused")
        .ended("web2", "unchanged")
        .ended("web4", "changed")
        .exited(1);
}

#[test]
fn a_plan_asks_every_host_and_where_too_many_failed_in_it_nobody_is_asked_to_agree() {
    let fleet = without_the_first();
    let server = fleet.server();
    server
        .sh("printf '[run]\\nmax_failures = \"10%%\"\\n' >>/etc/apu-server/apu.toml")
        .ok();
    let mut sitting = Sitting::down(server, "apt-all web upgrade --parallel 1");
    sitting.sees("pkg-a:amd64  1.0 → 2.0");
    sitting.sees("web[2-4]: skipped: 1 of 4 hosts failed, --max-failures is 0");
    sitting.sees("1 refused, 3 skipped, in ");
    assert!(!sitting.shown.contains("Go on with"), "{}", sitting.shown);
    assert!(!sitting.shown.contains("apu attach"), "{}", sitting.shown);
    sitting.leaves(1);
    upgraded(&fleet, [false, false, false]);

    // What asks and changes nothing has no limit.
    let run = fleet.apt_all("web status --parallel 1");
    run.ended("web1", "unchanged")
        .ended("web4", "unchanged")
        .exited(0);

    // The command line wins over apu.toml.
    let run = fleet.apt_all("web upgrade --yes --parallel 1 --max-failures 1");
    run.ended("web2", "changed").ended("web4", "changed").exited(1);
}

#[test]
fn a_host_that_is_off_counts_for_no_limit() {
    let fleet = Fleet::of(["web1", "web2", "web3", "web4"]).in_class("web").up();
    fleet.upstream_offers(Stage::After);
    fleet.apt_all("web update").exited(0);
    fleet.host("web1").kill_sshd();
    let run = fleet.apt_all("web upgrade --yes --parallel 1 --max-failures 0");
    run.ended("web1", "unreachable").exited(1);
    upgraded(&fleet, [true, true, true]);
    let shown = fleet.apu("show @").stdout;
    assert!(shown.contains("try: apu retry 2 --unreachable\n"), "{shown}");
}

/// The starts and failures of the hosts that were to change, in order: true for a start.
fn starts_and_failures(run: &Run) -> Vec<bool> {
    let apply = run.events().iter().skip_while(|event| event["phase"] != "apply");
    let step = |event: &serde_json::Value| match (event["event"].as_str()?, event["outcome"].as_str()) {
        ("host-started", _) => Some(true),
        ("host-finished", Some("failed" | "partial")) => Some(false),
        _ => None,
    };
    apply.filter_map(step).collect()
}

#[test]
fn on_sixty_hosts_that_fail_the_limit_is_exact_and_for_canaries_a_budget() {
    let fleet = Fleet::of_size(60).up();
    fleet.upstream_offers(Stage::After);
    fleet.apt_all("all update").exited(0);
    let script = "/var/lib/dpkg/info/pkg-a.prerm";
    for host in fleet.clients() {
        host.write(script, "#!/bin/sh\nexit 1\n");
        host.sh(&format!("chmod 755 {script}")).ok();
    }
    let skipped = |run: &Run| {
        run.outcomes()
            .filter(|(_, outcome)| *outcome == "skipped")
            .count()
    };

    // Of hosts for which nobody waits, as many are at work as may be: with the fourth failure nothing starts any more.
    let run = fleet.apt_all("all upgrade --yes -P 10 --max-failures 3 --waves 100%");
    run.exited(1);
    let steps = starts_and_failures(&run);
    let fourth = steps
        .iter()
        .enumerate()
        .filter(|(_, is_start)| !**is_start)
        .nth(3);
    let (fourth, _) = fourth.expect("four failures");
    assert!(steps[fourth..].iter().all(|is_start| !is_start), "{steps:?}");
    let started = steps.iter().filter(|is_start| **is_start).count();
    assert!((4..=13).contains(&started), "{steps:?}");
    assert_eq!(skipped(&run), 60 - started);

    // Canaries fail one time too many and no more, each time anew.
    for _ in 0..2 {
        let run = fleet.apt_all("all upgrade --yes -P 10 --max-failures 3 --canary 30");
        run.exited(1);
        let steps = starts_and_failures(&run);
        let count = |kind: bool| steps.iter().filter(|is_start| **is_start == kind).count();
        assert_eq!(
            (count(true), count(false), skipped(&run)),
            (4, 4, 56),
            "{steps:?}"
        );
    }
}

#[test]
fn a_limit_that_is_none_is_refused_before_anybody_is_asked() {
    let fleet = Fleet::of(["web1"]).up();
    for (words, said) in [
        (
            "web1 update --max-failures x",
            "\"x\" is neither a number of hosts nor a percentage such as 10%",
        ),
        (
            "web1 update --max-failures 101%",
            "\"101%\" is more than all hosts, which are 100%",
        ),
        ("web1 status --max-failures 1", "status has no --max-failures"),
    ] {
        let finished = fleet.plain_apt_all(words);
        assert_eq!(finished.code, 2, "{finished:?}");
        assert!(finished.stderr.contains(said), "{finished:?}");
    }
    fleet
        .server()
        .sh("printf '[run]\\nmax_failures = \"101%%\"\\n' >>/etc/apu-server/apu.toml")
        .ok();
    let finished = fleet.plain_apt_all("web1 update");
    assert_eq!(finished.code, 2, "{finished:?}");
    assert!(
        finished
            .stderr
            .contains("\"101%\" is more than all hosts, which are 100%"),
        "{finished:?}"
    );
}
