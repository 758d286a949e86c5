//! Runs that print nothing: the connection stays free for others, and a broken one is made again until there is a result.

mod many;

use std::time::{Duration, Instant};

use apu_tests::{Fleet, Host, Stage};

/// `web1` with an upgrade of a package whose script prints nothing until [`let_go`].
fn fleet_with_a_silent_upgrade() -> Fleet {
    let fleet = Fleet::of(["web1"]).up();
    fleet.host("web1").sh("apt-get -q -y install hurts-silent").ok();
    fleet.upstream_offers(Stage::After);
    fleet.apt_all("web1 update").ended("web1", "changed");
    fleet
}

#[track_caller]
fn wait_until_silent(host: &Host) {
    let patience = Instant::now() + Duration::from_secs(120);
    while host.read("/var/lib/hurts-silent.begun").is_none() {
        assert!(Instant::now() < patience, "the script never began");
        std::thread::sleep(Duration::from_millis(100));
    }
}

/// The script reads a pipe.
fn let_go(host: &Host) {
    host.sh("timeout 60 sh -c 'echo >/var/lib/hurts-silent.go'").ok();
}

#[test]
fn a_silent_run_leaves_its_connection_to_others() {
    let fleet = fleet_with_a_silent_upgrade();
    let web1 = fleet.host("web1");
    let running = fleet.start_apt_all("web1 upgrade --yes");
    wait_until_silent(web1);

    // The script goes on only after these, so they are answered while the run is silent, or not at all.
    for _ in 0..3 {
        let ping = fleet.apt_all("web1 ping --timeout 60");
        ping.ended("web1", "unchanged").exited(0);
        let reused = ping.events().iter().find(|event| event["event"] == "connected");
        assert_eq!(reused.unwrap()["reused"], true, "{ping:?}");
    }

    let_go(web1);
    running.finish().ended("web1", "changed").exited(0);
}

/// Kills the connection of the push key, once there is one.
#[track_caller]
fn cut_the_connection(host: &Host) {
    let patience = Instant::now() + Duration::from_secs(120);
    while host.sh("pkill -KILL -u apu apu-wrapper").code != 0 {
        assert!(Instant::now() < patience, "nobody asked again");
        std::thread::sleep(Duration::from_millis(100));
    }
}

#[test]
fn a_run_whose_connection_is_cut_five_times_has_one_true_end() {
    let fleet = fleet_with_a_silent_upgrade();
    let web1 = fleet.host("web1");
    let running = fleet.start_apt_all("web1 upgrade --yes");
    wait_until_silent(web1);
    for _ in 0..4 {
        cut_the_connection(web1);
    }
    // The last time the network itself is gone for a while.
    web1.pull_the_cable();
    std::thread::sleep(Duration::from_secs(1));
    web1.plug_the_cable_in();
    cut_the_connection(web1);
    let_go(web1);

    let run = running.finish();
    run.ended("web1", "changed").exited(0);
    let again = run
        .events()
        .iter()
        .filter(|event| event["event"] == "reconnecting");
    assert_eq!(again.count(), 5, "{run:?}");
    assert_eq!(web1.version_of("hurts-silent").as_deref(), Some("2.0"));
}

#[test]
fn status_check_and_a_second_run_know_of_a_run_at_work() {
    let fleet = fleet_with_a_silent_upgrade();
    let web1 = fleet.host("web1");
    let running = fleet.start_apt_all("web1 upgrade --yes");
    wait_until_silent(web1);

    let status = fleet.apt_all("web1 status");
    status.ended("web1", "unchanged").exited(0);
    let notes = status.notes("web1");
    assert!(notes.contains("a run is at work: upgrade, since 2"), "{notes}");
    fleet
        .apt_all("web1 check")
        .ended("web1", "failed")
        .because("web1", "a run is at work: upgrade, since 2");

    // This server would leave the host to the first run: the second one is as that of another server.
    fleet.apu("unlock --force web1").ok();
    let second = fleet.start_apt_all("web1 install pkg-x --yes");
    let patience = Instant::now() + Duration::from_secs(120);
    while !web1
        .sh("grep -l 'the run before it: upgrade, since 2' /var/lib/apu-client/runs/*/log")
        .code
        .eq(&0)
    {
        assert!(
            Instant::now() < patience,
            "the second run never told what it waits for"
        );
        std::thread::sleep(Duration::from_millis(100));
    }

    let_go(web1);
    running.finish().ended("web1", "changed").exited(0);
    let second = second.finish();
    second.ended("web1", "changed").exited(0);
    let waiting = second.events().iter().filter(|event| event["event"] == "waiting");
    let holders: Vec<String> = waiting.map(|event| event["holder"].to_string()).collect();
    assert!(
        holders.iter().any(|holder| holder.contains("upgrade, since")),
        "{holders:?}"
    );
}

#[test]
fn no_other_user_of_the_client_can_hold_a_run_up() {
    let fleet = Fleet::of(["web1"]).up();
    let web1 = fleet.host("web1");
    // As an earlier version left it.
    web1.sh("touch /var/lib/apu-client/lock && chmod 644 /var/lib/apu-client/lock && chmod 755 /var/lib/apu-client").ok();
    fleet.apt_all("web1 update").exited(0);
    for file in web1.sh("find /var/lib/apu-client -name lock").stdout.lines() {
        let opened = web1.sh(&format!(
            "setpriv --reuid=nobody --regid=nogroup --clear-groups cat {file}"
        ));
        assert_ne!(opened.code, 0, "user nobody can open {file}");
    }
}

#[test]
fn when_the_time_is_up_the_package_at_work_is_named_and_what_a_second_run_waits_for() {
    let fleet = fleet_with_a_silent_upgrade();
    let web1 = fleet.host("web1");
    let first = fleet.start_apt_all("web1 upgrade --yes --timeout 30");
    wait_until_silent(web1);
    fleet.apu("unlock --force web1").ok();
    let second = fleet.apt_all("web1 install pkg-x --yes --timeout 10");
    second
        .ended("web1", "timed-out")
        .because("web1", "it waits for the run before it: upgrade, since 2")
        .because("web1", " s by then");
    let first = first.finish();
    first
        .ended("web1", "timed-out")
        .because("web1", "it installs hurts-silent")
        .because("web1", " s by then");
    let_go(web1);
    let run = first.end_of("web1")["run"].as_str().unwrap().to_owned();
    // It went on, and has an end.
    let attached = fleet.apu(&format!("attach web1 {run}"));
    assert_eq!(attached.code, 0, "{attached:?}");
}

/// Publishes a package whose script sleeps.
const HANGS: &str = "set -e; umask 022; rm -rf /tmp/tree; mkdir -p /tmp/tree/DEBIAN
    printf 'Package: hangs\\nVersion: 1.0\\nArchitecture: all\\nMaintainer: apu tests <apu@example.org>\\nDescription: test package\\n' \
        >/tmp/tree/DEBIAN/control
    printf '#!/bin/sh\\nsleep 12\\n' >/tmp/tree/DEBIAN/postinst
    chmod 755 /tmp/tree/DEBIAN/postinst
    dpkg-deb -Zgzip --root-owner-group --build /tmp/tree /tmp/hangs_1.0_all.deb
    apu repo add /tmp/hangs_1.0_all.deb";

#[test]
fn a_script_that_hangs_is_told_while_it_hangs_with_what_it_waits_for() {
    let fleet = Fleet::of(["web1"]).up();
    let web1 = fleet.host("web1");
    fleet.server().sh(HANGS).ok();
    let policy = web1.read("/etc/apu-client/policy.toml").unwrap();
    let hasty = policy.replace("stall_after = 120", "stall_after = 3");
    assert_ne!(hasty, policy);
    web1.write("/etc/apu-client/policy.toml", &hasty);
    fleet.apt_all("web1 update").exited(0);
    let run = fleet.apt_all("web1 install hangs --yes");
    run.ended("web1", "changed").exited(0);
    let stalls: Vec<_> = run
        .events()
        .iter()
        .filter(|event| event["event"] == "stalled")
        .collect();
    let first = stalls.first().unwrap_or_else(|| panic!("no stall in {run:?}"));
    let processes = first["processes"].as_array().unwrap();
    let names: Vec<&str> = processes
        .iter()
        .filter_map(|process| process["name"].as_str())
        .collect();
    assert_eq!(names[0], "apt-get", "{first}");
    assert_eq!(names[names.len() - 2..], ["hangs.postinst", "sleep"], "{first}");
    assert!(stalls.len() < 3, "{stalls:?}");
}

#[test]
fn a_script_that_hangs_is_ended_where_the_policy_says_so_and_dpkg_tells_that_it_failed() {
    let fleet = Fleet::of(["web1"]).up();
    let web1 = fleet.host("web1");
    // One that does not end when it is asked to, either.
    let hangs = HANGS.replace("sleep 12", "trap : TERM; while :; do sleep 1000; done");
    assert_ne!(hangs, HANGS);
    fleet.server().sh(&hangs).ok();
    let policy = web1.read("/etc/apu-client/policy.toml").unwrap();
    web1.write(
        "/etc/apu-client/policy.toml",
        &format!("end_stalled = 3\n{policy}"),
    );
    fleet.apt_all("web1 update").exited(0);
    let run = fleet.apt_all("web1 install hangs --yes");
    run.ended("web1", "failed")
        .because("web1", "apu-client ended hangs.postinst (")
        .because("web1", "end_stalled in policy.toml")
        .because("web1", "was killed by signal")
        .exited(1);
    assert_eq!(web1.version_of("hangs"), None);
    // It is half-configured, which is told, and the next run mends what can be mended.
    web1.write("/etc/apu-client/policy.toml", &policy);
    web1.sh("printf '#!/bin/sh\\nexit 0\\n' >/var/lib/dpkg/info/hangs.postinst")
        .ok();
    fleet.apt_all("web1 upgrade --yes").exited(0);
    assert_eq!(web1.version_of("hangs").as_deref(), Some("1.0"));
}
