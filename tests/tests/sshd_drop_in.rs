//! What sshd-drop-in tells `apu bootstrap` of the settings that keep user apu out, with an sshd that says them.

#![allow(clippy::unwrap_used, reason = "a test that cannot go on fails")]

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::process::Command;

const DROP_IN: &str = include_str!("../../debian/sshd-drop-in");

/// The programs that it asks: an sshd that prints the settings, a machine with user apu and without a log.
const PROGRAMS: [(&str, &str); 5] = [
    ("sshd", "[ \"$1\" = -t ] || cat \"$0.settings\"\n"),
    ("ssh-keygen", "exit 0\n"),
    ("id", "echo apu\n"),
    ("getent", "echo 'apu:*:1:::::'\n"),
    ("journalctl", "exit 0\n"),
];

/// What it explains where `sshd -T` prints these settings beside its own.
fn explained(settings: &str) -> Vec<String> {
    explained_as(settings, |line| line.to_owned())
}

/// The same where it prints each line so.
fn explained_as(settings: &str, printed: impl Fn(&str) -> String) -> Vec<String> {
    let dir = tempfile::tempdir().unwrap();
    let place = dir.path().display().to_string();
    let programs = dir.path().join("programs");
    fs::create_dir(&programs).unwrap();
    for (name, text) in PROGRAMS {
        let path = programs.join(name);
        fs::write(&path, format!("#!/bin/sh\n{text}")).unwrap();
        fs::set_permissions(&path, fs::Permissions::from_mode(0o755)).unwrap();
    }
    let all = format!(
        "usepam yes\npidfile {place}/none\nforcecommand /usr/lib/apu/apu-wrapper\n\
         authorizedkeysfile /usr/share/apu-data/authorized_keys\n{settings}"
    );
    let all: String = all.lines().map(|line| printed(line) + "\n").collect();
    fs::write(programs.join("sshd.settings"), all).unwrap();
    let text = DROP_IN.replace("/usr/sbin/", &format!("{place}/programs/"));
    let text = ["/run/", "/var/log/", "/etc/"]
        .iter()
        .fold(text, |text, path| text.replace(path, &format!("{place}{path}")));
    fs::create_dir(dir.path().join("run")).unwrap();
    let path = dir.path().join("sshd-drop-in");
    fs::write(&path, text).unwrap();
    let output = Command::new("sh")
        .arg(&path)
        .args(["explain", "192.0.2.1 40000 192.0.2.2 22"])
        .env("PATH", format!("{place}/programs:/usr/bin:/bin"))
        .output()
        .unwrap();
    assert!(output.status.success(), "{output:?}");
    let said = String::from_utf8(output.stdout).unwrap();
    said.lines().map(str::to_owned).collect()
}

/// The settings that it names, of those that let users in or keep them out.
fn named(settings: &str) -> Vec<String> {
    let lines = explained(settings);
    let settings = lines
        .iter()
        .filter_map(|line| line.split_once(" in sshd's configuration keeps user apu out: "));
    settings.map(|(setting, _)| setting.to_owned()).collect()
}

#[test]
fn each_setting_that_keeps_user_apu_out_is_named() {
    for (settings, expected) in [
        ("denyusers apu\n", &["DenyUsers"][..]),
        ("denyusers bob\ndenyusers a*\n", &["DenyUsers"]),
        ("denyusers apu@192.0.2.*\n", &["DenyUsers"]),
        ("denygroups staff\ndenygroups apu\n", &["DenyGroups"]),
        ("allowusers root\nallowusers admin@10.*\n", &["AllowUsers"]),
        ("allowgroups root\n", &["AllowGroups"]),
        ("allowusers root\ndenyusers apu\n", &["AllowUsers", "DenyUsers"]),
    ] {
        assert_eq!(named(settings), expected, "{settings}");
    }
    let said = explained("denyusers apu\n");
    assert_eq!(
        said[0],
        "DenyUsers in sshd's configuration keeps user apu out: take apu out of it"
    );
}

#[test]
fn a_setting_about_others_is_not() {
    for settings in [
        "",
        "denyusers bob\ndenygroups staff\n",
        "allowusers root\nallowusers apu\nallowgroups apu\n",
        "allowusers ap?\n",
        "denyusers apus\n",
    ] {
        assert_eq!(named(settings), [""; 0], "{settings}");
    }
}

#[test]
fn names_may_be_printed_in_any_case_and_values_keep_theirs() {
    let in_capitals = |line: &str| match line.split_once(' ') {
        Some((name, value)) => format!("{} {value}", name.to_uppercase()),
        None => line.to_owned(),
    };
    let settings = "allowusers root\ndenygroups apu\n";
    let said = explained_as(settings, in_capitals);
    assert_eq!(said, explained(settings));
    assert!(
        said.iter().all(|line| !line.contains("as it was shipped")),
        "{said:?}"
    );
    let capital_value = explained_as("denyusers APU\n", in_capitals);
    assert_eq!(capital_value, explained(""));
}
