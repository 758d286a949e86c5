//! Control groups: sets of processes whose processor time the kernel counts together, children included.

use std::fs;
use std::path::PathBuf;
use std::sync::atomic::{AtomicU32, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Context, Result};

/// A control group, until it is dropped.
pub(crate) struct Group {
    path: PathBuf,
    /// Where its maker came from, if that is inside.
    origin: Option<PathBuf>,
}

impl Group {
    pub(crate) fn new() -> Result<Self> {
        static NUMBER: AtomicU32 = AtomicU32::new(0);
        let number = NUMBER.fetch_add(1, Ordering::Relaxed);
        let path = hierarchy()?.join(format!("apu-bench-{}-{number}", std::process::id()));
        fs::create_dir(&path).with_context(|| format!("cannot make {}", path.display()))?;
        Ok(Self { path, origin: None })
    }

    /// Takes this process in, and so everything that it starts from now on.
    pub(crate) fn around_us() -> Result<Self> {
        let groups = fs::read_to_string("/proc/self/cgroup")?;
        let own = groups.lines().find_map(|line| line.strip_prefix("0::/"));
        let origin = hierarchy()?.join(own.context("this process is in no control group")?);
        let mut group = Self::new()?;
        fs::write(group.procs(), std::process::id().to_string())?;
        group.origin = Some(origin);
        Ok(group)
    }

    /// The file that takes a process in.
    pub(crate) fn procs(&self) -> PathBuf {
        self.path.join("cgroup.procs")
    }

    /// The processes that are in it now.
    pub(crate) fn pids(&self) -> Vec<String> {
        let pids = fs::read_to_string(self.procs()).unwrap_or_default();
        pids.lines().map(str::to_owned).collect()
    }

    /// What all its processes used so far, in user and in system mode, in seconds.
    pub(crate) fn cpu(&self) -> Result<f64> {
        let text = fs::read_to_string(self.path.join("cpu.stat"))?;
        let usage = text.lines().find_map(|line| line.strip_prefix("usage_usec "));
        let microseconds: u64 = usage.context("no usage_usec in cpu.stat")?.parse()?;
        Ok(Duration::from_micros(microseconds).as_secs_f64())
    }
}

impl Drop for Group {
    fn drop(&mut self) {
        // A group that stays is empty at least, and a little memory until the next boot.
        let _ = match &self.origin {
            Some(origin) => fs::write(origin.join("cgroup.procs"), std::process::id().to_string()),
            None => fs::write(self.path.join("cgroup.kill"), "1"),
        };
        let patience = Instant::now() + Duration::from_secs(5);
        while fs::remove_dir(&self.path).is_err() && Instant::now() < patience {
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
}
