//! Keys that are replaced on a living fleet: no client is ever left with a key that nobody has.

use std::fs;
use std::process::{Command, Output};

use apu_tests::{Fleet, Host, Suite};

const OLD: &str = "/root/old_key";

/// Shorter patience for a host that does not answer.
fn hasty(fleet: &Fleet) {
    let settings = fleet.server().read("/etc/apu-server/apu.toml").unwrap();
    fleet.server().write(
        "/etc/apu-server/apu.toml",
        &format!("{settings}\n[ssh]\nconnect_timeout = 3\n"),
    );
}

/// The fingerprints of a keyring on a host, as gpg reads it.
fn fingerprints(host: &Host, keyring: &str) -> Vec<String> {
    let bytes = host.command("cat").arg(keyring).output().unwrap().stdout;
    let home = tempfile::tempdir().unwrap();
    let copy = home.path().join("keyring");
    fs::write(&copy, bytes).unwrap();
    let shown = Command::new("gpg")
        .args(["--batch", "--with-colons", "--show-keys", "--homedir"])
        .args([home.path(), &copy])
        .output()
        .unwrap();
    let text = String::from_utf8(shown.stdout).unwrap();
    // A primary key's own fingerprint is the first one behind it; those of its subkeys follow.
    let keys = text.split("pub:").skip(1);
    let first = |key: &str| {
        Some(
            key.lines()
                .find_map(|line| line.strip_prefix("fpr:"))?
                .trim_matches(':')
                .to_owned(),
        )
    };
    keys.filter_map(first).collect()
}

fn takes(fleet: &Fleet, client: &str, key: &str) -> Output {
    fleet
        .server()
        .command("ssh")
        .args([
            "-F",
            "none",
            "-l",
            "apu",
            "-i",
            key,
            "-o",
            "IdentitiesOnly=yes",
            "-o",
            "BatchMode=yes",
        ])
        .args([
            "-o",
            "UserKnownHostsFile=/etc/apu-server/ssh/known_hosts",
            client,
            "apu/1 ping",
        ])
        .output()
        .unwrap()
}

fn catch_up(fleet: &Fleet, target: &str) {
    fleet.apt_all(&format!("{target} update")).exited(0);
    fleet.apt_all(&format!("{target} dist-upgrade --yes")).exited(0);
}

#[test]
fn both_keys_rotate_on_a_live_fleet_and_the_host_that_was_off_is_caught_up() {
    let fleet = Fleet::of(["web1", "web2", "laptop1"]).up();
    hasty(&fleet);
    let server = fleet.server();
    server
        .sh(&format!("cp -p /etc/apu-server/ssh/id_ed25519 {OLD}"))
        .ok();
    let old_archive = fingerprints(server, "/etc/apu-server/gpg/archive.gpg");
    assert_eq!(old_archive.len(), 1);

    fleet.host("laptop1").pull_the_cable();
    let begun = fleet.apu("key rotate --ssh --archive");
    assert_eq!(begun.code, 0, "{}{}", begun.stdout, begun.stderr);
    catch_up(&fleet, "web1,web2");
    let status = fleet.apu("key status");
    assert_eq!(status.code, 1, "{}{}", status.stdout, status.stderr);
    assert!(status.stdout.contains("2 of 3 have it"), "{}", status.stdout);

    // One host is late: both keys stay.
    let waits = fleet.apu("key rotate --ssh --archive");
    assert_eq!(waits.code, 1, "{}{}", waits.stdout, waits.stderr);
    assert_eq!(waits.stdout.matches("laptop1").count(), 2, "{}", waits.stdout);
    assert!(!waits.stdout.contains("web"), "{}", waits.stdout);
    fleet.apt_all("web1,web2 ping").exited(0);
    let both = fingerprints(fleet.host("web1"), "/usr/share/keyrings/apu-data.gpg");
    assert_eq!(both.len(), 2);
    assert_eq!(both[0], old_archive[0]);

    // It comes back with nothing but the old keys, and is caught up.
    fleet.host("laptop1").plug_the_cable_in();
    catch_up(&fleet, "laptop1");
    let done = fleet.apu("key rotate --ssh --archive");
    assert_eq!(done.code, 0, "{}{}", done.stdout, done.stderr);
    assert_eq!(done.stdout.matches("is dropped").count(), 2, "{}", done.stdout);

    // What is signed by the new key alone reaches everybody, and takes the old keys from them.
    catch_up(&fleet, "default");
    for client in ["web1", "web2", "laptop1"] {
        let keyring = fingerprints(fleet.host(client), "/usr/share/keyrings/apu-data.gpg");
        assert_eq!(keyring, both[1..], "{client}");
        let refused = takes(&fleet, client, OLD);
        assert!(!refused.status.success(), "{client} still lets the old key in");
        assert!(String::from_utf8_lossy(&refused.stderr).contains("Permission denied"));
        assert!(
            takes(&fleet, client, "/etc/apu-server/ssh/id_ed25519")
                .status
                .success()
        );
    }
    assert_eq!(fleet.apu("key status").code, 0);
    assert_eq!(fleet.apu("doctor").code, 0, "{}", fleet.apu("doctor").stdout);
}

#[test]
fn a_forced_rotation_names_whom_it_leaves_behind_and_bootstrap_brings_them_back() {
    let fleet = Fleet::of(["web1", "laptop1"]).bare().up();
    hasty(&fleet);
    fleet.server().exec(&["gen-apu-data-pkg"]).ok();
    let enrolled = fleet.apu("bootstrap --add-to-class default web1 laptop1");
    assert_eq!(enrolled.code, 0, "{}{}", enrolled.stdout, enrolled.stderr);
    fleet.host("laptop1").pull_the_cable();
    assert_eq!(fleet.apu("key rotate --ssh").code, 0);
    catch_up(&fleet, "web1");
    assert_eq!(fleet.apu("key rotate --ssh").code, 1);
    let forced = fleet.apu("key rotate --ssh --force");
    assert_eq!(forced.code, 0, "{}{}", forced.stdout, forced.stderr);
    assert!(
        forced.stdout.contains("apu bootstrap laptop1"),
        "{}",
        forced.stdout
    );

    fleet.host("laptop1").plug_the_cable_in();
    fleet
        .apt_all("default ping")
        .ended("web1", "unchanged")
        .ended("laptop1", "unreachable")
        .because("laptop1", "key-refused");
    let back = fleet.apu("bootstrap laptop1");
    assert_eq!(back.code, 0, "{}{}", back.stdout, back.stderr);
    fleet.apt_all("default ping").all_ended("unchanged").exited(0);
}

#[test]
fn whoever_stops_a_forced_rotation_while_hosts_are_asked_keeps_both_keys() {
    let fleet = Fleet::of(["web1"]).up();
    assert_eq!(fleet.apu("key rotate --ssh").code, 0);
    fleet.host("web1").freeze_sshd();
    let stopped = fleet
        .server()
        .sh("apu key rotate --ssh --force & sleep 3; kill -TERM $!; wait $!; echo ended with $?");
    assert!(stopped.stdout.ends_with("ended with 130\n"), "{}", stopped.stdout);
    let next = fleet.server().read("/etc/apu-server/ssh/id_ed25519_next");
    assert!(next.is_some(), "the old key was dropped: {}", stopped.stdout);
}

#[test]
fn a_push_key_that_no_client_lets_in_never_becomes_the_only_one() {
    let fleet = Fleet::of(["web1"]).up();
    assert_eq!(fleet.apu("key rotate --ssh").code, 0);
    catch_up(&fleet, "web1");
    // The client says that it has the newest apu-data, and yet its sshd does not take the next key.
    fleet
        .host("web1")
        .sh("f=$(readlink -f /usr/share/apu-data/authorized_keys) && sed -i 2d \"$f\"")
        .ok();
    let waits = fleet.apu("key rotate --ssh");
    assert_eq!(waits.code, 1, "{}{}", waits.stdout, waits.stderr);
    assert!(waits.stdout.contains("web1: unreachable"), "{}", waits.stdout);
    fleet.apt_all("web1 ping").exited(0);
}

fn an_archive_with_two_signatures_is_trusted_on(suite: Suite) {
    let fleet = Fleet::of(["one"]).suite(suite).up();
    assert_eq!(fleet.apu("key rotate --archive").code, 0);
    // The client knows only the first of the two keys, then both, then only the second signs.
    for step in [
        "one of the keys is known",
        "both are known",
        "the second signs alone",
    ] {
        let update = fleet.host("one").sh("apt-get update 2>&1");
        let said = update.ok();
        assert!(
            !said.contains("W:") && !said.contains("E:"),
            "{suite:?}, {step}: {said}"
        );
        catch_up(&fleet, "one");
        if step.starts_with("both") {
            let done = fleet.apu("key rotate --archive");
            assert_eq!(done.code, 0, "{}{}", done.stdout, done.stderr);
        }
    }
}

#[test]
fn an_archive_with_two_signatures_is_trusted_on_bullseye() {
    an_archive_with_two_signatures_is_trusted_on(Suite::Bullseye);
}

#[test]
fn an_archive_with_two_signatures_is_trusted_on_bookworm() {
    an_archive_with_two_signatures_is_trusted_on(Suite::Bookworm);
}

#[test]
fn an_archive_with_two_signatures_is_trusted_on_trixie() {
    an_archive_with_two_signatures_is_trusted_on(Suite::Trixie);
}
