//! Machines with systemd behind one server. Each is switched on again when it goes down, as a real one starts by itself.

use std::fs;
use std::io;
use std::net::{Shutdown, TcpListener, TcpStream};
use std::path::PathBuf;
use std::process::{Command, Output};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

use anyhow::{Context, Result};
use nix::unistd::Pid;
use tempfile::TempDir;

use super::Machine;
use crate::tool;
use crate::web::inside;

/// Where a machine's sshd listens, in its own network.
const SSHD: &str = "127.0.0.1:22";

/// A server and the machines `m1`, `m2`, …, until it is dropped.
pub struct Rolling {
    folder: TempDir,
    apt_all: PathBuf,
    keepers: Vec<Keeper>,
}

/// Keeps one machine on.
struct Keeper {
    state: Arc<Mutex<State>>,
    thread: Option<JoinHandle<()>>,
}

#[derive(Debug, Default)]
struct State {
    /// Its PID 1; none while it is off.
    init: Option<Pid>,
    stays_off: bool,
    is_over: bool,
    /// When it went down, and when it was up again.
    downs: Vec<(Instant, Option<Instant>)>,
}

impl Rolling {
    /// Starts a machine for each of these options of a class file, such as `exclusive=db`.
    ///
    /// # Panics
    /// If one does not come up.
    #[must_use]
    pub fn start(options: &[&str]) -> Self {
        Self::try_start(options).unwrap_or_else(|error| panic!("no machines: {error:?}"))
    }

    fn try_start(options: &[&str]) -> Result<Self> {
        let folder = tempfile::Builder::new().prefix("apu-").tempdir()?;
        let etc = folder.path().join("etc/apu-server");
        for path in ["ssh", "clients"] {
            fs::create_dir_all(etc.join(path))?;
        }
        for path in ["var/lib/apu-server", "run"] {
            fs::create_dir_all(folder.path().join(path))?;
        }
        let (mut keepers, mut class, mut known_hosts) = (Vec::new(), String::new(), String::new());
        let mut apt_all = PathBuf::new();
        for (number, options) in (1..).zip(options) {
            let machine = Machine::client(&[("/etc/apu-rolling", "")]);
            let server = machine.server.as_ref().context("no server")?;
            fs::copy(&server.push_key, etc.join("ssh/id_ed25519"))?;
            apt_all.clone_from(&server.apt_all);
            let key = fs::read_to_string(machine.disk().join("etc/ssh/ssh_host_ed25519_key.pub"))?;
            known_hosts += &format!("m{number} {key}");
            let keeper = Keeper::of(machine);
            let port = keeper.forward()?;
            class += &format!("m{number} address=127.0.0.1 port={port} {options}\n");
            keepers.push(keeper);
        }
        fs::write(etc.join("clients/all-of-them"), class)?;
        fs::write(etc.join("ssh/known_hosts"), known_hosts)?;
        fs::write(etc.join("apu.toml"), "")?;
        Ok(Self {
            folder,
            apt_all,
            keepers,
        })
    }

    /// Runs apt-all with these words.
    #[must_use]
    pub fn apt_all(&self, words: &str) -> Output {
        let mut command = Command::new(&self.apt_all);
        command
            .arg("--root")
            .arg(self.folder.path())
            .args(words.split_whitespace())
            .env_clear()
            .envs(tool::ENVIRONMENT);
        command.output().expect("apt-all starts")
    }

    /// Runs a shell command on a machine.
    ///
    /// # Panics
    /// If it is off, or the command fails.
    pub fn sh(&self, number: usize, script: &str) -> String {
        let init = self.lock(number).init.expect("it is on");
        let mut command = Command::new("nsenter");
        command
            .args([
                "--target",
                &init.to_string(),
                "--all",
                "--",
                "/bin/sh",
                "-c",
                script,
            ])
            .env_clear()
            .envs(tool::ENVIRONMENT);
        tool::run(&mut command).unwrap_or_else(|error| panic!("m{number}: {script}: {error:?}"))
    }

    /// Lets a machine stay off when it goes down, or come up again.
    pub fn stay_off(&self, number: usize, stays_off: bool) {
        self.lock(number).stays_off = stays_off;
    }

    /// Waits until a machine is on.
    ///
    /// # Panics
    /// If that takes too long.
    pub fn wait_until_on(&self, number: usize) {
        let deadline = Instant::now() + super::PATIENCE;
        while self.lock(number).init.is_none() {
            assert!(Instant::now() < deadline, "m{number} does not come up");
            thread::sleep(Duration::from_millis(50));
        }
    }

    /// How often a machine has gone down.
    #[must_use]
    pub fn downs(&self, number: usize) -> usize {
        self.lock(number).downs.len()
    }

    /// Whether two machines were down at the same time.
    #[must_use]
    pub fn were_down_together(&self, one: usize, other: usize) -> bool {
        let now = Instant::now();
        let of = |number: usize| self.lock(number).downs.clone();
        let (ones, others) = (of(one), of(other));
        ones.iter().any(|(down, up)| {
            let up = up.unwrap_or(now);
            others
                .iter()
                .any(|(begin, end)| *begin < up && *down < end.unwrap_or(now))
        })
    }

    fn lock(&self, number: usize) -> MutexGuard<'_, State> {
        lock(&self.keepers[number - 1].state)
    }
}

impl Keeper {
    fn of(machine: Machine) -> Self {
        let state = Arc::new(Mutex::new(State {
            init: Some(machine.init()),
            ..State::default()
        }));
        let shared = Arc::clone(&state);
        let thread = thread::spawn(move || keep(machine, &shared));
        Self {
            state,
            thread: Some(thread),
        }
    }

    /// Passes connections of this machine on to the other's sshd, in whichever boot that is; returns the port.
    fn forward(&self) -> Result<u16> {
        let listener = TcpListener::bind("127.0.0.1:0")?;
        let port = listener.local_addr()?.port();
        let state = Arc::clone(&self.state);
        thread::spawn(move || {
            for stream in listener.incoming().flatten() {
                let (init, is_over) = {
                    let state = lock(&state);
                    (state.init, state.is_over)
                };
                if is_over {
                    return;
                }
                // Where it is off, the connection ends at once.
                if let Some(init) = init {
                    thread::spawn(move || drop(pass_on(&stream, init)));
                }
            }
        });
        Ok(port)
    }
}

/// Switches a machine on again whenever it has gone down.
fn keep(mut machine: Machine, state: &Mutex<State>) {
    loop {
        thread::sleep(Duration::from_millis(50));
        if lock(state).is_over {
            return;
        }
        if !machine.has_gone_down() {
            continue;
        }
        let stays_off = {
            let mut state = lock(state);
            if state.init.take().is_some() {
                state.downs.push((Instant::now(), None));
            }
            state.stays_off
        };
        if stays_off {
            continue;
        }
        machine.switch_on();
        let mut state = lock(state);
        state.init = Some(machine.init());
        if let Some((_, up)) = state.downs.last_mut() {
            *up = Some(Instant::now());
        }
    }
}

fn pass_on(stream: &TcpStream, init: Pid) -> Result<()> {
    let network = PathBuf::from(format!("/proc/{init}/ns/net"));
    let other = inside(&network, || TcpStream::connect(SSHD))?;
    let (mut from, mut to) = (stream.try_clone()?, other.try_clone()?);
    let there = thread::spawn(move || {
        let _ = io::copy(&mut from, &mut to);
        let _ = to.shutdown(Shutdown::Write);
    });
    let (mut from, mut to) = (other, stream.try_clone()?);
    let _ = io::copy(&mut from, &mut to);
    let _ = to.shutdown(Shutdown::Both);
    let _ = there.join();
    Ok(())
}

fn lock(state: &Mutex<State>) -> MutexGuard<'_, State> {
    state.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Drop for Rolling {
    fn drop(&mut self) {
        for keeper in &mut self.keepers {
            lock(&keeper.state).is_over = true;
        }
        for keeper in &mut self.keepers {
            if let Some(thread) = keeper.thread.take() {
                let _ = thread.join();
            }
        }
    }
}
