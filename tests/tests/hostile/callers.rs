//! Who may speak to the root side: user apu and root, by the kernel's word, wherever the socket can be reached.

use apu_proto::{ClientOutcome, ReasonCode};
use apu_tests::{Fleet, Host};

use crate::answer::Answer;

/// Asks at a path on the client, as a user of it with all of their groups; where it cannot connect, with which errno.
fn ask(client: &Host, user: &str, path: &str) -> Result<Answer, i32> {
    ask_by(client, user, &[], path)
}

/// Likewise, by a program that runs another.
fn ask_by(client: &Host, user: &str, program: &[&str], path: &str) -> Result<Answer, i32> {
    let talk = "use IO::Socket::UNIX; my $s = IO::Socket::UNIX->new(Peer => $ARGV[0]) or exit $!;
        print $s qq(apu/1 ping\\n); shutdown($s, 1); print while <$s>";
    let mut command = client.command("runuser");
    command
        .args(["-u", user, "--"])
        .args(program)
        .args(["perl", "-e", talk, path]);
    let output = command.output().expect("nsenter runs");
    if output.status.success() {
        Ok(Answer::of(output))
    } else {
        Err(output.status.code().unwrap_or(-1))
    }
}

#[track_caller]
fn is_no_caller(answer: Result<Answer, i32>) {
    let answer = answer.expect("a connection");
    answer.is(ClientOutcome::Refused);
    assert_eq!(answer.code(), Some(ReasonCode::Caller), "{answer:?}");
}

#[test]
fn only_apu_and_root_are_answered() {
    const EACCES: i32 = 13;
    const SOCKET: &str = "/run/apu/apu.sock";
    let fleet = Fleet::of(["web1"]).up();
    let web1 = fleet.host("web1");
    web1.sh("adduser --quiet --disabled-password --gecos '' mallory")
        .ok();
    assert_eq!(
        web1.sh(&format!("stat -c '%U:%G %a' {SOCKET}")).ok(),
        "root:apu 660\n"
    );
    for honest in ["apu", "root"] {
        ask(web1, honest, SOCKET)
            .expect("a connection")
            .is(ClientOutcome::Unchanged);
    }

    // The socket's mode keeps others out.
    assert_eq!(ask(web1, "mallory", SOCKET).unwrap_err(), EACCES);
    assert_eq!(ask(web1, "nobody", SOCKET).unwrap_err(), EACCES);

    // Where it does not, the root side asks who it is.
    web1.sh("adduser --quiet mallory apu").ok();
    is_no_caller(ask(web1, "mallory", SOCKET));
    web1.sh(&format!("ln {SOCKET} /run/copy && chmod 666 /run/copy"))
        .ok();
    for user in ["mallory", "nobody", "sshd"] {
        is_no_caller(ask(web1, user, "/run/copy"));
    }
    // In a user namespace of their own anybody is root.
    let as_root = ["unshare", "--user", "--map-root-user"];
    let id = web1.exec(&[&["runuser", "-u", "mallory", "--"], &as_root[..], &["id", "-u"]].concat());
    assert_eq!(id.ok(), "0\n");
    is_no_caller(ask_by(web1, "mallory", &as_root, SOCKET));
    ask(web1, "apu", "/run/copy")
        .expect("a connection")
        .is(ClientOutcome::Unchanged);
}
