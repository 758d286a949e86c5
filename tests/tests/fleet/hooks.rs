//! The administrator's programs on the server: hooks before and after a run and its hosts, and the check of a host from here.

use std::thread::sleep;
use std::time::{Duration, Instant};

use apu_tests::{Fleet, Host, Stage};
use nix::sys::signal::Signal;

/// What the hooks have written, a line each.
const LOG: &str = "/tmp/hooks";

fn with_an_upgrade(hosts: u32) -> Fleet {
    let names = (1..=hosts).map(|number| format!("web{number}"));
    let fleet = Fleet::of(names).in_class("web").up();
    fleet.upstream_offers(Stage::After);
    fleet.apt_all("web update").exited(0);
    fleet
}

fn program(fleet: &Fleet, path: &str, script: &str) {
    let server = fleet.server();
    server.sh(&format!("mkdir -p $(dirname {path})")).ok();
    server.write(path, &format!("#!/bin/sh\n{script}\n"));
    server.sh(&format!("chmod 755 {path}")).ok();
}

fn hook(fleet: &Fleet, name: &str, script: &str) {
    program(fleet, &format!("/etc/apu-server/hooks.d/{name}"), script);
}

fn log(fleet: &Fleet) -> Vec<String> {
    let text = fleet.server().read(LOG).unwrap_or_default();
    text.lines().map(str::to_owned).collect()
}

/// Which hosts have the new version.
fn upgraded(fleet: &Fleet) -> Vec<&str> {
    let is_new = |host: &&Host| host.version_of("pkg-a").as_deref() == Some("2.0");
    fleet.clients().filter(is_new).map(Host::name).collect()
}

#[test]
fn hooks_are_called_around_the_run_and_around_each_host_that_changes() {
    let fleet = with_an_upgrade(2);
    let says = format!("echo \"$APU_HOOK $APU_RUN $APU_OPERATION $APU_HOST $APU_OUTCOME\" >>{LOG}");
    hook(&fleet, "before-run", &format!("{says}; cat >>{LOG}"));
    hook(&fleet, "before-host/10-out", &says);
    hook(&fleet, "after-host/10-in", &says);
    hook(&fleet, "after-run", &format!("{says}; cat >>{LOG}"));
    // Neither a plan, nor lists, nor what is only fetched is a change.
    fleet.apt_all("web update").exited(0);
    fleet.apt_all("web upgrade --dry-run").exited(0);
    fleet.apt_all("web upgrade -d").exited(0);
    assert_eq!(log(&fleet), [""; 0]);

    fleet
        .apt_all("web upgrade --yes -P 1")
        .all_ended("changed")
        .exited(0);
    let lines = log(&fleet);
    let number = lines[0].split(' ').nth(1).unwrap().to_owned();
    assert!(number.parse::<u64>().is_ok(), "{lines:?}");
    let mut expected = vec![
        format!("before-run {number} upgrade  "),
        "web1".into(),
        "web2".into(),
    ];
    for host in ["web1", "web2"] {
        expected.push(format!("before-host {number} upgrade {host} "));
        expected.push(format!("after-host {number} upgrade {host} changed"));
    }
    expected.push(format!("after-run {number} upgrade  "));
    expected.extend(["web1 changed".into(), "web2 changed".into()]);
    assert_eq!(lines, expected);
}

#[test]
fn a_hook_that_fails_before_a_host_keeps_it_from_starting_and_the_one_after_it_takes_back() {
    let fleet = with_an_upgrade(3);
    hook(
        &fleet,
        "before-host",
        "echo asking the balancer; [ $APU_HOST != web2 ] || { echo no answer >&2; exit 3; }",
    );
    hook(
        &fleet,
        "after-host",
        &format!("echo \"$APU_HOST $APU_OUTCOME\" >>{LOG}"),
    );
    let run = fleet.apt_all("web upgrade --yes -P 1");
    run.ended("web1", "changed")
        .ended("web2", "skipped")
        .because("web2", "\"cause\":\"hook-failed\"")
        .because(
            "web2",
            "the before-host hook /etc/apu-server/hooks.d/before-host ended with exit status 3: asking the balancer\nno answer",
        )
        .ended("web3", "changed")
        .exited(1);
    assert_eq!(log(&fleet), ["web1 changed", "web2 skipped", "web3 changed"]);
    assert_eq!(upgraded(&fleet), ["web1", "web3"]);
    // What is kept says it, too.
    let shown = fleet.apu("show @");
    assert!(shown.stdout.contains("no answer"), "{shown:?}");

    // One that fails after a host alters no outcome, and is no secret.
    hook(&fleet, "before-host", "exit 0");
    hook(&fleet, "after-host", "echo the balancer refuses; exit 1");
    let run = fleet.apt_all("web2 upgrade --yes");
    run.ended("web2", "changed").exited(1);
    let failed = run
        .events()
        .iter()
        .find(|event| event["event"] == "hook-failed")
        .unwrap();
    assert_eq!(
        (&failed["hook"], &failed["host"], &failed["detail"][0]),
        (
            &"after-host".into(),
            &"web2".into(),
            &"the balancer refuses".into()
        )
    );
}

#[test]
fn a_hook_that_fails_before_the_run_or_that_anybody_may_write_keeps_all_hosts_from_starting() {
    let fleet = with_an_upgrade(2);
    hook(
        &fleet,
        "before-run/50-freeze",
        "echo 'change freeze until Monday'; exit 1",
    );
    let run = fleet.apt_all("web upgrade --yes");
    for host in ["web1", "web2"] {
        run.ended(host, "skipped").because(
            host,
            "before-run/50-freeze ended with exit status 1: change freeze until Monday",
        );
    }
    run.exited(1);
    hook(&fleet, "before-run/50-freeze", "exit 0");
    fleet
        .server()
        .sh("chmod 777 /etc/apu-server/hooks.d/before-run/50-freeze")
        .ok();
    let run = fleet.apt_all("web upgrade --yes");
    run.ended("web1", "skipped")
        .because("web1", "not run: it is not root's alone to write")
        .exited(1);
    assert_eq!(upgraded(&fleet), [""; 0]);
    let shown = fleet.plain_apt_all("web upgrade --yes");
    assert!(shown.stdout.contains("mend what failed"), "{shown:?}");
}

/// Waits until a hook has written that it waits.
#[track_caller]
fn is_called(fleet: &Fleet) {
    let begun = Instant::now();
    while !log(fleet).iter().any(|line| line == "waits") {
        assert!(begun.elapsed().as_secs() < 120, "the hook is not called");
        sleep(Duration::from_millis(50));
    }
}

#[test]
fn an_interrupt_in_a_hook_begins_nothing() {
    let fleet = with_an_upgrade(2);
    // Before the run, the program is ended with what it has started.
    hook(&fleet, "before-run", &format!("echo waits >>{LOG}; sleep 86361"));
    let running = fleet.start_apt_all("web upgrade --yes");
    is_called(&fleet);
    running.signal(Signal::SIGINT);
    running.finish().all_ended("skipped").exited(130);
    let left = fleet.server().processes().unwrap();
    assert!(!left.iter().any(|line| line.contains("86361")), "{left:?}");

    // Before a host, it is waited for, the host is not asked then, and the hook after it takes back.
    fleet
        .server()
        .sh(&format!("rm {LOG} /etc/apu-server/hooks.d/before-run"))
        .ok();
    let waits = format!("echo waits >>{LOG}; while [ ! -e /tmp/go ]; do sleep 0.1; done");
    hook(&fleet, "before-host", &waits);
    hook(
        &fleet,
        "after-host",
        &format!("echo \"$APU_HOST $APU_OUTCOME\" >>{LOG}"),
    );
    let running = fleet.start_apt_all("web upgrade --yes");
    is_called(&fleet);
    running.signal(Signal::SIGINT);
    sleep(Duration::from_secs(1));
    fleet.server().sh("touch /tmp/go").ok();
    running.finish().all_ended("skipped").exited(130);
    let mut lines = log(&fleet);
    lines.retain(|line| line != "waits");
    lines.sort();
    assert_eq!(lines, ["web1 skipped", "web2 skipped"]);
    assert_eq!(upgraded(&fleet), [""; 0]);
}

#[test]
fn a_canary_that_this_server_finds_unwell_stops_the_others() {
    let fleet = with_an_upgrade(4);
    let path = "/usr/local/sbin/check-site";
    let server = fleet.server();
    server
        .sh(&format!(
            "printf '[rollout.web]\\ncheck = [\"{path}\", \"-v\"]\\n' >>/etc/apu-server/apu.toml"
        ))
        .ok();
    program(
        &fleet,
        path,
        &format!("echo \"$1 $APU_HOST\" >>{LOG}; echo HTTP 503; exit 1"),
    );
    let run = fleet.apt_all("web upgrade --yes");
    run.ended("web1", "partial")
        .because("web1", "\"cause\":\"check-failed\"")
        .because("web1", "changed, and this server's check of it fails: HTTP 503")
        .exited(1);
    for host in ["web2", "web3", "web4"] {
        run.ended(host, "skipped");
    }
    assert_eq!(upgraded(&fleet), ["web1"]);
    assert!(
        log(&fleet).iter().all(|line| line == "-v web1"),
        "{:?}",
        log(&fleet)
    );

    // Where it passes, each host is checked, those of the last wave too.
    program(&fleet, path, &format!("echo \"$APU_HOST\" >>{LOG}.well"));
    let run = fleet.apt_all("web upgrade --yes");
    run.ended("web1", "unchanged").exited(0);
    for host in ["web2", "web3", "web4"] {
        run.ended(host, "changed");
        assert_eq!(run.end_of(host)["health"], "pass", "{host}");
        let checks = run.answer(host)["checks"].as_array().unwrap();
        assert!(
            checks
                .iter()
                .any(|check| check["name"] == "server" && check["verdict"] == "pass"),
            "{checks:?}"
        );
    }
    let mut checked = server.read(&format!("{LOG}.well")).unwrap();
    checked = checked.replace('\n', " ");
    assert_eq!(
        checked
            .split_whitespace()
            .collect::<std::collections::BTreeSet<_>>()
            .len(),
        3
    );
}

#[test]
fn a_check_of_this_server_that_cannot_tell_pauses_the_run() {
    let fleet = with_an_upgrade(4);
    fleet
        .server()
        .sh("printf '[rollout.web]\\ncheck = \"/no/such/check\"\\n' >>/etc/apu-server/apu.toml")
        .ok();
    let run = fleet.apt_all("web upgrade --yes --pause-limit 0");
    run.ended("web1", "changed").exited(1);
    assert_eq!(run.end_of("web1")["health"], "inconclusive");
    for host in ["web2", "web3", "web4"] {
        run.ended(host, "skipped").because(host, "cannot be told");
    }
    assert_eq!(upgraded(&fleet), ["web1"]);
}
