//! `--freeze`: later waves install the very .debs that a canary installed, whatever upstream has by then.

use std::collections::BTreeSet;

use apu_tests::{Fleet, Host, Stage};

use crate::leaving::wait_until;

const UPGRADED: [&str; 5] = ["pkg-a", "pkg-b", "pkg-c", "pkg-d", "pkg-e"];

/// As docker's images have it: what was installed does not stay in the cache.
const DOCKER_CLEAN: &str = "DPkg::Post-Invoke { \"rm -f /var/cache/apt/archives/*.deb || true\"; };\n";

/// What every client has of the upgraded packages.
fn versions(client: &Host) -> BTreeSet<Option<String>> {
    UPGRADED.map(|package| client.version_of(package)).into()
}

#[track_caller]
fn all_have(client: &Host, version: &str) {
    let expected = BTreeSet::from([Some(version.to_owned())]);
    assert_eq!(versions(client), expected, "{}", client.name());
}

/// What is frozen on the server, and what waits on a client.
fn left(fleet: &Fleet) -> String {
    let server = fleet
        .server()
        .sh("ls -A /var/lib/apu-server/frozen 2>/dev/null")
        .stdout;
    let waiting = fleet
        .clients()
        .map(|client| client.sh("ls -A /var/lib/apu-client/debs 2>/dev/null").stdout);
    server + &waiting.collect::<String>()
}

fn shown(fleet: &Fleet) -> serde_json::Value {
    serde_json::from_str(&fleet.apu("show @ --json").ok()).expect("JSON")
}

fn is_paused(fleet: &Fleet) -> bool {
    shown(fleet)["state"] == "paused"
}

/// The canary cannot tell whether it is well, so that the run waits for an administrator.
fn make_unclear(canary: &Host) {
    let path = "/etc/apu-client/checks.d/site";
    canary.write(path, "#!/bin/sh\nexit 75\n");
    canary.sh(&format!("chmod 755 {path}")).ok();
}

fn with_lists(stage: Stage) -> Fleet {
    let fleet = Fleet::of(["canary", "rest"]).up();
    fleet.upstream_offers(stage);
    fleet.apt_all("default update").all_ended("changed").exited(0);
    fleet
}

#[test]
fn what_upstream_drops_after_the_canary_comes_from_the_canary_where_it_is_frozen() {
    for (freeze, outcome, version) in [("", "failed", "1.0"), (" --freeze", "changed", "4.0")] {
        let fleet = with_lists(Stage::Heavy);
        let (canary, rest) = (fleet.host("canary"), fleet.host("rest"));
        canary.write("/etc/apt/apt.conf.d/docker-clean", DOCKER_CLEAN);
        let words = format!("default dist-upgrade --yes --canary canary --soak 10s{freeze}");
        let running = fleet.start_apt_all(&words);
        wait_until("the canary has it", || {
            versions(canary) == BTreeSet::from([Some("4.0".to_owned())])
        });
        fleet.upstream_offers(Stage::Before);
        let run = running.finish();
        run.ended("canary", "changed").ended("rest", outcome);
        all_have(rest, version);
        let cached = canary.sh("ls /var/cache/apt/archives/*.deb 2>/dev/null");
        assert_eq!(cached.stdout, "", "the canary keeps nothing in its cache");
        assert_eq!(left(&fleet), "", "nothing stays where the run is over");
    }
}

#[test]
fn a_run_that_was_killed_goes_on_with_what_is_frozen() {
    let fleet = with_lists(Stage::Heavy);
    make_unclear(fleet.host("canary"));
    let running = fleet.start_apt_all("default dist-upgrade --yes --canary canary --freeze");
    wait_until("paused", || is_paused(&fleet));
    assert_eq!(shown(&fleet)["frozen"]["debs"], 5);
    let told = fleet.apu("show @").ok();
    assert!(told.contains("frozen  5 .debs, "), "{told}");
    running.kill();
    fleet.upstream_offers(Stage::Before);
    let mut resumed = (fleet.server().command("apu"))
        .args(["resume", "@"])
        .spawn()
        .expect("apu resume");
    wait_until("paused again", || is_paused(&fleet));
    fleet.apu("promote @").ok();
    resumed.wait().expect("the end of apu resume");
    all_have(fleet.host("rest"), "4.0");
    assert_eq!(left(&fleet), "");
}

#[test]
fn only_the_debs_of_the_origins_in_apu_toml_are_frozen_and_without_them_nobody_goes_on() {
    let fleet = with_lists(Stage::After);
    let (server, canary) = (fleet.server(), fleet.host("canary"));
    let settings = server.read("/etc/apu-server/apu.toml").unwrap();
    let freeze = format!("{settings}\n[rollout.all]\ncanary = \"canary\"\nfreeze = [\"Debian-Sec*\"]\n");
    server.write("/etc/apu-server/apu.toml", &freeze);
    make_unclear(canary);
    let running = fleet.start_apt_all("default dist-upgrade --yes");
    wait_until("paused", || is_paused(&fleet));
    // pkg-e alone is a security update.
    assert_eq!(shown(&fleet)["frozen"]["debs"], 1);
    server.sh("rm /var/lib/apu-server/frozen/*/*").ok();
    fleet.apu("promote @").ok();
    let run = running.finish();
    run.ended("rest", "skipped")
        .because("rest", "\"code\":\"not-frozen\"")
        .because("rest", "pkg-e:amd64");
    all_have(fleet.host("rest"), "1.0");
}
