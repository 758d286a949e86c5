//! Two layers hold the push key: its own line, and sshd's drop-in. Either is enough.

use apu_proto::ClientOutcome;
use apu_tests::{Fleet, Host, Suite};

use crate::answer::Answer;
use crate::door::{CLIENT, DOORS, open_doors};

const DROP_IN: &str = "/etc/ssh/sshd_config.d/50-apu.conf";
const KEY: &str = "/usr/share/apu-data/authorized_keys";

/// All that a login may start: sshd's own, what Debian's PAM starts (the account's state, a message of the day), and the
/// wrapper.
const ALLOWED: [&str; 13] = [
    "/usr/sbin/sshd",
    "/usr/lib/openssh/sshd-session",
    "/usr/lib/openssh/sshd-auth",
    "/bin/sh",
    "/usr/lib/apu/apu-wrapper",
    "/usr/sbin/apu-client",
    "/usr/sbin/unix_chkpwd",
    "/usr/bin/env",
    "/usr/bin/run-parts",
    "/bin/run-parts",
    "/etc/update-motd.d/10-uname",
    "/usr/bin/uname",
    "/bin/uname",
];

/// Takes the drop-in away, as an administrator could, and lets the package see that.
fn without_the_drop_in(client: &Host) {
    client.sh(&format!("rm {DROP_IN}")).ok();
    let said = client.exec(&["/usr/lib/apu/sshd-drop-in"]);
    assert!(said.stderr.contains("one of two layers is missing"), "{said:?}");
    client.kill_sshd();
    client.start_sshd();
}

/// Leaves only the key itself of the key's line.
fn without_options(client: &Host) {
    let line = client.read(KEY).expect("the key");
    let (options, key) = line.split_once(" ssh-ed25519 ").expect("a key with options");
    assert_eq!(options, r#"restrict,command="/usr/lib/apu/apu-wrapper""#);
    client.write(KEY, &format!("ssh-ed25519 {key}"));
}

/// No door is open, and nothing but the wrapper was started behind any.
#[track_caller]
fn is_shut(fleet: &Fleet) {
    let client = fleet.host(CLIENT);
    let watch = client.watch().unwrap();
    assert_eq!(open_doors(fleet), [""; 0]);
    let programs = watch.programs().unwrap();
    let foreign: Vec<_> = programs
        .iter()
        .filter(|program| !ALLOWED.contains(&program.as_str()))
        .collect();
    assert!(foreign.is_empty(), "{foreign:?}");
    let wrappers = programs
        .iter()
        .filter(|program| *program == "/usr/lib/apu/apu-wrapper")
        .count();
    // Each door that asks for a session gets the wrapper: all but six that forward.
    assert_eq!(wrappers, DOORS.len() - 6, "{programs:?}");
    Answer::of(fleet.ssh(CLIENT, &[]).arg("apu/1 ping").output().unwrap()).is(ClientOutcome::Unchanged);
}

#[test]
fn the_push_key_opens_nothing() {
    for suite in Suite::ALL {
        is_shut(&Fleet::of([CLIENT]).suite(suite).up());
    }
}

#[test]
fn the_push_key_opens_nothing_without_the_drop_in() {
    let fleet = Fleet::of([CLIENT]).up();
    without_the_drop_in(fleet.host(CLIENT));
    is_shut(&fleet);
}

#[test]
fn the_push_key_opens_nothing_without_its_options() {
    let fleet = Fleet::of([CLIENT]).up();
    without_options(fleet.host(CLIENT));
    is_shut(&fleet);
}

#[test]
fn without_both_layers_every_door_would_be_seen_to_open() {
    let names: Vec<_> = DOORS.iter().map(|door| door.name).collect();
    for suite in Suite::ALL {
        let fleet = Fleet::of([CLIENT]).suite(suite).up();
        without_the_drop_in(fleet.host(CLIENT));
        without_options(fleet.host(CLIENT));
        assert_eq!(open_doors(&fleet), names, "{suite:?}");
    }
}
