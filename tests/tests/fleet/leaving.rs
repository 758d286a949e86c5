//! Leaving in the middle: whoever stops waiting leaves a run that goes on, a result to be had later, and no process.

use std::thread::sleep;
use std::time::{Duration, Instant};

use apu_tests::{Fleet, Host, Run, Running, Stage};
use nix::sys::signal::Signal;

/// How long connections are kept in these tests, in seconds.
const KEEP_OPEN: u64 = 5;

/// The server with short limits.
fn hasty(fleet: &Fleet) {
    let settings = fleet.server().read("/etc/apu-server/apu.toml").unwrap();
    let shorter = format!("{settings}\n[ssh]\nconnect_timeout = 4\nkeep_open = {KEEP_OPEN}\n");
    fleet.server().write("/etc/apu-server/apu.toml", &shorter);
}

/// Every client has an upgrade before it that takes so many tenths of a second.
pub(crate) fn with_a_slow_upgrade(fleet: &Fleet, ticks: u32) {
    for client in fleet.clients() {
        let script = format!("apt-get -q -y install hurts-slow && echo {ticks} >/etc/hurts-slow");
        client.sh(&script).ok();
    }
    fleet.upstream_offers(Stage::After);
    fleet.apt_all("default update").exited(0);
}

pub(crate) fn is_at_work(host: &Host) -> bool {
    host.read("/var/lib/hurts-slow.ticks").is_some()
}

fn is_upgraded(host: &Host) -> bool {
    host.version_of("hurts-slow").as_deref() == Some("2.0")
}

#[track_caller]
pub(crate) fn wait_until(what: &str, condition: impl Fn() -> bool) {
    let patience = Instant::now() + Duration::from_secs(60);
    while !condition() {
        assert!(Instant::now() < patience, "never: {what}");
        sleep(Duration::from_millis(50));
    }
}

fn ssh_processes(server: &Host) -> Vec<String> {
    let mut processes = server.processes().unwrap();
    processes.retain(|line| line.starts_with("ssh") || line.contains("/ssh "));
    processes
}

/// No ssh is left once connections have been idle for their time.
#[track_caller]
fn no_ssh_is_left(server: &Host) {
    let patience = Instant::now() + Duration::from_secs(3 * KEEP_OPEN + 15);
    loop {
        let left = ssh_processes(server);
        if left.is_empty() {
            return;
        }
        assert!(Instant::now() < patience, "still there: {left:#?}");
        sleep(Duration::from_millis(200));
    }
}

/// The run that apt-all asked this host for.
#[track_caller]
fn run_of(run: &Run, host: &str) -> String {
    let start = run
        .events()
        .iter()
        .filter(|event| event["event"] == "host-started" && event["host"] == host);
    start
        .filter_map(|event| event["run"].as_str())
        .next()
        .expect("a run")
        .to_owned()
}

/// What became of the run is told to whoever asks for it later.
#[track_caller]
fn attach_tells(fleet: &Fleet, host: &str, run: &str, outcome: &str) {
    let attached = fleet.apu(&format!("attach {host} {run}"));
    assert_eq!(attached.code, 0, "{attached:?}");
    assert!(attached.stdout.contains(outcome), "{attached:?}");
    assert!(attached.stdout.contains("hurts-slow"), "{attached:?}");
}

fn connections(run: &Run) -> Vec<bool> {
    let connected = run.events().iter().filter(|event| event["event"] == "connected");
    connected
        .map(|event| event["reused"].as_bool().unwrap())
        .collect()
}

#[test]
fn a_connection_is_kept_for_the_next_operation_and_not_for_ever() {
    let fleet = Fleet::of_size(5).up();
    hasty(&fleet);
    let first = fleet.apt_all("default ping");
    assert_eq!(connections(first.all_ended("unchanged").exited(0)), [false; 5]);
    assert_eq!(ssh_processes(fleet.server()).len(), 5);

    let second = fleet.apt_all("default ping");
    assert_eq!(connections(second.all_ended("unchanged").exited(0)), [true; 5]);

    no_ssh_is_left(fleet.server());
    let third = fleet.apt_all("default ping");
    assert_eq!(connections(third.all_ended("unchanged").exited(0)), [false; 5]);
}

#[test]
fn a_killed_apt_all_leaves_no_ssh_whenever_it_was_killed() {
    let fleet = Fleet::of_size(20).up();
    hasty(&fleet);
    // One more that listens and never answers: its ssh is still waiting when apt-all is killed.
    fleet.host("client007").freeze_sshd();
    for milliseconds in [100, 200, 400, 800, 1600] {
        let running = fleet.start_apt_all("default ping");
        sleep(Duration::from_millis(milliseconds));
        running.signal(Signal::SIGKILL);
        running.finish();
    }
    no_ssh_is_left(fleet.server());
}

#[test]
fn a_run_goes_on_without_the_apt_all_that_began_it() {
    let fleet = Fleet::of(["web1"]).up();
    hasty(&fleet);
    let web1 = fleet.host("web1");
    with_a_slow_upgrade(&fleet, 60);

    let running = fleet.start_apt_all("web1 upgrade --yes");
    wait_until("at work", || is_at_work(web1));
    running.signal(Signal::SIGKILL);
    let run = run_of(&running.finish(), "web1");
    assert!(!is_upgraded(web1));

    attach_tells(&fleet, "web1", &run, "changed");
    assert!(is_upgraded(web1));
    no_ssh_is_left(fleet.server());
}

#[test]
fn a_run_whose_terminal_is_gone_is_found_again_by_name() {
    let fleet = Fleet::of(["web1"]).up();
    let web1 = fleet.host("web1");
    with_a_slow_upgrade(&fleet, 150);

    let running = fleet.start_apt_all("web1 upgrade --yes");
    wait_until("at work", || is_at_work(web1));
    // The first one waits for what was begun.
    running.signal(Signal::SIGHUP);
    sleep(Duration::from_millis(300));
    running.signal(Signal::SIGHUP);
    let run = run_of(&running.finish(), "web1");
    assert!(!is_upgraded(web1));

    let listed = fleet.apu("attach");
    assert_eq!(listed.code, 0, "{listed:?}");
    let line = listed.stdout.lines().nth(1).unwrap();
    assert!(line.starts_with("2 ") && line.contains(" web1 "), "{listed:?}");
    assert!(line.contains("upgrade --yes"), "{listed:?}");
    let attached = fleet.apu(&format!("attach {run}"));
    assert_eq!(attached.code, 0, "{attached:?}");
    assert!(attached.stdout.contains("hurts-slow"), "{attached:?}");
    assert!(is_upgraded(web1));
    let kept = fleet.server().sh("stat -c '%a %U' /var/lib/apu-server/apu.db");
    assert_eq!(kept.ok(), "600 root\n");
}

#[test]
fn ctrl_c_begins_nothing_new_and_waits_for_what_was_begun() {
    let fleet = Fleet::of(["web1", "web2", "web3"]).up();
    with_a_slow_upgrade(&fleet, 30);

    let running = fleet.start_apt_all("default upgrade --yes --parallel 1");
    wait_until("at work", || is_at_work(fleet.host("web1")));
    running.signal(Signal::SIGINT);
    let run = running.finish();

    run.ended("web1", "changed")
        .ended("web2", "skipped")
        .ended("web3", "skipped")
        .exited(130);
    assert!(is_upgraded(fleet.host("web1")));
    assert!(!is_at_work(fleet.host("web2")));
}

#[test]
fn a_second_ctrl_c_leaves_and_says_how_to_come_back() {
    let fleet = Fleet::of(["web1", "web2"]).up();
    hasty(&fleet);
    let web1 = fleet.host("web1");
    with_a_slow_upgrade(&fleet, 80);

    let running = fleet.start_apt_all("default upgrade --yes --parallel 1");
    wait_until("at work", || is_at_work(web1));
    interrupt_twice(&running);
    let run = running.finish();

    run.ended("web1", "lost").ended("web2", "skipped").exited(130);
    assert!(!is_upgraded(web1), "it left before the end");
    let id = run_of(&run, "web1");
    let advice = run.end_of("web1")["try"].as_str().unwrap();
    assert_eq!(advice, format!("apu attach web1 {id}"));
    attach_tells(&fleet, "web1", &id, "changed");
    assert!(is_upgraded(web1));
    no_ssh_is_left(fleet.server());
}

fn interrupt_twice(running: &Running) {
    running.signal(Signal::SIGINT);
    // Two signals that are there at the same moment are one.
    sleep(Duration::from_millis(500));
    running.signal(Signal::SIGINT);
}

#[test]
fn a_pulled_cable_ends_the_wait_and_the_result_is_there_later() {
    let fleet = Fleet::of(["web1", "web2"]).up();
    hasty(&fleet);
    let web1 = fleet.host("web1");
    with_a_slow_upgrade(&fleet, 50);

    let begin = Instant::now();
    let running = fleet.start_apt_all("default upgrade --yes --timeout 15");
    wait_until("at work", || is_at_work(web1));
    web1.pull_the_cable();
    let run = running.finish();
    println!("apt-all ended after {:?}", begin.elapsed());

    run.ended("web1", "timed-out").ended("web2", "changed").exited(1);
    let id = run_of(&run, "web1");
    let advice = run.end_of("web1")["try"].as_str().unwrap();
    assert_eq!(advice, format!("apu attach web1 {id}"));
    // Far more than the time limit means that something else ended the wait.
    assert!(begin.elapsed() < Duration::from_secs(45));

    wait_until("the upgrade ends by itself", || is_upgraded(web1));
    web1.plug_the_cable_in();
    attach_tells(&fleet, "web1", &id, "changed");
}
