//! What is answered without a run: it changes nothing.

mod check;
mod dry_run;
mod kernel;
mod security;
mod status;

use apu_proto::{Operation, Request, RunResult};

use crate::os::paths::Site;
use crate::run::preflight::{ask_apt, configuration};
use crate::run::refusal::Stop;

/// Answers `status`, `check` and dry runs.
pub(crate) fn answer(site: &Site, request: &Request) -> Result<RunResult, Stop> {
    let policy = configuration(site, request)?;
    ask_apt(site)?;
    match request.operation {
        Operation::Status => status::status(site),
        Operation::Check => check::check(site),
        _ => dry_run::dry_run(site, request, policy.conffiles),
    }
}
