//! Holds: packages stay at their version for a reason and until an end, and what was put on hold on the machine itself is left alone.

use apu_tests::{Finished, Fleet, Host, Stage, Suite, let_hold_end};
use serde_json::{Value, json};

/// Holds the lock of a package manager until it is killed.
const BUSY: &str = r#"use Fcntl; open(F, "+<", "/var/lib/dpkg/lock-frontend") or die;
    my $lock = pack("s s l! l! i x4", F_WRLCK, 0, 0, 0, 0); fcntl(F, F_SETLK, $lock) or die; open(G, ">", "/tmp/busy"); sleep 600"#;

fn held(host: &Host) -> String {
    host.sh("apt-mark showhold").ok()
}

/// `apt-all one hold` as a person types it, with a reason of several words.
fn hold(fleet: &Fleet, packages: &[&str], reason: &str, options: &[&str]) -> Finished {
    let words = [
        &["apt-all", "one", "hold"],
        packages,
        &["--reason", reason],
        options,
    ]
    .concat();
    fleet.server().exec(&words)
}

/// Puts a package on hold, and lets that end.
fn put(fleet: &Fleet, package: &str) {
    let done = hold(fleet, &[package], "x", &["--until", "1h"]);
    assert_eq!(done.code, 0, "{done:?}");
    fleet.host("one").sh(&let_hold_end(package)).ok();
}

/// The packages of an answer to showhold or status, each with its reason.
fn reasons(holds: &Value) -> Vec<(&str, Option<&str>)> {
    let holds = holds.as_array().unwrap().iter();
    holds
        .map(|hold| (hold["package"].as_str().unwrap(), hold["reason"].as_str()))
        .collect()
}

fn packages_stay_on_hold_on(suite: Suite) {
    let fleet = Fleet::of(["one"]).suite(suite).up();
    let one = fleet.host("one");
    fleet.upstream_offers(Stage::After);
    fleet.apt_all("one update").exited(0);
    one.sh("apt-mark hold pkg-b").ok();

    // Nothing is put on hold where one of the packages cannot be.
    for (packages, why) in [
        (
            &["pkg-a", "no-such-package"][..],
            "not installed on this client: no-such-package:amd64",
        ),
        (&["pkg-a", "apu-data"], "apu-data is never put on hold"),
    ] {
        let refused = hold(&fleet, packages, "x", &[]);
        assert_eq!(refused.code, 1, "{refused:?}");
        assert!(refused.stdout.contains(why), "{refused:?}");
    }
    assert_eq!(held(one), "pkg-b\n");
    for (line, why) in [
        ("apu/1 hold pkg-a", "hold gives no reason"),
        (
            "apu/1 hold hold_reason=%0A pkg-a",
            "a value that its option does not take",
        ),
        ("apu/1 unhold ?upgradable", "not a package name"),
    ] {
        let output = fleet.ssh("one", &[]).arg(line).output().unwrap();
        let answer = String::from_utf8_lossy(&output.stdout);
        assert!(answer.contains(why), "{line}: {answer}");
    }
    for (line, code) in [
        ("apt-all one hold pkg-a", 2),
        ("apt-all one hold pkg-* --reason x", 2),
        ("apt-all one hold pkg-a --reason x --until 2020-01-01", 2),
        ("apt-all one unhold pkg-a=1.0", 2),
    ] {
        let refused = fleet.server().sh(line);
        assert_eq!(refused.code, code, "{line}: {refused:?}");
    }

    // A package for all architectures, one of the machine's own, and one that is on hold by hand.
    let done = hold(&fleet, &["pkg-a"], "waits for #412", &["--until", "14d"]);
    assert_eq!(done.code, 0, "{done:?}");
    assert!(done.stdout.contains("one: changed: on hold\n"), "{done:?}");
    let done = hold(&fleet, &["pkg-b", "pkg-c", "libc6"], "100% Grüße", &[]);
    assert!(
        done.stdout
            .contains("note: pkg-b:amd64 was put on hold on this client itself; that hold stays"),
        "{done:?}"
    );
    let mut all: Vec<String> = held(one).lines().map(str::to_owned).collect();
    all.sort();
    assert_eq!(all, ["libc6", "pkg-a", "pkg-b", "pkg-c"]);
    let again = hold(&fleet, &["pkg-c", "libc6"], "100% Grüße", &[]).stdout;
    assert!(again.contains("one: unchanged: was on hold already\n"), "{again}");

    // They are told with their reason, and kept back.
    let shown = fleet.apt_all("one showhold");
    let told = &shown.ended("one", "unchanged").answer("one")["holds"];
    assert_eq!(
        reasons(told),
        [
            ("libc6:amd64", Some("100% Grüße")),
            ("pkg-a:amd64", Some("waits for #412")),
            ("pkg-b:amd64", None),
            ("pkg-c:amd64", Some("100% Grüße")),
        ]
    );
    assert_eq!(told[1]["by"], "root");
    let status = fleet.apt_all("one status");
    let status = &status.answer("one")["status"];
    assert_eq!(reasons(&status["holds"]).len(), 3, "{status:#}");
    assert_eq!(status["held"].as_array().unwrap().len(), 4);
    let text = fleet.plain_apt_all("one status").stdout;
    assert!(text.contains("  on hold: pkg-b:amd64\n"), "{text}");
    assert!(
        text.contains("  on hold: pkg-c:amd64, by root: 100% Grüße\n"),
        "{text}"
    );
    assert!(text.contains("  on hold: pkg-a:amd64 until "), "{text}");
    let text = fleet.plain_apt_all("one showhold").stdout;
    assert!(text.starts_with("PACKAGE "), "{text}");
    let upgraded = fleet.apt_all("one dist-upgrade --yes");
    upgraded.ended("one", "changed");
    assert_eq!(
        upgraded.answer("one")["kept_back"],
        json!(["pkg-a", "pkg-b", "pkg-c"])
    );
    for (package, version) in [
        ("pkg-a", "1.0"),
        ("pkg-b", "1.0"),
        ("pkg-c", "1.0"),
        ("pkg-d", "2.0"),
    ] {
        // The first letter of one on hold is no i.
        let listed = one.dpkg_l(package).map(|(_, version)| version);
        assert_eq!(listed.as_deref(), Some(version), "{package}");
    }

    // What was put on hold by hand stays, also where others go.
    let refused = fleet.apt_all("one unhold pkg-b pkg-c");
    refused
        .ended("one", "refused")
        .because(
            "one",
            "put on hold on this client itself, and not by hold: pkg-b:amd64",
        )
        .because("one", "on the client: apt-mark unhold pkg-b:amd64");
    fleet.apt_all("one unhold pkg-d").ended("one", "unchanged");
    let freed = fleet.apt_all("one unhold pkg-c libc6");
    freed.ended("one", "changed").exited(0);

    // At its end a hold is taken off before anything is planned.
    put(&fleet, "pkg-a");
    let plan = fleet.apt_all("one dist-upgrade --dry-run");
    assert!(
        plan.notes("one")
            .contains("the hold of pkg-a:amd64 was over and is taken off"),
        "{}",
        plan.notes("one")
    );
    let steps = plan.answer("one")["transaction"]["steps"]
        .as_array()
        .unwrap()
        .len();
    assert_eq!(steps, 2, "{:#}", plan.answer("one"));
    assert_eq!(held(one), "pkg-b\n");
    assert_eq!(one.read("/var/lib/apu-client/holds.json").as_deref(), Some("{}"));

    // By a run and by the timer's program as well, and not while another package manager is at work.
    put(&fleet, "pkg-d");
    let update = fleet.apt_all("one update");
    assert!(update.notes("one").contains("the hold of pkg-d:amd64 was over"));
    put(&fleet, "pkg-d");
    let busy = one.sh(&format!(
        "perl -e '{BUSY}' >/dev/null 2>&1 & until [ -e /tmp/busy ]; do sleep 0.1; done; echo $!"
    ));
    let busy = busy.ok();
    let shown = fleet.apt_all("one showhold");
    assert!(
        shown
            .notes("one")
            .contains("holds that are over could not all be taken off"),
        "{}",
        shown.notes("one")
    );
    assert_eq!(held(one), "pkg-b\npkg-d\n");
    one.sh(&format!("kill {}; sleep 1; apu-client holds", busy.trim()))
        .ok();
    assert_eq!(held(one), "pkg-b\n");

    // What somebody takes off hold on the machine is forgotten, and is the machine's own afterwards.
    assert_eq!(hold(&fleet, &["pkg-d"], "x", &["--until", "1h"]).code, 0);
    one.sh("apt-mark unhold pkg-d").ok();
    let shown = fleet.apt_all("one showhold");
    assert!(
        shown
            .notes("one")
            .contains("pkg-d:amd64 was taken off hold on this client itself"),
        "{}",
        shown.notes("one")
    );
    one.sh("apt-mark hold pkg-d").ok();
    let shown = fleet.apt_all("one showhold");
    assert_eq!(
        reasons(&shown.answer("one")["holds"]),
        [("pkg-b:amd64", None), ("pkg-d:amd64", None)]
    );

    // A file that is not understood is told by whatever reads it, and changes nothing.
    one.write("/var/lib/apu-client/holds.json", "{\"pkg-b:amd64\": 1}");
    fleet
        .apt_all("one showhold")
        .ended("one", "failed")
        .because("one", "holds.json");
    assert_eq!(hold(&fleet, &["pkg-a"], "x", &[]).code, 1);
    assert!(fleet.apt_all("one status").notes("one").contains("holds.json"));
    assert_eq!(held(one), "pkg-b\npkg-d\n");
}

#[test]
fn packages_stay_on_hold_until_their_end() {
    packages_stay_on_hold_on(Suite::Bookworm);
}

#[test]
fn packages_stay_on_hold_until_their_end_on_trixie() {
    packages_stay_on_hold_on(Suite::Trixie);
}

#[test]
fn packages_stay_on_hold_until_their_end_on_bullseye() {
    packages_stay_on_hold_on(Suite::Bullseye);
}
