//! A real update from Debian's archive, in a machine with systemd: what the plan tells of services is what then happens to them, and two
//! broken connections change nothing of it.
//!
//! `make point-release` runs it; it fetches tens of megabytes from where this machine gets its own packages.

#![allow(clippy::print_stdout, reason = "what it found is what it prints")]

use std::collections::{BTreeMap, BTreeSet};

use apu_proto::ClientOutcome;
use apu_tests::point_release::fetch_two_versions;
use apu_tests::systemd::Machine;

const RUN: &str = "5ca1ab1e5ca1ab1e5ca1ab1e5ca1ab1e";

/// The running services, each with the identity of its start.
const STARTS: &str = r#"systemctl list-units --type=service --state=running --plain --no-legend | while read -r unit rest; do
    echo "$unit $(systemctl show -p InvocationID --value "$unit")"
done"#;

/// The services of which a process has mapped a program or library that was replaced.
const STALE: &str = r#"for maps in /proc/[0-9]*/maps; do
    grep -q '^[^ ]* ..x. .* /.* (deleted)$' "$maps" 2>/dev/null || continue
    sed -n 's,^0::/system\.slice/\(.*/\)\{0\,1\}\([^/]*\)\.service.*,\2,p' "${maps%/maps}/cgroup"
done | sort -u"#;

fn starts(machine: &Machine) -> BTreeMap<String, String> {
    let told = machine.sh(STARTS).ok();
    let lines = told.lines().filter_map(|line| line.split_once(' '));
    lines
        .map(|(unit, start)| (unit.trim_end_matches(".service").to_owned(), start.to_owned()))
        .filter(|(unit, _)| !unit.starts_with("apu-"))
        .collect()
}

fn words(text: &str) -> BTreeSet<String> {
    text.split_whitespace().map(str::to_owned).collect()
}

fn main() {
    let mut machine = Machine::client(&[]);
    let installed = words(&machine.sh(r"dpkg-query -W -f '${Package}\n'").ok());
    let folder = tempfile::tempdir().expect("a folder");
    let versions = fetch_two_versions(&installed, folder.path()).expect("packages in two versions");
    for package in ["libc6", "libssl3", "openssh-server", "systemd"] {
        assert!(
            versions.contains_key(package),
            "{package} has one version alone: {versions:?}"
        );
    }
    machine.offer(folder.path());
    let older: Vec<String> = (versions.iter())
        .map(|(package, (older, _))| format!("{package}={older}"))
        .collect();
    machine
        .sh(&format!(
            "export DEBIAN_FRONTEND=noninteractive; apt-get -q update && \
             apt-get -q -y --allow-downgrades -o Dpkg::Options::=--force-confold install {}",
            older.join(" ")
        ))
        .ok();
    machine.sh("systemctl poweroff");
    machine.wait_for_power_off();
    machine.switch_on();
    assert_eq!(
        machine.sh(STALE).ok(),
        "",
        "a service runs with replaced files before anything is replaced"
    );

    machine.answer("apu/1 update").ended(ClientOutcome::Changed);
    let planned = machine.answer("apu/1 dist-upgrade dry_run=yes");
    let result = planned.ended(ClientOutcome::Unchanged).result();
    let plan = result.plan().expect("a plan").clone();
    let services = plan.services.clone().expect("systemd runs");
    assert_eq!(services.more, 0, "{services:?}");
    let before = starts(&machine);

    let id = plan.transaction.id();
    let mut asking = machine.ask(&format!("apu/1 dist-upgrade run_id={RUN} plan_sha256={id}"));
    asking.until_line("Unpacking");
    asking.break_the_connection();
    let mut asking = machine.ask(&format!("apu/1 attach run_id={RUN}"));
    asking.until_line("Setting up");
    asking.break_the_connection();
    let answer = machine.answer(&format!("apu/1 attach run_id={RUN}"));
    answer.ended(ClientOutcome::Changed);
    for (package, (_, newer)) in &versions {
        assert_eq!(machine.version_of(package).as_ref(), Some(newer), "{package}");
    }
    assert_eq!(machine.exec(&["dpkg", "--audit"]).ok(), "");

    let after = starts(&machine);
    let restarted: BTreeSet<String> = (before.iter())
        .filter(|(unit, start)| after.get(*unit) != Some(*start))
        .map(|(unit, _)| unit.clone())
        .collect();
    let stale = words(&machine.sh(STALE).ok());
    let told = |names: &[String]| names.iter().cloned().collect::<BTreeSet<_>>();
    let (restarts, goes_stale) = (told(&services.restarts), told(&services.stale));
    println!(
        "{} packages, each from its oldest version to its newest",
        versions.len()
    );
    println!("before: restarts {restarts:?}, stale {goes_stale:?}");
    println!("after: restarted {restarted:?}, stale {stale:?}");
    let missed: Vec<_> = restarted.difference(&restarts).collect();
    assert!(missed.is_empty(), "restarted, and nobody was told: {missed:?}");
    let is_told = |unit: &&String| goes_stale.contains(*unit) || restarts.contains(*unit);
    let missed: Vec<_> = stale.iter().filter(|unit| !is_told(unit)).collect();
    assert!(missed.is_empty(), "stale, and nobody was told: {missed:?}");
}
