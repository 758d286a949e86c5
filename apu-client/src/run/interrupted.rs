//! Concludes a run whose supervisor died: derives its result from dpkg's database, or from the boot.

use std::io;

use apu_proto::{Cause, ClientOutcome, Incomplete, Note, Operation, Plan, Progress, Reason, RunResult};

use super::health;
use super::outcome::{Facts, determine_outcome};
use super::reboot::result_from_boot;
use super::run_dir::{Log, RunDir, SavedRequest};
use crate::dpkg::Database;
use crate::os::locks;
use crate::os::paths::ClientPaths;
use crate::os::process::Process;
use crate::os::syslog;

/// Writes the result of a run that nobody carries out any more. The caller must hold the run's lock.
pub(crate) fn conclude_interrupted(paths: &ClientPaths, run_dir: &RunDir) -> io::Result<()> {
    // apt goes on without its supervisor. One that had just been started is not saved yet, but holds dpkg's lock.
    let process = run_dir.load::<Process>("process");
    let dpkg = [paths.dpkg().join("lock-frontend"), paths.dpkg().join("lock")];
    if process.is_some_and(|process| process.is_alive()) || locks::held(&dpkg)?.is_some() {
        return Err(io::Error::new(io::ErrorKind::WouldBlock, "apt is still at work"));
    }
    let saved = run_dir.request()?;
    let log = run_dir.reopen_log()?;
    if saved.operation() == Some(Operation::Reboot) {
        return finish(paths, (run_dir, log), &saved, result_from_boot(paths, run_dir));
    }
    let after = Database::read(&paths.dpkg())?;
    let plan = run_dir.load("plan");
    let progress = progress(run_dir.has("plan"), saved.operation());
    let mut result = result_from_database(run_dir.load("before"), plan, progress, &after);
    if result.packages().is_some_and(|report| !report.changes.is_empty()) {
        result.packages_mut().checks = health::unmade(&after);
    }
    if saved.operation() == Some(Operation::Update) {
        result.notes.push(Note::UpdateUnknown);
    }
    finish(paths, (run_dir, log), &saved, result)
}

/// Writes the result, with what every one has.
fn finish(
    paths: &ClientPaths,
    (run_dir, mut log): (&RunDir, Log),
    saved: &SavedRequest,
    mut result: RunResult,
) -> io::Result<()> {
    result.operation = saved.operation();
    result.reboot_required = paths.reboot_required();
    result.seconds = run_dir.age().as_secs_f64().round();
    syslog::log(&format!(
        "a run was interrupted, {:?}: {}",
        result.outcome, saved.line
    ));
    run_dir.finish(&mut log, result)
}

/// Returns how far a run came, as far as its files tell without being understood. Only a run that changes packages saves a
/// plan before it begins.
fn progress(has_plan: bool, operation: Option<Operation>) -> Progress {
    match (has_plan, operation.is_some_and(Operation::changes_packages)) {
        (true, _) => Progress::PlanNotUnderstood,
        (false, true) => Progress::NotBegun,
        (false, false) => Progress::Unknown,
    }
}

/// Compares the database with the plan, if the run came that far. `progress` is how far it came where one of the two is
/// missing or not understood.
fn result_from_database(
    before: Option<Database>,
    plan: Option<Plan>,
    progress: Progress,
    after: &Database,
) -> RunResult {
    let ended = |progress, left| Cause::ClientEnded { progress, left };
    let Some(before) = before else {
        let nothing = Incomplete::default();
        return RunResult::because(ClientOutcome::Failed, ended(progress, nothing));
    };
    let Some(plan) = plan else {
        return result_without_plan(&before, after, progress);
    };
    let mut result = determine_outcome(&Facts {
        before: &before,
        after,
        plan: plan.transaction.steps(),
        apt_exit: None,
        complaints: &[],
    });
    result.packages_mut().kept_back = plan.kept_back;
    match &mut result.reason {
        // Everything that was planned is installed.
        None => result.notes.push(Note::ClientEnded),
        Some(reason) => *reason = ended(Progress::Planned, not_done(reason)).into(),
    }
    result
}

/// Returns the result of a run that died while it repaired or planned, so that nothing that was asked for is done and a
/// repair may have changed something; or of one whose plan is not understood.
fn result_without_plan(before: &Database, after: &Database, progress: Progress) -> RunResult {
    let repaired = determine_outcome(&Facts {
        before,
        after,
        plan: &[],
        apt_exit: None,
        complaints: &[],
    });
    let outcome = match repaired.outcome {
        ClientOutcome::Changed | ClientOutcome::Partial => ClientOutcome::Partial,
        _ => ClientOutcome::Failed,
    };
    let cause = Cause::ClientEnded {
        progress,
        left: repaired
            .reason
            .as_ref()
            .map_or_else(Incomplete::default, not_done),
    };
    RunResult::because(outcome, cause).with(repaired.answer)
}

/// Returns what a run that is compared with dpkg's database has left undone.
fn not_done(reason: &Reason) -> Incomplete {
    match &reason.cause {
        Cause::Incomplete(left) => left.clone(),
        _ => Incomplete::default(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use apu_proto::{ReasonCode, Step, Transaction};

    fn database(version: &str, status: &str) -> Database {
        let text = format!("Package: a\nVersion: {version}\nArchitecture: amd64\nStatus: {status}\n");
        Database::parse([text.as_str()]).unwrap()
    }

    const PLANNED: Progress = Progress::PlanNotUnderstood;

    fn ended(result: RunResult) -> (Progress, Incomplete) {
        let reason = result.reason.unwrap();
        assert_eq!(reason.code, ReasonCode::Interrupted);
        match reason.cause {
            Cause::ClientEnded { progress, left } => (progress, left),
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn nothing_is_said_to_be_not_begun_that_keeps_no_record_of_it() {
        for (has_plan, operation, expected) in [
            (false, Some(Operation::Upgrade), Progress::NotBegun),
            (false, Some(Operation::Update), Progress::Unknown),
            (false, Some(Operation::Clean), Progress::Unknown),
            (false, None, Progress::Unknown),
            (true, Some(Operation::Upgrade), PLANNED),
        ] {
            assert_eq!(progress(has_plan, operation), expected, "{operation:?}");
        }
    }

    #[test]
    fn what_is_in_the_database_counts_and_the_interruption_is_told() {
        let plan = || {
            let step = Step::Install {
                package: "a:amd64".parse().unwrap(),
                old: Some("1".into()),
                new: "2".into(),
                sha256: None,
                origin: String::new(),
            };
            Some(Plan {
                transaction: Transaction::new(vec![step]),
                ..Plan::default()
            })
        };
        let before = || Some(database("1", "install ok installed"));

        let done = result_from_database(before(), plan(), PLANNED, &database("2", "install ok installed"));
        assert_eq!((done.outcome, done.notes.len()), (ClientOutcome::Changed, 1));

        let half = result_from_database(
            before(),
            plan(),
            PLANNED,
            &database("2", "install ok half-configured"),
        );
        assert_eq!(half.outcome, ClientOutcome::Failed);
        let (progress, left) = ended(half);
        assert_eq!((progress, left.broken.len()), (Progress::Planned, 1));

        let unplanned = result_from_database(
            before(),
            None,
            Progress::NotBegun,
            &database("1", "install ok installed"),
        );
        assert_eq!(ended(unplanned), (Progress::NotBegun, Incomplete::default()));

        let unread = result_from_database(before(), None, PLANNED, &database("2", "install ok installed"));
        assert_eq!(ended(unread).0, Progress::PlanNotUnderstood);

        // An update, or a database of before that is not understood: nothing is claimed about what was done.
        let after = database("2", "install ok installed");
        for (plan, progress) in [(None, Progress::Unknown), (plan(), PLANNED)] {
            let blind = result_from_database(None, plan, progress, &after);
            assert_eq!(ended(blind), (progress, Incomplete::default()));
        }
    }

    #[test]
    fn what_a_repair_did_is_told_where_the_run_ended_in_it() {
        let before = || Some(database("1", "install ok unpacked"));
        let mended = result_from_database(
            before(),
            None,
            Progress::NotBegun,
            &database("1", "install ok installed"),
        );
        assert_eq!(mended.outcome, ClientOutcome::Partial);
        assert_eq!(mended.packages().unwrap().changes.len(), 1);
        assert!(mended.broken().is_empty());

        let broken = result_from_database(
            before(),
            None,
            Progress::NotBegun,
            &database("1", "install ok half-configured"),
        );
        assert_eq!(broken.outcome, ClientOutcome::Failed);
        assert_eq!(broken.broken().len(), 1);
        let (progress, left) = ended(broken);
        assert_eq!((progress, left.broken.len()), (Progress::NotBegun, 1));
        assert!(left.broken[0].state.contains("half-configured"), "{left:?}");
    }
}
