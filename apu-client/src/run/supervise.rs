//! Supervises one run (`apu-client run ID`): takes its lock, checks the request again, carries it out, and writes the
//! result.

use std::io;
use std::time::{Duration, Instant};

use apu_proto::{Operation, Request, RunId, RunResult};
use nix::fcntl::Flock;
use nix::sys::stat::{Mode, umask};
use nix::unistd::setsid;

use super::answers_file;
use super::context::Run;
use super::interrupted::conclude_interrupted;
use super::policy::Policy;
use super::preflight::{check_apt_configuration, read_policy};
use super::refusal::Refusal;
use super::run_dir::{RunDir, SavedRequest};
use super::site_archives::installs_apu_data_only;
use super::taken_debs;
use crate::apt::composed;
use crate::os::paths::ClientPaths;
use crate::os::signals::Signals;
use crate::os::syslog;

/// How often a supervisor tries to take its run's lock, which others hold only for a moment.
const LOCK_TRIES: u32 = 100;

/// Default time to wait for other package managers, in seconds.
const DEFAULT_LOCK_WAIT: u32 = 600;

/// Maximal time that a run of the push key waits for them, in seconds: a waiting run takes a place from others.
const MAX_LOCK_WAIT_OF_KEY: u32 = 3600;

/// Carries out the run `id`, unless somebody else does or has done so.
pub(crate) fn supervise(paths: &ClientPaths, id: RunId) -> io::Result<()> {
    let signals = Signals::block()?;
    // It fails where this process leads a session already, as under systemd.
    let _ = setsid();
    std::env::set_current_dir("/")?;
    umask(Mode::from_bits_truncate(0o022));

    let run_dir = RunDir::find(paths, id).ok_or(io::ErrorKind::NotFound)?;
    let Some(_working) = lock(&run_dir)? else {
        return Ok(());
    };
    if run_dir.result().is_some() {
        return Ok(());
    }
    let saved = run_dir.request()?;
    if run_dir.has_begun() {
        answers_file::forget(paths, id);
        taken_debs::forget(paths, id);
        return conclude_interrupted(paths, &run_dir);
    }
    let mut log = run_dir.start_log()?;
    let started = Instant::now();
    let result = check_request(paths, &saved, id).and_then(|(request, policy)| {
        let wait = lock_wait(&request, run_dir.is_by_root());
        let mut run = Run {
            paths,
            request,
            policy,
            run_dir: &run_dir,
            log: &mut log,
            signals,
            lock_deadline: started + wait,
        };
        run.carry_out()
    });
    let mut result = result.unwrap_or_else(|refusal| *refusal.result);
    taken_debs::forget(paths, id);
    result.operation = saved.operation();
    result.seconds = (started.elapsed().as_secs_f64() * 1000.0).round() / 1000.0;
    result.reboot_required = paths.reboot_required();
    syslog::log(&format!("run {id} ended {:?}: {}", result.outcome, saved.line));
    run_dir.finish(&mut log, result)
}

/// Returns how long a run waits for other package managers.
fn lock_wait(request: &Request, is_by_root: bool) -> Duration {
    let asked = request.lock_wait().unwrap_or(DEFAULT_LOCK_WAIT);
    let limit = if is_by_root {
        u32::MAX
    } else {
        MAX_LOCK_WAIT_OF_KEY
    };
    Duration::from_secs(asked.min(limit).into())
}

fn lock(run_dir: &RunDir) -> io::Result<Option<Flock<std::fs::File>>> {
    for _ in 0..LOCK_TRIES {
        if let Some(lock) = run_dir.try_lock()? {
            return Ok(Some(lock));
        }
        std::thread::sleep(Duration::from_millis(50));
    }
    Ok(None)
}

/// Checks the request, the policy and apt's configuration again: this process trusts no other, and time has passed.
fn check_request(paths: &ClientPaths, saved: &SavedRequest, id: RunId) -> Result<(Request, Policy), Refusal> {
    let request = saved.request.clone().map_err(Refusal::new)?;
    let request = answers_file::take(paths, id, request)?;
    let policy = read_policy(paths, &request)?;
    // A reboot asks no apt, and may be what mends the machine; nor do restarts of services, nor decisions about configuration files.
    if !matches!(
        request.operation(),
        Operation::Reboot | Operation::RestartServices | Operation::Conffile
    ) {
        check_apt_configuration(paths)?;
    }
    Ok((request, policy))
}

impl Run<'_> {
    fn carry_out(&mut self) -> Result<RunResult, Refusal> {
        let _turn = self.take_turn()?;
        // Otherwise the check of the machine's own sources says whether apt reads them.
        let uses_site_only = self.request.wants_site_lists_only() || installs_apu_data_only(&self.request);
        let note = if uses_site_only {
            composed::compose_again(self.paths)
        } else {
            None
        };
        let ended = self.end_holds()?;
        let mut result = if self.request.operation().changes_packages() {
            self.change_packages()
        } else {
            self.change_no_package()
        };
        let notes = ended.into_iter().chain(note);
        match &mut result {
            Ok(result) => result.notes.extend(notes),
            Err(refusal) => refusal.result.notes.extend(notes),
        }
        result
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_run_of_the_push_key_waits_for_an_hour_at_most() {
        let request = Request::parse(b"apu/1 update lock_wait=86400").unwrap();
        assert_eq!(lock_wait(&request, false), Duration::from_secs(3600));
        assert_eq!(lock_wait(&request, true), Duration::from_secs(86_400));
        assert_eq!(
            lock_wait(&request.without_lock_wait(), false),
            Duration::from_secs(600)
        );
    }
}
