//! What a command costs this machine: time, processor time of every process it leaves or left, memory.
//!
//! Each tool runs in a control group of its own, so that what goes to the background (ssh masters) is counted and what
//! merely shares the machine (the clients' sshds, apt) is not.

use std::fs::{self, File};
use std::ops::Add;
use std::path::Path;
use std::process::{Command, Stdio};
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, ensure};
use nix::unistd::Pid;

use crate::group::Group;

/// How often memory is looked at: reading it costs a little of what is measured, so that is a run of its own.
const GLANCE: Duration = Duration::from_millis(20);

/// What one call of a tool cost, or several.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct Cost {
    /// From its start to its end, in seconds.
    pub(crate) wall: f64,
    /// Of all its processes, in user and in system mode, in seconds.
    pub(crate) cpu: f64,
    /// Of everything on the clients, likewise: why the wall is what it is where all share one machine.
    pub(crate) clients_cpu: f64,
}

impl Add for Cost {
    type Output = Self;

    fn add(self, other: Self) -> Self {
        Self {
            wall: self.wall + other.wall,
            cpu: self.cpu + other.cpu,
            clients_cpu: self.clients_cpu + other.clients_cpu,
        }
    }
}

/// The moment at which a tool's processes were largest.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct Peak {
    /// Proportional set size of all of them: what is shared is counted once.
    pub(crate) bytes: u64,
    /// Hosts that it was at then: by its connections, or by the ssh that still makes one.
    pub(crate) hosts: usize,
    /// How many processes they were.
    pub(crate) processes: usize,
}

impl Peak {
    /// What one host in flight costs.
    pub(crate) fn per_host(&self) -> Option<f64> {
        (self.hosts > 0).then(|| self.bytes as f64 / self.hosts as f64)
    }
}

/// Measures calls; what they leave behind lives until it is dropped.
pub(crate) struct Meter<'a> {
    own: Group,
    /// Where the clients are.
    fleet: &'a Group,
}

impl<'a> Meter<'a> {
    pub(crate) fn beside(fleet: &'a Group) -> Result<Self> {
        let own = Group::new()?;
        Ok(Self { own, fleet })
    }

    /// Runs a command to its end, its output into a file. What it leaves behind stays in the group.
    pub(crate) fn measure(&self, command: &Command, output: &Path) -> Result<Cost> {
        let before = (self.own.cpu()?, self.fleet.cpu()?);
        let mut command = self.inside(command, output)?;
        let begin = Instant::now();
        let status = command.status().context("cannot run sh")?;
        let wall = begin.elapsed().as_secs_f64();
        ensure!(
            status.success(),
            "{status}: {:?}\n{}",
            command.get_args().skip(4).collect::<Vec<_>>(),
            tail(output)
        );
        Ok(Cost {
            wall,
            cpu: self.own.cpu()? - before.0,
            clients_cpu: self.fleet.cpu()? - before.1,
        })
    }

    /// Runs a command to its end and watches its memory; `network` is a process in the network that it works in.
    pub(crate) fn weigh(&self, command: &Command, output: &Path, network: Pid) -> Result<Peak> {
        let over = AtomicBool::new(false);
        thread::scope(|scope| {
            let watcher = scope.spawn(|| {
                let mut peak = Peak::default();
                while !over.load(Ordering::Relaxed) {
                    let now = self.memory(network);
                    if now.bytes > peak.bytes {
                        peak = now;
                    }
                    thread::sleep(GLANCE);
                }
                peak
            });
            let cost = self.measure(command, output);
            over.store(true, Ordering::Relaxed);
            let peak = watcher
                .join()
                .map_err(|_| anyhow::anyhow!("the watcher panicked"))?;
            cost.map(|_| peak)
        })
    }

    /// The same command, started in the group.
    fn inside(&self, command: &Command, output: &Path) -> Result<Command> {
        let mut inside = Command::new("sh");
        inside
            .args(["-c", "echo $$ >\"$1\"; shift; exec \"$@\"", "sh"])
            .arg(self.own.procs())
            .arg(command.get_program())
            .args(command.get_args())
            .current_dir("/")
            .env_clear();
        for (key, value) in command.get_envs() {
            if let Some(value) = value {
                inside.env(key, value);
            }
        }
        let file = File::create(output)?;
        inside.stdin(Stdio::null()).stdout(file.try_clone()?).stderr(file);
        Ok(inside)
    }

    /// The memory of all processes in the group. One that ends meanwhile has none.
    fn memory(&self, network: Pid) -> Peak {
        let mut now = Peak::default();
        let mut callers = 0;
        for pid in self.own.pids() {
            let about = |file: &str| fs::read_to_string(format!("/proc/{pid}/{file}")).unwrap_or_default();
            let Some(bytes) = pss(&about("smaps_rollup")) else {
                continue;
            };
            now.bytes += bytes;
            now.processes += 1;
            callers += usize::from(is_ssh_caller(&about("cmdline")));
        }
        now.hosts = open_connections(network).max(callers);
        now
    }
}

/// Whether this is the command line of an ssh that is not merely a connection kept in the background.
fn is_ssh_caller(words: &str) -> bool {
    let program = words.split('\0').next().unwrap_or_default();
    program == "ssh" || program.ends_with("/ssh")
}

/// From `Pss:  1234 kB`, bytes.
fn pss(smaps: &str) -> Option<u64> {
    let line = smaps.lines().find_map(|line| line.strip_prefix("Pss:"))?;
    let kilobytes: u64 = line.trim().strip_suffix("kB")?.trim().parse().ok()?;
    Some(kilobytes * 1024)
}

/// Connections to port 22 in a network, seen from the side that made them.
fn open_connections(network: Pid) -> usize {
    let table = fs::read_to_string(format!("/proc/{network}/net/tcp")).unwrap_or_default();
    table.lines().filter(|line| is_open_to_ssh(line)).count()
}

fn is_open_to_ssh(line: &str) -> bool {
    const PORT: &str = ":0016";
    const ESTABLISHED: &str = "01";
    let mut words = line.split_whitespace().skip(2);
    words.next().is_some_and(|remote| remote.ends_with(PORT)) && words.next() == Some(ESTABLISHED)
}

fn tail(path: &Path) -> String {
    let text = fs::read(path).unwrap_or_default();
    let text = String::from_utf8_lossy(&text);
    let lines: Vec<_> = text.lines().collect();
    lines[lines.len().saturating_sub(15)..].join("\n")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn memory_is_what_the_kernel_calls_pss() {
        let text =
            "55d0-7ffe ---p 00000000 00:00 0 [rollup]\nRss:    2048 kB\nPss:     512 kB\nPss_Dirty: 9 kB\n";
        assert_eq!(pss(text), Some(512 * 1024));
    }

    #[test]
    fn a_kept_connection_is_no_caller() {
        assert!(is_ssh_caller("/usr/bin/ssh\0-l\0root\0client001\0true\0"));
        assert!(is_ssh_caller("ssh\0client001\0"));
        assert!(!is_ssh_caller("ssh: /root/mux/5a89b601de [mux]\0"));
    }

    #[test]
    fn a_connection_counts_on_the_side_that_made_it() {
        let made =
            "  3: 0100097F:D2F2 0201097F:0016 01 00000000:00000000 00:00000000 00000000     0        0 1";
        let taken =
            "  4: 0201097F:0016 0100097F:D2F2 01 00000000:00000000 00:00000000 00000000     0        0 1";
        let listening =
            "  5: 0201097F:0016 00000000:0000 0A 00000000:00000000 00:00000000 00000000     0        0 1";
        assert_eq!([made, taken, listening].map(is_open_to_ssh), [true, false, false]);
    }
}
