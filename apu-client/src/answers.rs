//! Answers that need no run directory and change nothing: `status`, `check`, `health`, `conffiles` and dry runs.

mod check;
mod conffiles;
mod dry_run;
pub(crate) mod health;
mod services;
mod status;

use apu_proto::{Operation, Request, RunResult};

use crate::os::paths::ClientPaths;
use crate::run::preflight::{check_apt_configuration, read_policy};
use crate::run::refusal::Refusal;

/// Checks the policy and apt's configuration, then answers `status`, `check`, `health`, `conffiles` or a dry run.
pub(crate) fn answer(paths: &ClientPaths, request: &Request) -> Result<RunResult, Refusal> {
    if request.operation() == Operation::Health {
        health::check_policy(paths, request)?;
        // No apt is asked.
        return health::health(paths, request);
    }
    let policy = read_policy(paths, request)?;
    if request.operation() == Operation::Conffiles {
        return conffiles::conffiles(paths);
    }
    check_apt_configuration(paths)?;
    match request.operation() {
        Operation::Status => status::status(paths),
        Operation::Check => check::check(paths),
        _ => dry_run::dry_run(paths, request, policy.conffiles),
    }
}
