//! The queue: hosts that were off, held or out of their window get their turn later, and nothing but what was approved or tested.

use apu_tests::{Fleet, Stage};
use serde_json::Value;

fn with_an_upgrade(hosts: u32) -> Fleet {
    let names = (1..=hosts).map(|number| format!("web{number}"));
    let fleet = Fleet::of(names).in_class("web").up();
    fleet.upstream_offers(Stage::After);
    fleet.apt_all("web update").exited(0);
    fleet
}

/// What waits: host, why, and whether it had a plan.
fn queue(fleet: &Fleet) -> Vec<(String, String, bool)> {
    let listed = fleet.apu("queue --json");
    assert_eq!(listed.code, 0, "{listed:?}");
    let lines = listed
        .stdout
        .lines()
        .map(|line| serde_json::from_str(line).unwrap());
    let fact = |line: Value| {
        (
            line["host"].as_str().unwrap().to_owned(),
            line["why"].as_str().unwrap().to_owned(),
            line["planned"].as_bool().unwrap(),
        )
    };
    lines.map(fact).collect()
}

fn waits(host: &str, why: &str, planned: bool) -> (String, String, bool) {
    (host.to_owned(), why.to_owned(), planned)
}

#[test]
fn a_host_that_was_off_gets_what_the_others_were_well_with_and_nothing_else() {
    let fleet = with_an_upgrade(3);
    for host in ["web2", "web3"] {
        fleet.host(host).pull_the_cable();
    }
    let run = fleet.plain_apt_all("web upgrade --yes --queue 8h");
    assert_eq!(run.code, 1, "{run:?}");
    assert!(run.stdout.contains("web[2-3]: asked again until "), "{run:?}");
    let both = [
        waits("web2", "unreachable", false),
        waits("web3", "unreachable", false),
    ];
    assert_eq!(queue(&fleet), both);
    // Who is still off waits on, and no run is begun for it.
    let runs = fleet.apu("runs --json").stdout.lines().count();
    let turn = fleet.apu("queue run");
    assert_eq!((turn.code, queue(&fleet)), (0, both.to_vec()), "{turn:?}");
    assert_eq!(fleet.apu("runs --json").stdout.lines().count(), runs);

    // One of them would do more than what was tested on web1.
    fleet.host("web2").plug_the_cable_in();
    fleet.host("web3").plug_the_cable_in();
    fleet
        .host("web3")
        .sh("apt-get -q -y install hurts-noisy=1.0")
        .ok();
    let turn = fleet.apu("queue run");
    assert_eq!(
        fleet.host("web2").version_of("pkg-a").as_deref(),
        Some("2.0"),
        "{turn:?}"
    );
    assert_eq!(queue(&fleet), [], "{turn:?}");
    assert_eq!(fleet.host("web3").version_of("pkg-a").as_deref(), Some("1.0"));
    let shown = fleet.apu("show @");
    let untested = "web3: skipped: not started: no canary has tested hurts-noisy:amd64";
    assert!(shown.stdout.contains(untested), "{shown:?}");
    assert_eq!(fleet.apu("queue run").code, 0);
}

#[test]
fn a_host_that_another_run_holds_waits_for_it_and_then_does_what_was_approved() {
    let fleet = with_an_upgrade(2);
    // Its run is broken off, and what became of it is not known.
    let script = "/var/lib/dpkg/info/pkg-a.prerm";
    let web2 = fleet.host("web2");
    web2.write(script, "#!/bin/sh\nwhile [ ! -e /tmp/go ]; do sleep 0.1; done\n");
    web2.sh(&format!("chmod 755 {script}")).ok();
    let first = fleet.start_apt_all("web2 install pkg-a --yes");
    let begun = std::time::Instant::now();
    while web2
        .processes()
        .unwrap()
        .iter()
        .all(|line| !line.contains("pkg-a.prerm"))
    {
        assert!(begun.elapsed().as_secs() < 120, "it did not begin");
        std::thread::sleep(std::time::Duration::from_millis(100));
    }
    let run = fleet.apt_all("web1 upgrade --yes --queue 1h");
    run.ended("web1", "changed").exited(0);
    let held = fleet.plain_apt_all("web2 update --queue 1h");
    assert!(held.stdout.contains("web2: asked again until "), "{held:?}");
    assert_eq!(queue(&fleet), [waits("web2", "held", false)]);
    // As long as it is held, nothing is tried.
    assert_eq!(fleet.apu("queue run").code, 0);
    assert_eq!(queue(&fleet), [waits("web2", "held", false)]);
    web2.sh("touch /tmp/go").ok();
    first.finish();
    let turn = fleet.apu("queue run");
    assert_eq!(turn.code, 0, "{turn:?}");
    assert!(turn.stdout.contains("web2: the turn of run "), "{turn:?}");
    assert_eq!(queue(&fleet), []);
}

#[test]
fn a_plan_that_a_closed_window_kept_from_being_carried_out_is_carried_out_as_it_was_approved() {
    let fleet = with_an_upgrade(2);
    let server = fleet.server();
    let settings = server.read("/etc/apu-server/apu.toml").unwrap();
    let closed = format!("{settings}\n[maintenance.all]\nblackouts = [\"2000-01-01..2999-12-31\"]\n");
    server.write("/etc/apu-server/apu.toml", &closed);
    // Of a plan that was kept, too.
    fleet.plain_apt_all("web upgrade --plan").ok();
    let applied = fleet.apu("apply p1 --queue 2d");
    assert_eq!(applied.code, 1, "{applied:?}");
    assert!(
        applied.stdout.contains("web[1-2]: asked again until "),
        "{applied:?}"
    );
    let waiting = [waits("web1", "window", true), waits("web2", "window", true)];
    assert_eq!(queue(&fleet), waiting);
    assert_eq!(fleet.apu("queue run").code, 0);
    assert_eq!(queue(&fleet), waiting);

    // By then one of them has done it by hand, and would do something else now.
    server.write("/etc/apu-server/apu.toml", &settings);
    fleet.host("web2").sh("apt-get -q -y install pkg-a").ok();
    let turn = fleet.apu("queue run");
    assert_eq!(turn.code, 1, "{turn:?}");
    assert_eq!(queue(&fleet), []);
    assert!(turn.stdout.contains("web1: changed"), "{turn:?}");
    assert!(turn.stdout.contains("web2: drifted"), "{turn:?}");
}

#[test]
fn a_time_that_is_over_and_a_host_that_is_dropped_are_told() {
    let fleet = with_an_upgrade(2);
    fleet.host("web1").pull_the_cable();
    fleet.host("web2").pull_the_cable();
    let run = fleet.plain_apt_all("web upgrade --yes --queue 1m");
    assert!(run.stdout.contains("asked again until"), "{run:?}");
    let dropped = fleet.apu("queue drop web2");
    assert_eq!(dropped.code, 0, "{dropped:?}");
    assert!(
        dropped.stdout.contains("web2: waits no longer for run "),
        "{dropped:?}"
    );
    assert_eq!(fleet.apu("queue drop web2").code, 1);
    fleet.server().sh("sleep 61").ok();
    let turn = fleet.apu("queue run");
    assert_eq!(turn.code, 1, "{turn:?}");
    assert!(
        turn.stderr.contains("in vain; unreachable when it began to wait"),
        "{turn:?}"
    );
    assert_eq!(queue(&fleet), []);
    for (words, why) in [
        ("web upgrade --queue 10s", "is not between 1m and 30d"),
        ("web status --queue 1h", "status has no --queue"),
        ("web upgrade --dry-run --queue 1h", "cannot be used with"),
    ] {
        let refused = fleet.plain_apt_all(words);
        assert_eq!(refused.code, 2, "{words}: {refused:?}");
        assert!(refused.stderr.contains(why), "{words}: {refused:?}");
    }
}
