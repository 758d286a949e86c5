//! `apu bootstrap` and `apu host-key`: how a machine becomes a client, and what its key has to do with it.

use apu_tests::Fleet;

/// The fingerprint of a key file, as the machine itself shows it at its console.
fn fingerprint(fleet: &Fleet, host: &str) -> String {
    let shown = fleet
        .host(host)
        .sh("ssh-keygen -lf /etc/ssh/ssh_host_ed25519_key.pub")
        .ok();
    shown.split(' ').nth(1).expect("a fingerprint").to_owned()
}

fn known_hosts(fleet: &Fleet) -> String {
    fleet
        .server()
        .read("/etc/apu-server/ssh/known_hosts")
        .unwrap_or_default()
}

fn bare(names: &[&str]) -> Fleet {
    let fleet = Fleet::of(names.iter().copied()).bare().up();
    fleet.server().exec(&["gen-apu-data-pkg"]).ok();
    fleet
}

#[test]
fn a_bare_machine_becomes_a_client_and_its_key_is_pinned() {
    let fleet = bare(&["web1", "web2"]);
    let said = fleet.apu("bootstrap web1 web2 --add-to-class fresh");
    assert_eq!(said.code, 0, "{}{}", said.stdout, said.stderr);

    for name in ["web1", "web2"] {
        assert!(
            said.stdout.contains(&fingerprint(&fleet, name)),
            "{}",
            said.stdout
        );
        assert!(known_hosts(&fleet).contains(&format!("{name} {}\n", fleet.host(name).host_key())));
        assert!(fleet.host(name).version_of("apu-client").is_some());
        assert!(fleet.host(name).version_of("apu-data").is_some());
        // sshd keeps how the push key logged in there for as long as the connection is open.
        assert_eq!(
            fleet.host(name).sh("ls /tmp --ignore='sshauth.*'").ok(),
            "",
            "what was brought is still there"
        );
    }
    let class = fleet.server().read("/etc/apu-server/clients/fresh").unwrap();
    let mut hosts: Vec<&str> = class.lines().collect();
    hosts.sort_unstable();
    assert_eq!(hosts, ["web1", "web2"]);
    fleet.apt_all("fresh update").exited(0);

    let again = fleet.apu("bootstrap web1");
    assert_eq!(again.code, 0, "{}{}", again.stdout, again.stderr);
}

#[test]
fn a_machine_that_cannot_be_entered_is_named_and_the_others_go_on() {
    let fleet = bare(&["web1", "web2"]);
    fleet.host("web2").sh("rm -r /root/.ssh").ok();
    let said = fleet.apu("bootstrap web1 web2 --add-to-class web");
    assert_eq!(said.code, 1);
    assert!(
        said.stderr.contains("error: web2: your ssh cannot log in"),
        "{}",
        said.stderr
    );
    assert!(
        said.stderr.contains("apu bootstrap --user USER web2"),
        "{}",
        said.stderr
    );
    assert_eq!(
        fleet.server().read("/etc/apu-server/clients/web").as_deref(),
        Some("web1\n")
    );
    fleet.apt_all("web ping").exited(0);
    assert!(!known_hosts(&fleet).contains("web2"));
}

#[test]
fn a_host_that_does_not_answer_over_its_new_access_comes_into_no_class() {
    let fleet = bare(&["web1"]);
    fleet
        .host("web1")
        .sh("echo 'DenyUsers apu' >/etc/ssh/sshd_config.d/00-site.conf")
        .ok();
    let said = fleet.apu("bootstrap web1 --add-to-class fresh");
    assert_eq!(said.code, 1, "{}{}", said.stdout, said.stderr);
    assert!(
        said.stdout
            .contains("DenyUsers in sshd's configuration keeps user apu out"),
        "{}",
        said.stdout
    );
    assert!(said.stdout.contains("web1: installing"), "{}", said.stdout);
    assert!(!said.stdout.contains("written into"), "{}", said.stdout);
    assert!(
        said.stderr.contains("clients/fresh: not written"),
        "{}",
        said.stderr
    );
    assert_eq!(fleet.server().read("/etc/apu-server/clients/fresh"), None);
}

#[test]
fn another_key_than_the_pinned_one_is_loud_and_changes_nothing() {
    let fleet = bare(&["web1"]);
    assert_eq!(fleet.apu("bootstrap web1").code, 0);
    let pinned = known_hosts(&fleet);
    fleet.host("web1").replace_host_key();
    fleet.server().sh("rm /root/.ssh/known_hosts").ok();
    let said = fleet.apu("bootstrap web1 --accept-new-host-key");
    assert_eq!(said.code, 1);
    assert!(said.stderr.contains("ANOTHER KEY IS PINNED"), "{}", said.stderr);
    assert!(
        said.stderr.contains("apu host-key web1 --replace"),
        "{}",
        said.stderr
    );
    assert_eq!(known_hosts(&fleet), pinned);
}

#[test]
fn a_host_key_is_pinned_by_its_fingerprint_and_replaced_only_when_asked() {
    let fleet = Fleet::of(["web1"]).up();
    fleet.server().write("/etc/apu-server/ssh/known_hosts", "");
    fleet
        .apt_all("web1 ping")
        .ended("web1", "unreachable")
        .because("web1", "unknown-host-key");

    let wrong = fleet.apu("host-key web1 --fingerprint SHA256:AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA");
    assert_eq!(wrong.code, 2, "{}{}", wrong.stdout, wrong.stderr);
    assert_eq!(known_hosts(&fleet), "");
    assert_eq!(fleet.apu("host-key web1").code, 2, "pinned without a yes");

    let right = fingerprint(&fleet, "web1");
    let said = fleet.apu(&format!("host-key web1 --fingerprint {right}"));
    assert_eq!(said.code, 0, "{}{}", said.stdout, said.stderr);
    fleet.apt_all("web1 ping").exited(0);

    fleet.host("web1").replace_host_key();
    let new = fingerprint(&fleet, "web1");
    let said = fleet.apu(&format!("host-key web1 --fingerprint {new}"));
    assert_eq!(said.code, 2);
    assert!(said.stdout.contains("THE KEY HAS CHANGED"), "{}", said.stdout);
    let said = fleet.apu(&format!("host-key web1 --fingerprint {new} --replace"));
    assert_eq!(said.code, 0, "{}{}", said.stdout, said.stderr);
    let run = fleet.apt_all("web1 ping");
    run.exited(0);
    assert!(
        run.events().iter().any(|event| event["reused"] == false),
        "the old connection was used again"
    );
}

#[test]
fn a_user_with_sudo_on_both_sides_is_enough_and_nothing_of_roots_is_left_in_their_home() {
    let fleet = bare(&["web1"]);
    let (server, client) = (fleet.server(), fleet.host("web1"));
    server
        .sh("useradd -m -s /bin/bash boss
            echo 'boss ALL=(ALL) NOPASSWD: ALL' >/etc/sudoers.d/boss
            install -d -m 700 -o boss -g boss ~boss/.ssh
            cp /root/.ssh/known_hosts ~boss/.ssh/
            ssh-keygen -q -t ed25519 -N '' -f ~boss/.ssh/id_ed25519
            chown boss: ~boss/.ssh/*")
        .ok();
    let key = server.read("/home/boss/.ssh/id_ed25519.pub").unwrap();
    client
        .sh(&format!(
            "useradd -m -s /bin/bash admin
            echo 'admin ALL=(ALL) NOPASSWD: ALL' >/etc/sudoers.d/admin
            install -d -m 700 -o admin -g admin ~admin/.ssh
            echo '{}' >~admin/.ssh/authorized_keys
            chown admin: ~admin/.ssh/authorized_keys
            rm -r /root/.ssh",
            key.trim()
        ))
        .ok();

    let said = server.sh("su - boss -c 'sudo apu bootstrap --user admin --add-to-class default web1' 2>&1");
    assert_eq!(said.code, 0, "{}", said.stdout);
    fleet.apt_all("default ping").exited(0);
    assert_eq!(server.sh("find ~boss ! -user boss").ok(), "");
    assert_eq!(client.sh("ls -A ~admin").ok().matches("apu").count(), 0);
}

#[test]
fn a_host_behind_another_is_reached_through_it() {
    let fleet = bare(&["gate", "inner"]);
    fleet.class("site", "inner jump=nowhere.invalid\n");
    let said = fleet.apu("bootstrap inner");
    assert_eq!(said.code, 1, "{}{}", said.stdout, said.stderr);
    assert_eq!(fleet.host("inner").version_of("apu-client"), None);

    fleet.class("site", "inner jump=gate\n");
    let said = fleet.apu("bootstrap inner");
    assert_eq!(said.code, 0, "{}{}", said.stdout, said.stderr);
    fleet.apt_all("site ping").ended("inner", "unchanged").exited(0);
}
