//! What a command costs this machine: time, processor time of every process it leaves or left, memory.
//!
//! Each tool runs in a control group of its own, so that what goes to the background (ssh masters) is counted and what
//! merely shares the machine (the clients' sshds, apt) is not.

use std::fs::{self, File};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::atomic::{AtomicBool, AtomicU32, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, ensure};
use nix::unistd::Pid;

/// How often memory is looked at: reading it costs a little of what is measured, so that is a run of its own.
const GLANCE: Duration = Duration::from_millis(20);

/// What one call of a tool cost.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Cost {
    /// From its start to its end, in seconds.
    pub(crate) wall: f64,
    /// Of all its processes, in user and in system mode, in seconds.
    pub(crate) cpu: f64,
}

/// The moment at which a tool's processes were largest.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct Peak {
    /// Proportional set size of all of them: what is shared is counted once.
    pub(crate) bytes: u64,
    /// Connections to clients that were open then.
    pub(crate) connections: usize,
    /// How many processes they were.
    pub(crate) processes: usize,
}

impl Peak {
    /// What one host in flight costs.
    pub(crate) fn per_connection(&self) -> Option<f64> {
        (self.connections > 0).then(|| self.bytes as f64 / self.connections as f64)
    }
}

/// A control group, and everything in it until it is dropped.
pub(crate) struct Meter {
    group: PathBuf,
}

impl Meter {
    pub(crate) fn new() -> Result<Self> {
        static NUMBER: AtomicU32 = AtomicU32::new(0);
        let number = NUMBER.fetch_add(1, Ordering::Relaxed);
        let name = format!("apu-bench-{}-{number}", std::process::id());
        let group = hierarchy()?.join(name);
        fs::create_dir(&group).with_context(|| format!("cannot make {}", group.display()))?;
        Ok(Self { group })
    }

    /// Runs a command to its end, its output into a file. What it leaves behind stays in the group.
    pub(crate) fn measure(&self, command: &Command, output: &Path) -> Result<Cost> {
        let before = self.cpu()?;
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
            cpu: self.cpu()? - before,
        })
    }

    /// Runs a command to its end and watches its memory; `network` is a process in the network that it works in.
    pub(crate) fn weigh(&self, command: &Command, output: &Path, network: Pid) -> Result<Peak> {
        let over = AtomicBool::new(false);
        thread::scope(|scope| {
            let watcher = scope.spawn(|| {
                let mut peak = Peak::default();
                while !over.load(Ordering::Relaxed) {
                    let (bytes, processes) = self.memory();
                    if bytes > peak.bytes {
                        let connections = open_connections(network);
                        peak = Peak {
                            bytes,
                            connections,
                            processes,
                        };
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
            .arg(self.group.join("cgroup.procs"))
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

    fn cpu(&self) -> Result<f64> {
        let text = fs::read_to_string(self.group.join("cpu.stat"))?;
        let usage = text.lines().find_map(|line| line.strip_prefix("usage_usec "));
        let microseconds: u64 = usage.context("no usage_usec in cpu.stat")?.parse()?;
        Ok(Duration::from_micros(microseconds).as_secs_f64())
    }

    /// The memory of all processes in the group, and their number. One that ends meanwhile has none.
    fn memory(&self) -> (u64, usize) {
        let pids = fs::read_to_string(self.group.join("cgroup.procs")).unwrap_or_default();
        let sizes = pids.lines().filter_map(|pid| {
            let text = fs::read_to_string(format!("/proc/{pid}/smaps_rollup")).ok()?;
            pss(&text)
        });
        sizes.fold((0, 0), |(bytes, processes), size| (bytes + size, processes + 1))
    }
}

impl Drop for Meter {
    fn drop(&mut self) {
        // A group that stays is empty at least, and a little memory until the next boot.
        let _ = fs::write(self.group.join("cgroup.kill"), "1");
        let patience = Instant::now() + Duration::from_secs(5);
        while fs::remove_dir(&self.group).is_err() && Instant::now() < patience {
            thread::sleep(Duration::from_millis(5));
        }
    }
}

/// Where this machine keeps control groups of version 2; those count time without any controller.
fn hierarchy() -> Result<PathBuf> {
    let mounts = fs::read_to_string("/proc/self/mounts")?;
    let mount = mounts.lines().find_map(cgroup2_mount);
    mount.map(PathBuf::from).context(
        "no control groups of version 2 are mounted here; try: mount -t cgroup2 cgroup2 /sys/fs/cgroup",
    )
}

fn cgroup2_mount(line: &str) -> Option<&str> {
    let mut words = line.split(' ').skip(1);
    let (place, kind) = (words.next()?, words.next()?);
    (kind == "cgroup2").then_some(place)
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
    fn the_mount_of_control_groups_is_found() {
        assert_eq!(
            cgroup2_mount("cgroup2 /sys/fs/cgroup cgroup2 rw,nosuid 0 0"),
            Some("/sys/fs/cgroup")
        );
        assert_eq!(cgroup2_mount("cgroup /sys/fs/cgroup/cpu cgroup rw,cpu 0 0"), None);
    }

    #[test]
    fn memory_is_what_the_kernel_calls_pss() {
        let text =
            "55d0-7ffe ---p 00000000 00:00 0 [rollup]\nRss:    2048 kB\nPss:     512 kB\nPss_Dirty: 9 kB\n";
        assert_eq!(pss(text), Some(512 * 1024));
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
