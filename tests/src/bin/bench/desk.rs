//! Where the peers are called from: this machine with its programs, in the fleet's network, with a home of its own.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::PathBuf;
use std::process::{Child, ChildStdin, Command, Stdio};

use anyhow::{Context, Result, ensure};
use apu_tests::Fleet;

use crate::tool::Setup;

const ENVIRONMENT: [(&str, &str); 4] = [
    (
        "PATH",
        "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin",
    ),
    ("HOME", "/root"),
    ("LANG", "C.UTF-8"),
    ("TERM", "dumb"),
];

/// Holds the mounts open until its standard input ends.
const HOLDER: &str = "
    set -e
    mount -t tmpfs -o mode=0700 desk /root
    mkdir -m 700 /root/.ssh
    ssh-keygen -q -t ed25519 -N '' -f /root/.ssh/id_ed25519
    printf '%s' \"$1\" >/root/hosts
    mount --bind /root/hosts /etc/hosts
    echo up
    exec cat";

/// The administrator's desk, until it is dropped.
pub(crate) struct Desk {
    holder: Child,
    _lifeline: ChildStdin,
    pid: String,
    key_exchange: String,
}

impl Desk {
    /// Sets it up; its root may log in to every client as root.
    pub(crate) fn set_up(fleet: &Fleet) -> Result<Self> {
        let hosts = fleet
            .clients()
            .map(|host| format!("{} {}\n", host.address(), host.name()));
        let hosts = "127.0.0.1 localhost\n".to_owned() + &hosts.collect::<String>();
        let mut holder = Command::new("nsenter");
        holder
            .args([
                "--target",
                &fleet.keeper().to_string(),
                "--mount",
                "--pid",
                "--ipc",
                "--uts",
                "--net",
            ])
            .args(["--", "unshare", "--mount", "--propagation=private"])
            .args(["sh", "-c", HOLDER, "desk", &hosts])
            .current_dir("/")
            .env_clear()
            .envs(ENVIRONMENT)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped());
        let mut holder = holder.spawn().context("cannot run nsenter")?;
        let lifeline = holder.stdin.take().context("no pipe")?;
        let mut up = [0; 3];
        std::io::Read::read_exact(&mut holder.stdout.take().context("no pipe")?, &mut up)
            .context("the desk did not come up")?;
        let children = fs::read_to_string(format!("/proc/{0}/task/{0}/children", holder.id()))?;
        let desk = Self {
            holder,
            _lifeline: lifeline,
            pid: children.trim().to_owned(),
            key_exchange: our_key_exchange()?,
        };
        desk.introduce(fleet)?;
        Ok(desk)
    }

    fn introduce(&self, fleet: &Fleet) -> Result<()> {
        let key = fs::read_to_string(self.path(".ssh/id_ed25519.pub"))?;
        let mut known = String::new();
        let mut names = String::new();
        for host in fleet.clients() {
            host.sh("mkdir -pm700 /root/.ssh").ok();
            host.write("/root/.ssh/authorized_keys", &key);
            known += &format!("{} {}\n", host.name(), host.host_key());
            names += &format!("{}\n", host.name());
        }
        self.write(".ssh/known_hosts", &known)?;
        self.write("names", &names)
    }

    /// A command that will run at the desk.
    pub(crate) fn command(&self, words: &[&str]) -> Command {
        let mut command = Command::new("nsenter");
        command
            .args([
                "--target", &self.pid, "--mount", "--pid", "--ipc", "--uts", "--net",
            ])
            .arg("--")
            .args(words)
            .current_dir("/")
            .env_clear()
            .envs(ENVIRONMENT);
        command
    }

    /// Makes ssh what the setup wants it to be, and forgets what earlier calls kept.
    pub(crate) fn prepare(&self, setup: Setup) -> Result<()> {
        self.write(".ssh/config", &setup.ssh_config(&self.key_exchange))?;
        let tidy = self
            .command(&[
                "sh",
                "-c",
                "rm -rf /root/.ansible /root/mux && mkdir -m 700 /root/mux",
            ])
            .status()?;
        ensure!(tidy.success(), "cannot tidy the desk");
        Ok(())
    }

    fn write(&self, name: &str, text: &str) -> Result<()> {
        let path = self.path(name);
        fs::write(&path, text).with_context(|| format!("cannot write {}", path.display()))?;
        // ssh takes no configuration that others may write.
        fs::set_permissions(&path, fs::Permissions::from_mode(0o600))?;
        Ok(())
    }

    /// A file of the desk's home, as this machine sees it.
    fn path(&self, name: &str) -> PathBuf {
        PathBuf::from(format!("/proc/{}/root/root", self.pid)).join(name)
    }
}

/// What apt-all prefers, of what this machine's ssh knows.
fn our_key_exchange() -> Result<String> {
    let known = Command::new("ssh").args(["-Q", "kex"]).output()?;
    let known = String::from_utf8_lossy(&known.stdout).into_owned();
    let wanted = [
        "mlkem768x25519-sha256",
        "curve25519-sha256",
        "curve25519-sha256@libssh.org",
    ];
    let ours: Vec<_> = wanted
        .into_iter()
        .filter(|name| known.lines().any(|line| line == *name))
        .collect();
    Ok(ours.join(","))
}

impl Drop for Desk {
    fn drop(&mut self) {
        // The mounts end with the last process that has them.
        let _ = self.holder.kill();
        let _ = self.holder.wait();
    }
}
