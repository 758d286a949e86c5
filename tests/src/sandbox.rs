//! A sandbox: the namespaces that a fleet lives in, apart from the machine, and the hosts in it.
//!
//! One process, the keeper, is PID 1 of the sandbox and holds its mounts and its network. It reads a pipe that only this
//! process can write to. So a fleet ends with the program that made it, also after a panic or `kill -9`, and leaves
//! neither a process nor a mount.

use std::collections::HashMap;
use std::fs;
use std::io::{BufRead, BufReader, Read};
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdin, Command, Stdio};
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail, ensure};
use nix::unistd::Pid;
use tempfile::TempDir;

use crate::store::word;
use crate::tool::ENVIRONMENT;

/// What to boot.
pub(crate) struct Birth {
    pub(crate) name: String,
    /// Lower layers, the topmost first.
    pub(crate) layers: Vec<PathBuf>,
    /// Holds `upper`, `work` and `root`, which must exist; a path as the keeper sees it.
    pub(crate) state: PathBuf,
    /// What its PID 1 runs in the root before the host counts as up.
    pub(crate) start: String,
}

/// The namespaces of one fleet.
pub(crate) struct Sandbox {
    keeper: Child,
    /// Held open: the keeper ends at its end.
    lifeline: Option<ChildStdin>,
    pid: Pid,
    mount_point: TempDir,
}

impl Sandbox {
    pub(crate) fn new() -> Result<Self> {
        let mount_point = tempfile::Builder::new().prefix("apu-fleet-").tempdir()?;
        let mut unshare = Command::new("unshare");
        unshare.args([
            "--mount",
            "--propagation=private",
            "--pid",
            "--ipc",
            "--uts",
            "--net",
        ]);
        unshare
            .args([
                "--fork",
                "--kill-child",
                "sh",
                "-c",
                include_str!("sandbox/keeper.sh"),
                "apu-fleet",
            ])
            .arg(mount_point.path())
            .current_dir("/")
            .env_clear()
            .envs(ENVIRONMENT)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped());
        let mut keeper = unshare.spawn().context("cannot run unshare")?;
        let lifeline = keeper.stdin.take();
        let mut answer = String::new();
        BufReader::new(keeper.stdout.take().context("no pipe")?).read_line(&mut answer)?;
        if answer != "up\n" {
            let mut why = String::new();
            keeper
                .stderr
                .take()
                .context("no pipe")?
                .read_to_string(&mut why)?;
            keeper.wait()?;
            bail!("cannot make the fleet's namespaces (this takes root): {why}");
        }
        let pid = only_child(keeper.id())?;
        Ok(Self {
            keeper,
            lifeline,
            pid,
            mount_point,
        })
    }

    /// The keeper, as this machine counts.
    pub(crate) const fn pid(&self) -> Pid {
        self.pid
    }

    /// A folder in the sandbox's own tmpfs, as the sandbox sees it.
    pub(crate) fn state(&self, name: &str) -> PathBuf {
        self.mount_point.path().join(name)
    }

    /// The same folder, as this machine sees it.
    pub(crate) fn seen_from_outside(&self, path: &Path) -> PathBuf {
        let inside = path.strip_prefix("/").unwrap_or(path);
        PathBuf::from(format!("/proc/{}/root", self.pid)).join(inside)
    }

    /// A command that will run in the sandbox's namespaces, but with the machine's files.
    pub(crate) fn command(&self, program: &str) -> Command {
        let mut command = Command::new("nsenter");
        command
            .args([
                "--target",
                &self.pid.to_string(),
                "--mount",
                "--pid",
                "--ipc",
                "--uts",
                "--net",
                "--",
                program,
            ])
            .current_dir("/")
            .env_clear()
            .envs(ENVIRONMENT);
        command
    }

    /// Boots hosts and waits until each is up: the PID of each one's PID 1, as this machine counts.
    pub(crate) fn boot(&self, births: &[Birth]) -> Result<HashMap<String, Pid>> {
        let boot = r#"
            init=$1; shift
            while [ $# -gt 0 ]; do
                unshare --mount --propagation=private --pid --uts --ipc --fork --kill-child \
                    sh -c "$init" apu-host "$1" "$2" "$3" "$4" &
                shift 4
            done
        "#;
        let mut command = self.command("sh");
        command.args(["-c", boot, "boot", include_str!("sandbox/init.sh")]);
        for birth in births {
            let layers: Vec<_> = birth.layers.iter().map(word).collect();
            command.args([&birth.name, &word(&birth.state), &layers.join(":"), &birth.start]);
        }
        let mut boot = command.stdin(Stdio::null()).stdout(Stdio::piped()).spawn()?;
        let answers = BufReader::new(boot.stdout.take().context("no pipe")?).lines();
        for answer in answers.take(births.len()) {
            if let Some(name) = answer?.strip_prefix("failed ") {
                let state = births
                    .iter()
                    .find(|birth| birth.name == name)
                    .map(|birth| &birth.state);
                let log = self.seen_from_outside(&state.context("no such host")?.join("boot.log"));
                bail!(
                    "{name} did not boot: {}",
                    fs::read_to_string(log).unwrap_or_default()
                );
            }
        }
        boot.wait()?;
        self.find(births)
    }

    /// Finds each host's PID 1 among this machine's processes.
    fn find(&self, births: &[Birth]) -> Result<HashMap<String, Pid>> {
        let states: HashMap<_, _> = births
            .iter()
            .map(|birth| (word(&birth.state), &birth.name))
            .collect();
        let mut found = HashMap::new();
        for pid in all_pids()? {
            let Ok(words) = fs::read(format!("/proc/{pid}/cmdline")) else {
                continue;
            };
            let words: Vec<_> = words
                .split(|&byte| byte == 0)
                .map(String::from_utf8_lossy)
                .collect();
            if words.first().map(AsRef::as_ref) != Some("sh")
                || words.get(3).map(AsRef::as_ref) != Some("apu-host")
            {
                continue;
            }
            if let Some(name) = words.get(5).and_then(|state| states.get(state.as_ref())) {
                found.insert((*name).clone(), pid);
            }
        }
        ensure!(
            found.len() == births.len(),
            "a host ended while the fleet came up"
        );
        Ok(found)
    }

    /// Ends everything in the sandbox, and waits for that.
    pub(crate) fn down(&mut self) {
        drop(self.lifeline.take());
        // PID 1 of the sandbox may be slow to see that its input has ended only if it is frozen.
        let patience = Instant::now() + Duration::from_secs(5);
        while Instant::now() < patience {
            if matches!(self.keeper.try_wait(), Ok(Some(_)) | Err(_)) {
                return;
            }
            std::thread::sleep(Duration::from_millis(5));
        }
        let _ = self.keeper.kill();
        let _ = self.keeper.wait();
    }
}

impl Drop for Sandbox {
    fn drop(&mut self) {
        self.down();
    }
}

/// Every process of this machine.
pub(crate) fn all_pids() -> Result<Vec<Pid>> {
    let entries = fs::read_dir("/proc")?.flatten();
    Ok(entries
        .filter_map(|entry| entry.file_name().to_str()?.parse().ok().map(Pid::from_raw))
        .collect())
}

/// The one child of a process that has just started it.
pub(crate) fn only_child(parent: u32) -> Result<Pid> {
    let children = fs::read_to_string(format!("/proc/{parent}/task/{parent}/children"))?;
    let child = children.split(' ').next().and_then(|pid| pid.parse().ok());
    Ok(Pid::from_raw(
        child.with_context(|| format!("process {parent} has no child"))?,
    ))
}
