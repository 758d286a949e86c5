//! The way to a host: jump hosts, logins that are refused, and what is told where either ends.

use apu_tests::Fleet;

use crate::sitting::Sitting;

/// A host behind another, which root of the server cannot pass yet.
fn behind_a_gate() -> Fleet {
    let fleet = Fleet::of(["gate", "inner"]).in_class("site").up();
    fleet.class("site", "gate\ninner jump=gate\n");
    fleet
}

/// Root of the server knows the key of the gate, and may log in there.
fn open_the_gate(fleet: &Fleet) {
    let (server, gate) = (fleet.server(), fleet.host("gate"));
    server
        .sh("mkdir -pm700 /root/.ssh && ssh-keygen -q -t ed25519 -N '' -f /root/.ssh/id_ed25519")
        .ok();
    let key = server.read("/root/.ssh/id_ed25519.pub").unwrap();
    gate.sh("mkdir -pm700 /root/.ssh").ok();
    gate.write("/root/.ssh/authorized_keys", &key);
}

#[test]
fn a_way_that_fails_says_why() {
    let fleet = behind_a_gate();
    let server = fleet.server();
    fleet.apt_all("inner ping").ended("inner", "unreachable").because(
        "inner",
        "the way through gate: No ED25519 host key is known for gate",
    );
    // On a terminal nobody is asked either.
    let mut sitting = Sitting::down(server, "apt-all inner ping");
    sitting.sees("the way through gate: No ED25519 host key is known for gate");
    sitting.sees("1 unreachable");
    assert!(sitting.shown.len() < 4000, "{}", sitting.shown);
    sitting.leaves(1);

    server.sh("mkdir -pm700 /root/.ssh").ok();
    let known = format!("gate {}\n", fleet.host("gate").host_key());
    server.write("/root/.ssh/known_hosts", &known);
    let mut sitting = Sitting::down(server, "apt-all inner ping");
    sitting.sees("the way through gate: root@gate: Permission denied (");
    assert!(!sitting.shown.contains("password:"), "{}", sitting.shown);
    sitting.leaves(1);

    open_the_gate(&fleet);
    fleet.apt_all("inner ping").ended("inner", "unchanged");

    for (jump, why) in [
        (
            "nowhere.invalid",
            "the way through nowhere.invalid: ssh: Could not resolve hostname",
        ),
        (
            "gate:1",
            "the way through gate:1: ssh: connect to host gate port 1: Connection refused",
        ),
    ] {
        fleet.class("site", &format!("gate\ninner jump={jump}\n"));
        fleet
            .apt_all("inner ping")
            .ended("inner", "unreachable")
            .because("inner", why);
    }
    fleet.class("site", "gate\ninner jump=gate port=1\n");
    fleet
        .apt_all("inner ping")
        .because("inner", "no sshd listens there, seen from gate");
}

#[test]
fn an_account_that_may_not_log_in_is_named() {
    let fleet = Fleet::of(["web1"]).up();
    let web1 = fleet.host("web1");
    web1.sh("chage -E 1 apu").ok();
    fleet
        .apt_all("web1 ping")
        .ended("web1", "unreachable")
        .because("web1", "it ended the login: Your account has expired");
    web1.sh("chage -E -1 apu").ok();
    web1.write("/etc/nologin", "The machine moves to another room until noon.\n");
    fleet.apt_all("web1 ping").because(
        "web1",
        "it ended the login: The machine moves to another room until noon.",
    );
    web1.sh("rm /etc/nologin && usermod -s /usr/sbin/nologin apu")
        .ok();
    for operation in ["ping", "update"] {
        fleet
            .apt_all(&format!("web1 {operation}"))
            .ended("web1", "lost")
            .because("web1", "This account is currently not available.");
    }
    web1.sh("usermod -s /bin/sh apu").ok();
    // The connection that is kept has the account as it was.
    web1.kill_sshd();
    web1.start_sshd();
    fleet.apt_all("web1 ping").ended("web1", "unchanged");
}

/// Sixty names of one sshd as Debian ships it.
#[test]
fn sixty_hosts_at_one_address_or_behind_one_jump_host_all_answer() {
    let fleet = Fleet::of(["gate", "web1"]).in_class("site").up();
    let server = fleet.server();
    open_the_gate(&fleet);
    let (gate, web1) = (fleet.host("gate"), fleet.host("web1"));
    server.write("/root/.ssh/known_hosts", &format!("gate {}\n", gate.host_key()));
    let names = format!(
        "/^{}[[:space:]]/s/$/$(printf ' w%02d' $(seq 60))/",
        web1.address()
    );
    for host in [server, gate] {
        host.sh(&format!("sed -i \"{names}\" /etc/hosts")).ok();
    }
    let known: String = (1..=60)
        .map(|number| format!("w{number:02} {}\n", web1.host_key()))
        .collect();
    server.write("/etc/apu-server/ssh/known_hosts", &known);

    fleet.class("site", "w[01-60]\n");
    fleet.apt_all("site ping").all_ended("unchanged").exited(0);
    fleet.class("site", "w[01-60] jump=gate\n");
    fleet.apt_all("site ping").all_ended("unchanged").exited(0);
}
