//! Answers that need no run directory and change nothing: `status`, `check`, `health`, `conffiles`, `showhold` and dry runs.

mod check;
mod conffile_diffs;
mod conffiles;
mod dry_run;
mod ended_holds;
pub(crate) mod health;
mod services;
mod showhold;
mod status;

use apu_proto::{Answer, ClientOutcome, Operation, Request, RunResult};

use crate::os::paths::ClientPaths;
use crate::run::policy::Policy;
use crate::run::preflight::{check_apt_configuration, read_policy};
use crate::run::reboot_needs;
use crate::run::refusal::Refusal;
use crate::run::restart;

/// Checks the policy and apt's configuration, then answers `status`, `check`, `health`, `conffiles`, `showhold` or a dry
/// run.
pub(crate) fn answer(paths: &ClientPaths, request: &Request) -> Result<RunResult, Refusal> {
    if request.operation() == Operation::Health {
        health::check_policy(paths, request)?;
        // No apt is asked.
        return health::health(paths, request);
    }
    let policy = read_policy(paths, request)?;
    match request.operation() {
        Operation::Conffiles => return conffiles::conffiles(paths, request.wants_diffs()),
        Operation::Reboot => return reboot(paths),
        Operation::RestartServices => return restarts(paths, &policy),
        _ => {}
    }
    if request.operation() != Operation::Showhold {
        check_apt_configuration(paths)?;
    }
    if request.operation() == Operation::Check {
        return check::check(paths);
    }
    let notes = ended_holds::end_holds(paths);
    let mut answered = match request.operation() {
        Operation::Status => status::status(paths, request),
        Operation::Showhold => showhold::showhold(paths),
        _ => dry_run::dry_run(paths, request, &policy),
    };
    match &mut answered {
        Ok(result) => result.notes.extend(notes),
        Err(refusal) => refusal.result.notes.extend(notes),
    }
    answered
}

/// Tells whether the machine needs a reboot, and why.
fn reboot(paths: &ClientPaths) -> Result<RunResult, Refusal> {
    let report = reboot_needs::look(paths)?;
    Ok(RunResult::new(ClientOutcome::Unchanged).with(Answer::Reboot(report)))
}

/// Tells which services run with replaced files, and which of them a run would restart.
fn restarts(paths: &ClientPaths, policy: &Policy) -> Result<RunResult, Refusal> {
    restart::look(paths, policy)
}
