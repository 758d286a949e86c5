//! A client whose PID 1 is systemd: with units, sessions and control groups of its own, and a power switch.
//!
//! A fleet's hosts are many and light, and no systemd is on them. What apu promises about systemd is tried here: one whole
//! machine, up in about a second. It shares no namespace with the machine that the tests run on, has its own few devices
//! and may set neither the clock nor anything of the kernel.

mod archive;
mod asking;

use std::fs;
use std::io::{BufRead, BufReader};
use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdin, Command, ExitStatus, Stdio};
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail, ensure};
use nix::sys::signal::{Signal, kill};

pub use asking::{Answer, Asking};

use crate::host::Host;
use crate::layer::{self, Layers, UPSTREAM};
use crate::nest::{Nest, only_child};
use crate::product::Product;
use crate::root::{Flavour, Suite};
use crate::store::word;
use crate::tool;
use crate::upstream::{self, Stage};
use crate::web::Web;

const NAME: &str = "machine";

/// How long anything may take that is not itself the subject of a test.
const PATIENCE: Duration = Duration::from_secs(120);

/// Units that would work behind a test's back, or mount what belongs to the whole kernel.
const MASKED: [&str; 5] = [
    "apt-daily.timer",
    "apt-daily-upgrade.timer",
    "e2scrub_all.timer",
    "dev-hugepages.mount",
    "sys-fs-fuse-connections.mount",
];

/// One machine with systemd, until it is dropped.
pub struct Machine {
    power: Option<Power>,
    nest: Nest,
    // After the nest: it ends only when the group is empty.
    janitor: Janitor,
    layers: Layers,
    /// The key that apu's server would log in with.
    push_key: PathBuf,
}

/// What there is only while the machine runs.
struct Power {
    _upstream: Web,
    host: Host,
    running: Child,
}

impl Machine {
    /// A Debian that knows nothing of apu.
    #[track_caller]
    #[must_use]
    pub fn bare() -> Self {
        let layers = layer::bare(Suite::Bookworm, Flavour::Systemd);
        Self::up(layers.map(|layers| (layers, None)), &[])
    }

    /// A client with apu-client and apu-data, and these files beside: `/path`, text.
    #[track_caller]
    #[must_use]
    pub fn client(files: &[(&str, &str)]) -> Self {
        Self::up(client_layers(), files)
    }

    /// # Panics
    /// If it does not come up: there is nothing to test then.
    #[track_caller]
    fn up(layers: Result<(Layers, Option<PathBuf>)>, files: &[(&str, &str)]) -> Self {
        let machine = layers.and_then(|(layers, push_key)| {
            let mut machine = Self::assemble(layers, push_key, files)?;
            machine.start()?;
            Ok(machine)
        });
        machine.unwrap_or_else(|error| panic!("no machine: {error:?}"))
    }

    fn assemble(layers: Layers, push_key: Option<PathBuf>, files: &[(&str, &str)]) -> Result<Self> {
        let nest = Nest::new()?;
        let machine = Self {
            power: None,
            nest,
            janitor: Janitor::hire()?,
            layers,
            push_key: push_key.unwrap_or_default(),
        };
        let upper = machine.disk();
        for folder in ["work", "root", "desk"] {
            fs::create_dir_all(machine.state().join(folder))?;
        }
        let units = upper.join("etc/systemd/system");
        fs::create_dir_all(&units)?;
        for unit in MASKED {
            symlink("/dev/null", units.join(unit))?;
        }
        fs::create_dir_all(upper.join("etc/ssh"))?;
        let host_key = upper.join("etc/ssh/ssh_host_ed25519_key");
        keygen(&host_key)?;
        let host_key = fs::read_to_string(host_key.with_extension("pub"))?;
        fs::write(
            machine.desk().join("known_hosts"),
            format!("127.0.0.1 {host_key}"),
        )?;
        keygen(&machine.administrators_key())?;
        for (path, text) in files {
            let path = upper.join(path.trim_start_matches('/'));
            fs::create_dir_all(path.parent().context("a path in a folder")?)?;
            fs::write(path, text)?;
        }
        Ok(machine)
    }

    /// Switches it on, and waits until everything has started.
    fn start(&mut self) -> Result<()> {
        let state = self.nest.state(NAME);
        let layers: Vec<_> = self.layers.0.iter().map(word).collect();
        let mut boot = self.nest.command("sh");
        boot.args(["-c", include_str!("systemd/boot.sh"), "boot", &self.janitor.group])
            .arg(state.join("boot.log"))
            .args([
                include_str!("systemd/init.sh"),
                "apu-machine",
                NAME,
                &word(&state),
                &layers.join(":"),
            ]);
        let mut running = boot.stdin(Stdio::null()).stdout(Stdio::piped()).spawn()?;
        let mut line = String::new();
        BufReader::new(running.stdout.take().context("no pipe")?).read_line(&mut line)?;
        if line != "up\n" {
            // Whatever it still does ends with the nest.
            let log = fs::read_to_string(self.state().join("boot.log")).unwrap_or_default();
            bail!("the machine did not boot (this takes root and cgroup2): {log}");
        }
        let init = only_child(only_child(running.id())?.as_raw().unsigned_abs())?;
        let host = Host {
            name: NAME.to_owned(),
            address: "127.0.0.1".to_owned(),
            init,
            keeper: self.nest.pid(),
            trace: self.nest.seen_from_outside(&self.nest.state("trace")),
        };
        let archive = upstream::archive()?.join(Stage::After.folder());
        let upstream = Web::serve(init, &format!("{UPSTREAM}:80"), archive)?;
        self.power = Some(Power {
            _upstream: upstream,
            host,
            running,
        });
        self.wait_until_started()
    }

    fn wait_until_started(&self) -> Result<()> {
        let deadline = Instant::now() + PATIENCE;
        loop {
            let said = self.exec(&["systemctl", "is-system-running", "--wait"]);
            match said.stdout.trim() {
                "running" => return Ok(()),
                "degraded" => {
                    let why = self
                        .sh("systemctl --failed; journalctl --boot --no-pager --lines 100")
                        .stdout;
                    bail!("something did not start: {why}");
                }
                other => ensure!(Instant::now() < deadline, "it is still {other}: {}", said.stderr),
            }
            std::thread::sleep(Duration::from_millis(20));
        }
    }

    /// Switches it on again after [`Self::wait_for_power_off`] or [`Self::cut_the_power`]; its disk is as it was.
    ///
    /// # Panics
    /// If it does not come up.
    #[track_caller]
    pub fn switch_on(&mut self) {
        assert!(self.power.is_none(), "it is on");
        self.start()
            .unwrap_or_else(|error| panic!("it does not come up again: {error:?}"));
    }

    /// Waits until the machine has switched itself off; how long that took.
    ///
    /// # Panics
    /// If it does not, or not by itself.
    #[track_caller]
    pub fn wait_for_power_off(&mut self) -> Duration {
        let begin = Instant::now();
        let power = self.power.as_mut().expect("it is on");
        let status = ended(&mut power.running, PATIENCE).expect("it goes off");
        assert!(status.success(), "PID 1 did not end by itself: {status}");
        self.power = None;
        begin.elapsed()
    }

    /// Cuts its power: every process ends at once, its disk stays as it is.
    #[track_caller]
    pub fn cut_the_power(&mut self) {
        let mut power = self.power.take().expect("it is on");
        kill(power.host.init, Signal::SIGKILL).expect("PID 1 is there");
        ended(&mut power.running, PATIENCE).expect("it ends at once");
    }

    /// What the machine has written, as this machine sees it; there when it is off, too.
    #[must_use]
    pub fn disk(&self) -> PathBuf {
        self.state().join("upper")
    }

    fn state(&self) -> PathBuf {
        self.nest.seen_from_outside(&self.nest.state(NAME))
    }

    /// Where the administrator's key lies, and what else the other side of ssh has: it goes with the nest.
    fn desk(&self) -> PathBuf {
        self.state().join("desk")
    }

    /// The control group that it lives in, a name below the machine's topmost.
    #[must_use]
    pub fn control_group(&self) -> &str {
        &self.janitor.group
    }

    /// Sends a request as apu's server does, and does not wait: `machine.ask("apu/1 ping")`.
    #[track_caller]
    #[must_use]
    pub fn ask(&self, request: &str) -> Asking {
        Asking::start(self.ssh("apu", &self.push_key, request))
    }

    /// Sends a request and waits for the whole answer.
    #[track_caller]
    pub fn answer(&self, request: &str) -> Answer {
        self.ask(request).answer()
    }

    /// Lets the administrator's key log in as a user, who is made if need be.
    #[track_caller]
    pub fn authorize(&self, user: &str) {
        let key =
            fs::read_to_string(self.administrators_key().with_extension("pub")).expect("there is a key");
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

    fn administrators_key(&self) -> PathBuf {
        self.desk().join("administrator")
    }

    /// The ssh of this machine, in the network of the other: its end is the connection's, and nothing else's.
    fn ssh(&self, user: &str, key: &Path, command: &str) -> Command {
        let mut ssh = Command::new("nsenter");
        ssh.arg(format!("--net=/proc/{}/ns/net", self.init()))
            .args([
                "--",
                "ssh",
                "-F",
                "none",
                "-o",
                "BatchMode=yes",
                "-o",
                "LogLevel=ERROR",
                "-i",
            ])
            .arg(key)
            .args([
                "-o",
                &format!("UserKnownHostsFile={}", word(self.desk().join("known_hosts"))),
            ])
            .args([
                "-o",
                "IdentitiesOnly=yes",
                "-o",
                "KexAlgorithms=curve25519-sha256",
                "-l",
                user,
                "127.0.0.1",
                command,
            ])
            .env_clear()
            .envs(tool::ENVIRONMENT);
        ssh
    }

    /// Lets the machine's apt follow a second archive, signed, that has the next version of the built apu-client.
    ///
    /// # Panics
    /// If that archive cannot be made.
    #[track_caller]
    #[must_use = "this is the version that it offers"]
    pub fn offer_the_next_client(&self) -> String {
        archive::offer_the_next_client(self).unwrap_or_else(|error| panic!("no archive: {error:?}"))
    }

    /// Waits until something holds, which `what` names for the failure.
    ///
    /// # Panics
    /// If it does not hold in time.
    #[track_caller]
    pub fn wait_until(&self, what: &str, mut holds: impl FnMut(&Host) -> bool) {
        let deadline = Instant::now() + PATIENCE;
        while !holds(self) {
            assert!(Instant::now() < deadline, "waited in vain until {what}");
            std::thread::sleep(Duration::from_millis(50));
        }
    }
}

/// All that can be done to a host can be done to the machine, while it is on.
impl std::ops::Deref for Machine {
    type Target = Host;

    #[track_caller]
    fn deref(&self) -> &Host {
        &self.power.as_ref().expect("the machine is on").host
    }
}

/// The client's layers, and the key that its apu-data lets in.
fn client_layers() -> Result<(Layers, Option<PathBuf>)> {
    let product = Product::built()?;
    let site = layer::site(&product)?;
    let client = layer::client(Suite::Bookworm, Flavour::Systemd, &product, &site)?;
    let mut keys = site
        .0
        .iter()
        .map(|layer| layer.join("etc/apu-server/ssh/id_ed25519"));
    let key = keys
        .find(|key| key.is_file())
        .context("the server has no push key")?;
    Ok((client, Some(key)))
}

fn keygen(path: &Path) -> Result<()> {
    tool::run(
        Command::new("ssh-keygen")
            .args(["-q", "-t", "ed25519", "-N", "", "-C", "", "-f"])
            .arg(path),
    )?;
    Ok(())
}

/// Waits for a process, but not for ever.
fn ended(child: &mut Child, patience: Duration) -> Result<ExitStatus> {
    let deadline = Instant::now() + patience;
    loop {
        if let Some(status) = child.try_wait()? {
            return Ok(status);
        }
        ensure!(Instant::now() < deadline, "it did not end");
        std::thread::sleep(Duration::from_millis(10));
    }
}

/// Holds the machine's control group, and removes it in the end, also when this program is killed.
struct Janitor {
    group: String,
    child: Child,
    lifeline: Option<ChildStdin>,
}

impl Janitor {
    fn hire() -> Result<Self> {
        static NUMBER: AtomicU32 = AtomicU32::new(0);
        let group = format!(
            "apu-tests-{}-{}",
            std::process::id(),
            NUMBER.fetch_add(1, Ordering::Relaxed)
        );
        let mut unshare = Command::new("unshare");
        unshare.args([
            "--mount",
            "--propagation=private",
            "sh",
            "-c",
            include_str!("systemd/janitor.sh"),
            "janitor",
        ]);
        unshare.arg(&group).env_clear().envs(tool::ENVIRONMENT);
        let mut child = unshare
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .context("cannot run unshare")?;
        let lifeline = child.stdin.take();
        let mut line = String::new();
        BufReader::new(child.stdout.take().context("no pipe")?).read_line(&mut line)?;
        ensure!(
            line == "made\n",
            "cannot make a control group (this takes root and cgroup2)"
        );
        Ok(Self {
            group,
            child,
            lifeline,
        })
    }
}

impl Drop for Janitor {
    fn drop(&mut self) {
        drop(self.lifeline.take());
        let _ = self.child.wait();
    }
}
