//! The archive moves at every bad moment: between the plan and its apply, between the canary and the others, between two hosts of a
//! wave, and with the same version in other bytes. Nobody installs anything but what was planned and tested.
//!
//! `APU_TRIALS` says how many; a trial follows from its number alone.

use std::thread::{self, sleep};
use std::time::{Duration, Instant};

use apu_tests::{Fleet, Host, Running};

const HOSTS: [&str; 4] = ["web1", "web2", "web3", "web4"];

fn trials() -> u32 {
    std::env::var("APU_TRIALS").map_or(6, |trials| trials.parse().expect("a number"))
}

/// When the archive moves.
#[derive(Debug, Clone, Copy)]
enum Moment {
    /// After the plan was kept, and before it is carried out.
    BeforeApply,
    /// The same, and what comes has the version of the plan.
    OtherBytes,
    /// When the canary has changed.
    BehindCanary,
    /// When a host of the second wave has changed, and the next one has not.
    WithinWave,
}

const MOMENTS: [Moment; 4] = [
    Moment::BeforeApply,
    Moment::OtherBytes,
    Moment::BehindCanary,
    Moment::WithinWave,
];

/// Publishes a version of the package, with this in its only file; one of the same version goes first.
#[track_caller]
fn publish(server: &Host, version: &str, bytes: &str) {
    let script = format!(
        "umask 022 && rm -rf /tmp/trial && mkdir -p /tmp/trial/DEBIAN /tmp/trial/usr/share/trial \
         && echo {bytes} >/tmp/trial/usr/share/trial/bytes \
         && printf 'Package: trial\\nVersion: {version}\\nArchitecture: all\\nMaintainer: apu tests <apu@example.org>\\n\
         Description: small test package\\n' >/tmp/trial/DEBIAN/control \
         && dpkg-deb -Zgzip --root-owner-group --build /tmp/trial /tmp/trial_{version}_all.deb \
         && apu repo remove trial={version} >/dev/null 2>&1; apu repo add /tmp/trial_{version}_all.deb"
    );
    server.sh(&script).ok();
}

/// What a host has: the version, and what is in the file.
fn has(host: &Host) -> (String, String) {
    let bytes = host.read("/usr/share/trial/bytes").unwrap_or_default();
    (
        host.version_of("trial").unwrap_or_default(),
        bytes.trim().to_owned(),
    )
}

/// Waits for what a run is to do.
#[track_caller]
fn wait_until(running: Running, what: &str, condition: impl Fn() -> bool) -> Running {
    let patience = Instant::now() + Duration::from_secs(300);
    while !condition() {
        if running.has_ended() && !condition() {
            panic!("never: {what}: {:?}", running.finish().finished());
        }
        assert!(Instant::now() < patience, "never: {what}");
        sleep(Duration::from_millis(20));
    }
    running
}

/// The archive moves, and some of the hosts have fetched its lists since, as their own timers would.
fn moves(fleet: &Fleet, (version, bytes): (&str, &str), who: u32) {
    publish(fleet.server(), version, bytes);
    for (place, name) in HOSTS.iter().enumerate() {
        if who >> place & 1 == 1 {
            // It may wait for the lock of a run, or be refused by it: then it has the old lists.
            fleet.host(name).sh("apt-get -q update");
        }
    }
}

/// How many hosts changed as planned, and how many did not change.
#[derive(Default)]
struct Tally {
    changed: usize,
    held_back: usize,
}

fn trial(fleet: &Fleet, number: u32, tally: &mut Tally) {
    let server = fleet.server();
    let moment = MOMENTS[number as usize % MOMENTS.len()];
    let who = number.wrapping_mul(2_654_435_761) >> 20;
    let (planned, next) = (format!("{number}.2"), format!("{number}.3"));
    let before: Vec<_> = HOSTS.iter().map(|name| has(fleet.host(name))).collect();
    publish(server, &planned, "planned");
    fleet.apt_all("web update").exited(0);
    match moment {
        Moment::BeforeApply | Moment::OtherBytes => {
            fleet.plain_apt_all("web upgrade --plan").ok();
            let other = match moment {
                Moment::OtherBytes => (planned.as_str(), "other"),
                _ => (next.as_str(), "next"),
            };
            moves(fleet, other, who);
            let plans = fleet.apu("plans").ok();
            let newest = plans.split(':').next().unwrap().to_owned();
            fleet.apu(&format!("apply {newest} --quiet"));
        }
        Moment::BehindCanary | Moment::WithinWave => {
            let (options, first) = match moment {
                Moment::BehindCanary => ("--soak 2s", "web1"),
                _ => ("--parallel 1", "web2"),
            };
            let running = fleet.start_apt_all(&format!("web upgrade --yes {options}"));
            let what = format!("{planned} on {first}");
            let running = wait_until(running, &what, || has(fleet.host(first)).0 == planned);
            moves(fleet, (&next, "next"), who);
            running.finish();
        }
    }
    for (name, before) in HOSTS.iter().zip(before) {
        let now = has(fleet.host(name));
        if now == before {
            tally.held_back += 1;
        } else {
            assert_eq!(
                now,
                (planned.clone(), "planned".into()),
                "{name} in trial {number}, {moment:?}"
            );
            tally.changed += 1;
        }
    }
    // Everybody starts the next one alike.
    fleet.apt_all("web update").exited(0);
    fleet.apt_all("web upgrade --yes --waves 100%").exited(0);
    server.sh("apu repo list | grep -q trial").ok();
}

/// Those trials of the numbers up to [`trials`] that are this fleet's, of so many fleets.
fn trials_of(fleet: u32, fleets: u32) -> Tally {
    let numbers = (1..=trials()).filter(|number| number % fleets == fleet);
    let fleet = Fleet::of(HOSTS).in_class("web").up();
    publish(fleet.server(), "0.1", "first");
    fleet.apt_all("web update").exited(0);
    fleet.apt_all("web install trial --yes --waves 100%").exited(0);
    let mut tally = Tally::default();
    for number in numbers {
        trial(&fleet, number, &mut tally);
    }
    tally
}

#[test]
fn nobody_installs_what_was_not_planned_and_tested_whenever_the_archive_moves() {
    // Many of them on several fleets: a trial waits most of the time.
    let fleets = if trials() > 50 { 5 } else { 1 };
    let tallies: Vec<Tally> = thread::scope(|scope| {
        let threads: Vec<_> = (0..fleets)
            .map(|fleet| scope.spawn(move || trials_of(fleet, fleets)))
            .collect();
        let joined = threads.into_iter().map(|thread| match thread.join() {
            Ok(tally) => tally,
            Err(panic) => std::panic::resume_unwind(panic),
        });
        joined.collect()
    });
    let changed: usize = tallies.iter().map(|tally| tally.changed).sum();
    let held_back: usize = tallies.iter().map(|tally| tally.held_back).sum();
    println!(
        "{} trials: {changed} hosts changed as planned, {held_back} did not change",
        trials()
    );
    assert!(changed > 0 && held_back > 0, "{changed} {held_back}");
}
