//! What the other suites take for granted: that a fleet is what it says, and that nothing of it stays.

use std::path::Path;
use std::process::{Command, Stdio};
use std::time::Instant;

use apu_tests::{Fleet, Host};

/// Tries to log in from one host to another; ssh's exit status and what it said.
fn log_in(from: &Host, to: &Host) -> (Option<i32>, String) {
    let mut ssh = from.command("ssh");
    ssh.args([
        "-o",
        "StrictHostKeyChecking=no",
        "-o",
        "BatchMode=yes",
        "-o",
        "ConnectTimeout=2",
        to.name(),
        "true",
    ]);
    let output = ssh.stdin(Stdio::null()).output().unwrap();
    (
        output.status.code(),
        String::from_utf8_lossy(&output.stderr).into_owned(),
    )
}

#[test]
fn hosts_are_machines_of_their_own() {
    let fleet = Fleet::of(["one", "two"]).without_server().up();
    let (one, two) = (fleet.host("one"), fleet.host("two"));

    assert_eq!(one.exec(&["hostname"]).ok(), "one\n");
    assert_eq!(one.version_of("pkg-a").as_deref(), Some("1.0"));
    assert_ne!(one.host_key(), two.host_key());
    assert!(log_in(one, two).1.contains("Permission denied"));
    one.write("/etc/only-here", "x");
    assert_eq!(two.read("/etc/only-here"), None);
    let processes = one.sh("ls /proc | grep -c '^[0-9]'").ok();
    assert!(processes.trim().parse::<u32>().unwrap() < 10, "{processes}");
    assert!(
        one.sh("ls /dev")
            .ok()
            .split_whitespace()
            .all(|device| !device.starts_with("vd") && !device.starts_with("sd"))
    );
}

#[test]
fn a_pulled_cable_is_silence() {
    let fleet = Fleet::of(["one", "two"]).without_server().up();
    let (one, two) = (fleet.host("one"), fleet.host("two"));

    two.pull_the_cable();
    let begin = Instant::now();
    assert!(log_in(one, two).1.contains("timed out"));
    assert!(begin.elapsed().as_secs() >= 2);

    two.plug_the_cable_in();
    assert!(log_in(one, two).1.contains("Permission denied"));

    two.freeze_sshd();
    assert!(log_in(one, two).1.contains("timed out"));

    one.kill_sshd();
    assert!(log_in(two, one).1.contains("refused"));
}

#[test]
fn a_watch_sees_every_program_and_only_of_its_host() {
    let fleet = Fleet::of(["one", "two"]).without_server().up();
    let (one, two) = (fleet.host("one"), fleet.host("two"));

    let watch = one.watch().unwrap();
    log_in(two, one);
    let programs = watch.programs().unwrap();
    assert!(
        !programs.is_empty() && programs.iter().all(|program| program == "/usr/sbin/sshd"),
        "{programs:?}"
    );
    log_in(one, two);
    assert_eq!(watch.programs().unwrap(), Vec::<String>::new());
}

#[test]
fn a_snapshot_names_what_changed() {
    let fleet = Fleet::of(["one"]).without_server().up();
    let one = fleet.host("one");
    let before = one.snapshot().unwrap();
    assert_eq!(one.snapshot().unwrap(), before);
    one.sh("chmod 600 /etc/hosts; echo >>/var/lib/dpkg/status").ok();
    let different = one.snapshot().unwrap().differences(&before);
    assert_eq!(
        different,
        [Path::new("etc/hosts"), Path::new("var/lib/dpkg/status")]
    );
}

#[test]
fn a_fleet_leaves_nothing_behind() {
    let fleet = Fleet::of(["one", "two"]).without_server().up();
    let (keeper, init) = (fleet.keeper(), fleet.host("one").init());
    let alive = |pid: &dyn std::fmt::Display| Path::new(&format!("/proc/{pid}/ns/mnt")).exists();
    assert!(alive(&keeper) && alive(&init));

    drop(fleet);

    assert!(!alive(&keeper) && !alive(&init));
    let mounts = Command::new("findmnt").output().unwrap();
    assert!(!String::from_utf8_lossy(&mounts.stdout).contains("apu-fleet"));
}
