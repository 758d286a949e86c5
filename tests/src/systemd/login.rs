//! The ways into the machine: the server's push key, and the administrator's own.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use super::{Answer, Asking, Machine};
use crate::store::word;
use crate::tool;

impl Machine {
    /// Sends a request as apu's server does, and does not wait: `machine.ask("apu/1 ping")`.
    ///
    /// # Panics
    /// If nobody has installed apu-client there.
    #[track_caller]
    #[must_use]
    pub fn ask(&self, request: &str) -> Asking {
        let server = self.server.as_ref().expect("a client");
        Asking::start(self.ssh("apu", &server.push_key, request))
    }

    /// Sends a request and waits for the whole answer.
    #[track_caller]
    pub fn answer(&self, request: &str) -> Answer {
        self.ask(request).answer()
    }

    /// Lets the administrator's key log in as a user, who is made if need be.
    #[track_caller]
    pub fn authorize(&self, user: &str) {
        let key = self.administrators_key().with_extension("pub");
        let key = fs::read_to_string(key).expect("there is a key");
        self.sh(&format!(
            "id {user} >/dev/null 2>&1 || useradd --create-home --shell /bin/sh {user}
            cd ~{user} && mkdir -p .ssh && echo '{key}' >.ssh/authorized_keys"
        ))
        .ok();
    }

    /// `ssh` with the administrator's key, for [`Self::authorize`]d users.
    #[must_use]
    pub fn log_in(&self, user: &str, command: &str) -> Command {
        self.ssh(user, &self.administrators_key(), command)
    }

    pub(super) fn administrators_key(&self) -> PathBuf {
        self.desk().join("administrator")
    }

    /// The ssh of this machine, in the network of the other: its end is the connection's, and nothing else's.
    fn ssh(&self, user: &str, key: &Path, command: &str) -> Command {
        let options = "-F none -o BatchMode=yes -o LogLevel=ERROR -o IdentitiesOnly=yes -o KexAlgorithms=curve25519-sha256";
        let known_hosts = word(self.desk().join("known_hosts"));
        let mut ssh = Command::new("nsenter");
        ssh.arg(format!("--net=/proc/{}/ns/net", self.init()))
            .args(["--", "ssh"])
            .args(options.split(' '))
            .args(["-o", &format!("UserKnownHostsFile={known_hosts}"), "-i"])
            .arg(key)
            .args(["-l", user, "127.0.0.1", command])
            .env_clear()
            .envs(tool::ENVIRONMENT);
        ssh
    }
}
