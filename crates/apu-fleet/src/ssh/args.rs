//! The words that ssh is started with. They come before anything in the administrator's configuration, so that it can
//! add a way to a host (HostName, ProxyJump, an agent) and take no guard away.

use std::ffi::OsString;
use std::path::Path;
use std::time::Duration;

use super::SshOptions;
use crate::host::Host;
use crate::known_hosts::KnownHosts;
use crate::name::Jump;

/// Settings that hold for every connection that a program makes.
const ALWAYS: [&str; 21] = [
    "BatchMode=yes",
    "GlobalKnownHostsFile=/dev/null",
    "CheckHostIP=no",
    "UpdateHostKeys=no",
    "VerifyHostKeyDNS=no",
    "IdentitiesOnly=yes",
    "AddKeysToAgent=no",
    "PreferredAuthentications=publickey",
    "ConnectionAttempts=1",
    "ServerAliveInterval=15",
    "ServerAliveCountMax=3",
    "ForwardAgent=no",
    "ForwardX11=no",
    "ClearAllForwardings=yes",
    "PermitLocalCommand=no",
    "RequestTTY=no",
    "Tunnel=no",
    "Compression=no",
    "VisualHostKey=no",
    "HashKnownHosts=no",
    // What PAM, a banner or the other sshd says when it ends a login is told from this level on.
    "LogLevel=INFO",
];

/// Settings that older ssh does not know.
const WHERE_KNOWN: [&str; 2] = ["KnownHostsCommand=none", "RemoteCommand=none"];

/// How much longer a host behind a jump host may take, so that the jump host's own ssh gives up first and says why.
const BEHIND: Duration = Duration::from_secs(3);

/// How long ssh tries to connect to `host`.
pub(super) fn connect_timeout(options: &SshOptions, host: &Host) -> Duration {
    let more = host.jump.as_ref().map_or(Duration::ZERO, |_| BEHIND);
    options.connect_timeout + more
}

/// The words of a connection to `host`, up to but without the host itself.
pub(super) fn connection(
    options: &SshOptions,
    config: &Path,
    host: &Host,
    known_hosts: &Path,
    check: &str,
    proxy: Option<&str>,
) -> Vec<OsString> {
    let mut words: Vec<OsString> = Vec::with_capacity(80);
    words.push("-F".into());
    words.push(config.into());
    let mut set = |setting: OsString| {
        words.push("-o".into());
        words.push(setting);
    };
    set("IgnoreUnknown=KnownHostsCommand,RemoteCommand".into());
    for setting in ALWAYS.into_iter().chain(WHERE_KNOWN) {
        set(setting.into());
    }
    set(format!("StrictHostKeyChecking={check}").into());
    let port = host.port.or(options.port);
    // A file that cannot be read knows nobody, which ssh says itself.
    let alias = KnownHosts::at(known_hosts.into()).alias(&host.name, port);
    let alias = alias.unwrap_or_else(|_| host.name.to_string());
    set(format!("HostKeyAlias={alias}").into());
    set(format!(
        "ConnectTimeout={}",
        connect_timeout(options, host).as_secs().max(1)
    )
    .into());
    set(setting("UserKnownHostsFile=", known_hosts));
    // The first of the two is the one that counts.
    if let Some(proxy) = proxy {
        set(format!("ProxyCommand={proxy}").into());
    } else if let Some(jump) = &host.jump {
        set(format!("ProxyJump={jump}").into());
    }
    words
}

/// The command that leads through a jump host as ProxyJump does, and tells what is said on the way into a file.
///
/// A shell reads it: everything in it is a checked name or a path without characters that a shell knows.
pub(super) fn proxy_command(options: &SshOptions, config: &Path, jump: &Jump, said: &Path) -> String {
    let mut words = vec![
        options.program.display().to_string(),
        "-F".to_owned(),
        config.display().to_string(),
    ];
    let (before, last) = jump.last();
    if let Some(before) = before {
        words.extend(["-J".to_owned(), before.to_owned()]);
    }
    if let Some(user) = last.user {
        words.extend(["-l".to_owned(), user.to_owned()]);
    }
    if let Some(port) = last.port {
        words.extend(["-p".to_owned(), port.to_owned()]);
    }
    words.push(format!("-W '[%h]:%p' -- {} 2>{}", last.host, said.display()));
    words.join(" ")
}

/// The words that start a master for `host`.
pub(super) fn master(
    options: &SshOptions,
    config: &Path,
    host: &Host,
    socket: &Path,
    kex: Option<&str>,
    proxy: Option<&str>,
) -> Vec<OsString> {
    let mut words = connection(options, config, host, &options.known_hosts, "yes", proxy);
    // Without a socket a master that goes to the background by -f would stay for ever; ControlPersist alone does both.
    words.push("-N".into());
    let mut set = |setting: OsString| {
        words.push("-o".into());
        words.push(setting);
    };
    set("ControlMaster=yes".into());
    set(setting("ControlPath=", socket));
    set(format!("ControlPersist={}", options.keep_open.as_secs().max(5)).into());
    for key in &options.keys {
        set(setting("IdentityFile=", key));
    }
    if let Some(kex) = kex {
        set(format!("KexAlgorithms={kex}").into());
    }
    words.push("-l".into());
    words.push(host.user.as_ref().unwrap_or(&options.user).as_str().into());
    destination(&mut words, options, host);
    words
}

/// The port and the host, behind a `--` that nothing before it can undo.
pub(super) fn destination(words: &mut Vec<OsString>, options: &SshOptions, host: &Host) {
    // Without one, ssh's own configuration names it.
    if let Some(port) = host.port.or(options.port) {
        words.push("-p".into());
        words.push(port.to_string().into());
    }
    words.push("--".into());
    words.push(host.address.as_ref().unwrap_or(&host.name).as_str().into());
}

/// A path in a setting: in quotes, because ssh splits at blanks, and with `%` doubled, because ssh expands it.
fn setting(key: &str, path: &Path) -> OsString {
    let path = path.to_string_lossy().replace('%', "%%");
    format!("{key}\"{path}\"").into()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn options() -> SshOptions {
        SshOptions {
            program: "/usr/bin/ssh".into(),
            user: "apu".parse().unwrap(),
            port: None,
            keys: vec!["/etc/apu-server/ssh/id_ed25519".into()],
            known_hosts: "/etc/apu-server/ssh/known_hosts".into(),
            run_directory: "/run/apu-server".into(),
            key_exchange: super::super::KeyExchange::Fast,
            connect_timeout: std::time::Duration::from_secs(10),
            keep_open: std::time::Duration::from_secs(60),
            most_kept: 200,
            handshakes: 16,
        }
    }

    #[test]
    fn a_proxy_command_takes_the_hops_of_the_jump_and_the_same_configuration() {
        let of = |jump: &str| {
            let config = Path::new("/run/apu-server/ssh_config");
            proxy_command(&options(), config, &jump.parse().unwrap(), Path::new("/run/said"))
        };
        assert_eq!(
            of("gate"),
            "/usr/bin/ssh -F /run/apu-server/ssh_config -W '[%h]:%p' -- gate 2>/run/said"
        );
        assert_eq!(
            of("a,me@b:23,you@[2001:db8::1]:24"),
            "/usr/bin/ssh -F /run/apu-server/ssh_config -J a,me@b:23 -l you -p 24 -W '[%h]:%p' -- 2001:db8::1 2>/run/said"
        );
    }

    #[test]
    fn a_host_stands_behind_the_dashes_and_its_alias_pins_its_key() {
        let options = options();
        let mut host = Host::plain("nas".parse().unwrap());
        host.address = Some("192.168.1.9".parse().unwrap());
        host.port = Some(2222);
        let words = master(
            &options,
            Path::new("/run/apu-server/ssh_config"),
            &host,
            Path::new("/run/apu-server/mux/x"),
            Some("^curve25519-sha256"),
            None,
        );
        let words: Vec<String> = words
            .into_iter()
            .map(|word| word.into_string().unwrap())
            .collect();
        assert_eq!(
            words[words.len() - 6..],
            ["-l", "apu", "-p", "2222", "--", "192.168.1.9"]
        );
        assert_eq!(words[..2], ["-F", "/run/apu-server/ssh_config"]);
        for setting in [
            "StrictHostKeyChecking=yes",
            "HostKeyAlias=nas",
            "UserKnownHostsFile=\"/etc/apu-server/ssh/known_hosts\"",
            "ControlPersist=60",
            "KexAlgorithms=^curve25519-sha256",
            "ForwardAgent=no",
        ] {
            assert!(words.iter().any(|word| word == setting), "{setting}");
        }
    }
}
