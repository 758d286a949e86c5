//! An upgrade in which something goes wrong at any moment: what is told in the end is what dpkg has, nothing is done twice, and the
//! next upgrade mends the rest.
//!
//! `APU_TORTURE` says how many trials, and `APU_TORTURE_KIND` which kind of them alone is made; a trial follows from its number alone. A
//! clock is moved for what asks the C library, which apu-client does not, and a reboot is one as far as namespaces can: the suites under systemd have real ones.

mod checker;
mod clock;
mod crasher;
mod injection;
mod renewal;

use std::collections::{BTreeMap, BTreeSet};
use std::thread::sleep;
use std::time::{Duration, Instant};

use apu_tests::{Fleet, Host};
use serde_json::Value;

use checker::{History, State, violations};
use injection::{Injection, is_of_another};
use renewal::has_what_runs_need;

const HOSTS: [&str; 2] = ["web1", "web2"];
const RUNS: &str = "/var/lib/apu-client/runs";

/// How long an upgrade takes here, about, in seconds: the moments are within it.
const USUAL: f64 = 5.0;

fn trials() -> u32 {
    let each = u32::try_from(Injection::ALL.len()).unwrap();
    std::env::var("APU_TORTURE").map_or(each, |trials| trials.parse().expect("a number"))
}

/// A fraction from 0 to 1 that looks like chance.
fn fraction(number: u32) -> f64 {
    let mixed = number
        .wrapping_mul(2_654_435_761)
        .rotate_left(15)
        .wrapping_mul(2_246_822_519);
    f64::from(mixed >> 8) / f64::from(u32::MAX >> 8)
}

/// Publishes a version of the package: many files, too large for a full disk, and scripts that take their time.
#[track_caller]
fn publish(server: &Host, version: u32) {
    let script = format!(
        "set -e; umask 022; rm -rf /tmp/torture; mkdir -p /tmp/torture/DEBIAN /tmp/torture/usr/share/torture
         cd /tmp/torture
         for number in $(seq 40); do {{ echo {version}; seq 3000; }} >usr/share/torture/$number; done
         printf 'Package: torture\\nVersion: {version}\\nArchitecture: all\\nMaintainer: apu tests <apu@example.org>\\n\
         Description: test package\\n' >DEBIAN/control
         printf '#!/bin/sh\\nsleep 0.5\\n' | tee DEBIAN/preinst >DEBIAN/postinst
         chmod 755 DEBIAN/preinst DEBIAN/postinst
         dpkg-deb -Zgzip --root-owner-group --build . /tmp/torture_{version}_all.deb
         apu repo remove torture || true
         apu repo add /tmp/torture_{version}_all.deb"
    );
    server.sh(&script).ok();
}

fn state(host: &Host) -> State {
    let audit = host.sh("dpkg --audit; ls /var/lib/dpkg/updates").ok();
    let version = host.sh("dpkg-query -W -f '${Version}' torture");
    State {
        version: (version.code == 0).then_some(version.stdout),
        is_whole: audit.trim().is_empty(),
    }
}

/// How many transactions apt has begun.
fn transactions(host: &Host) -> usize {
    let history = host.read("/var/log/apt/history.log").unwrap_or_default();
    let begun = |line: &&str| line.starts_with("Start-Date:");
    history.lines().filter(begun).count()
}

fn runs(host: &Host) -> BTreeSet<String> {
    let listed = host.sh(&format!("ls {RUNS}"));
    listed.stdout.lines().map(str::to_owned).collect()
}

/// How runs ended, each in one word; none where it has no end.
type Ends = Vec<Option<String>>;

/// Waits until no run is at work, and lets the client say how each ended, as a server does that asks again: the runs of this server, and
/// those of another.
fn ends(fleet: &Fleet, host: &Host, known: &BTreeSet<String>) -> (Ends, Ends) {
    let patience = Instant::now() + Duration::from_secs(60);
    while host
        .sh("pgrep -f 'apu-client [r]un' || pgrep -x 'apt-get|dpkg'")
        .code
        == 0
    {
        assert!(Instant::now() < patience, "a run on {} does not end", host.name());
        sleep(Duration::from_millis(100));
    }
    let of_trial: Vec<String> = runs(host).difference(known).cloned().collect();
    let run = |id: String| {
        fleet.apu(&format!("attach {} {id}", host.name()));
        let result = host.read(&format!("{RUNS}/{id}/result"));
        result.and_then(|text| {
            let result: Value = serde_json::from_str(&text).ok()?;
            Some(result["outcome"].as_str()?.to_owned())
        })
    };
    // The plan of a push is no run, and a request that was refused has none.
    let (others, own): (Vec<String>, Vec<String>) = of_trial.into_iter().partition(|id| is_of_another(id));
    let ends = |ids: Vec<String>| ids.into_iter().map(run).collect();
    (ends(own), ends(others))
}

/// The last run of the ledger.
fn last(fleet: &Fleet) -> Value {
    serde_json::from_str(&fleet.apu("show @ --json").ok()).unwrap()
}

/// Its number.
fn last_number(fleet: &Fleet) -> u64 {
    last(fleet)["run"].as_u64().expect("a number")
}

/// What the ledger has of each host, in the last run of it.
fn told(fleet: &Fleet) -> BTreeMap<String, Vec<String>> {
    let shown = last(fleet);
    let mut told = BTreeMap::<String, Vec<String>>::new();
    for end in shown["ends"].as_array().expect("the hosts") {
        let word = |name: &str| end[name].as_str().unwrap_or_default().to_owned();
        told.entry(word("host")).or_default().push(word("outcome"));
    }
    told
}

#[test]
fn whatever_goes_wrong_in_an_upgrade_what_is_told_is_what_dpkg_has() {
    let fleet = Fleet::of(HOSTS).in_class("web").up();
    let server = fleet.server();
    let settings = server.read("/etc/apu-server/apu.toml").unwrap();
    let hasty = format!("{settings}\n[ssh]\nconnect_timeout = 4\n[run]\ntimeout = 150\n");
    server.write("/etc/apu-server/apu.toml", &hasty);
    publish(server, 1);
    fleet.apt_all("web update").exited(0);
    fleet.apt_all("web install torture --yes --waves 100%").exited(0);

    let only = std::env::var("APU_TORTURE_KIND").ok();
    let mut wrong = Vec::new();
    let mut ended = BTreeMap::<(Injection, String), usize>::new();
    for number in 1..=trials() {
        let injection = Injection::ALL[number as usize % Injection::ALL.len()];
        if only
            .as_ref()
            .is_some_and(|only| *only != format!("{injection:?}"))
        {
            continue;
        }
        let victim = fleet.host(HOSTS[(fraction(number) * 64.0) as usize % HOSTS.len()]);
        let moment = Duration::from_secs_f64(USUAL * fraction(number));
        publish(server, number + 1);
        injection.is_published(&fleet, victim, number);
        fleet.apt_all("web update").exited(0);
        injection.is_prepared(victim, number / Injection::ALL.len() as u32);
        let known: Vec<_> = fleet.clients().map(runs).collect();
        let before: Vec<_> = fleet.clients().map(state).collect();
        let begun: Vec<_> = fleet.clients().map(transactions).collect();

        let push = injection.push();
        let run_before = last_number(&fleet);
        let running = fleet.start_apt_all(push);
        sleep(moment);
        injection.happens(&fleet, victim, &running, number);
        running.finish();
        if injection == Injection::AptAllKilled {
            // Nothing is left of it where all hosts had ended.
            server.sh("exec apu resume --quiet");
        }
        if last_number(&fleet) == run_before {
            // It was killed before the run began.
            fleet.apt_all(push);
        }
        let told = told(&fleet);
        let runs: Vec<_> = fleet
            .clients()
            .zip(&known)
            .map(|(host, known)| ends(&fleet, host, known))
            .collect();
        let after: Vec<_> = fleet.clients().map(state).collect();
        let done: Vec<_> = fleet.clients().map(transactions).collect();
        injection.mend(victim);
        let mending = fleet.apt_all(push);
        for (place, host) in fleet.clients().enumerate() {
            let history = History {
                before: before[place].clone(),
                planned: (number + 1).to_string(),
                runs: runs[place].0.clone(),
                others: runs[place].1.clone(),
                transactions: done[place] - begun[place],
                told: told.get(host.name()).cloned().unwrap_or_default(),
                after: after[place].clone(),
                mended: state(host),
            };
            if host.name() == victim.name() {
                let outcome = history.told.join("+");
                *ended.entry((injection, outcome)).or_default() += 1;
            }
            let mut violations = violations(&history);
            if injection == Injection::Renewed && !has_what_runs_need(host, number) {
                violations.push("it has not got the newer apu-client and sshd");
            }
            if !violations.is_empty() {
                wrong.push(format!(
                    "trial {number}, {injection:?} after {moment:?} on {}: {}: {violations:?}: {history:#?}\nthe next upgrade: {:?}",
                    victim.name(),
                    host.name(),
                    mending.finished().stderr
                ));
            }
        }
    }
    for ((injection, outcome), trials) in &ended {
        println!("{injection:?}: {outcome}: {trials}");
    }
    assert!(
        wrong.is_empty(),
        "{} of {}: {}",
        wrong.len(),
        trials(),
        wrong.join("\n\n")
    );
}
