//! The administrator's own way to a host: their ssh, with their configuration, keys and agent.

use std::env;
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::time::Duration;

use apu_fleet::{Host, UserName};
use nix::unistd::User;
use tokio::process::Command;

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
    /// ssh calls KnownHostsCommand with each key that it is about to judge. Ours adds nothing to what is known; so when
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
