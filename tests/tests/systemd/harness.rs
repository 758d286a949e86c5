//! What the other tests take for granted: that the machine is one, is apart from the one below, and leaves nothing.

use std::path::{Path, PathBuf};
use std::process::Command;

use apu_tests::systemd::Machine;

/// The control groups of this name, wherever the kernel shows them.
fn control_groups(name: &str) -> Vec<PathBuf> {
    let find = Command::new("find")
        .args(["/sys/fs/cgroup", "-maxdepth", "2", "-name", name])
        .output()
        .unwrap();
    String::from_utf8_lossy(&find.stdout)
        .lines()
        .map(PathBuf::from)
        .collect()
}

#[test]
fn a_machine_is_a_whole_debian_of_its_own() {
    let machine = Machine::bare();
    machine.authorize("root");
    // What the tests start in it comes from outside, and keeps every privilege.
    let log_in = |command| machine.log_in("root", command).output().unwrap().status.code();

    assert_eq!(log_in("true"), Some(0));
    assert_eq!(machine.sh("cat /proc/1/comm").ok(), "systemd\n");
    assert_eq!(machine.exec(&["hostname"]).ok(), "machine\n");
    assert_eq!(
        machine
            .exec(&["systemctl", "is-active", "ssh", "systemd-logind", "dbus"])
            .ok(),
        "active\n".repeat(3)
    );
    assert_eq!(machine.sh("find /dev -type b").ok(), "");
    assert_ne!(
        machine
            .sh("test -w /proc/sys/kernel/panic || test -w /proc/sysrq-trigger")
            .code,
        0
    );
    assert_ne!(log_in("mknod /dev/disk b 254 0"), Some(0));
    assert_ne!(log_in("date --set=\"$(date)\""), Some(0));
    assert_eq!(machine.sh("cd /sys/class/net && echo *").ok(), "lo\n");
}

#[test]
fn what_a_session_leaves_running_ends_with_it_where_logind_says_so() {
    let machine = Machine::bare();
    machine.authorize("visitor");
    let leave = |seconds| {
        let command = format!("setsid sleep {seconds} >/dev/null 2>&1 </dev/null & sleep 0.2");
        assert!(machine.log_in("visitor", &command).status().unwrap().success());
    };
    let left = |seconds| machine.processes().unwrap().contains(&format!("sleep {seconds}"));

    leave(3141);
    machine.sh("mkdir -p /etc/systemd/logind.conf.d").ok();
    machine.write(
        "/etc/systemd/logind.conf.d/kill.conf",
        "[Login]\nKillUserProcesses=yes\n",
    );
    machine.exec(&["systemctl", "restart", "systemd-logind"]).ok();
    assert!(left(3141));

    leave(2718);
    machine.wait_until("logind has ended what was left", |_| !left(2718));
}

#[test]
fn a_disk_outlives_the_power() {
    let mut machine = Machine::bare();
    let first = machine
        .sh("cat /proc/sys/kernel/random/boot_id; systemctl show --property UserspaceTimestamp")
        .ok();
    machine.write("/root/kept", "x");
    machine.exec(&["systemctl", "poweroff"]);
    machine.wait_for_power_off();
    machine.switch_on();
    assert_eq!(machine.read("/root/kept").as_deref(), Some("x"));
    machine.cut_the_power();
    machine.switch_on();
    assert_eq!(machine.read("/root/kept").as_deref(), Some("x"));
    let third = machine
        .sh("cat /proc/sys/kernel/random/boot_id; systemctl show --property UserspaceTimestamp")
        .ok();
    assert_ne!(first, third);
}

#[test]
fn a_machine_leaves_nothing_behind_also_after_a_panic() {
    let (sender, receiver) = std::sync::mpsc::channel();
    let panicked = std::thread::spawn(move || {
        let machine = Machine::bare();
        sender
            .send((machine.init(), machine.control_group().to_owned()))
            .unwrap();
        panic!("as a failing test does");
    })
    .join();
    assert!(panicked.is_err());
    let (init, group) = receiver.recv().unwrap();

    assert!(!Path::new(&format!("/proc/{init}/ns/mnt")).exists());
    assert_eq!(control_groups(&group), Vec::<PathBuf>::new());
    let mounts = Command::new("findmnt").output().unwrap();
    assert!(!String::from_utf8_lossy(&mounts.stdout).contains("apu-tests"));
}
