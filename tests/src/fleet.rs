//! A fleet: a server and its clients, each a real Debian, up in the time that a test has.

use std::collections::{BTreeMap, btree_map::Entry};
use std::fs;
use std::path::Path;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use anyhow::{Context, Result, ensure};

use crate::host::{Host, START_CLIENT};
use crate::layer::{self, Layers, SERVER, SERVER_NAME, UPSTREAM, hosts_file};
use crate::product::Product;
use crate::root::{Flavour, Suite};
use crate::run::{Run, Running};
use crate::sandbox::{Birth, Sandbox};
use crate::service::Service;
use crate::tool::Finished;
use crate::upstream::{self, Stage};
use crate::web::Web;

/// What the server is called in [`Fleet::host`].
const SERVER_HOST: &str = "server";

/// What a fleet is to be.
#[derive(Debug, Clone)]
#[must_use]
pub struct Plan {
    names: Vec<String>,
    addresses: BTreeMap<String, String>,
    class: Option<String>,
    suite: Suite,
    /// The clients of another suite than that.
    suites: BTreeMap<String, Suite>,
    flavour: Flavour,
    kind: Kind,
    beside: Option<Service>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Kind {
    /// apu-client and apu-data are installed, host keys are known.
    Enrolled,
    /// Debian machines that root of the server can log in to with a key, as an administrator could.
    Bare,
    /// As bare, and no server either.
    Alone,
}

impl Plan {
    /// Lists the clients in a class; otherwise they are in `default`, and bare ones in none.
    pub fn in_class(mut self, class: &str) -> Self {
        self.class = Some(class.to_owned());
        self
    }

    /// Of another suite than bookworm.
    pub const fn suite(mut self, suite: Suite) -> Self {
        self.suite = suite;
        self
    }

    /// A client of another suite than the others.
    pub fn with_suite(mut self, name: &str, suite: Suite) -> Self {
        self.suites.insert(name.to_owned(), suite);
        self
    }

    /// Of these suites in turn.
    ///
    /// # Panics
    /// If there is none.
    pub fn suites(mut self, suites: &[Suite]) -> Self {
        self.suites = self
            .names
            .iter()
            .cloned()
            .zip(suites.iter().copied().cycle())
            .collect();
        assert!(!self.suites.is_empty(), "no suite");
        self
    }

    /// With more than the plain root has.
    pub const fn flavour(mut self, flavour: Flavour) -> Self {
        self.flavour = flavour;
        self
    }

    /// At a chosen address: one of 127.9.2.0/24, or 192.168.1.192 or 192.168.1.193.
    pub fn at(mut self, name: &str, address: &str) -> Self {
        self.addresses.insert(name.to_owned(), address.to_owned());
        self
    }

    /// Without apu-client, as `apu bootstrap` finds them, and the server as its package leaves it, without apu-data:
    /// root of the server may log in to the clients as root, and knows their host keys.
    pub const fn bare(mut self) -> Self {
        self.kind = Kind::Bare;
        self
    }

    /// Only the clients, bare: nothing of apu is needed.
    pub const fn without_server(mut self) -> Self {
        self.kind = Kind::Alone;
        self
    }

    /// With a program beside apu on the server, set up from its example. A proxy is the clients' proxy. A web server serves
    /// the archive instead of `apu serve`, and there is no upstream archive then: port 80 is its own on every address.
    pub const fn beside(mut self, service: Service) -> Self {
        self.beside = Some(service);
        self
    }

    /// Boots it.
    ///
    /// # Panics
    /// If that fails: there is nothing to test then.
    #[track_caller]
    pub fn up(self) -> Fleet {
        match self.try_up() {
            Ok(fleet) => fleet,
            Err(error) => panic!("no fleet: {error:?}"),
        }
    }

    /// Boots it.
    ///
    /// # Errors
    /// For want of root, of built packages, or of a tool.
    pub fn try_up(self) -> Result<Fleet> {
        let server = match (self.kind, self.beside) {
            (Kind::Enrolled, None) => Some(layer::site(&Product::built()?)?),
            (Kind::Enrolled, Some(service)) => Some(layer::site_beside(service, &Product::built()?)?),
            (Kind::Bare, _) => Some(layer::server(&Product::built()?)?),
            (Kind::Alone, _) => None,
        };
        let mut clients: BTreeMap<Suite, Layers> = BTreeMap::new();
        for name in &self.names {
            let suite = self.suite_of(name);
            if let Entry::Vacant(place) = clients.entry(suite) {
                place.insert(match (self.kind, &server) {
                    (Kind::Enrolled, Some(site)) => {
                        layer::client(suite, self.flavour, &Product::built()?, site)?
                    }
                    _ => layer::bare(suite, self.flavour)?,
                });
            }
        }
        Fleet::boot(self, server.as_ref(), &clients)
    }

    fn suite_of(&self, name: &str) -> Suite {
        self.suites.get(name).copied().unwrap_or(self.suite)
    }
}

/// A server and its clients, until it is dropped.
pub struct Fleet {
    hosts: BTreeMap<String, Host>,
    /// The archive that stands for Debian's mirror.
    upstream: Option<Web>,
    booted_in: Duration,
    // Last: the others hold nothing that outlives it.
    sandbox: Sandbox,
}

impl Drop for Fleet {
    /// Every test on a fleet ends with the proof that the server's ledger holds together, where there is one.
    fn drop(&mut self) {
        let has_ledger = |server: &Host| server.sh("test -e /var/lib/apu-server/apu.db").code == 0;
        if std::thread::panicking() || !self.hosts.get("server").is_some_and(has_ledger) {
            return;
        }
        let checked = self.apu("ledger check");
        assert_eq!(checked.code, 0, "{checked:?}");
    }
}

impl Fleet {
    /// Clients of these names.
    pub fn of<N: Into<String>>(names: impl IntoIterator<Item = N>) -> Plan {
        Plan {
            names: names.into_iter().map(Into::into).collect(),
            addresses: BTreeMap::new(),
            class: None,
            suite: Suite::default(),
            suites: BTreeMap::new(),
            flavour: Flavour::default(),
            kind: Kind::Enrolled,
            beside: None,
        }
    }

    /// A client of each suite, with its name.
    pub fn of_each_suite() -> Plan {
        let plan = Self::of(Suite::ALL.map(Suite::name));
        (Suite::ALL.into_iter()).fold(plan, |plan, suite| plan.with_suite(suite.name(), suite))
    }

    /// So many clients, `client001` and on.
    pub fn of_size(size: usize) -> Plan {
        Self::of((1..=size).map(|number| format!("client{number:03}")))
    }

    fn boot(plan: Plan, server: Option<&Layers>, clients: &BTreeMap<Suite, Layers>) -> Result<Self> {
        let archive = upstream::archive()?;
        let begin = Instant::now();
        let sandbox = Sandbox::new()?;
        let addresses: Vec<(&str, String)> = (1..)
            .zip(&plan.names)
            .map(|(number, name)| {
                let usual = || format!("127.9.{}.{}", 1 + number / 250 * 2, 1 + number % 250);
                (
                    name.as_str(),
                    plan.addresses.get(name).cloned().unwrap_or_else(usual),
                )
            })
            .collect();
        let hosts_text = hosts_file(addresses.iter().map(|(name, address)| (*name, address.as_str())));

        let mut births = Vec::new();
        let mut keygens = Vec::new();
        for (name, address) in &addresses {
            let state = sandbox.state(name);
            let upper = lay_out(&sandbox.seen_from_outside(&state), name, &hosts_text)?;
            fs::create_dir_all(upper.join("etc/ssh/sshd_config.d"))?;
            fs::write(
                upper.join("etc/ssh/sshd_config.d/10-address.conf"),
                format!("ListenAddress {address}\n"),
            )?;
            keygens.push(keygen(&upper)?);
            births.push(Birth {
                name: (*name).to_owned(),
                layers: clients[&plan.suite_of(name)].0.clone(),
                state,
                start: START_CLIENT.to_owned(),
            });
        }
        if let Some(layers) = server {
            let state = sandbox.state(SERVER_HOST);
            lay_out(&sandbox.seen_from_outside(&state), SERVER_NAME, &hosts_text)?;
            births.push(Birth {
                name: SERVER_HOST.to_owned(),
                layers: layers.0.clone(),
                state,
                start: start_server(plan.beside),
            });
        }
        for mut keygen in keygens {
            ensure!(keygen.wait()?.success(), "ssh-keygen failed");
        }
        let upstream = match plan.beside {
            Some(service) if service.is_web_server() => None,
            _ => Some(Web::serve(
                sandbox.pid(),
                &format!("{UPSTREAM}:80"),
                archive.join(Stage::Before.folder()),
            )?),
        };
        let pids = sandbox.boot(&births)?;
        let trace = sandbox.seen_from_outside(&sandbox.state("trace"));
        let all = addresses
            .into_iter()
            .chain(server.map(|_| (SERVER_HOST, SERVER.to_owned())));
        let mut hosts = BTreeMap::new();
        for (name, address) in all {
            let init = *pids.get(name).with_context(|| format!("{name} is not there"))?;
            let host = Host {
                name: name.to_owned(),
                address,
                init,
                keeper: sandbox.pid(),
                trace: trace.clone(),
            };
            hosts.insert(name.to_owned(), host);
        }
        let mut fleet = Self {
            hosts,
            upstream,
            booted_in: Duration::ZERO,
            sandbox,
        };
        if server.is_some() {
            fleet.introduce(&plan)?;
        }
        fleet.booted_in = begin.elapsed();
        Ok(fleet)
    }

    /// Tells server and clients of each other.
    fn introduce(&self, plan: &Plan) -> Result<()> {
        let server = self.server();
        let usual = (plan.kind == Kind::Enrolled).then_some("default");
        if let Some(class) = plan.class.as_deref().or(usual) {
            self.class(class, &(plan.names.join("\n") + "\n"));
        }
        if plan.kind == Kind::Enrolled {
            let known = plan.names.iter().map(|name| {
                let host = self.host(name);
                format!("{name} {}\n", host.host_key())
            });
            server.write("/etc/apu-server/ssh/known_hosts", &known.collect::<String>());
        } else {
            server
                .sh("mkdir -pm700 /root/.ssh && ssh-keygen -q -t ed25519 -N '' -f /root/.ssh/id_ed25519")
                .ok();
            let key = server.read("/root/.ssh/id_ed25519.pub").context("no key")?;
            let mut known = String::new();
            for name in &plan.names {
                let host = self.host(name);
                host.sh("mkdir -pm700 /root/.ssh").ok();
                host.write("/root/.ssh/authorized_keys", &key);
                known += &format!("{name} {}\n", host.host_key());
            }
            server.write("/root/.ssh/known_hosts", &known);
        }
        for port in [80].into_iter().chain(plan.beside.map(Service::port)) {
            wait_for_listener(server, port)?;
        }
        Ok(())
    }

    /// A client, or `server`.
    ///
    /// # Panics
    /// If the fleet has none of that name.
    #[track_caller]
    #[must_use]
    pub fn host(&self, name: &str) -> &Host {
        self.hosts.get(name).unwrap_or_else(|| panic!("no host {name}"))
    }

    /// The clients, by name.
    pub fn clients(&self) -> impl Iterator<Item = &Host> {
        self.hosts.values().filter(|host| host.name != SERVER_HOST)
    }

    /// The server.
    ///
    /// # Panics
    /// If the fleet was planned without one.
    #[track_caller]
    #[must_use]
    pub fn server(&self) -> &Host {
        self.host(SERVER_HOST)
    }

    /// The archive that stands for Debian's mirror.
    ///
    /// # Panics
    /// If the fleet was planned with a web server on the server.
    #[track_caller]
    #[must_use]
    pub const fn upstream(&self) -> &Web {
        self.upstream.as_ref().expect("an upstream archive")
    }

    /// Lets the upstream archive offer something else from now on.
    ///
    /// # Panics
    /// If the archive cannot be made.
    #[track_caller]
    pub fn upstream_offers(&self, stage: Stage) {
        let archive = upstream::archive().expect("the archive is there since the fleet booted");
        self.upstream().serve_instead(archive.join(stage.folder()));
    }

    /// Makes a small package on the server; its path there.
    #[track_caller]
    #[must_use]
    pub fn small_deb(&self, package: &str, version: &str) -> String {
        let path = format!("/tmp/{package}_{version}_all.deb");
        let control = format!(
            "Package: {package}\\nVersion: {version}\\nArchitecture: all\\n\
             Maintainer: apu tests <apu@example.org>\\nDescription: small test package\\n"
        );
        let script = format!(
            "umask 022 && rm -rf /tmp/tree && mkdir -p /tmp/tree/DEBIAN && printf '{control}' >/tmp/tree/DEBIAN/control \
             && dpkg-deb -Zgzip --root-owner-group --build /tmp/tree {path}"
        );
        self.server().sh(&script).ok();
        path
    }

    /// Publishes a small package in the site's own archive, with the installed `apu`.
    #[track_caller]
    pub fn site_offers(&self, package: &str, version: &str) {
        let path = self.small_deb(package, version);
        self.server().exec(&["apu", "repo", "add", &path]).ok();
    }

    /// Writes a class file on the server.
    #[track_caller]
    pub fn class(&self, class: &str, text: &str) {
        self.server()
            .write(&format!("/etc/apu-server/clients/{class}"), text);
    }

    /// Runs the installed apt-all on the server: `fleet.apt_all("web update")`.
    #[track_caller]
    pub fn apt_all(&self, words: &str) -> Run {
        self.start_apt_all(words).finish()
    }

    /// Starts the installed apt-all on the server.
    #[track_caller]
    pub fn start_apt_all(&self, words: &str) -> Running {
        let mut command = self.server().command("apt-all");
        command.arg("--json").args(words.split(' '));
        Running::start(command)
    }

    /// Runs the installed apt-all as a person would, without `--json` and without a terminal.
    #[track_caller]
    pub fn plain_apt_all(&self, words: &str) -> Finished {
        self.server()
            .exec(&[&["apt-all"], &words.split(' ').collect::<Vec<_>>()[..]].concat())
    }

    /// Runs the installed `apu` on the server.
    #[track_caller]
    pub fn apu(&self, words: &str) -> Finished {
        self.server()
            .exec(&[&["apu"], &words.split(' ').collect::<Vec<_>>()[..]].concat())
    }

    /// `ssh` from the server to a client with the push key and these options, and nothing of apu's own in between.
    #[must_use]
    pub fn ssh(&self, client: &str, options: &[&str]) -> Command {
        let mut ssh = self.server().command("ssh");
        ssh.args(["-F", "none", "-i", "/etc/apu-server/ssh/id_ed25519", "-l", "apu"])
            .args(["-o", "BatchMode=yes", "-o", "ConnectTimeout=10"])
            .args(["-o", "UserKnownHostsFile=/etc/apu-server/ssh/known_hosts"])
            .args(["-o", "KexAlgorithms=curve25519-sha256"])
            .args(options)
            .arg(client)
            .stdin(Stdio::null());
        ssh
    }

    /// How long it took to boot.
    #[must_use]
    pub const fn booted_in(&self) -> Duration {
        self.booted_in
    }

    /// The process whose end is the fleet's.
    #[must_use]
    pub const fn keeper(&self) -> nix::unistd::Pid {
        self.sandbox.pid()
    }
}

/// What the server starts at boot: the archive, as a site without a web server of its own serves it, or that web server.
fn start_server(beside: Option<Service>) -> String {
    let serve = format!(
        "start-stop-daemon --start --background --make-pidfile --pidfile /run/apu-serve.pid \
         --startas /usr/sbin/apu -- serve --listen {SERVER}:80"
    );
    match beside {
        None => serve,
        Some(service) if service.is_web_server() => service.start(),
        Some(service) => format!("{serve}\n{}", service.start()),
    }
}

/// Waits until somebody listens at this port of the server.
fn wait_for_listener(server: &Host, port: u16) -> Result<()> {
    let address = SERVER.parse()?;
    let patience = Instant::now() + Duration::from_secs(20);
    while !server.listens(address, port)? {
        ensure!(
            Instant::now() < patience,
            "nobody listens at port {port} of the server"
        );
        std::thread::sleep(Duration::from_millis(5));
    }
    Ok(())
}

/// The writable half of a root; its path.
fn lay_out(state: &Path, hostname: &str, hosts: &str) -> Result<std::path::PathBuf> {
    let upper = state.join("upper");
    for folder in ["upper/etc/ssh", "work", "root"] {
        fs::create_dir_all(state.join(folder))?;
    }
    fs::write(upper.join("etc/hostname"), format!("{hostname}\n"))?;
    fs::write(upper.join("etc/hosts"), hosts)?;
    Ok(upper)
}

fn keygen(upper: &Path) -> Result<std::process::Child> {
    let mut keygen = Command::new("ssh-keygen");
    keygen
        .args(["-q", "-t", "ed25519", "-N", "", "-C", "", "-f"])
        .arg(upper.join("etc/ssh/ssh_host_ed25519_key"));
    keygen
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .spawn()
        .context("cannot run ssh-keygen")
}
