//! `apu-client run ID`: carries out one run, once, whatever becomes of the connection that asked for it.

pub(crate) mod active;
mod conffiles;
mod debconf;
mod exec;
pub(crate) mod follow;
mod interrupted;
mod outcome;
mod packages;
pub(crate) mod planning;
pub(crate) mod policy;
mod preflight;
pub(crate) mod refusal;
mod repair;
pub(crate) mod run_dir;
mod site_archives;
mod tail;
mod update;
mod waiting;

use std::io;
use std::time::{Duration, Instant};

use apu_proto::{Operation, Request, RunId};
use nix::fcntl::Flock;
use nix::sys::stat::{Mode, umask};
use nix::unistd::setsid;

use self::policy::Policy;
use self::refusal::{Stop, failed, own_fault};
use self::run_dir::{Log, Record};
use crate::apt::composed;
use crate::os::paths::Site;
use crate::os::signals::Signals;
use crate::os::syslog;

pub(crate) use interrupted::conclude;
pub(crate) use packages::drifted;
pub(crate) use preflight::{ask_apt, configuration, preflight};
pub(crate) use site_archives::{brings_apu_data, wanted};

/// How long a supervisor tries to get its run's lock, which others hold only to look.
const LOCK_TRIES: u32 = 100;

/// How long to wait for other package managers where the request does not say, in seconds.
const LOCK_WAIT: u32 = 600;

/// The longest that a run of the push key waits for them, in seconds: one that waits keeps a place from others.
const LONGEST_LOCK_WAIT: u32 = 3600;

/// One run at work.
struct Run<'a> {
    site: &'a Site,
    request: Request,
    policy: Policy,
    record: &'a Record,
    log: &'a mut Log,
    signals: Signals,
    /// Until when to wait for other package managers.
    lock_deadline: Instant,
}

/// Carries out the run `id`, unless somebody does or did.
pub(crate) fn supervise(site: &Site, id: RunId) -> io::Result<()> {
    let signals = Signals::hold()?;
    // It fails where we lead a session already, as under systemd.
    let _ = setsid();
    std::env::set_current_dir("/")?;
    umask(Mode::from_bits_truncate(0o022));

    let record = Record::find(site, id).ok_or(io::ErrorKind::NotFound)?;
    let Some(_working) = own(&record)? else {
        return Ok(());
    };
    if record.result().is_some() {
        return Ok(());
    }
    let line = record.request()?;
    if record.has_begun() {
        return conclude(site, &record);
    }
    let mut log = record.begin()?;
    let started = Instant::now();
    let result = prepare(site, &line).and_then(|(request, policy)| {
        let wait = lock_wait(&request, record.is_of_root());
        let mut run = Run {
            site,
            request,
            policy,
            record: &record,
            log: &mut log,
            signals,
            lock_deadline: started + wait,
        };
        run.carry_out()
    });
    let mut result = result.unwrap_or_else(|stop| *stop);
    result.operation = Request::parse(line.as_bytes())
        .ok()
        .map(|request| request.operation);
    result.seconds = (started.elapsed().as_secs_f64() * 1000.0).round() / 1000.0;
    result.reboot_required = site.reboot_required();
    syslog::tell(&format!("run {id} ended {:?}: {line}", result.outcome));
    record.finish(&mut log, result)
}

/// How long a run waits for other package managers.
fn lock_wait(request: &Request, is_of_root: bool) -> Duration {
    let asked = request.lock_wait.unwrap_or(LOCK_WAIT);
    let most = if is_of_root { u32::MAX } else { LONGEST_LOCK_WAIT };
    Duration::from_secs(asked.min(most).into())
}

fn own(record: &Record) -> io::Result<Option<Flock<std::fs::File>>> {
    for _ in 0..LOCK_TRIES {
        if let Some(lock) = record.own()? {
            return Ok(Some(lock));
        }
        std::thread::sleep(Duration::from_millis(50));
    }
    Ok(None)
}

/// Reads the request and the policy again: time has passed, and this process trusts nobody's word.
fn prepare(site: &Site, line: &str) -> Result<(Request, Policy), Stop> {
    let request = Request::parse(line.as_bytes())
        .map_err(|error| crate::run::refusal::refused(apu_proto::ReasonCode::Grammar, error.to_string()))?;
    let policy = configuration(site, &request)?;
    ask_apt(site)?;
    Ok((request, policy))
}

impl Run<'_> {
    fn carry_out(&mut self) -> Result<apu_proto::RunResult, Stop> {
        let _turn = self.take_turn()?;
        if self.request.operation == Operation::Clean {
            return self.clean();
        }
        // Another package may have brought a source that does not go with apu-data's.
        let note = composed::compose_again(self.site);
        let mut ended = match self.request.operation {
            Operation::Update => self.update(),
            _ => self.change_packages(),
        };
        match &mut ended {
            Ok(result) => result.notes.extend(note),
            Err(stop) => stop.notes.extend(note),
        }
        ended
    }

    /// Nothing new is begun on a machine that goes down.
    fn is_wanted(&mut self) -> Result<(), Stop> {
        if self.signals.is_asked_to_stop() {
            let text = "this machine is shutting down, and nothing was begun";
            return Err(failed(apu_proto::ReasonCode::Interrupted, text));
        }
        Ok(())
    }

    /// Calls a program for real and waits for its end.
    fn act(
        &mut self,
        program: &str,
        arguments: &[String],
        environment: &[&str],
    ) -> Result<crate::run::exec::Worked, Stop> {
        crate::run::exec::act(
            self.record,
            self.log,
            &mut self.signals,
            program,
            arguments,
            environment,
        )
        .map_err(|error| own_fault(&format!("cannot run {program}"), &error))
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
            lock_wait(&Request::new(Operation::Update), false),
            Duration::from_secs(600)
        );
    }
}
