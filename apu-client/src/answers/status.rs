//! Answers `status`: reads the machine's state from files and asks apt for pending updates by one simulation.

use std::fs;
use std::os::unix::fs::MetadataExt;
use std::time::Duration;

use apu_proto::{
    Action, Answer, Cause, ClientOutcome, FreeSpace, Note, Obsolete, Reason, Request, RunResult, Status,
};
use nix::sys::statvfs::statvfs;

use crate::apt::composed;
use crate::apt::lists;
use crate::apt::release_dates;
use crate::apt::{
    APT_GET, Call, ENVIRONMENT, Plan, Target, Verb, archives, errors, mark_security, obsolete, pending,
    read_targets,
};
use crate::dpkg::{Conffiles, Database};
use crate::os::os_release::OsRelease;
use crate::os::paths::ClientPaths;
use crate::os::spawn;
use crate::run::active::{active_runs, at_work};
use crate::run::kept_holds::KeptHolds;
use crate::run::kernel;
use crate::run::reboot_needs;
use crate::run::refusal::Refusal;

/// Collects everything that `status` reports.
pub(crate) fn status(paths: &ClientPaths, request: &Request) -> Result<RunResult, Refusal> {
    let database =
        Database::read(&paths.dpkg()).map_err(|error| Refusal::fault(Action::ReadDatabase, &error))?;
    // What cannot be read is told by a note of the look before this one.
    let kept = KeptHolds::read(paths).unwrap_or_default();
    let release = OsRelease::read(paths);
    let targets = read_targets(paths).unwrap_or_default();
    let known: Vec<Target> = archives(&targets).into_iter().cloned().collect();
    let running = kernel::running(paths);
    let mut status = Status {
        distribution: release.word("ID"),
        release: release.word("VERSION_ID"),
        codename: release.word("VERSION_CODENAME"),
        architecture: database.architecture.clone(),
        held: database.held(),
        holds: kept.of_server(&database),
        broken: database.broken(),
        reboot_required: paths.reboot_required(),
        newest_kernel: kernel::newest(paths, &database, &running),
        kernel: running,
        boot_id: reboot_needs::boot_id(paths),
        lists_age: lists::age(paths, &known),
        free: free_space(paths),
        client: env!("CARGO_PKG_VERSION").to_owned(),
        data: database
            .version(&format!("apu-data:{}", database.architecture))
            .map(str::to_owned),
        pending: Vec::new(),
        kept_back: Vec::new(),
        sources_left_out: composed::left_out(paths),
        releases: release_dates::release_dates(paths, &known),
        obsolete: None,
    };
    let runs = active_runs(paths);
    let mut result = match upgrade_plan(paths, &database) {
        Ok(plan) => {
            status.pending = pending(&plan);
            let mut result = RunResult::new(ClientOutcome::Unchanged);
            status.kept_back = plan.kept_back;
            if let Err(error) = mark_security(paths, &targets, &mut status.pending) {
                let said = error.to_string();
                result.notes.push(Note::SecurityUnknown { said });
            }
            result
        }
        // A run is changing dpkg's database right now, so apt's error says nothing.
        Err(_) if !runs.is_empty() => RunResult::new(ClientOutcome::Unchanged),
        Err(text) => RunResult::because(
            ClientOutcome::Failed,
            Reason::from(Cause::AptFailed).detailed(text),
        ),
    };
    if request.wants_obsolete() {
        let packages = obsolete(&database).map_err(|error| Refusal::fault(Action::AskForObsolete, &error))?;
        status.obsolete = Some(Obsolete::new(packages));
    }
    result.notes.extend(at_work(&runs).map(Note::RunAtWork));
    result.reboot_required = status.reboot_required;
    Ok(result.with(Answer::Status {
        status: Box::new(status),
    }))
}

/// Simulates a dist-upgrade that may remove packages, to find everything that is pending.
fn upgrade_plan(paths: &ClientPaths, database: &Database) -> Result<Plan, String> {
    let mut call = Call::new(paths, Verb::DistUpgrade, Conffiles::Keep);
    call.remove = true;
    let captured = spawn::capture(
        APT_GET,
        &call.simulation(),
        &ENVIRONMENT,
        Duration::from_secs(120),
    )
    .map_err(|error| format!("cannot ask apt what is pending: {error}"))?;
    if !captured.succeeded() {
        return Err(format!(
            "apt cannot tell what is pending: {}",
            errors(&captured.stderr)
        ));
    }
    Plan::parse(&captured.stdout, &database.architecture).map_err(|error| error.to_string())
}

/// Returns the free space of each file system that packages are installed to.
fn free_space(paths: &ClientPaths) -> Vec<FreeSpace> {
    let mut seen = Vec::new();
    let mut free = Vec::new();
    for path in [
        "/",
        "/boot",
        "/usr",
        "/var",
        "/var/lib/dpkg",
        &paths.archives().display().to_string(),
    ] {
        let place = paths.path(path);
        let (Ok(metadata), Ok(room)) = (fs::metadata(&place), statvfs(&place)) else {
            continue;
        };
        if seen.contains(&metadata.dev()) {
            continue;
        }
        seen.push(metadata.dev());
        free.push(FreeSpace {
            path: path.to_owned(),
            // The types of statvfs differ between machines.
            #[allow(clippy::unnecessary_cast, clippy::useless_conversion)]
            bytes: u64::from(room.blocks_free()) * u64::from(room.fragment_size()),
        });
    }
    free
}
