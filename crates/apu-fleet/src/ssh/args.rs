//! The words that ssh is started with. They come before anything in the administrator's configuration, so that it can
//! add a way to a host (HostName, ProxyJump, an agent) and take no guard away.

use std::ffi::OsString;
use std::path::Path;

use super::SshOptions;
use crate::host::Host;

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
    "LogLevel=ERROR",
];

/// Settings that older ssh does not know.
const WHERE_KNOWN: [&str; 2] = ["KnownHostsCommand=none", "RemoteCommand=none"];

/// The words of a connection to `host`, up to but without the host itself.
pub(super) fn connection(
    options: &SshOptions,
    host: &Host,
    known_hosts: &Path,
    check: &str,
) -> Vec<OsString> {
    let mut words: Vec<OsString> = Vec::with_capacity(80);
    let mut set = |setting: OsString| {
        words.push("-o".into());
        words.push(setting);
    };
    set("IgnoreUnknown=KnownHostsCommand,RemoteCommand".into());
    for setting in ALWAYS.into_iter().chain(WHERE_KNOWN) {
        set(setting.into());
    }
    set(format!("StrictHostKeyChecking={check}").into());
    set(format!("HostKeyAlias={}", host.name).into());
    set(format!("ConnectTimeout={}", options.connect_timeout.as_secs().max(1)).into());
    set(setting("UserKnownHostsFile=", known_hosts));
    if let Some(jump) = &host.jump {
        set(format!("ProxyJump={jump}").into());
    }
    words
}

/// The words that start a master for `host`.
pub(super) fn master(options: &SshOptions, host: &Host, socket: &Path, kex: Option<&str>) -> Vec<OsString> {
    let mut words = connection(options, host, &options.known_hosts, "yes");
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
    words.push("-p".into());
    words.push(host.port.unwrap_or(options.port).to_string().into());
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

    #[test]
    fn a_host_stands_behind_the_dashes_and_its_alias_pins_its_key() {
        let options = SshOptions {
            program: "/usr/bin/ssh".into(),
            user: "apu".parse().unwrap(),
            port: 22,
            keys: vec!["/etc/apu-server/ssh/id_ed25519".into()],
            known_hosts: "/etc/apu-server/ssh/known_hosts".into(),
            run_directory: "/run/apu-server".into(),
            key_exchange: super::super::KeyExchange::Fast,
            connect_timeout: std::time::Duration::from_secs(10),
            keep_open: std::time::Duration::from_secs(60),
            handshakes: 16,
        };
        let mut host = Host::plain("nas".parse().unwrap());
        host.address = Some("192.168.1.9".parse().unwrap());
        host.port = Some(2222);
        let words = master(
            &options,
            &host,
            Path::new("/run/apu-server/mux/x"),
            Some("^curve25519-sha256"),
        );
        let words: Vec<String> = words
            .into_iter()
            .map(|word| word.into_string().unwrap())
            .collect();
        assert_eq!(
            words[words.len() - 6..],
            ["-l", "apu", "-p", "2222", "--", "192.168.1.9"]
        );
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
