//! The administrator's own way to a host: their ssh, with their configuration, keys and agent.

use std::env;
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::time::Duration;

use apu_debian::UserName;
use apu_fleet::Host;
use apu_fleet::ssh::Route;
use nix::unistd::User;
use tokio::process::Command;
use tokio::time::timeout;

/// The person who typed sudo: their ssh is to be used, not root's.
#[derive(Debug, Clone)]
pub(super) struct Person {
    uid: u32,
    gid: u32,
    home: PathBuf,
    name: String,
}

impl Person {
    /// Who is behind sudo, if anybody is.
    pub(super) fn behind_sudo() -> Option<Self> {
        let name = env::var("SUDO_USER").ok().filter(|name| name != "root")?;
        let user = User::from_name(&name).ok().flatten()?;
        Some(Self {
            uid: user.uid.as_raw(),
            gid: user.gid.as_raw(),
            home: user.dir,
            name,
        })
    }

    /// The ids of the files that this person may write.
    pub(super) const fn owner(&self) -> (u32, u32) {
        (self.uid, self.gid)
    }
}

/// How to log in.
#[derive(Debug)]
pub(super) struct Access {
    pub(super) user: Option<UserName>,
    pub(super) identity: Option<PathBuf>,
    pub(super) accept_new: bool,
    pub(super) may_ask: bool,
    pub(super) connect_timeout: Duration,
    pub(super) port: Option<u16>,
    pub(super) person: Option<Person>,
}

impl Access {
    /// An ssh that runs `script` on the host, and writes the keys that the host shows into `keys`. Where nobody is to be
    /// asked, it reads `config`, which keeps the ssh of a jump host from asking, too.
    ///
    /// ssh calls KnownHostsCommand with each key that it is about to check. Ours adds nothing to what is known; so when
    /// the script has run, the key in the file is the one that the administrator's own configuration has verified.
    pub(super) fn command(&self, host: &Host, config: &Path, keys: &Path, script: &str) -> Command {
        let mut command = if self.may_ask {
            Command::new("/usr/bin/ssh")
        } else {
            // Without a terminal no ssh can ask, whatever the configuration says.
            let mut command = Command::new("/usr/bin/setsid");
            command.args(["/usr/bin/ssh", "-F"]).arg(config);
            command.env("SSH_ASKPASS_REQUIRE", "never");
            command
        };
        let mut set = |setting: String| {
            command.args(["-o", &setting]);
        };
        let keys = keys.display();
        set(format!("KnownHostsCommand=/bin/sh -c \"echo %t %K >> '{keys}'\""));
        set("ControlPath=none".into());
        set("ControlMaster=no".into());
        set("RequestTTY=no".into());
        set("ClearAllForwardings=yes".into());
        set("ForwardAgent=no".into());
        set("LogLevel=INFO".into());
        set(format!(
            "ConnectTimeout={}",
            self.connect_timeout.as_secs().max(1)
        ));
        set("ServerAliveInterval=15".into());
        if !self.may_ask {
            set("BatchMode=yes".into());
        }
        if self.accept_new {
            set("StrictHostKeyChecking=accept-new".into());
        }
        if let Some(jump) = &host.jump {
            set(format!("ProxyJump={jump}"));
        }
        if let Some(user) = &self.user {
            command.args(["-l", user.as_str()]);
        }
        if let Some(identity) = &self.identity {
            command.arg("-i").arg(identity);
        }
        // Without a port of ours, the administrator's configuration may name one.
        if let Some(port) = host.port.or(self.port) {
            command.args(["-p", &port.to_string()]);
        }
        let address = host.address.as_ref().unwrap_or(&host.name);
        command
            .args(["--", address.as_str()])
            .arg(format!("sh -c '{script}'"));
        command
            .env("LC_ALL", "C")
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped());
        self.as_the_person(command)
    }

    /// Where the administrator's own configuration leads for a host; nothing where ssh cannot read it.
    pub(super) async fn route(&self, host: &Host) -> Option<Route> {
        let mut command = Command::new("/usr/bin/ssh");
        if let Some(jump) = &host.jump {
            command.args(["-o", &format!("ProxyJump={jump}")]);
        }
        if let Some(port) = host.port.or(self.port) {
            command.args(["-p", &port.to_string()]);
        }
        let address = host.address.as_ref().unwrap_or(&host.name);
        command.args(["-G", "--", address.as_str()]).stdin(Stdio::null());
        let printed = timeout(Duration::from_secs(10), self.as_the_person(command).output());
        let printed = printed.await.ok()?.ok()?;
        Route::read(&String::from_utf8_lossy(&printed.stdout))
    }

    fn as_the_person(&self, mut command: Command) -> Command {
        command.kill_on_drop(true);
        if let Some(person) = &self.person {
            command.uid(person.uid).gid(person.gid).current_dir("/");
            command
                .env("HOME", &person.home)
                .env("USER", &person.name)
                .env("LOGNAME", &person.name);
        }
        command
    }
}

/// The host with what the administrator's own configuration says of the way to it and root's does not, so that the push takes
/// the same way; nothing where both agree.
pub(super) fn taught(host: &Host, own: &Route, root: &Route) -> Option<Host> {
    let mut taught = host.clone();
    if own.address != root.address {
        taught.address = own.address.parse().ok();
    }
    if own.port != root.port {
        taught.port = Some(own.port);
    }
    if own.jump != root.jump {
        taught.jump = own.jump.as_deref().and_then(|jump| jump.parse().ok());
    }
    (taught != *host).then_some(taught)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nobody_is_asked_where_several_hosts_are_entered_at_once() {
        let words = |may_ask| {
            let access = Access {
                user: None,
                identity: None,
                accept_new: false,
                may_ask,
                connect_timeout: Duration::from_secs(10),
                port: None,
                person: None,
            };
            let host = Host::plain("web1".parse().unwrap());
            let command = access.command(&host, Path::new("/t/config"), Path::new("/t/keys"), "true");
            let command = command.as_std();
            let words = [command.get_program()].into_iter().chain(command.get_args());
            words
                .map(|word| word.to_string_lossy().into_owned())
                .collect::<Vec<_>>()
        };
        let silent = words(false);
        assert_eq!(
            silent[..4],
            ["/usr/bin/setsid", "/usr/bin/ssh", "-F", "/t/config"]
        );
        assert!(silent.iter().any(|word| word == "BatchMode=yes"), "{silent:?}");
        assert_eq!(words(true)[0], "/usr/bin/ssh");
    }

    #[test]
    fn what_root_s_configuration_does_not_know_of_the_way_is_taught() {
        let route = |address: &str, port: u16, jump: Option<&str>| {
            let jump = jump.map(|jump| format!("proxyjump {jump}\n")).unwrap_or_default();
            Route::read(&format!("hostname {address}\nport {port}\n{jump}")).unwrap()
        };
        let host = Host::plain("web1".parse().unwrap());
        let root = route("web1", 22, None);
        assert_eq!(taught(&host, &root, &root), None);
        let own = route("10.0.0.7", 2222, Some("me@gate"));
        let taught = taught(&host, &own, &root).unwrap();
        assert_eq!(taught.to_string(), "web1 address=10.0.0.7 port=2222 jump=me@gate");
    }
}
