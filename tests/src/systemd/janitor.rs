//! The machine's control group, which nobody but us would remove.

use std::io::{BufRead, BufReader};
use std::process::{Child, ChildStdin, Command, Stdio};
use std::sync::atomic::{AtomicU32, Ordering};

use anyhow::{Context, Result, ensure};

use crate::tool;

/// Holds the machine's control group, and removes it in the end, also when this program is killed.
pub(super) struct Janitor {
    pub(super) group: String,
    child: Child,
    lifeline: Option<ChildStdin>,
}

impl Janitor {
    pub(super) fn hire() -> Result<Self> {
        static NUMBER: AtomicU32 = AtomicU32::new(0);
        let number = NUMBER.fetch_add(1, Ordering::Relaxed);
        let group = format!("apu-tests-{}-{number}", std::process::id());
        let mut unshare = Command::new("unshare");
        unshare
            .args(["--mount", "--propagation=private", "sh", "-c"])
            .args([include_str!("janitor.sh"), "janitor", &group])
            .env_clear()
            .envs(tool::ENVIRONMENT)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped());
        let mut child = unshare.spawn().context("cannot run unshare")?;
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
