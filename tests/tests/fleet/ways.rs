//! The way to a host: jump hosts, logins that are refused, and what is told where either ends.

use std::time::{Duration, Instant};

use apu_tests::{Fleet, Host};

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

#[test]
fn ssh_config_counts_alike_for_bootstrap_host_key_and_push() {
    let fleet = Fleet::of(["web1"]).bare().up();
    let (server, web1) = (fleet.server(), fleet.host("web1"));
    server.exec(&["gen-apu-data-pkg"]).ok();
    web1.write("/etc/ssh/sshd_config.d/20-port.conf", "Port 2222\n");
    web1.kill_sshd();
    web1.exec(&["/usr/sbin/sshd"]).ok();
    let config = format!("Host box\n HostName {}\n Port 2222\n", web1.address());
    server.write("/root/.ssh/config", &config);
    let known = format!("[{}]:2222 {}\n", web1.address(), web1.host_key());
    server.write("/root/.ssh/known_hosts", &known);

    let said = fleet.apu("bootstrap box --add-to-class site");
    assert_eq!(said.code, 0, "{}{}", said.stdout, said.stderr);
    fleet.apt_all("site ping").ended("box", "unchanged");
    let said = fleet.apu("host-key box");
    assert!(said.stdout.contains("that is the pinned key"), "{said:?}");
    assert_eq!(
        server.read("/etc/apu-server/clients/site").as_deref(),
        Some("box\n")
    );

    // The configuration of the one behind sudo is not root's: what only it knows goes into the class.
    server
        .sh("useradd -m -s /bin/bash boss
            echo 'boss ALL=(ALL) NOPASSWD: ALL' >/etc/sudoers.d/boss
            mv /root/.ssh ~boss/.ssh && chown -R boss: ~boss/.ssh
            rm /etc/apu-server/clients/site")
        .ok();
    let said = server.sh("su - boss -c 'sudo apu bootstrap --user root --add-to-class site box' 2>&1");
    assert_eq!(said.code, 0, "{}", said.stdout);
    assert_eq!(
        server.read("/etc/apu-server/clients/site"),
        Some(format!("box address={} port=2222\n", web1.address()))
    );
    fleet.apt_all("site ping").ended("box", "unchanged");
}

fn masters(fleet: &Fleet) -> usize {
    let processes = fleet.server().processes().unwrap();
    processes
        .iter()
        .filter(|line| line.contains("/ssh ") || line.starts_with("ssh"))
        .count()
}

#[test]
fn idle_connections_are_capped() {
    let fleet = Fleet::of_size(12).up();
    let server = fleet.server();
    let settings = server.read("/etc/apu-server/apu.toml").unwrap();
    server.write(
        "/etc/apu-server/apu.toml",
        &format!("{settings}\n[ssh]\nmost_kept = 4\n"),
    );
    fleet
        .apt_all("default ping --parallel 2")
        .all_ended("unchanged")
        .exited(0);
    assert_eq!(masters(&fleet), 4);
    // Those that were used last are kept, and a run that is let go of is not cut off.
    let again = fleet.apt_all("default ping");
    again.all_ended("unchanged").exited(0);
    let reused = again
        .events()
        .iter()
        .filter(|event| event["event"] == "connected" && event["reused"] == true)
        .count();
    assert!((1..=4).contains(&reused), "{reused}");
}

#[test]
fn a_client_that_only_ever_waits_is_left_after_a_minute_and_named() {
    let fleet = Fleet::of(["web1", "web2"]).up();
    fleet
        .host("web1")
        .sh("rm /usr/lib/apu/apu-wrapper
            cat >/usr/lib/apu/apu-wrapper <<'END'
#!/bin/sh
while echo '{\"frame\":\"waiting\",\"lock\":\"/x\",\"holder\":\"y\"}'; do sleep 1; done
END
            chmod 755 /usr/lib/apu/apu-wrapper")
        .ok();
    let begin = Instant::now();
    let said = fleet.apu("status");
    assert!(begin.elapsed() < Duration::from_secs(100), "{said:?}");
    assert_eq!(said.code, 1, "{said:?}");
    assert!(
        said.stdout.contains("timed-out: no result within 60 s"),
        "{said:?}"
    );
    assert!(said.stdout.contains("1 with the newest apu-data"), "{said:?}");
}

/// A policy that lets the init script of ssh do nothing, as images for containers have it.
fn no_init_may_act(host: &Host) {
    host.write(
        "/usr/sbin/policy-rc.d",
        "#!/bin/sh\n[ \"$1\" != ssh ] || exit 101\n",
    );
    host.sh("chmod 755 /usr/sbin/policy-rc.d").ok();
}

#[test]
fn an_sshd_that_no_init_reloads_reads_the_drop_in_all_the_same() {
    let fleet = Fleet::of(["web1", "web2"]).bare().up();
    fleet.server().exec(&["gen-apu-data-pkg"]).ok();
    for client in fleet.clients() {
        no_init_may_act(client);
    }
    // Nor has this one a file with its process.
    fleet.host("web2").sh("rm /run/sshd.pid").ok();
    let said = fleet.apu("bootstrap web1 web2 --add-to-class default");
    assert_eq!(said.code, 0, "{}{}", said.stdout, said.stderr);
    fleet.apt_all("default ping").all_ended("unchanged").exited(0);
}

#[test]
fn bootstrap_names_what_keeps_the_push_out() {
    let fleet = Fleet::of(["allow", "groups", "locked", "expired", "shell"])
        .bare()
        .up();
    fleet.server().exec(&["gen-apu-data-pkg"]).ok();
    let all = "allow groups locked expired shell";
    assert_eq!(
        fleet.apu(&format!("bootstrap {all} --add-to-class default")).code,
        0
    );
    for (host, setting) in [
        ("allow", "AllowUsers root admin@10.*"),
        ("groups", "AllowGroups root"),
        ("locked", "UsePAM no"),
        ("expired", ""),
        ("shell", ""),
    ] {
        let host = fleet.host(host);
        host.write("/etc/ssh/sshd_config.d/00-site.conf", &format!("{setting}\n"));
        host.kill_sshd();
        host.start_sshd();
    }
    fleet.host("locked").sh("usermod -L apu").ok();
    fleet.host("expired").sh("chage -E 1 apu").ok();
    fleet.host("shell").sh("usermod -s /usr/sbin/nologin apu").ok();
    fleet.apt_all("allow ping").because(
        "allow",
        "an sshd that keeps the user out; apu bootstrap finds out which",
    );
    let said = fleet.apu(&format!("bootstrap {all}"));
    assert_eq!(said.code, 1, "{}{}", said.stdout, said.stderr);
    for cause in [
        "AllowUsers in sshd's configuration keeps user apu out",
        "AllowGroups in sshd's configuration keeps user apu out",
        "the account apu is locked",
        "the account apu has expired",
        "the login shell of apu is /usr/sbin/nologin",
    ] {
        assert!(said.stdout.contains(cause), "{cause}: {}", said.stdout);
    }
}

#[test]
fn a_hashed_host_key_is_known_and_replaced() {
    let fleet = Fleet::of(["web1"]).up();
    let (server, web1) = (fleet.server(), fleet.host("web1"));
    let known = "/etc/apu-server/ssh/known_hosts";
    server
        .sh(&format!("ssh-keygen -H -f {known} && rm {known}.old"))
        .ok();
    fleet.apt_all("web1 ping").ended("web1", "unchanged");
    let doctor = fleet.apu("doctor");
    assert!(
        doctor.stdout.contains("hosts: the key of each is pinned"),
        "{doctor:?}"
    );

    web1.replace_host_key();
    let shown = web1.sh("ssh-keygen -lf /etc/ssh/ssh_host_ed25519_key.pub").ok();
    let fingerprint = shown.split(' ').nth(1).unwrap();
    let said = fleet.apu(&format!("host-key web1 --fingerprint {fingerprint}"));
    assert_eq!(said.code, 2, "{said:?}");
    assert!(said.stdout.contains("THE KEY HAS CHANGED"), "{said:?}");
    let said = fleet.apu(&format!("host-key web1 --fingerprint {fingerprint} --replace"));
    assert_eq!(said.code, 0, "{said:?}");
    assert_eq!(server.read(known), Some(format!("web1 {}\n", web1.host_key())));
    fleet.apt_all("web1 ping").ended("web1", "unchanged");
}

#[test]
fn several_jump_hosts_and_those_of_ssh_config_are_passed_and_named() {
    let fleet = Fleet::of(["gate", "second", "inner"]).in_class("site").up();
    let server = fleet.server();
    open_the_gate(&fleet);
    let key = server.read("/root/.ssh/id_ed25519.pub").unwrap();
    let second = fleet.host("second");
    second.sh("mkdir -pm700 /root/.ssh").ok();
    second.write("/root/.ssh/authorized_keys", &key);
    let line = |name: &str| format!("{name} {}\n", fleet.host(name).host_key());
    server.write("/root/.ssh/known_hosts", &(line("gate") + &line("second")));

    fleet.class("site", "inner jump=gate,root@second:22\n");
    fleet.apt_all("inner ping").ended("inner", "unchanged");
    fleet.class("site", "inner jump=gate:1,second\n");
    fleet.apt_all("inner ping").because(
        "inner",
        "the way through gate:1,second: ssh: connect to host gate port 1: Connection refused",
    );

    fleet.class("site", "inner\n");
    let config = |jump: &str| {
        server.write("/root/.ssh/config", &format!("Host inner\n ProxyJump {jump}\n"));
    };
    config("gate:1");
    fleet.apt_all("inner ping").because(
        "inner",
        "the way through gate:1: ssh: connect to host gate port 1: Connection refused",
    );
    config("gate");
    fleet.apt_all("inner ping").ended("inner", "unchanged");
}
