//! A run that is paused starts nobody until an administrator decides, whoever is killed meanwhile.

use apu_tests::{Fleet, Host, Stage};

use crate::leaving::{is_at_work, wait_until, with_a_slow_upgrade};

const HOSTS: [&str; 4] = ["web1", "web2", "web3", "web4"];

/// Four hosts with an upgrade, of which the first cannot tell afterwards whether it is well.
fn with_an_unclear_canary() -> Fleet {
    let fleet = Fleet::of(HOSTS).in_class("web").up();
    fleet.upstream_offers(Stage::After);
    fleet.apt_all("web update").exited(0);
    make_unclear(fleet.host("web1"));
    fleet
}

/// Its administrator's own check cannot tell whether it is well.
fn make_unclear(host: &Host) {
    let path = "/etc/apu-client/checks.d/site";
    host.write(path, "#!/bin/sh\necho 'is being started'\nexit 75\n");
    host.sh(&format!("chmod 755 {path}")).ok();
}

/// The last run, as `apu show --json` tells it.
fn last(fleet: &Fleet) -> serde_json::Value {
    serde_json::from_str(&fleet.apu("show @ --json").ok()).expect("JSON")
}

fn is_paused(fleet: &Fleet) -> bool {
    last(fleet)["state"] == "paused"
}

/// Waits for the end of the last run: one that is paused ends by itself only after a day.
#[track_caller]
fn wait_for_the_end(fleet: &Fleet) {
    wait_until("ended", || last(fleet)["state"] == "ended");
}

#[track_caller]
fn are_upgraded(fleet: &Fleet, expected: &[&str]) {
    let is_new = |host: &&Host| host.version_of("pkg-a").as_deref() == Some("2.0");
    let upgraded: Vec<&str> = fleet.clients().filter(is_new).map(Host::name).collect();
    assert_eq!(upgraded, expected);
}

#[test]
fn an_inconclusive_canary_holds_the_others_until_it_is_promoted_also_after_a_kill() {
    let fleet = with_an_unclear_canary();
    let running = fleet.start_apt_all("web upgrade --yes");
    wait_until("paused", || is_paused(&fleet));
    assert_eq!(last(&fleet)["inconclusive_wave"], 1);
    let listed = fleet.apu("runs").ok();
    assert!(listed.contains("paused: wave 1 is inconclusive"), "{listed}");
    let shown = fleet.apu("show @").ok();
    assert!(
        shown.contains("is being started") && shown.contains("try: apu promote 2, or apu abort 2\n"),
        "{shown}"
    );
    // Its hosts stay held for it.
    let other = fleet.plain_apt_all("web4 upgrade --yes");
    assert_eq!(other.code, 3, "{other:?}");
    are_upgraded(&fleet, &["web1"]);

    // A kill decides nothing.
    running.kill();
    let resumed = fleet.server().command("apu").args(["resume", "@"]).spawn();
    let mut resumed = resumed.expect("apu resume");
    wait_until("paused again", || is_paused(&fleet));
    are_upgraded(&fleet, &["web1"]);
    let said = fleet.apu("promote @").ok();
    // The run that found every host held took a number and gave it back.
    assert!(
        said.starts_with("wave 1 of run 4 of root counts as well"),
        "{said}"
    );
    wait_for_the_end(&fleet);
    let status = resumed.wait().expect("the end of apu resume");
    assert!(status.success(), "{status}");
    are_upgraded(&fleet, &HOSTS);
    assert_eq!(last(&fleet)["state"], "ended");
}

#[test]
fn without_a_decision_in_time_nobody_follows_and_an_abort_ends_a_pause_at_once() {
    let fleet = with_an_unclear_canary();
    let run = fleet.plain_apt_all("web upgrade --yes --pause-limit 2s");
    assert_eq!(run.code, 1, "{run:?}");
    assert!(
        run.stdout.contains(
            "paused, for 2 s at most: whether web1 of wave 1 is well cannot be told, and no other host starts\n  \
             try: apu show 2, which says why, and then apu promote 2 or apu abort 2\n\
             wave 1 of 2 cannot be told to be well: no other host starts\n"
        ),
        "{}",
        run.stdout
    );
    let late = fleet.apu("promote 2");
    assert_eq!(
        (late.code, late.stderr.as_str()),
        (2, "error: run 2 is not under way\n  try: apu show 2\n")
    );

    make_unclear(fleet.host("web2"));
    let running = fleet.start_apt_all("web upgrade --yes --exclude web1 --canary 1");
    wait_until("paused", || is_paused(&fleet));
    fleet.apu("abort @").ok();
    wait_for_the_end(&fleet);
    running.finish().ended("web3", "skipped").exited(130);
    are_upgraded(&fleet, &["web1", "web2"]);
}

#[test]
fn a_run_that_an_administrator_pauses_starts_nobody_until_it_is_resumed() {
    let fleet = Fleet::of(HOSTS).up();
    with_a_slow_upgrade(&fleet, 3);
    let running = fleet.start_apt_all("default upgrade --yes --waves 100% --parallel 1");
    wait_until("at work", || is_at_work(fleet.host("web1")));
    fleet.apu("pause @").ok();
    wait_until("paused", || is_paused(&fleet));
    wait_until("web1 is done", || {
        fleet.apu("show @").stdout.contains("web1: changed")
    });
    assert!(!is_at_work(fleet.host("web2")));
    let shown = fleet.apu("show @").ok();
    assert!(shown.ends_with("try: apu resume 2, or apu abort 2\n"), "{shown}");
    assert_eq!(fleet.apu("resume @").ok(), "run 2 of root goes on\n");
    wait_for_the_end(&fleet);
    let run = running.finish();
    for name in HOSTS {
        run.ended(name, "changed");
    }
    run.exited(0);
}
