//! A client whose PID 1 is systemd: with units, sessions and control groups of its own, and a power switch.
//!
//! A fleet's hosts are many and light, and no systemd is on them. What apu promises about systemd is tried here: one whole
//! machine, up in about a second. It shares no namespace with the machine that the tests run on, has its own few devices
//! and may set neither the clock nor anything of the kernel.

mod archive;
mod asking;
mod janitor;
mod login;
mod rolling;

use std::fs;
use std::io::{BufRead, BufReader};
use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail, ensure};
use nix::sys::signal::{Signal, kill};

pub use asking::{Answer, Asking};
use janitor::Janitor;
pub use rolling::Rolling;

use crate::host::Host;
use crate::layer::{self, Layers, SERVER, UPSTREAM};
use crate::product::Product;
use crate::root::{Flavour, Suite};
use crate::sandbox::{Sandbox, only_child};
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
    sandbox: Sandbox,
    // After the sandbox: it ends only when the group is empty.
    janitor: Janitor,
    layers: Layers,
    /// Where there is an apu-client: the server that it follows.
    server: Option<Server>,
}

/// What there is of apu's server: its files, as its package and gen-apu-data-pkg have left them.
struct Server {
    push_key: PathBuf,
    apt_all: PathBuf,
    repo: PathBuf,
}

/// What there is only while the machine runs.
struct Power {
    _webs: Vec<Web>,
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

    /// The same of a release that apu-server's package, built on this machine, can be installed on.
    #[track_caller]
    #[must_use]
    pub fn for_server() -> Self {
        let layers = Suite::of_server().and_then(|suite| layer::bare(suite, Flavour::Systemd));
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
    fn up(layers: Result<(Layers, Option<Server>)>, files: &[(&str, &str)]) -> Self {
        let machine = layers.and_then(|(layers, server)| {
            let mut machine = Self::assemble(layers, server, files)?;
            machine.start()?;
            Ok(machine)
        });
        machine.unwrap_or_else(|error| panic!("no machine: {error:?}"))
    }

    fn assemble(layers: Layers, server: Option<Server>, files: &[(&str, &str)]) -> Result<Self> {
        let sandbox = Sandbox::new()?;
        let machine = Self {
            power: None,
            sandbox,
            janitor: Janitor::hire()?,
            layers,
            server,
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
        let state = self.sandbox.state(NAME);
        let layers: Vec<_> = self.layers.0.iter().map(word).collect();
        let mut boot = self.sandbox.command("sh");
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
            // Whatever it still does ends with the sandbox.
            let log = fs::read_to_string(self.state().join("boot.log")).unwrap_or_default();
            bail!("the machine did not boot (this takes root and cgroup2): {log}");
        }
        let init = only_child(only_child(running.id())?.as_raw().unsigned_abs())?;
        let host = Host {
            name: NAME.to_owned(),
            address: "127.0.0.1".to_owned(),
            init,
            keeper: self.sandbox.pid(),
            trace: self.sandbox.seen_from_outside(&self.sandbox.state("trace")),
        };
        let archive = upstream::archive()?.join(Stage::After.folder());
        let mut webs = vec![Web::serve(init, &format!("{UPSTREAM}:80"), archive)?];
        if let Some(server) = &self.server {
            webs.push(Web::serve(init, &format!("{SERVER}:80"), server.repo.clone())?);
        }
        self.power = Some(Power {
            _webs: webs,
            host,
            running,
        });
        self.wait_until_started()
    }

    fn wait_until_started(&mut self) -> Result<()> {
        let deadline = Instant::now() + PATIENCE;
        loop {
            let running = &mut self.power.as_mut().context("it is off")?.running;
            if let Some(status) = running.try_wait()? {
                bail!("PID 1 ended at once: {status}");
            }
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

    /// Whether the machine is off, or has gone down by itself just now; [`Self::switch_on`] starts it again.
    pub(crate) fn has_gone_down(&mut self) -> bool {
        let Some(power) = &mut self.power else {
            return true;
        };
        let is_down = power.running.try_wait().is_ok_and(|status| status.is_some());
        if is_down {
            self.power = None;
        }
        is_down
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
        self.sandbox.seen_from_outside(&self.sandbox.state(NAME))
    }

    /// Where the administrator's key lies, and what else the other side of ssh has: it goes with the sandbox.
    fn desk(&self) -> PathBuf {
        self.state().join("desk")
    }

    /// The control group that it lives in, a name below the machine's topmost.
    #[must_use]
    pub fn control_group(&self) -> &str {
        &self.janitor.group
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

    /// Lets the machine's apt follow a second archive, signed, that has the .debs of a folder.
    ///
    /// # Panics
    /// If that archive cannot be made.
    #[track_caller]
    pub fn offer(&self, debs: &Path) {
        let desk = tempfile::tempdir().expect("a folder");
        archive::offer(self, desk.path(), debs).unwrap_or_else(|error| panic!("no archive: {error:?}"));
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

/// The client's layers, and the server that made its apu-data.
fn client_layers() -> Result<(Layers, Option<Server>)> {
    let product = Product::built()?;
    let site = layer::site(&product)?;
    let client = layer::client(Suite::Bookworm, Flavour::Systemd, &product, &site)?;
    let newest = |path: &str| {
        let mut paths = site.0.iter().map(|layer| layer.join(path));
        paths
            .find(|path| path.exists())
            .with_context(|| format!("the server has no {path}"))
    };
    let server = Server {
        push_key: newest("etc/apu-server/ssh/id_ed25519")?,
        apt_all: newest("usr/bin/apt-all")?,
        repo: newest("var/lib/apu-data/repo")?,
    };
    Ok((client, Some(server)))
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
