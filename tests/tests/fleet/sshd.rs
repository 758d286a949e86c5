//! The push key at sshd: whatever ssh can ask for, nothing but the wrapper ever runs.

use std::process::{Command, Stdio};

use apu_tests::{Fleet, Host};

/// Programs that a session may start: sshd's child, the account's shell for the forced command, the wrapper, and the
/// root side that it reaches.
const ALLOWED: [&str; 6] = [
    "/usr/sbin/sshd",
    "/bin/sh",
    "/usr/bin/sh",
    "/usr/lib/apu/apu-wrapper",
    "/usr/sbin/apu-client",
    "/proc/self/exe",
];

/// PAM's message of the day, for every login on Debian.
const MESSAGE_OF_THE_DAY: [&str; 5] = [
    "/usr/bin/env",
    "/usr/bin/run-parts",
    "/bin/run-parts",
    "/usr/bin/uname",
    "/etc/update-motd.d/10-uname",
];

struct Attempt {
    stdout: String,
    stderr: String,
}

/// Runs something on the server that uses the push key against web1; nothing but the wrapper may have run there.
#[track_caller]
fn attempt(client: &Host, command: &mut Command) -> Attempt {
    let before = client.snapshot().unwrap();
    let watch = client.watch().unwrap();

    let output = command.stdin(Stdio::null()).output().unwrap();

    for program in watch.programs().unwrap() {
        let allowed = ALLOWED.contains(&program.as_str()) || MESSAGE_OF_THE_DAY.contains(&program.as_str());
        assert!(allowed, "{program} was started");
    }
    assert_eq!(client.snapshot().unwrap(), before);
    Attempt {
        stdout: String::from_utf8_lossy(&output.stdout).into_owned(),
        stderr: String::from_utf8_lossy(&output.stderr).into_owned(),
    }
}

/// The wrapper answered, and refused.
#[track_caller]
fn refused(attempt: &Attempt) {
    let last = attempt.stdout.lines().last().unwrap_or_default();
    assert!(
        last.contains(r#""outcome":"refused""#),
        "{}{}",
        attempt.stdout,
        attempt.stderr
    );
}

#[test]
fn a_shell_is_not_to_be_had() {
    let fleet = Fleet::of(["web1"]).up();
    let web1 = fleet.host("web1");
    refused(&attempt(web1, &mut fleet.ssh("web1", &[])));
    refused(&attempt(web1, fleet.ssh("web1", &[]).arg("sh")));
    refused(&attempt(web1, fleet.ssh("web1", &[]).arg("/bin/sh -c id")));
    refused(&attempt(web1, fleet.ssh("web1", &["-tt"]).arg("id")));
    refused(&attempt(
        web1,
        fleet.ssh("web1", &["-tt"]).arg("apu/1 update; id"),
    ));
}

#[test]
fn no_terminal_is_given() {
    let fleet = Fleet::of(["web1"]).up();
    let attempt = attempt(fleet.host("web1"), fleet.ssh("web1", &["-tt"]).arg("apu/1 ping"));
    assert!(
        attempt.stderr.contains("PTY allocation request failed"),
        "{}",
        attempt.stderr
    );
}

#[test]
fn no_file_is_copied() {
    let fleet = Fleet::of(["web1"]).up();
    let (server, web1) = (fleet.server(), fleet.host("web1"));
    server.write("/tmp/mine", "mine");
    let options = [
        "-i",
        "/etc/apu-server/ssh/id_ed25519",
        "-oBatchMode=yes",
        "-oUserKnownHostsFile=/etc/apu-server/ssh/known_hosts",
    ];
    for words in [
        &["scp", "-O", "/tmp/mine", "apu@web1:/tmp/yours"][..],
        &["scp", "/tmp/mine", "apu@web1:/tmp/yours"],
        &["scp", "-O", "apu@web1:/etc/passwd", "/tmp/theirs"],
        &["scp", "apu@web1:/etc/passwd", "/tmp/theirs"],
        &["sftp", "apu@web1:/etc/passwd", "/tmp/theirs"],
    ] {
        let mut copy = server.command(words[0]);
        attempt(web1, copy.args(options).args(&words[1..]));
        assert_eq!(web1.read("/tmp/yours"), None, "{words:?}");
        assert_eq!(server.read("/tmp/theirs"), None, "{words:?}");
    }
    refused(&attempt(web1, fleet.ssh("web1", &["-s"]).arg("sftp")));
}

#[test]
fn nothing_is_forwarded() {
    let fleet = Fleet::of(["web1"]).up();
    let (server, web1) = (fleet.server(), fleet.host("web1"));
    // To a TCP port, to the root socket past the wrapper, and back to the server.
    let straight = attempt(web1, &mut fleet.ssh("web1", &["-W", "127.9.0.1:80"]));
    assert!(
        straight.stderr.contains("prohibited") && straight.stdout.is_empty(),
        "{}",
        straight.stderr
    );

    for (forward, probe) in [
        ("-L/run/stolen:/run/apu/apu.sock", "printf 'apu/1 ping\\n' | timeout 5 perl -MIO::Socket::UNIX -e '
            $s = IO::Socket::UNIX->new(Peer => \"/run/stolen\") or exit 1; print $s <STDIN>; shutdown($s, 1); print <$s>'"),
        ("-L127.9.0.1:2000:127.9.0.2:80", "timeout 5 perl -MIO::Socket::INET -e '
            $s = IO::Socket::INET->new(\"127.9.0.1:2000\") or exit 1; print $s \"GET / HTTP/1.1\\r\\n\\r\\n\"; print <$s>'"),
        ("-D127.9.0.1:2000", "timeout 5 perl -MIO::Socket::INET -e '
            $s = IO::Socket::INET->new(\"127.9.0.1:2000\") or exit 1;
            print $s \"\\x05\\x01\\x00\"; read $s, $a, 2;
            print $s \"\\x05\\x01\\x00\\x01\\x7f\\x09\\x00\\x02\\x00\\x50\"; read $s, $a, 10;
            print $s \"GET / HTTP/1.1\\r\\n\\r\\n\"; print <$s>'"),
    ] {
        let watch = web1.watch().unwrap();
        let mut tunnel = fleet.ssh("web1", &["-N", forward]).stderr(Stdio::null()).spawn().unwrap();
        std::thread::sleep(std::time::Duration::from_millis(700));
        let answer = server.sh(probe);
        assert_eq!(answer.stdout, "", "{forward}: {answer:?}");
        tunnel.kill().unwrap();
        tunnel.wait().unwrap();
        for program in watch.programs().unwrap() {
            assert!(ALLOWED[..1].contains(&program.as_str()) || MESSAGE_OF_THE_DAY.contains(&program.as_str()) || program == "/bin/sh", "{program}");
        }
    }
    let back = attempt(
        web1,
        fleet
            .ssh(
                "web1",
                &["-R127.9.2.2:2000:127.9.0.1:80", "-oExitOnForwardFailure=yes"],
            )
            .arg("apu/1 ping"),
    );
    assert!(
        back.stderr.contains("remote port forwarding failed"),
        "{}",
        back.stderr
    );
}

#[test]
fn neither_an_agent_nor_a_display_arrives() {
    let fleet = Fleet::of(["web1"]).up();
    let web1 = fleet.host("web1");
    let agent = "eval $(ssh-agent) >/dev/null; ssh-add -q /etc/apu-server/ssh/id_ed25519;
        ssh -vA -oBatchMode=yes -oUserKnownHostsFile=/etc/apu-server/ssh/known_hosts apu@web1 apu/1 ping; kill $SSH_AGENT_PID";
    let mut with_agent = fleet.server().command("sh");
    attempt(web1, with_agent.args(["-c", agent]));
    assert_eq!(web1.sh("ls -d /tmp/ssh-* 2>/dev/null | wc -l").ok(), "0\n");

    let mut display = fleet.ssh("web1", &["-v", "-X"]);
    let display = attempt(web1, display.arg("apu/1 ping").env("DISPLAY", "127.0.0.1:9"));
    assert!(
        !display.stderr.contains("X11 forwarding request succeeded"),
        "{}",
        display.stderr
    );
}

#[test]
fn no_environment_reaches_the_root_side() {
    let fleet = Fleet::of(["web1"]).up();
    let web1 = fleet.host("web1");
    let hook = "APT_CONFIG=/var/tmp/hook\nLD_PRELOAD=/var/tmp/hook.so\nPERL5LIB=/var/tmp\n";
    web1.write(
        "/var/tmp/hook",
        "APT::Update::Pre-Invoke { \"touch /var/tmp/owned\"; };\n",
    );
    // Only root could have put them there, and they still do nothing.
    web1.sh("mkdir -p /var/lib/apu/home/.ssh").ok();
    web1.write("/var/lib/apu/home/.ssh/environment", hook);
    web1.write(
        "/var/lib/apu/home/.pam_environment",
        "APT_CONFIG DEFAULT=/var/tmp/hook\n",
    );
    web1.write("/var/lib/apu/home/.ssh/rc", "touch /var/tmp/owned\n");
    web1.write("/var/lib/apu/home/.profile", "touch /var/tmp/owned\n");

    let mut ssh = fleet.ssh("web1", &["-oSendEnv=*"]);
    ssh.env("LC_ALL", "$(touch /var/tmp/owned)")
        .env("LC_EVIL", "() { :; }; touch /var/tmp/owned");
    ssh.env("APT_CONFIG", "/var/tmp/hook")
        .env("LANG", "a\nb")
        .arg("apu/1 update");
    let output = ssh.output().unwrap();

    assert!(
        String::from_utf8_lossy(&output.stdout).contains(r#""outcome":"unchanged""#),
        "{output:?}"
    );
    assert_eq!(web1.read("/var/tmp/owned"), None);
}
