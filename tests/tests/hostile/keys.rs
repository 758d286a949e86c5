//! Who may log in as user apu: the push key, and no other key and no password.

use std::process::Stdio;

use apu_proto::ClientOutcome;
use apu_tests::{Finished, Fleet, Host};

use crate::answer::Answer;

const HOME: &str = "/var/lib/apu/home";

/// Runs a command as user apu, as whoever got a shell there would.
fn as_apu(client: &Host, script: &str) -> Finished {
    client.exec(&[
        "setpriv",
        "--reuid",
        "apu",
        "--regid",
        "apu",
        "--init-groups",
        "sh",
        "-c",
        script,
    ])
}

/// Tries to log in with other credentials than the push key.
fn log_in(fleet: &Fleet, options: &[&str]) -> Finished {
    let mut ssh = fleet.server().command("ssh");
    ssh.args([
        "-F",
        "none",
        "-o",
        "BatchMode=yes",
        "-o",
        "UserKnownHostsFile=/etc/apu-server/ssh/known_hosts",
    ])
    .args(options)
    .args(["-l", "apu", "web1", "echo in as $(id -un)"])
    .stdin(Stdio::null());
    ssh.output().expect("ssh").into()
}

#[test]
fn no_password_logs_user_apu_in() {
    let fleet = Fleet::of(["web1"]).up();
    let web1 = fleet.host("web1");
    let shadow = web1.read("/etc/shadow").unwrap();
    let password = shadow
        .lines()
        .find_map(|line| line.strip_prefix("apu:")?.split(':').next());
    assert_eq!(password, Some("*"));

    let methods = ["-o", "PreferredAuthentications=password,keyboard-interactive"];
    let refused = log_in(&fleet, &methods);
    assert_eq!(refused.code, 255, "{refused:?}");
    // What sshd offers: for others also a password.
    assert!(
        refused.stderr.contains("Permission denied (publickey)."),
        "{refused:?}"
    );
    let other = log_in(&fleet, &[&methods[..], &["-l", "root"]].concat());
    assert!(other.stderr.contains("(publickey,password"), "{other:?}");

    // Nor does a mistake of the administrator's change that.
    web1.sh("echo apu:secret | chpasswd").ok();
    let refused = log_in(&fleet, &methods);
    assert!(
        refused.stderr.contains("Permission denied (publickey)."),
        "{refused:?}"
    );
    Answer::of(fleet.ssh("web1", &[]).arg("apu/1 ping").output().unwrap()).is(ClientOutcome::Unchanged);
}

#[test]
fn a_key_in_the_home_of_apu_is_not_read() {
    let fleet = Fleet::of(["web1"]).up();
    let (server, web1) = (fleet.server(), fleet.host("web1"));
    server.sh("ssh-keygen -q -t ed25519 -N '' -f /root/other").ok();
    let key = server.read("/root/other.pub").unwrap();
    web1.sh(&format!("mkdir -p {HOME}/.ssh")).ok();
    for file in ["authorized_keys", "authorized_keys2"] {
        web1.write(&format!("{HOME}/.ssh/{file}"), &key);
    }
    let with_it = ["-o", "IdentitiesOnly=yes", "-i", "/root/other"];

    let refused = log_in(&fleet, &with_it);
    assert!(
        refused.stderr.contains("Permission denied (publickey)."),
        "{refused:?}"
    );

    // It is the drop-in that keeps it out.
    web1.sh("rm /etc/ssh/sshd_config.d/50-apu.conf").ok();
    web1.kill_sshd();
    web1.start_sshd();
    assert_eq!(log_in(&fleet, &with_it).ok(), "in as apu\n");
}

#[test]
fn user_apu_owns_nothing_that_sshd_reads() {
    let fleet = Fleet::of(["web1"]).up();
    let web1 = fleet.host("web1");
    assert_eq!(
        as_apu(web1, "id -un; touch /tmp/x && echo writes").ok(),
        "apu\nwrites\n"
    );
    assert_eq!(
        web1.sh(&format!("stat -c '%U:%G %a' {HOME}; ls -A {HOME}")).ok(),
        "root:root 755\n"
    );
    for path in [
        HOME,
        "/var/lib/apu",
        "/usr/share/apu-data",
        "/run/apu",
        "/etc/apu-client",
        "/var/lib/apu-client",
    ] {
        let written = as_apu(
            web1,
            &format!("touch {path}/x || mkdir {path}/.ssh || mv {path} {path}.old"),
        );
        assert_ne!(written.code, 0, "{path}: {written:?}");
    }
    assert_eq!(
        as_apu(
            web1,
            "find / -xdev -user apu ! -path '/proc/*' ! -path /tmp/x 2>/dev/null"
        )
        .stdout,
        ""
    );
    assert_eq!(as_apu(web1, "ls /var/lib/apu-client/runs").stdout, "");
}
