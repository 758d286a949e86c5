//! The ledger: what the server remembers of a run, whoever is killed, and which host is at work for whom.

use std::thread::sleep;
use std::time::{Duration, Instant};

use apu_tests::{Fleet, Host, Stage};

use crate::leaving::{is_at_work, wait_until, with_a_slow_upgrade};

const HOSTS: [&str; 5] = ["web1", "web2", "web3", "web4", "web5"];

const COMMAND: &str = "default install hurts-slow --yes";

/// The moments at which apt-all is killed: as many as a check has time for, or as `APU_KILLS` says. The same number is the same
/// moments.
fn kills() -> u32 {
    std::env::var("APU_KILLS").map_or(6, |kills| kills.parse().expect("a number"))
}

/// A fraction from 0 to 1 that looks like chance.
fn fraction(number: u32) -> f64 {
    f64::from(number.wrapping_mul(2_654_435_761) >> 8) / f64::from(u32::MAX >> 8)
}

/// How many transactions apt has carried out on a host.
fn transactions(host: &Host) -> usize {
    let history = host.read("/var/log/apt/history.log").unwrap_or_default();
    history
        .lines()
        .filter(|line| line.starts_with("Start-Date:"))
        .count()
}

/// The last run, as `apu show --json` tells it.
#[track_caller]
fn last(fleet: &Fleet) -> serde_json::Value {
    serde_json::from_str(&fleet.apu("show @ --json").ok()).expect("JSON")
}

#[track_caller]
fn holds_together(fleet: &Fleet) {
    fleet.apu("ledger check").ok();
}

#[test]
fn a_run_whose_apt_all_is_killed_at_any_moment_is_gone_on_with_and_nothing_is_done_twice() {
    let fleet = Fleet::of(HOSTS).up();
    fleet.upstream_offers(Stage::After);
    fleet.apt_all("default update").exited(0);
    for host in fleet.clients() {
        host.write("/etc/hurts-slow", "3\n");
    }
    // How long one takes that nobody kills.
    let begun = Instant::now();
    fleet.apt_all(COMMAND).exited(0);
    let whole = begun.elapsed().as_secs_f64();
    let mut gone_on_with = 0;
    for number in 1..=kills() {
        for host in fleet.clients() {
            host.sh("apt-get -q -y remove hurts-slow").ok();
        }
        let before: Vec<usize> = fleet.clients().map(transactions).collect();
        let moment = Duration::from_secs_f64(whole * fraction(number));
        let running = fleet.start_apt_all(COMMAND);
        sleep(moment);
        running.kill();
        running.finish();
        let resumed = fleet.server().sh("exec apu resume --quiet");
        if resumed.code == 0 {
            gone_on_with += 1;
        } else {
            // It was killed before a host was asked, or after the last one had ended.
            assert_eq!(resumed.code, 2, "after {moment:?}: {resumed:?}");
            fleet.apt_all(COMMAND).exited(0);
        }
        for (host, before) in fleet.clients().zip(before) {
            let is_there = host.version_of("hurts-slow").is_some();
            assert!(is_there, "{} after {moment:?}", host.name());
            assert_eq!(transactions(host), before + 1, "{} after {moment:?}", host.name());
        }
        let run = last(&fleet);
        let ends = run["ends"].as_array().expect("the hosts");
        let is_well =
            |end: &serde_json::Value| matches!(end["outcome"].as_str(), Some("changed" | "unchanged"));
        assert!(
            ends.len() == HOSTS.len() && ends.iter().all(is_well),
            "after {moment:?}: {run}"
        );
        holds_together(&fleet);
    }
    println!(
        "{} kills within {whole:.1} s, {gone_on_with} runs gone on with",
        kills()
    );
    assert!(gone_on_with > 0, "no kill came while hosts were at work");
}

#[test]
fn a_host_is_at_work_for_one_run_and_the_second_is_told_for_which() {
    let fleet = Fleet::of(HOSTS).up();
    with_a_slow_upgrade(&fleet, 300);
    for host in fleet.clients().filter(|host| host.name() != "web3") {
        host.write("/etc/hurts-slow", "3\n");
    }
    fleet.class(
        "default",
        "web1\nweb2\nweb3 exclusive=pair\nweb4 exclusive=pair\nweb5\n",
    );
    let running = fleet.start_apt_all("web3 upgrade --yes");
    wait_until("at work", || is_at_work(fleet.host("web3")));
    let alone = fleet.plain_apt_all("web3 upgrade --yes");
    assert_eq!(alone.code, 3, "{alone:?}");
    assert!(alone.stderr.contains("web3 is at work in run 2"), "{alone:?}");
    assert!(alone.stderr.contains("apu wait 2"), "{alone:?}");
    // Nor does another host of its exclusive group change meanwhile.
    let of_the_group = fleet.plain_apt_all("web4 upgrade --yes");
    assert_eq!(of_the_group.code, 3, "{of_the_group:?}");
    let why = "no other host of the exclusive group pair changes meanwhile";
    assert!(of_the_group.stderr.contains(why), "{of_the_group:?}");
    let beside = fleet.apt_all("web2,web4 upgrade --yes --waves 100%");
    beside
        .ended("web2", "changed")
        .ended("web4", "skipped")
        .because(
            "web4",
            "is at work on web3, which is of the exclusive group pair as well",
        )
        .exited(1);
    fleet.apt_all("web4 update").exited(0);
    // One host that is at work keeps no other from its turn.
    let second = fleet.apt_all("web1,web3 upgrade --yes --waves 100%");
    second
        .ended("web1", "changed")
        .ended("web3", "skipped")
        .because("web3", "not asked: run 2 of root is at work there: upgrade --yes")
        .exited(1);

    let waited = fleet.apu("wait 2");
    running.finish().exited(0);
    assert_eq!(waited.code, 0, "{waited:?}");
    fleet.apt_all("default upgrade --yes").exited(0);
    holds_together(&fleet);
}

#[test]
fn an_aborted_run_begins_nothing_more_and_the_others_are_asked_again() {
    let fleet = Fleet::of(HOSTS).up();
    with_a_slow_upgrade(&fleet, 20);
    fleet.host("web5").pull_the_cable();
    let running = fleet.start_apt_all("default upgrade --yes");
    wait_until("at work", || is_at_work(fleet.host("web1")));
    fleet.apu("abort @").ok();
    let run = running.finish();
    run.ended("web1", "changed").ended("web2", "skipped").exited(130);
    assert_eq!(
        fleet.host("web2").version_of("hurts-slow").as_deref(),
        Some("1.0")
    );
    fleet.host("web5").plug_the_cable_in();

    let skipped = fleet.apt_all("run:@:skipped upgrade --yes");
    skipped
        .ended("web2", "changed")
        .ended("web4", "changed")
        .exited(0);
    assert_eq!(skipped.outcomes().count(), 3);
    let retried = fleet.apu("retry 2 --unreachable --yes --json").ok();
    assert!(retried.contains("\"host\":\"web5\""), "{retried}");
    assert_eq!(
        fleet.host("web5").version_of("hurts-slow").as_deref(),
        Some("2.0")
    );
    assert_eq!(last(&fleet)["parent"], 2);
    holds_together(&fleet);
}
