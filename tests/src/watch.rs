//! Which programs a host starts: asked of the kernel, so that none is too quick to be seen.
//!
//! The kernel's own tracing tells of every `exec` of the processes that it is given and of all their descendants.
//! What a test itself runs in the host comes from outside, and is not among them.

use std::fs;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU32, Ordering};

use anyhow::{Context, Result};
use nix::unistd::Pid;

/// Watches one host until it is dropped.
#[derive(Debug)]
pub struct Watch {
    instance: PathBuf,
}

impl Watch {
    pub(crate) fn begin(trace: &Path, host: &str, pids: &[Pid]) -> Result<Self> {
        static NUMBER: AtomicU32 = AtomicU32::new(0);
        let number = NUMBER.fetch_add(1, Ordering::Relaxed);
        let instance = trace.join(format!("instances/apu-{}-{number}-{host}", std::process::id()));
        fs::create_dir(&instance).with_context(|| format!("no tracing at {}", trace.display()))?;
        let watch = Self { instance };
        let pids: Vec<_> = pids.iter().map(ToString::to_string).collect();
        watch.set("buffer_size_kb", "4096")?;
        watch.set("options/event-fork", "1")?;
        watch.set("set_event_pid", &pids.join(" "))?;
        watch.set("events/sched/sched_process_exec/enable", "1")?;
        Ok(watch)
    }

    fn set(&self, file: &str, text: &str) -> Result<()> {
        let path = self.instance.join(file);
        fs::write(&path, text).with_context(|| format!("cannot write {}", path.display()))
    }

    /// The paths of the programs that were started since the watch began, or since it was last asked, in their order.
    ///
    /// # Errors
    /// If the kernel lost some, so that silence proves nothing.
    pub fn programs(&self) -> Result<Vec<String>> {
        let text = fs::read_to_string(self.instance.join("trace"))?;
        self.set("trace", "")?;
        let lost = text.lines().find_map(entries_lost);
        anyhow::ensure!(lost == Some(0), "the kernel lost events: {lost:?}");
        Ok(text.lines().filter_map(program).map(str::to_owned).collect())
    }
}

impl Drop for Watch {
    fn drop(&mut self) {
        // A forgotten instance costs a little memory until the machine restarts, and nothing else.
        let _ = fs::remove_dir(&self.instance);
    }
}

/// Of the line `# entries-in-buffer/entries-written: 2/3   #P:2`, what is missing.
fn entries_lost(line: &str) -> Option<u64> {
    let counts = line.strip_prefix("# entries-in-buffer/entries-written: ")?;
    let (kept, written) = counts.split_whitespace().next()?.split_once('/')?;
    written.parse::<u64>().ok()?.checked_sub(kept.parse().ok()?)
}

fn program(line: &str) -> Option<&str> {
    let (_, event) = line.split_once(" sched_process_exec: filename=")?;
    event.rsplit_once(" pid=").map(|(program, _)| program)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_of_the_trace_names_the_program() {
        let line =
            "  sh-71 [001] ..... 19.2: sched_process_exec: filename=/usr/bin/apt-get pid=71 old_pid=71";
        assert_eq!(program(line), Some("/usr/bin/apt-get"));
    }

    #[test]
    fn events_that_fell_out_of_the_buffer_are_counted() {
        assert_eq!(
            entries_lost("# entries-in-buffer/entries-written: 2/5   #P:2"),
            Some(3)
        );
        assert_eq!(entries_lost("# tracer: nop"), None);
    }
}
