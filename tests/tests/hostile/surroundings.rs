//! The environment: whatever a caller brings, apt and maintainer scripts see one that is constant.

use std::process::{Command, Stdio};
use std::thread;

use apu_proto::ClientOutcome;
use apu_tests::{Fleet, Host, Stage};

use crate::answer::{Answer, ask_at_the_socket};
use crate::held::{Held, Started, end_of, listener, wait_for};

/// Variables that would give root away or harm a run, if apt, dpkg, perl or a maintainer script had them.
const EVIL: [(&str, &str); 16] = [
    ("APT_CONFIG", "/var/tmp/evil/apt.conf"),
    ("PERL5LIB", "/var/tmp/evil"),
    ("PERL5OPT", "-MEvil"),
    ("PYTHONPATH", "/var/tmp/evil"),
    ("BASH_ENV", "/var/tmp/evil/rc"),
    ("ENV", "/var/tmp/evil/rc"),
    ("LD_LIBRARY_PATH", "/var/tmp/evil"),
    ("DPKG_ROOT", "/var/tmp/evil"),
    ("DPKG_FORCE", "all"),
    ("DEBCONF_FRONTEND", "dialog"),
    ("TMPDIR", "/var/tmp/evil"),
    ("http_proxy", "http://127.9.0.99:9/"),
    ("UCF_FORCE_CONFFNEW", "1"),
    ("SOURCE_DATE_EPOCH", "1"),
    ("LC_EVIL", "$(touch /var/tmp/evil/owned)"),
    ("LANGUAGE", "() { :; }; touch /var/tmp/evil/owned"),
];

/// All that a maintainer script of hurts-environment sees of an environment, sorted.
const CONSTANT: [&str; 19] = [
    "APT_LISTCHANGES_FRONTEND=none",
    "DEBIAN_FRONTEND=noninteractive",
    // These are dpkg's own. Debian's dpkg has `downgrade` among its defaults; it is apt that never does.
    "DPKG_ADMINDIR=/var/lib/dpkg",
    "DPKG_COLORS=never",
    "DPKG_FORCE=security-mac,downgrade,confold,confdef",
    "DPKG_FRONTEND_LOCKED=true",
    "DPKG_MAINTSCRIPT_ARCH=all",
    "DPKG_MAINTSCRIPT_DEBUG=0",
    "DPKG_MAINTSCRIPT_NAME=postinst",
    "DPKG_MAINTSCRIPT_PACKAGE=hurts-environment",
    "DPKG_MAINTSCRIPT_PACKAGE_REFCOUNT=1",
    "DPKG_ROOT=",
    "HOME=/root",
    "LC_ALL=C.UTF-8",
    "NEEDRESTART_MODE=l",
    "PATH=/usr/sbin:/usr/bin:/sbin:/bin",
    // The script's shell sets it.
    "PWD=/",
    "TERM=dumb",
    "UCF_FORCE_CONFFOLD=1",
];

/// Lays out what [`EVIL`] points at.
fn lay_a_trap(client: &Host) {
    client.sh("mkdir -p /var/tmp/evil").ok();
    let touch = "touch /var/tmp/evil/owned";
    for (file, text) in [
        (
            "apt.conf",
            format!("APT::Update::Pre-Invoke {{ \"{touch}\"; }};\nDPkg::Pre-Invoke {{ \"{touch}\"; }};\n"),
        ),
        ("Evil.pm", format!("package Evil; system('{touch}'); 1;\n")),
        ("rc", format!("{touch}\n")),
    ] {
        client.write(&format!("/var/tmp/evil/{file}"), &text);
    }
}

/// An ssh that sends all of [`EVIL`].
fn evil_ssh(fleet: &Fleet, client: &str) -> Command {
    let names: Vec<_> = EVIL.iter().map(|(name, _)| format!("SendEnv={name}")).collect();
    let options: Vec<_> = names.iter().flat_map(|name| ["-o", name]).collect();
    let mut ssh = fleet.ssh(client, &options);
    ssh.envs(EVIL);
    ssh
}

fn ask(mut ssh: Command, request: &str) -> Answer {
    Answer::of(ssh.arg(request).output().expect("ssh"))
}

/// The wrapper, while it carries a request that came by this ssh.
fn wrapper(client: &Host, mut ssh: Command) -> Started {
    let held = Held::root_side(client);
    let ssh = ssh.arg("apu/1 ping").stdout(Stdio::piped()).spawn().expect("ssh");
    let wrapper = wait_for(client, 1).remove(0);
    drop(held);
    Answer::of(end_of(ssh)).is(ClientOutcome::Unchanged);
    wrapper
}

/// All of [`EVIL`] that a process has.
fn evil_of(environment: &[String]) -> Vec<&'static str> {
    let has = |(name, value): &(&str, &str)| environment.contains(&format!("{name}={value}"));
    EVIL.iter()
        .filter(|variable| has(variable))
        .map(|(name, _)| *name)
        .collect()
}

fn restart_sshd(client: &Host) {
    client.kill_sshd();
    client.start_sshd();
}

/// Opens one way for variables as wide as it goes, proves that they come in there, and installs by it.
fn by_sshd(fleet: &Fleet) -> &Host {
    let client = fleet.host("accepting");
    client.write("/etc/ssh/sshd_config.d/00-careless.conf", "AcceptEnv *\n");
    restart_sshd(client);
    let all: Vec<_> = EVIL.iter().map(|(name, _)| *name).collect();
    assert_eq!(
        evil_of(&wrapper(client, evil_ssh(fleet, "accepting")).environment),
        all
    );
    ask(evil_ssh(fleet, "accepting"), "apu/1 update").is(ClientOutcome::Changed);
    ask(evil_ssh(fleet, "accepting"), "apu/1 install hurts-environment").is(ClientOutcome::Changed);
    client
}

fn by_pam(fleet: &Fleet) -> &Host {
    let client = fleet.host("pam");
    // pam_env's own language: no value with a `$` or a space.
    let plain = || EVIL.into_iter().filter(|(_, value)| !value.contains(['$', ' ']));
    let lines: String = plain()
        .map(|(name, value)| format!("{name} DEFAULT={value}\n"))
        .collect();
    client.write("/var/lib/apu/home/.pam_environment", &lines);
    let all: Vec<_> = plain().map(|(name, _)| name).collect();
    assert_eq!(evil_of(&wrapper(client, fleet.ssh("pam", &[])).environment), all);
    ask(fleet.ssh("pam", &[]), "apu/1 update").is(ClientOutcome::Changed);
    ask(fleet.ssh("pam", &[]), "apu/1 install hurts-environment").is(ClientOutcome::Changed);
    client
}

fn by_the_home(fleet: &Fleet) -> &Host {
    let client = fleet.host("home");
    client.write(
        "/etc/ssh/sshd_config.d/00-careless.conf",
        "PermitUserEnvironment yes\n",
    );
    restart_sshd(client);
    let lines: String = EVIL
        .iter()
        .map(|(name, value)| format!("{name}={value}\n"))
        .collect();
    client.sh("mkdir -p /var/lib/apu/home/.ssh").ok();
    client.write("/var/lib/apu/home/.ssh/environment", &lines);
    let all: Vec<_> = EVIL.iter().map(|(name, _)| *name).collect();
    assert_eq!(evil_of(&wrapper(client, fleet.ssh("home", &[])).environment), all);
    ask(fleet.ssh("home", &[]), "apu/1 update").is(ClientOutcome::Changed);
    ask(fleet.ssh("home", &[]), "apu/1 install hurts-environment").is(ClientOutcome::Changed);
    client
}

/// The listener itself was started by somebody with all of them.
fn by_the_listener(fleet: &Fleet) -> &Host {
    let client = fleet.host("listener");
    client.sh("/etc/init.d/apu-client stop").ok();
    let mut listen = client.command("sh");
    listen
        .envs(EVIL)
        .args(["-c", "setsid /usr/sbin/apu-client listen >/dev/null 2>&1 &"]);
    assert!(listen.status().unwrap().success());
    while client.root_socket().is_err() {
        thread::sleep(std::time::Duration::from_millis(10));
    }
    let environment = std::fs::read(format!("/proc/{}/environ", listener(client))).unwrap();
    let environment: Vec<_> = String::from_utf8(environment)
        .unwrap()
        .split('\0')
        .map(str::to_owned)
        .collect();
    assert_eq!(evil_of(&environment).len(), EVIL.len());
    ask_at_the_socket(client, b"apu/1 update").is(ClientOutcome::Changed);
    ask_at_the_socket(client, b"apu/1 install hurts-environment").is(ClientOutcome::Changed);
    client
}

#[test]
fn a_maintainer_script_sees_a_constant_environment_whatever_came_in() {
    let fleet = Fleet::of(["accepting", "pam", "home", "listener"]).up();
    fleet.upstream_offers(Stage::After);
    fleet.clients().for_each(lay_a_trap);
    let seen: Vec<_> = thread::scope(|scope| {
        let fleet = &fleet;
        let ways = [by_sshd, by_pam, by_the_home, by_the_listener].map(|way| scope.spawn(move || way(fleet)));
        ways.into_iter().map(|way| way.join().expect("a way")).collect()
    });

    for client in seen {
        let name = client.name();
        assert_eq!(client.read("/var/tmp/evil/owned"), None, "{name}");
        let environment = client.read("/var/lib/hurts-environment").unwrap();
        let lines = environment
            .lines()
            .filter(|line| !line.starts_with("DPKG_RUNNING_VERSION="));
        assert_eq!(lines.collect::<Vec<_>>(), CONSTANT, "{name}");
    }
}

#[test]
fn what_sshd_lets_in_by_default_ends_at_the_wrapper() {
    let fleet = Fleet::of(["web1"]).up();
    let web1 = fleet.host("web1");
    lay_a_trap(web1);
    let lines: String = EVIL
        .iter()
        .map(|(name, value)| format!("{name}={value}\n"))
        .collect();
    web1.sh("mkdir -p /var/lib/apu/home/.ssh").ok();
    web1.write("/var/lib/apu/home/.ssh/environment", &lines);
    let ssh = || {
        let mut ssh = evil_ssh(&fleet, "web1");
        ssh.args(["-o", "SendEnv=LC_* LANG", "-o", "SetEnv=PATH=/var/tmp/evil"]);
        ssh.env("LANG", "a\nb\u{1b}[2J")
            .env("LC_CTYPE", "../../../etc/shadow");
        for number in 0..100 {
            ssh.env(format!("LC_{number}"), "x".repeat(1000));
        }
        ssh
    };

    let wrapper = wrapper(web1, ssh());

    // Debian's sshd accepts LANG and LC_*.
    assert_eq!(evil_of(&wrapper.environment), ["LC_EVIL"]);
    assert_eq!(wrapper.variable("LANG"), Some("a\nb\u{1b}[2J"));
    assert_eq!(wrapper.variable("LC_99").map(str::len), Some(1000));
    assert!(!wrapper.variable("PATH").unwrap().contains("evil"));
    assert_eq!(ask(ssh(), "apu/1 update").result.apt_exit, Some(0));
    ask(ssh(), "apu/1 install pkg-x").is(ClientOutcome::Changed);
    assert_eq!(web1.read("/var/tmp/evil/owned"), None);
}
