//! Dead hosts in a large fleet: they are named with the reason, and hold up nobody.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use apu_tests::Fleet;

/// How long the server waits for an answer, so that the test need not take longer.
const CONNECT_TIMEOUT: u64 = 5;

#[test]
fn three_dead_hosts_hold_up_none_of_a_hundred() {
    let fleet = Fleet::of_size(100).up();
    let settings = fleet.server().read("/etc/apu-server/apu.toml").unwrap();
    let shorter = format!("{settings}\n[ssh]\nconnect_timeout = {CONNECT_TIMEOUT}\nkeep_open = 0\n");
    fleet.server().write("/etc/apu-server/apu.toml", &shorter);
    let begin = Instant::now();
    fleet.apt_all("default ping").all_ended("unchanged").exited(0);
    let alive = begin.elapsed();

    fleet.host("client010").kill_sshd();
    fleet.host("client050").freeze_sshd();
    fleet.host("client090").replace_host_key();
    let begin = Instant::now();
    let run = fleet.apt_all("default ping");
    let took = begin.elapsed();

    run.exited(1);
    run.ended("client010", "unreachable")
        .because("client010", "refused");
    run.ended("client050", "unreachable")
        .because("client050", "no-answer");
    run.ended("client090", "unreachable")
        .because("client090", "changed-host-key");
    let mut counts: BTreeMap<&str, usize> = BTreeMap::new();
    for (_, outcome) in run.outcomes() {
        *counts.entry(outcome).or_default() += 1;
    }
    assert_eq!(counts, BTreeMap::from([("unchanged", 97), ("unreachable", 3)]));
    println!("{took:?} with dead hosts, {alive:?} without; a connection may take {CONNECT_TIMEOUT} s");
    // One connection timeout more; how busy the machine is decides nothing.
    let limit = 3 * (alive + Duration::from_secs(CONNECT_TIMEOUT));
    assert!(took < limit, "{took:?} with dead hosts, {alive:?} without");
}

#[test]
fn a_changed_host_key_is_loud_and_names_its_cure() {
    let fleet = Fleet::of(["web1"]).up();
    fleet.host("web1").replace_host_key();
    let finished = fleet.plain_apt_all("web1 status");
    assert_eq!(finished.code, 1);
    assert!((finished.stdout + &finished.stderr).contains("apu host-key web1"));
}

#[test]
fn a_host_whose_cable_is_pulled_during_a_run_ends_the_run_all_the_same() {
    let fleet = Fleet::of(["web1", "web2"]).up();
    let web1 = fleet.host("web1");
    web1.sh("apt-get -q -y install hurts-slow && echo 50 >/etc/hurts-slow")
        .ok();
    fleet.upstream_offers(apu_tests::Stage::After);
    fleet.apt_all("default update").exited(0);

    let running = fleet.start_apt_all("default upgrade --yes --timeout 60");
    wait_until(|| web1.read("/var/lib/hurts-slow.ticks").is_some());
    web1.pull_the_cable();
    wait_until(|| web1.version_of("hurts-slow").as_deref() == Some("2.0"));
    web1.plug_the_cable_in();

    let run = running.finish();
    run.ended("web2", "changed");
    // The connection came back, or it did not in time: but never is what happened there told wrong.
    let told = run.end_of("web1")["outcome"].as_str().unwrap().to_owned();
    assert!(
        ["changed", "lost", "timed-out"].contains(&told.as_str()),
        "{told}"
    );
    assert_eq!(web1.version_of("pkg-a").as_deref(), Some("2.0"));
}

#[track_caller]
fn wait_until(condition: impl Fn() -> bool) {
    let patience = Instant::now() + Duration::from_secs(60);
    while !condition() {
        assert!(Instant::now() < patience, "it did not come to that");
        std::thread::sleep(Duration::from_millis(50));
    }
}
