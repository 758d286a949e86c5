//! The README's first fleet, typed word for word on the installed packages.

use std::io::{Read, Write};
use std::process::Stdio;

use apu_tests::{Fleet, Host, Stage, deb};

const README: &str = include_str!("../../../README.md");

/// The command lines of the README's section, in their order.
fn commands() -> Vec<&'static str> {
    let section = README.split("## Your first fleet").nth(1).expect("the section");
    let section = section.split("\n## ").next().expect("its end");
    section
        .lines()
        .map(str::trim)
        .filter(|line| line.starts_with("sudo "))
        .collect()
}

/// Types a line at a machine's shell, and `y` where it asks.
fn types(host: &Host, line: &str) -> String {
    let mut shell = host.command("script");
    shell
        .args(["-qec", line, "/dev/null"])
        .env("TERM", "dumb")
        .env("LANG", "C.UTF-8");
    let mut shell = shell
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .expect("script runs");
    let mut keyboard = shell.stdin.take().expect("a keyboard");
    let mut screen = shell.stdout.take().expect("a screen");
    let (mut shown, mut answered) = (Vec::new(), 0);
    let mut bytes = [0; 4096];
    while let Ok(length @ 1..) = screen.read(&mut bytes) {
        shown.extend_from_slice(&bytes[..length]);
        // Keys that are pressed before a question are no answer to it.
        let news = String::from_utf8_lossy(&shown[answered..]).to_lowercase();
        if news.contains("[y/n] ") {
            keyboard.write_all(b"y\n").expect("typed");
            answered = shown.len();
        }
    }
    let shown = String::from_utf8_lossy(&shown).into_owned();
    let status = shell.wait().expect("script ends");
    assert!(status.success(), "`{line}` ended with {status}: {shown}");
    shown
}

/// Carries a file to another machine, as an administrator would with scp.
fn carry(from: &Host, path: &str, to: &Host, target: &str) {
    let bytes = from.command("cat").arg(path).output().expect("cat runs").stdout;
    assert!(!bytes.is_empty(), "{path} is empty");
    let mut tee = to.command("tee");
    let mut tee = tee
        .arg(target)
        .stdin(Stdio::piped())
        .stdout(Stdio::null())
        .spawn()
        .expect("tee runs");
    tee.stdin
        .take()
        .expect("its input")
        .write_all(&bytes)
        .expect("carried");
    assert!(tee.wait().expect("tee ends").success());
}

#[test]
fn the_first_fleet_of_the_readme_works_word_for_word() {
    let fleet = Fleet::of(["192.168.1.192", "web01.example.org", "byhand"])
        .at("192.168.1.192", "192.168.1.192")
        .bare()
        .up();
    let (server, byhand) = (fleet.server(), fleet.host("byhand"));
    let mut commands = commands().into_iter();
    let mut next = |part: &str| {
        let line = commands
            .next()
            .unwrap_or_else(|| panic!("the README has no more `{part}`"));
        assert!(
            line.contains(part),
            "the README says `{line}` where this test knows of `{part}`"
        );
        line
    };

    // No systemd is PID 1 here: the harness has started the same `apu serve`, and the suite `systemd` tests the unit.
    next("systemctl enable --now apu-serve");
    assert!(types(server, next("gen-apu-data-pkg")).contains("apu-data 1 is ready"));
    types(server, next("apu bootstrap"));

    let install = next("apt install ./apu-client_*.deb ./apu-data_*.deb");
    for pattern in [
        "/usr/share/apu-server/apu-client_*.deb",
        "/var/lib/apu-data/repo/local/apu-data_*.deb",
    ] {
        let path = server.sh(&format!("ls {pattern}")).ok();
        let name = path.trim().rsplit('/').next().expect("a name").to_owned();
        carry(server, path.trim(), byhand, &format!("/root/{name}"));
    }
    let install = install.trim_start_matches("sudo ");
    types(byhand, &format!("cd /root && {install}"));
    let shown = byhand.sh("ssh-keygen -lf /etc/ssh/ssh_host_ed25519_key.pub").ok();
    let fingerprint = shown.split(' ').nth(1).expect("a fingerprint");
    types(
        server,
        &format!("sudo apu host-key byhand --fingerprint {fingerprint}"),
    );
    fleet.class("hands", "byhand\n");
    fleet.apt_all("hands ping").exited(0);

    fleet.upstream_offers(Stage::After);
    types(server, next("apt-all default update"));
    assert!(types(server, next("apt-all default status")).contains("pkg-a"));
    types(server, next("apt-all default dist-upgrade"));
    types(server, next("apt-all 192.168.1.192 update"));
    let install = next("install hello --yes").replace(" hello ", " pkg-x ");
    types(server, &install);
    let control =
        "Package: foo\nVersion: 1.2\nArchitecture: amd64\nMaintainer: A <a@example.org>\nDescription: x\n";
    server.write_bytes("/root/foo_1.2_amd64.deb", &deb(control).expect("dpkg-deb"));
    let install = next("install ./foo_1.2_amd64.deb");
    types(server, &format!("cd /root && {install}"));
    assert_eq!(
        commands.next(),
        None,
        "the README has a command that no test types"
    );

    for host in ["192.168.1.192", "web01.example.org"] {
        assert_eq!(
            fleet.host(host).version_of("pkg-a").as_deref(),
            Some("2.0"),
            "{host}"
        );
    }
    assert!(fleet.host("web01.example.org").version_of("pkg-x").is_some());
    for host in ["192.168.1.192", "web01.example.org"] {
        assert_eq!(
            fleet.host(host).version_of("foo").as_deref(),
            Some("1.2"),
            "{host}"
        );
    }
}
