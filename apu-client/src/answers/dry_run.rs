//! Answers a dry run: simulates the transaction and reports what it would change.

use apu_proto::{ClientOutcome, Request, RunResult};

use crate::dpkg::{Conffiles, Database};
use crate::os::paths::ClientPaths;
use crate::run::planning;
use crate::run::preflight::preflight;
use crate::run::refusal::Refusal;
use crate::run::site_archives::{installs_apu_data_only, site_sources};

/// Plans a run and returns the transaction without carrying it out.
pub(crate) fn dry_run(
    paths: &ClientPaths,
    request: &Request,
    conffiles: Conffiles,
) -> Result<RunResult, Refusal> {
    let notes = if installs_apu_data_only(request) {
        site_sources(paths)?;
        Vec::new()
    } else {
        preflight(paths, request.operation)?.notes
    };
    let database = Database::read(&paths.dpkg())
        .map_err(|error| Refusal::fault("cannot read dpkg's database", &error))?;
    let planned = planning::plan(paths, request, conffiles, &database);
    let (call, plan) = planned.map_err(|mut refusal| {
        refusal.result.notes.splice(0..0, notes.iter().cloned());
        refusal
    })?;
    let mut found = plan.transaction();
    if request.plan.is_some_and(|approved| approved != found.id()) {
        return Err(planning::drifted(found));
    }
    if !found.steps().is_empty() {
        found.sizes = planning::sizes(&call, conffiles);
    }
    let mut result = RunResult::new(ClientOutcome::Unchanged);
    result.marked_manual = planning::automatically_installed(request, &database)?;
    result.notes = notes;
    result.kept_back.clone_from(&found.kept_back);
    result.broken = database.broken();
    result.transaction = Some(found);
    result.reboot_required = paths.reboot_required();
    Ok(result)
}
