//! The state that all steps of one run share, and what several of them do with it.

use std::time::Instant;

use apu_proto::{Action, Cause, ReasonCode, Request};

use super::exec::{self, Completed};
use super::policy::Policy;
use super::preflight::{Checked, preflight};
use super::refusal::Refusal;
use super::run_dir::{Log, RunDir};
use crate::apt::composed;
use crate::apt::{APT_GET, Call, ENVIRONMENT};
use crate::dpkg::Database;
use crate::os::paths::ClientPaths;
use crate::os::signals::Signals;

/// The run that this process carries out.
pub(super) struct Run<'a> {
    pub(super) paths: &'a ClientPaths,
    pub(super) request: Request,
    pub(super) policy: Policy,
    pub(super) run_dir: &'a RunDir,
    pub(super) log: &'a mut Log,
    pub(super) signals: Signals,
    /// When to stop waiting for other package managers.
    pub(super) lock_deadline: Instant,
}

impl Run<'_> {
    /// Fails if the machine is shutting down: then nothing new may begin.
    pub(super) fn ensure_not_shutting_down(&mut self) -> Result<(), Refusal> {
        if self.signals.poll_stop_request() {
            return Err(Refusal::failed(Cause::ShuttingDown));
        }
        Ok(())
    }

    /// Checks the machine's sources. Where apt does not read them, since another package has installed one that conflicts
    /// with apu-data's, they are composed again first.
    pub(super) fn check_sources(&self) -> Result<Checked, Refusal> {
        let check = || preflight(self.paths, self.request.operation());
        let refusal = match check() {
            Err(refusal) if refusal.is_about(ReasonCode::Configuration) => refusal,
            checked => return checked,
        };
        let Some(note) = composed::compose_again(self.paths) else {
            return Err(refusal);
        };
        match check() {
            Ok(mut checked) => {
                checked.notes.push(note);
                Ok(checked)
            }
            Err(mut refusal) => {
                refusal.result.notes.push(note);
                Err(refusal)
            }
        }
    }

    /// Runs a program to its end, with its output in the log.
    pub(super) fn exec(
        &mut self,
        program: &str,
        arguments: &[String],
        environment: &[&str],
    ) -> Result<Completed, Refusal> {
        exec::run(
            self.run_dir,
            self.log,
            &mut self.signals,
            program,
            arguments,
            environment,
            self.policy.stall_limits(),
        )
        .map_err(|error| Refusal::fault_at(Action::RunProgram, program.as_ref(), &error))
    }

    pub(super) fn database(&self) -> Result<Database, Refusal> {
        Database::read(&self.paths.dpkg()).map_err(|error| Refusal::fault(Action::ReadDatabase, &error))
    }

    /// Returns the rest of the time to wait for locks, in whole seconds, for apt's own timeout.
    pub(super) fn lock_wait_left(&self) -> u64 {
        self.lock_deadline
            .saturating_duration_since(Instant::now())
            .as_secs()
    }

    /// Carries out apt's transaction.
    pub(super) fn transact(&mut self, call: &Call) -> Result<Completed, Refusal> {
        let arguments = call.action(self.lock_wait_left());
        self.exec(APT_GET, &arguments, &ENVIRONMENT)
    }
}
