//! Carries out `reboot`: waits for other package managers, asks the machine's init for a reboot where one is needed, and leaves a
//! record of it that outlives the reboot.

use std::io;
use std::time::Duration;

use apu_proto::{Action, Answer, Cause, ClientOutcome, Incomplete, Progress, RebootReport, RunResult};

use super::context::Run;
use super::health;
use super::reboot_needs::{boot_id, look};
use super::refusal::Refusal;
use super::run_dir::RunDir;
use crate::os::locks::{RecordLock, package_locks};
use crate::os::paths::ClientPaths;
use crate::os::spawn::capture;

/// The file of a run directory that says that a reboot is asked for, and why.
const RECORD: &str = "reboot";

/// How long the machine's init may take to accept a reboot.
const INIT_TIMEOUT: Duration = Duration::from_secs(60);

impl Run<'_> {
    /// Reboots the machine where it needs that. The result is there before the machine goes down: a shutdown waits for this process.
    pub(super) fn reboot(&mut self) -> Result<RunResult, Refusal> {
        let _locks = self.take_package_locks()?;
        let report = look(self.paths)?;
        if !report.is_needed() && !self.request.is_even_if_not_needed() {
            return Ok(RunResult::new(ClientOutcome::Unchanged).with(Answer::Reboot(report)));
        }
        self.save_state_before()?;
        self.ensure_not_shutting_down()?;
        (self.run_dir.save(RECORD, &report))
            .map_err(|error| Refusal::fault(Action::KeepRunRecord, &error))?;
        ask_init(self.paths)?;
        Ok(RunResult::new(ClientOutcome::Changed).with(Answer::Reboot(report)))
    }

    /// Saves what the machine's health is before it goes down or its services are restarted, for the checks afterwards.
    pub(super) fn save_state_before(&mut self) -> Result<(), Refusal> {
        let (signals, id) = (&mut self.signals, self.request.run_id());
        let mut is_stopped = || signals.poll_stop_request();
        let with_scripts = health::has_scripts(self.paths);
        let saved = health::save_baseline(self.paths, self.run_dir, id, with_scripts, &mut is_stopped);
        saved.map_err(|error| Refusal::fault(Action::KeepRunRecord, &error))
    }

    /// Waits until no package manager is at work, and keeps others away until this process ends.
    pub(super) fn take_package_locks(&mut self) -> Result<Vec<RecordLock>, Refusal> {
        let locks = package_locks(self.paths);
        locks.iter().map(|lock| self.wait_for_lock(lock)).collect()
    }
}

/// Asks the machine's init for a reboot as `systemctl reboot` does: services are stopped, and a program that forbids it is heard.
fn ask_init(paths: &ClientPaths) -> Result<(), Refusal> {
    let (program, arguments): (_, &[&str]) = if paths.path("/run/systemd/system").is_dir() {
        ("/bin/systemctl", &["--no-block", "--no-ask-password", "reboot"])
    } else {
        ("/sbin/shutdown", &["-r", "now"])
    };
    let environment = ["PATH=/usr/sbin:/usr/bin:/sbin:/bin"];
    let asked =
        capture(program, arguments, &environment, INIT_TIMEOUT).and_then(|asked| match asked.succeeded() {
            true => Ok(()),
            false => Err(io::Error::other(format!(
                "{}: {}",
                asked.exit,
                asked.stderr.trim()
            ))),
        });
    asked.map_err(|error| Refusal::fault_at(Action::RunProgram, program.as_ref(), &error))
}

/// Returns the result of a run that was ended before it could write one: the boot that the machine is in tells.
pub(super) fn result_from_boot(paths: &ClientPaths, run_dir: &RunDir) -> RunResult {
    concluded(run_dir.load(RECORD), run_dir.has(RECORD), &boot_id(paths))
}

fn concluded(record: Option<RebootReport>, was_asked: bool, boot_id: &str) -> RunResult {
    let is_other = |report: &RebootReport| {
        !report.boot_id.is_empty() && !boot_id.is_empty() && report.boot_id != boot_id
    };
    if let Some(report) = record.filter(is_other) {
        return RunResult::new(ClientOutcome::Changed).with(Answer::Reboot(report));
    }
    let progress = if was_asked {
        Progress::Unknown
    } else {
        Progress::NotBegun
    };
    let left = Incomplete::default();
    RunResult::because(ClientOutcome::Failed, Cause::ClientEnded { progress, left })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_run_that_was_ended_has_rebooted_only_where_another_boot_shows_it() {
        let report = |boot_id: &str| {
            Some(RebootReport {
                boot_id: boot_id.into(),
                ..RebootReport::default()
            })
        };
        let ended = |progress| {
            let left = Incomplete::default();
            Some(Cause::ClientEnded { progress, left })
        };
        for (record, was_asked, now, outcome, cause) in [
            (report("a"), true, "b", ClientOutcome::Changed, None),
            (
                report("a"),
                true,
                "a",
                ClientOutcome::Failed,
                ended(Progress::Unknown),
            ),
            (
                report(""),
                true,
                "b",
                ClientOutcome::Failed,
                ended(Progress::Unknown),
            ),
            (
                report("a"),
                true,
                "",
                ClientOutcome::Failed,
                ended(Progress::Unknown),
            ),
            // It is there, and is not understood.
            (None, true, "b", ClientOutcome::Failed, ended(Progress::Unknown)),
            (None, false, "b", ClientOutcome::Failed, ended(Progress::NotBegun)),
        ] {
            let result = concluded(record, was_asked, now);
            let found = result.reason.as_ref().map(|reason| reason.cause.clone());
            assert_eq!((result.outcome, found), (outcome, cause), "{now:?} {was_asked}");
        }
    }
}
