//! Answers that need no run directory and change nothing: `status`, `check`, `health`, `conffiles` and dry runs.

mod check;
mod conffiles;
mod dry_run;
pub(crate) mod health;
mod services;
mod status;

use apu_proto::{Answer, ClientOutcome, Operation, Request, RunResult};

use crate::os::paths::ClientPaths;
use crate::run::preflight::{check_apt_configuration, read_policy};
use crate::run::reboot_needs;
use crate::run::refusal::Refusal;

/// Checks the policy and apt's configuration, then answers `status`, `check`, `health`, `conffiles` or a dry run.
pub(crate) fn answer(paths: &ClientPaths, request: &Request) -> Result<RunResult, Refusal> {
    if request.operation() == Operation::Health {
        health::check_policy(paths, request)?;
        // No apt is asked.
        return health::health(paths, request);
    }
    let policy = read_policy(paths, request)?;
    match request.operation() {
        Operation::Conffiles => return conffiles::conffiles(paths),
        Operation::Reboot => return reboot(paths),
        _ => {}
    }
    check_apt_configuration(paths)?;
    match request.operation() {
        Operation::Status => status::status(paths),
        Operation::Check => check::check(paths),
        _ => dry_run::dry_run(paths, request, policy.conffiles),
    }
}

/// Tells whether the machine needs a reboot, and why.
fn reboot(paths: &ClientPaths) -> Result<RunResult, Refusal> {
    let report = reboot_needs::look(paths)?;
    Ok(RunResult::new(ClientOutcome::Unchanged).with(Answer::Reboot(report)))
}
