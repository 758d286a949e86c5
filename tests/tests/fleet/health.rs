//! The administrator's own checks on clients: what a script says after an upgrade, and what that makes of the run.

use std::time::Instant;

use apu_tests::{Fleet, Host, Stage};
use serde_json::{Value, json};

/// Puts a script into the client's directory of checks.
fn check(host: &Host, name: &str, script: &str) {
    let path = format!("/etc/apu-client/checks.d/{name}");
    host.write(&path, &format!("#!/bin/sh\n{script}\n"));
    host.sh(&format!("chmod 755 {path}")).ok();
}

/// What the client tells of a check: its verdict and its words.
#[track_caller]
fn told(answer: &Value, name: &str) -> (String, String) {
    let checks = answer["checks"]
        .as_array()
        .unwrap_or_else(|| panic!("no checks in {answer:#}"));
    let check = checks.iter().find(|check| check["name"] == name);
    let check = check.unwrap_or_else(|| panic!("no {name} in {answer:#}"));
    let text = |key: &str| check[key].as_str().unwrap_or_default().to_owned();
    (text("verdict"), text("detail"))
}

/// Fails from the moment that the upgrade has come.
const DOWN_AFTER_UPGRADE: &str =
    "dpkg-query -W pkg-a | grep -q '1.0$' && exit 0; echo 'connection refused'; exit 1";

#[test]
fn a_check_after_an_upgrade_makes_the_outcome_and_doubt_leaves_it() {
    let fleet = Fleet::of(["web1", "web2", "web3", "web4", "web5"])
        .in_class("web")
        .up();
    fleet.upstream_offers(Stage::After);
    fleet.apt_all("web update").exited(0);
    check(fleet.host("web1"), "web", DOWN_AFTER_UPGRADE);
    check(fleet.host("web2"), "web", "echo starting; exit 75");
    check(
        fleet.host("web3"),
        "web",
        "# apu: timeout=2s\necho $$ >>/tmp/hung; sleep 86371 & sleep 86372",
    );
    check(fleet.host("web4"), "web", "echo 'never was well'; exit 1");
    check(
        fleet.host("web5"),
        "web",
        "# apu: user=nobody\necho \"$(id -un) ${APU_RUN_ID:-none}\" | grep -E '^nobody [0-9a-f]{32}$'",
    );

    let begun = Instant::now();
    let run = fleet.apt_all("web upgrade --yes --waves 100%");
    assert!(begun.elapsed().as_secs() < 120, "{:?}", begun.elapsed());
    run.ended("web1", "partial")
        .because("web1", "\"cause\":\"checks-failed\"")
        .because(
            "web1",
            "checks of this client fail: checks.d/web\nchecks.d/web: connection refused",
        )
        .exited(1);
    for name in ["web2", "web3", "web4", "web5"] {
        run.ended(name, "changed");
    }
    let verdict = |name: &str| told(run.answer(name), "checks.d/web");
    let inconclusive = |detail: &str| ("inconclusive".to_owned(), detail.to_owned());
    assert_eq!(verdict("web2"), inconclusive("starting"));
    assert_eq!(verdict("web3"), inconclusive("it did not end within 2 s"));
    assert_eq!(
        verdict("web4"),
        inconclusive("it failed before the run as well: never was well")
    );
    assert_eq!(verdict("web5").0, "pass", "{:#}", run.answer("web5"));
    for host in fleet.clients() {
        assert_eq!(
            host.version_of("pkg-a").as_deref(),
            Some("2.0"),
            "{}",
            host.name()
        );
        assert_eq!(told(run.answer(host.name()), "dpkg").0, "pass");
    }
    // Before the run and after it, and nothing of either is left.
    let web3 = fleet.host("web3");
    assert_eq!(web3.read("/tmp/hung").unwrap().lines().count(), 2);
    let processes = web3.processes().unwrap();
    assert!(
        !processes.iter().any(|line| line.contains("8637")),
        "{processes:?}"
    );

    // A run that changes nothing makes no checks.
    let again = fleet.apt_all("web1 upgrade --yes");
    again.ended("web1", "unchanged").exited(0);
    assert_eq!(again.answer("web1")["checks"], Value::Null);
}

#[test]
fn health_tells_every_check_and_is_well_only_where_all_pass() {
    let fleet = Fleet::of(["web1", "web2"]).in_class("web").up();
    let web1 = fleet.host("web1");
    check(web1, "web", "echo 'connection refused'; exit 1");
    check(web1, "db", "exit 0");

    let run = fleet.apt_all("web health");
    run.ended("web1", "failed")
        .because("web1", "checks of this client fail: checks.d/web")
        .ended("web2", "unchanged")
        .exited(1);
    assert_eq!(
        run.answer("web2")["checks"],
        json!([{"name": "dpkg", "verdict": "pass"}])
    );
    assert_eq!(told(run.answer("web1"), "checks.d/db").0, "pass");

    let shown = fleet.plain_apt_all("web health");
    for part in [
        "failed: checks of this client fail: checks.d/web\n",
        "| checks.d/web: connection refused\n",
        "check checks.d/db: pass\n",
        "unchanged: every check passes\n",
    ] {
        assert!(shown.stdout.contains(part), "no {part:?} in {}", shown.stdout);
    }

    check(web1, "web", "exit 75");
    let run = fleet.apt_all("web1 health");
    run.ended("web1", "failed")
        .because("web1", "\"cause\":\"checks-inconclusive\"");
    check(web1, "web", "exit 0");
    web1.sh("chmod g+w /etc/apu-client/checks.d/web").ok();
    let run = fleet.apt_all("web1 health");
    run.ended("web1", "failed")
        .because("web1", "not root's alone to write");
    web1.sh("chmod g-w /etc/apu-client/checks.d/web").ok();
    fleet.apt_all("web1 health").ended("web1", "unchanged").exited(0);

    web1.sh("sed -i 's/^#operations = .*/operations = [\"upgrade\"]/' /etc/apu-client/policy.toml")
        .ok();
    let run = fleet.apt_all("web1 health");
    run.ended("web1", "refused")
        .because("web1", "this client's policy does not allow health");
}

#[test]
fn checks_that_hang_keep_no_status_waiting() {
    let fleet = Fleet::of(["web1"]).up();
    let web1 = fleet.host("web1");
    check(
        web1,
        "web",
        "# apu: timeout=300s\ntouch /tmp/begun; until [ -e /tmp/go ]; do sleep 0.1; done",
    );
    web1.sh(
        "for number in 1 2 3 4; do
            SSH_ORIGINAL_COMMAND='apu/1 health' setpriv --reuid=apu --regid=apu --clear-groups /usr/lib/apu/apu-wrapper \
                >/tmp/health.$number 2>&1 </dev/null &
        done
        until [ -e /tmp/begun ]; do sleep 0.1; done; sleep 2",
    )
    .ok();
    // As many as there are slots for what needs no run.
    fleet.apt_all("web1 status").ended("web1", "unchanged").exited(0);
    fleet.apt_all("web1 upgrade --dry-run").exited(0);
    web1.sh("touch /tmp/go
        until [ $(grep -l '\"outcome\":\"unchanged\"' /tmp/health.* | wc -l) = 4 ]; do sleep 0.1; done")
        .ok();
}

#[test]
fn a_policy_without_health_lets_a_rollout_look_after_its_run() {
    let fleet = Fleet::of(["web1", "web2"]).in_class("web").up();
    fleet.upstream_offers(Stage::After);
    fleet.apt_all("web update").exited(0);
    let web1 = fleet.host("web1");
    web1.sh("sed -i 's/^#operations = .*/operations = [\"upgrade\"]/' /etc/apu-client/policy.toml")
        .ok();
    let run = fleet.apt_all("web upgrade --yes --canary web1");
    run.ended("web1", "changed").ended("web2", "changed").exited(0);
    let id = web1
        .sh("basename $(dirname $(grep -l upgrade /var/lib/apu-client/runs/*/request))")
        .ok();
    let id = id.trim();

    // What the policy allows no more is not looked after either.
    let ask = format!(
        "SSH_ORIGINAL_COMMAND='apu/1 health run_id={id}' setpriv --reuid=apu --regid=apu --clear-groups /usr/lib/apu/apu-wrapper"
    );
    assert!(web1.sh(&ask).stdout.contains("\"outcome\":\"unchanged\""));
    web1.sh("sed -i 's/^operations = .*/operations = [\"status\"]/' /etc/apu-client/policy.toml")
        .ok();
    let answer = web1.sh(&ask).stdout;
    assert!(
        answer.contains("\"refused\"") && answer.contains("\"operation-forbidden\""),
        "{answer}"
    );
}
