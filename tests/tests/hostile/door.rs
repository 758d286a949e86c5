//! What somebody who has stolen the push key would try with ssh before anything else. Each way tells whether it led
//! anywhere, so that the same list proves that all are shut and that each would be seen to open.

use std::io::{Read, Write};
use std::os::unix::net::UnixStream;
use std::process::{Command, Stdio};
use std::time::Duration;

use apu_tests::{Finished, Fleet, Host};
use nix::sys::signal::{Signal, kill};

use crate::answer::Connection;
use crate::held::{Held, Started, end_of, wait_for};

/// The name of the one client of a fleet whose doors are tried.
pub(crate) const CLIENT: &str = "web1";

/// A way in, and whether it is open.
pub(crate) struct Door {
    pub(crate) name: &'static str,
    is_open: fn(&Fleet) -> bool,
}

const fn door(name: &'static str, is_open: fn(&Fleet) -> bool) -> Door {
    Door { name, is_open }
}

pub(crate) const DOORS: [Door; 14] = [
    door("a shell", |fleet| {
        says(fleet.ssh(CLIENT, &[]), "echo in as $(id -un)\n").contains("in as apu")
    }),
    door("a command", |fleet| {
        let mut ssh = fleet.ssh(CLIENT, &[]);
        ssh.arg("echo in as $(id -un)");
        says(ssh, "").contains("in as apu")
    }),
    door("a terminal", |fleet| {
        let mut ssh = fleet.ssh(CLIENT, &["-tt"]);
        ssh.arg("tty");
        let finished = finish(ssh, "");
        finished.code != 255 && !finished.stderr.contains("PTY allocation request failed")
    }),
    door("its network", |fleet| {
        let there = format!("{}:22", client(fleet).address());
        says(fleet.ssh(CLIENT, &["-W", &there]), "").starts_with("SSH-")
    }),
    door("a port forwarded to it", |fleet| {
        let forward = format!("127.9.0.1:2001:{}:22", client(fleet).address());
        let _connection = Connection::open(fleet, CLIENT, &["-L", &forward]);
        banner(fleet.server(), "127.9.0.1/2001", "") == "SSH-"
    }),
    door("a proxy into its network", |fleet| {
        let _connection = Connection::open(fleet, CLIENT, &["-D", "127.9.0.1:2002"]);
        let octets = client(fleet)
            .address()
            .split('.')
            .map(|octet| octet.parse::<u8>().unwrap());
        let address: String = octets.map(|octet| format!(r"\{octet:o}")).collect();
        let talk = format!(
            r"printf '\5\1\0' >&3; head -c2 <&3 >/dev/null; printf '\5\1\0\1{address}\0\26' >&3; head -c10 <&3 >/dev/null;"
        );
        banner(fleet.server(), "127.9.0.1/2002", &talk) == "SSH-"
    }),
    door("a port of it forwarded here", |fleet| {
        let forward = format!("127.0.0.1:2003:{}:22", client(fleet).address());
        let _connection = connection_with_back_way(fleet, &forward);
        banner(client(fleet), "127.0.0.1/2003", "") == "SSH-"
    }),
    door("a socket of it forwarded here", |fleet| {
        let _connection = connection_with_back_way(fleet, "/tmp/back:127.9.0.1:80");
        client(fleet).exec(&["test", "-S", "/tmp/back"]).code == 0
    }),
    door("its root socket, past the wrapper", |fleet| {
        let _connection = Connection::open(fleet, CLIENT, &["-L", "/tmp/forth:/run/apu/apu.sock"]);
        let path = format!("/proc/{}/root/tmp/forth", fleet.server().init());
        let mut socket = UnixStream::connect(path).unwrap();
        socket.set_read_timeout(Some(Duration::from_secs(5))).unwrap();
        let mut answer = String::new();
        let _ = socket.write_all(b"apu/1 ping\n");
        let _ = socket.read_to_string(&mut answer);
        answer.contains(r#""frame":"hello""#)
    }),
    door("an agent", |fleet| {
        fleet
            .server()
            .sh("test -S /tmp/agent || ssh-agent -a /tmp/agent >/dev/null")
            .ok();
        let mut ssh = fleet.ssh(CLIENT, &["-A"]);
        ssh.env("SSH_AUTH_SOCK", "/tmp/agent");
        in_a_session(fleet, ssh).variable("SSH_AUTH_SOCK").is_some()
    }),
    door("a display", |fleet| {
        // sshd offers none without this program.
        client(fleet)
            .sh("printf '#!/bin/sh\n' >/usr/bin/xauth; chmod 755 /usr/bin/xauth")
            .ok();
        let mut ssh = fleet.ssh(CLIENT, &["-Y"]);
        ssh.env("DISPLAY", "127.9.0.1:0");
        in_a_session(fleet, ssh).variable("DISPLAY").is_some()
    }),
    door("a script at login", |fleet| {
        let script = "mkdir -p /var/lib/apu/home/.ssh; echo 'touch /tmp/ran' >/var/lib/apu/home/.ssh/rc";
        client(fleet).sh(script).ok();
        finish(fleet.ssh(CLIENT, &[]), "");
        client(fleet)
            .sh("rm /var/lib/apu/home/.ssh/rc; test -e /tmp/ran")
            .code
            == 0
    }),
    door("a file by scp", |fleet| {
        let _connection = Connection::open(fleet, CLIENT, &[]);
        fleet.server().write("/tmp/mine", "mine");
        let options = [
            "-O",
            "-F",
            "none",
            "-i",
            "none",
            "-o",
            "ControlPath=/tmp/web1.control",
            "-o",
            "BatchMode=yes",
        ];
        let mut scp = fleet.server().command("scp");
        scp.args(options).args(["/tmp/mine", "web1:/tmp/scp"]);
        finish(scp, "");
        client(fleet).read("/tmp/scp").is_some()
    }),
    door("a file by sftp", |fleet| {
        let _connection = Connection::open(fleet, CLIENT, &[]);
        fleet.server().write("/tmp/mine", "mine");
        let options = [
            "-F",
            "none",
            "-i",
            "none",
            "-o",
            "ControlPath=/tmp/web1.control",
            "-o",
            "BatchMode=yes",
        ];
        let mut sftp = fleet.server().command("sftp");
        sftp.args(options).args(["-b", "-", CLIENT]);
        finish(sftp, "put /tmp/mine /tmp/sftp\n");
        client(fleet).read("/tmp/sftp").is_some()
    }),
];

/// The doors that are open.
pub(crate) fn open_doors(fleet: &Fleet) -> Vec<&'static str> {
    let open = DOORS.iter().filter(|door| (door.is_open)(fleet));
    open.map(|door| door.name).collect()
}

/// Only where it must not fail does ssh wait until the client forwards.
fn connection_with_back_way<'a>(fleet: &'a Fleet, forward: &str) -> Option<Connection<'a>> {
    Connection::try_open(fleet, CLIENT, &["-o", "ExitOnForwardFailure=yes", "-R", forward])
}

fn client(fleet: &Fleet) -> &Host {
    fleet.host(CLIENT)
}

fn says(command: Command, input: &str) -> String {
    finish(command, input).stdout
}

/// Runs a command with this standard input to its end.
pub(crate) fn finish(mut command: Command, input: &str) -> Finished {
    let pipes = command
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped());
    let mut child = pipes.spawn().expect("nsenter runs");
    // One that reads nothing is no fault.
    let _ = child.stdin.take().expect("a pipe").write_all(input.as_bytes());
    end_of(child).into()
}

/// The first bytes that a port says, after some talk on descriptor 3.
fn banner(host: &Host, address_and_port: &str, talk: &str) -> String {
    let script = format!("exec 3<>/dev/tcp/{address_and_port}; {talk} head -c4 <&3");
    host.exec(&["timeout", "5", "bash", "-c", &script]).stdout
}

/// The program that answers a request over this ssh, as long as it waits for the root side. Where a shell takes the
/// request for a command, it is a program that lies in wait under that name.
fn in_a_session(fleet: &Fleet, mut ssh: Command) -> Started {
    let client = client(fleet);
    client
        .sh("mkdir -p /var/lib/apu/home/apu; printf '#!/bin/sh\nexec sleep 60\n' >/var/lib/apu/home/apu/1")
        .ok();
    client.sh("chmod 755 /var/lib/apu/home/apu/1").ok();
    let held = Held::root_side(client);
    let ssh = ssh
        .arg("apu/1 ping")
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    let started = wait_for(client, 1).remove(0);
    if started.program == "sleep" {
        kill(started.pid, Signal::SIGKILL).unwrap();
    }
    drop(held);
    end_of(ssh);
    started
}
