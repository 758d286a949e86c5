//! One host of a fleet: a whole Debian in namespaces of its own, and what a test may do to it.

use std::collections::BTreeMap;
use std::fs::{self, File};
use std::hash::{DefaultHasher, Hash, Hasher};
use std::io::{Read, Write};
use std::net::{Ipv4Addr, SocketAddr, TcpStream};
use std::os::fd::OwnedFd;
use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use anyhow::{Context, Result};
use nix::fcntl::{OFlag, OpenHow, ResolveFlag, openat2};
use nix::sys::signal::{Signal, kill};
use nix::sys::stat::Mode;
use nix::unistd::Pid;

use crate::layer::SERVER_NAME;
use crate::sandbox::all_pids;
use crate::tool::{ENVIRONMENT, Finished, run};
use crate::watch::Watch;
use crate::web::inside;

/// What a client starts at boot.
pub(crate) const START_CLIENT: &str = "\
    env -i PATH=/usr/sbin:/usr/bin:/sbin:/bin /usr/sbin/sshd
    [ ! -x /etc/init.d/apu-client ] || /etc/init.d/apu-client start";

/// Takes from a host what it loses with its power: its processes, and what is in its memory. Its boot has another identity then.
const LOSE_POWER: &str = "\
    trap '' HUP
    kill -s KILL -- -1
    umount /proc/sys/kernel/random/boot_id 2>/dev/null
    find /tmp /dev/shm -mindepth 1 -delete
    find /run -mindepth 1 ! -name utmp -delete 2>/dev/null
    mkdir -p /run/lock /run/sshd
    cat /proc/sys/kernel/random/uuid >/run/boot_id
    mount --bind /run/boot_id /proc/sys/kernel/random/boot_id";

/// One host, alive until its fleet is dropped.
#[derive(Debug, Clone)]
pub struct Host {
    pub(crate) name: String,
    pub(crate) address: String,
    pub(crate) init: Pid,
    pub(crate) keeper: Pid,
    pub(crate) trace: PathBuf,
}

impl Host {
    /// Its name, which the server can resolve.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.name
    }

    /// The address that its sshd listens at.
    #[must_use]
    pub fn address(&self) -> &str {
        &self.address
    }

    /// Its PID 1, as this machine counts.
    #[must_use]
    pub const fn init(&self) -> Pid {
        self.init
    }

    /// A command that will run in the host, as root, with a constant environment.
    #[must_use]
    pub fn command(&self, program: &str) -> Command {
        let mut command = Command::new("nsenter");
        command
            .args([
                "--target",
                &self.init.to_string(),
                "--mount",
                "--uts",
                "--ipc",
                "--net",
                "--pid",
            ])
            .args(["--root", "--wd", "--", program])
            .current_dir("/")
            .env_clear()
            .envs(ENVIRONMENT);
        command
    }

    /// Runs a program in the host to its end, without standard input.
    ///
    /// # Panics
    /// If the host is gone.
    #[track_caller]
    pub fn exec(&self, words: &[&str]) -> Finished {
        let (program, arguments) = words.split_first().expect("a program");
        let output = self
            .command(program)
            .args(arguments)
            .stdin(Stdio::null())
            .output();
        output.expect("nsenter runs").into()
    }

    /// Runs a shell script in the host.
    #[track_caller]
    pub fn sh(&self, script: &str) -> Finished {
        self.exec(&["sh", "-c", script])
    }

    /// A file's text, or nothing if there is no such file. Symbolic links are followed within the host.
    #[must_use]
    pub fn read(&self, path: &str) -> Option<String> {
        let mut file = File::from(self.open(path, OFlag::O_RDONLY).ok()?);
        let mut bytes = Vec::new();
        file.read_to_end(&mut bytes).ok()?;
        Some(String::from_utf8_lossy(&bytes).into_owned())
    }

    /// Writes a file anew.
    ///
    /// # Panics
    /// If that fails, such as for want of the folder.
    #[track_caller]
    pub fn write(&self, path: &str, text: &str) {
        self.write_bytes(path, text.as_bytes());
    }

    /// Writes a file anew that is no text.
    ///
    /// # Panics
    /// If that fails, such as for want of the folder.
    #[track_caller]
    pub fn write_bytes(&self, path: &str, bytes: &[u8]) {
        let flags = OFlag::O_WRONLY | OFlag::O_CREAT | OFlag::O_TRUNC;
        let file = self
            .open(path, flags)
            .unwrap_or_else(|errno| panic!("cannot open {path}: {errno}"));
        File::from(file)
            .write_all(bytes)
            .unwrap_or_else(|error| panic!("cannot write {path}: {error}"));
    }

    fn open(&self, path: &str, flags: OFlag) -> nix::Result<OwnedFd> {
        let root = File::open(self.root()).map_err(|_| nix::Error::ESRCH)?;
        let mut how = OpenHow::new()
            .flags(flags | OFlag::O_CLOEXEC)
            .resolve(ResolveFlag::RESOLVE_IN_ROOT);
        if flags.contains(OFlag::O_CREAT) {
            how = how.mode(Mode::from_bits_truncate(0o644));
        }
        openat2(root, path, how)
    }

    /// Its root folder, as this machine sees it. An absolute symbolic link below it leads out of it.
    fn root(&self) -> PathBuf {
        PathBuf::from(format!("/proc/{}/root", self.init))
    }

    /// What `dpkg -l` says of a package: its two letters and its version; nothing if it knows no such package.
    #[track_caller]
    #[must_use]
    pub fn dpkg_l(&self, package: &str) -> Option<(String, String)> {
        let listed = self.exec(&["dpkg", "-l", package]).stdout;
        let line = listed.lines().find(|line| {
            let name = line.split_whitespace().nth(1).unwrap_or_default();
            name.split(':').next() == Some(package)
        })?;
        let mut words = line.split_whitespace();
        let letters = words.next()?.to_owned();
        Some((letters, words.nth(1)?.to_owned()))
    }

    /// The version of a package that is wholly installed (`ii`).
    #[track_caller]
    #[must_use]
    pub fn version_of(&self, package: &str) -> Option<String> {
        self.dpkg_l(package)
            .filter(|(letters, _)| letters == "ii")
            .map(|(_, version)| version)
    }

    /// dpkg's database and everything in /etc, as digests by path.
    ///
    /// # Errors
    /// If the host is gone.
    pub fn snapshot(&self) -> Result<Snapshot> {
        let mut digests = BTreeMap::new();
        let root = self.root();
        for path in [
            "etc",
            "var/lib/dpkg/status",
            "var/lib/dpkg/diversions",
            "var/lib/apt/extended_states",
        ] {
            digest(&root, &root.join(path), &mut digests)?;
        }
        Ok(Snapshot(digests))
    }

    /// Every program that is started in the host from now on, until the watch is asked.
    ///
    /// # Errors
    /// If this kernel has no tracing.
    pub fn watch(&self) -> Result<Watch> {
        Watch::begin(&self.trace, &self.name, &self.pids()?)
    }

    /// The whole answer to one HTTP request: `host.ask("127.9.0.1:80", "GET /local/InRelease HTTP/1.1")`, further header
    /// lines after a `\r\n`. Nothing of the path is tidied up on its way. Bytes that are not UTF-8 are replaced.
    ///
    /// # Panics
    /// If nobody answers.
    #[track_caller]
    #[must_use]
    pub fn ask(&self, address: &str, request: &str) -> String {
        let text = format!("{request}\r\nHost: {SERVER_NAME}\r\nConnection: close\r\n\r\n");
        let address: SocketAddr = address.parse().expect("an address and a port");
        let network = PathBuf::from(format!("/proc/{}/ns/net", self.init));
        let answer = inside(&network, move || {
            let mut stream = TcpStream::connect(address)?;
            stream.write_all(text.as_bytes())?;
            let mut answer = Vec::new();
            stream.read_to_end(&mut answer)?;
            Ok(answer)
        });
        let answer = answer.unwrap_or_else(|error| panic!("{request}: {error:?}"));
        String::from_utf8_lossy(&answer).into_owned()
    }

    /// Whether somebody in the host's network listens at a port of this address, or at that port of every address.
    pub(crate) fn listens(&self, address: Ipv4Addr, port: u16) -> Result<bool> {
        // The kernel's own list has them in hexadecimal, addresses as they lie in memory.
        let own = format!("{:08X}:{port:04X}", u32::from_ne_bytes(address.octets()));
        let any = format!("00000000:{port:04X}");
        let listener = |line: &str| {
            let mut words = line.split_whitespace().skip(1);
            let local = words.next().unwrap_or_default();
            let listening = words.nth(1) == Some("0A");
            listening && (local == own || local.ends_with(&any))
        };
        for table in ["tcp", "tcp6"] {
            let path = format!("/proc/{}/net/{table}", self.init);
            // A kernel without IPv6 has no such table.
            if fs::read_to_string(path).is_ok_and(|text| text.lines().any(listener)) {
                return Ok(true);
            }
        }
        anyhow::ensure!(self.root().exists(), "{} is gone", self.name);
        Ok(false)
    }

    /// Its processes, as this machine counts.
    ///
    /// # Errors
    /// If the host is gone.
    pub fn pids(&self) -> Result<Vec<Pid>> {
        let namespace = |pid: Pid| fs::read_link(format!("/proc/{pid}/ns/pid"));
        let own = namespace(self.init).with_context(|| format!("{} is gone", self.name))?;
        Ok(all_pids()?
            .into_iter()
            .filter(|&pid| namespace(pid).is_ok_and(|other| other == own))
            .collect())
    }

    /// The command lines of its processes.
    ///
    /// # Errors
    /// If the host is gone.
    pub fn processes(&self) -> Result<Vec<String>> {
        let words = |pid| fs::read(format!("/proc/{pid}/cmdline")).unwrap_or_default();
        let line = |bytes: Vec<u8>| {
            String::from_utf8_lossy(&bytes)
                .replace('\0', " ")
                .trim_end()
                .to_owned()
        };
        Ok(self
            .pids()?
            .into_iter()
            .map(|pid| line(words(pid)))
            .filter(|line| !line.is_empty())
            .collect())
    }

    /// A connection to the socket of the root side, as root.
    ///
    /// # Errors
    /// If nobody listens.
    pub fn root_socket(&self) -> std::io::Result<UnixStream> {
        UnixStream::connect(self.root().join("run/apu/apu.sock"))
    }

    /// Loses every packet to and from its address, silently, from now on.
    ///
    /// What the host itself asks of others (apt's downloads) is not lost: it shares its network with the fleet.
    #[track_caller]
    pub fn pull_the_cable(&self) {
        self.nft("add", "pulled");
    }

    /// Ends [`Self::pull_the_cable`].
    #[track_caller]
    pub fn plug_the_cable_in(&self) {
        self.nft("delete", "pulled");
    }

    /// Lets at most 20 kB a second through, by losing what is more.
    #[track_caller]
    pub fn slow_down(&self) {
        self.nft("add", "slow");
    }

    #[track_caller]
    fn nft(&self, verb: &str, set: &str) {
        let element = format!("{{ {} }}", self.address);
        let mut nsenter = Command::new("nsenter");
        nsenter.args([
            "--target",
            &self.keeper.to_string(),
            "--net",
            "nft",
            verb,
            "element",
            "inet",
            "cables",
            set,
        ]);
        run(nsenter.arg(element)).expect("nft");
    }

    /// Ends sshd with all its sessions: nobody listens any more.
    #[track_caller]
    pub fn kill_sshd(&self) {
        self.signal_sshd(Signal::SIGKILL);
        // A connection to one that is not gone yet would be reset.
        self.wait_for_sshd(false);
    }

    /// Stops sshd: it listens and never answers.
    #[track_caller]
    pub fn freeze_sshd(&self) {
        self.signal_sshd(Signal::SIGSTOP);
    }

    #[track_caller]
    fn signal_sshd(&self, signal: Signal) {
        let sshd = |pid: &Pid| {
            fs::read_to_string(format!("/proc/{pid}/comm")).is_ok_and(|name| name.starts_with("sshd"))
        };
        let pids = self.pids().expect("the host is alive");
        for pid in pids.into_iter().filter(sshd) {
            // One that ended meanwhile needs no signal.
            let _ = kill(pid, signal);
        }
    }

    /// Starts sshd again after [`Self::kill_sshd`].
    #[track_caller]
    pub fn start_sshd(&self) {
        self.exec(&["/usr/sbin/sshd"]).ok();
        // It goes into the background before it listens.
        self.wait_for_sshd(true);
    }

    /// Waits until the port of sshd is open, or closed; for ten seconds at most.
    fn wait_for_sshd(&self, listens: bool) {
        let octets: Vec<u8> = self
            .address()
            .split('.')
            .filter_map(|part| part.parse().ok())
            .collect();
        let local: String = octets.iter().rev().map(|octet| format!("{octet:02X}")).collect();
        let look = format!("grep -q ' {local}:0016 .* 0A ' /proc/net/tcp");
        for _ in 0..200 {
            if (self.sh(&look).code == 0) == listens {
                return;
            }
            std::thread::sleep(std::time::Duration::from_millis(50));
        }
    }

    /// Gives it another host key, as a new installation under the same name would have.
    #[track_caller]
    pub fn replace_host_key(&self) {
        self.kill_sshd();
        self.sh("rm /etc/ssh/ssh_host_* && ssh-keygen -q -t ed25519 -N '' -f /etc/ssh/ssh_host_ed25519_key")
            .ok();
        self.start_sshd();
    }

    /// Its ed25519 host key as a line of known_hosts without the name: `ssh-ed25519 AAAA…`.
    ///
    /// # Panics
    /// If it has none.
    #[track_caller]
    #[must_use]
    pub fn host_key(&self) -> String {
        let line = self
            .read("/etc/ssh/ssh_host_ed25519_key.pub")
            .expect("a host key");
        line.split(' ')
            .take(2)
            .collect::<Vec<_>>()
            .join(" ")
            .trim_end()
            .to_owned()
    }

    /// Cuts its power for a moment, as far as namespaces can: every process ends at once but for its PID 1, and what was in memory is gone.
    /// What was written and not yet synced stays.
    #[track_caller]
    pub fn lose_power(&self) {
        self.sh(LOSE_POWER).ok();
    }

    /// Boots it again after [`Self::lose_power`].
    #[track_caller]
    pub fn boot_again(&self) {
        self.sh(START_CLIENT).ok();
        self.wait_for_sshd(true);
    }

    /// Cuts its power: every process ends at once.
    pub fn power_off(&self) {
        // It may be off already.
        let _ = kill(self.init, Signal::SIGKILL);
    }
}

/// What a host's configuration and package database were at one moment.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Snapshot(BTreeMap<PathBuf, u64>);

impl Snapshot {
    /// The paths that are not the same in both.
    #[must_use]
    pub fn differences(&self, other: &Self) -> Vec<PathBuf> {
        let paths = self.0.keys().chain(other.0.keys());
        let mut different: Vec<_> = paths
            .filter(|path| self.0.get(*path) != other.0.get(*path))
            .cloned()
            .collect();
        different.sort();
        different.dedup();
        different
    }
}

fn digest(root: &Path, path: &Path, digests: &mut BTreeMap<PathBuf, u64>) -> Result<()> {
    let Ok(about) = path.symlink_metadata() else {
        return Ok(());
    };
    let mut hasher = DefaultHasher::new();
    std::os::unix::fs::MetadataExt::mode(&about).hash(&mut hasher);
    if about.is_dir() {
        for entry in fs::read_dir(path)? {
            digest(root, &entry?.path(), digests)?;
        }
    } else if about.is_symlink() {
        fs::read_link(path)?.hash(&mut hasher);
    } else if about.is_file() {
        fs::read(path)?.hash(&mut hasher);
    }
    digests.insert(path.strip_prefix(root)?.to_owned(), hasher.finish());
    Ok(())
}
