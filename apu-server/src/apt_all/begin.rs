//! Begins the run of a push: what its hosts are about to be asked is in the ledger before one of them is.

use apu_fleet::{Batch, Task, random_bits};
use apu_ledger::{BeginError, Work};
use apu_proto::{Operation, Request, RequestOption, RunId};
use apu_site::{Failure, say};
use jiff::Timestamp;

use super::push::{Push, not_a_request};
use crate::failure::ledger as ledger_failure;
use crate::ledger::{held, reason};

impl Push<'_> {
    /// The request with what makes it a run, where it is to be one and is none yet.
    pub(super) fn as_run(&self, request: Request) -> Result<Request, Failure> {
        if !request.operation().is_a_run() || request.run_id().is_some() {
            return Ok(request);
        }
        let run = RequestOption::RunId(new_run_id()?);
        let request = by(request, self.record.by())?;
        let lock_wait = match request.operation() {
            // A machine that went down after this server stopped waiting for it would be missed by nobody.
            Operation::Reboot => {
                let half = u32::try_from(self.limits.timeout.as_secs() / 2).unwrap_or(u32::MAX);
                self.lock_wait.min(half)
            }
            _ => self.lock_wait,
        };
        let request = request.with([run, RequestOption::LockWait(lock_wait)]);
        request.map_err(not_a_request)
    }

    /// Writes down what the hosts of the batch are about to be asked, and holds them for this run. Those that another run holds are
    /// not asked.
    ///
    /// The run's number is shown before any host has it: the terminal may be gone when it is needed.
    pub(super) fn begin(&mut self, request: &Request, batch: &mut Batch) -> Result<(), Failure> {
        let (Some(recorder), Some(run)) = (&self.recorder, request.run_id()) else {
            return Ok(());
        };
        let mut work = Work::new(request.to_string(), batch.rollout.clone());
        work.max_failures = self.max_failures;
        work.failed_before = self.failed_outside(&batch.tasks);
        work.parallel = self.limits.parallel.get();
        work.timeout = self.limits.timeout.as_secs();
        work.ignores_windows = self.args.ignore_windows;
        work.queue_until = self.queue_until.map(Timestamp::as_millisecond);
        let planned = batch
            .tasks
            .iter()
            .map(|task| (&task.host.name, task.trial.as_deref()));
        let mut work = work.for_hosts(planned);
        if request.operation().is_planned() {
            let group =
                |task: &Task| Some((task.host.name.clone(), task.host.exclusive.as_ref()?.to_string()));
            work.exclusive = batch.tasks.iter().filter_map(group).collect();
        }
        let is_new = recorder.number().is_none();
        let (number, held_by_others) = recorder.begin(run, &work).map_err(|error| match error {
            BeginError::Held(conflicts) => held(&conflicts, Timestamp::now()),
            error @ BeginError::GoneOnWith(_) => {
                Failure::words(error.to_string()).advise("apu runs, which lists them")
            }
            BeginError::Ledger(error) => ledger_failure(self.site, error),
        })?;
        self.record.begun(run);
        if is_new {
            self.runner.recorded(number.get());
        }
        batch.held.extend(
            held_by_others
                .iter()
                .map(|conflict| (conflict.host.clone(), reason(conflict, request))),
        );
        // Events name the run themselves.
        if is_new && !(self.args.shown.json || self.args.shown.quiet) {
            say!(
                self.ui,
                "run {number}; to follow it from elsewhere: apu attach {number}"
            );
        }
        Ok(())
    }
}

/// The request with who wants the hold, where it is one and says nothing of that yet. A name that is none of a user's is left out.
pub(super) fn by(request: Request, name: &str) -> Result<Request, Failure> {
    let user = match name.parse() {
        Ok(user) if request.operation() == Operation::Hold && request.hold_by().is_none() => user,
        _ => return Ok(request),
    };
    request.with([RequestOption::HoldBy(user)]).map_err(not_a_request)
}

/// An identity for a run: each client keeps its own run under it.
fn new_run_id() -> Result<RunId, Failure> {
    random_bits()
        .map(RunId::from_bytes)
        .map_err(|error| Failure::machine("cannot read /dev/urandom").why(error))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_hold_names_who_wants_it_once_and_only_by_a_name_of_a_user() {
        let named = |line: &str, name: &str| {
            let request = Request::parse(format!("apu/1 {line}").as_bytes()).unwrap();
            by(request, name).unwrap().to_string()
        };
        let hold = "hold hold_reason=x vim";
        assert_eq!(named(hold, "alice"), "apu/1 hold hold_reason=x hold_by=alice vim");
        assert_eq!(named(hold, "EXAMPLE\\alice"), format!("apu/1 {hold}"));
        let of_bob = "hold hold_reason=x hold_by=bob vim";
        assert_eq!(named(of_bob, "root"), format!("apu/1 {of_bob}"));
        assert_eq!(named("unhold vim", "alice"), "apu/1 unhold vim");
    }
}
