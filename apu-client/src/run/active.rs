//! Lists the runs that are at work or wait for their turn, for messages to those that have to wait.

use std::fmt;
use std::time::UNIX_EPOCH;

use apu_proto::{ActiveRuns, Operation, RunId};

use super::run_dir::RunDir;
use crate::os::paths::ClientPaths;

/// A run that has begun and has not ended.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct ActiveRun {
    pub(crate) id: RunId,
    operation: Operation,
    /// When it got its turn, or, while it waits, when it was asked for; in seconds since 1970.
    since: u64,
    pub(crate) has_turn: bool,
}

/// Returns the active runs: first the one that has its turn, then the oldest.
pub(crate) fn active_runs(paths: &ClientPaths) -> Vec<ActiveRun> {
    let mut runs: Vec<ActiveRun> = RunDir::all(paths)
        .iter()
        .filter(|run_dir| run_dir.is_active())
        .filter_map(|run_dir| {
            let request = run_dir.request().ok()?.request.ok()?;
            // The file's time is the same at every look; a time that is counted back from now is not.
            let (since, has_turn) = run_dir.active_since().ok()?;
            Some(ActiveRun {
                id: request.run_id()?,
                operation: request.operation(),
                since: since
                    .duration_since(UNIX_EPOCH)
                    .map_or(0, |since| since.as_secs()),
                has_turn,
            })
        })
        .collect();
    runs.sort_by_key(|run| (!run.has_turn, run.since));
    runs
}

impl fmt::Display for ActiveRun {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self {
            id, operation, since, ..
        } = self;
        write!(formatter, "{operation}, since {}, run {id}", utc(*since))
    }
}

/// Returns what `status` and `check` tell about active runs; none where there is none.
pub(crate) fn at_work(runs: &[ActiveRun]) -> Option<ActiveRuns> {
    let (first, others) = runs.split_first()?;
    Some(ActiveRuns {
        run: first.id,
        operation: first.operation,
        since: first.since,
        waiting: others.len(),
    })
}

/// Formats a time as `2026-11-25 06:25:35 UTC`.
fn utc(seconds: u64) -> String {
    let (days, of_day) = (seconds / 86_400, seconds % 86_400);
    // The Gregorian calendar in eras of 400 years, with years that start in March.
    let days = days + 719_468;
    let (era, day) = (days / 146_097, days % 146_097);
    let year = (day - day / 1460 + day / 36_524 - day / 146_096) / 365;
    let day = day - (365 * year + year / 4 - year / 100);
    let month = (5 * day + 2) / 153;
    let (day, month) = (
        day - (153 * month + 2) / 5 + 1,
        if month < 10 { month + 3 } else { month - 9 },
    );
    let year = era * 400 + year + u64::from(month <= 2);
    format!(
        "{year}-{month:02}-{day:02} {:02}:{:02}:{:02} UTC",
        of_day / 3600,
        of_day / 60 % 60,
        of_day % 60
    )
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::run::run_dir::Claim;

    #[test]
    fn times_are_told_in_utc() {
        for (seconds, text) in [
            (0, "1970-01-01 00:00:00 UTC"),
            (951_782_400, "2000-02-29 00:00:00 UTC"),
            (1_735_689_599, "2024-12-31 23:59:59 UTC"),
            (1_795_587_935, "2026-11-25 06:25:35 UTC"),
        ] {
            assert_eq!(utc(seconds), text);
        }
    }

    #[test]
    fn a_run_is_at_work_from_its_begin_to_its_end() {
        let root = tempfile::tempdir().unwrap();
        let paths = ClientPaths::below(root.path());
        let id = "0123456789abcdef0123456789abcdef";
        let line = format!("apu/1 dist-upgrade run_id={id}");
        let Claim::New(run_dir) = RunDir::claim(&paths, id.parse().unwrap(), &line).unwrap() else {
            panic!("known");
        };
        assert!(active_runs(&paths).is_empty());
        let supervisor = run_dir.try_lock().unwrap().unwrap();
        let _log = run_dir.start_log().unwrap();
        let now = at_work(&active_runs(&paths)).unwrap();
        assert_eq!(now.run.to_string(), id);
        assert_eq!((now.operation, now.waiting), (Operation::DistUpgrade, 0));
        assert!(now.since > 1_700_000_000, "{now:?}");
        drop(supervisor);
        assert!(active_runs(&paths).is_empty());
    }

    #[test]
    fn the_run_that_has_its_turn_is_named_and_not_one_that_waits_for_longer() {
        let root = tempfile::tempdir().unwrap();
        let paths = ClientPaths::below(root.path());
        let begin = |number: u32, operation: &str| {
            let id = format!("{number:032x}");
            let line = format!("apu/1 {operation} run_id={id}");
            let Claim::New(run_dir) = RunDir::claim(&paths, id.parse().unwrap(), &line).unwrap() else {
                panic!("known");
            };
            let supervisor = run_dir.try_lock().unwrap().unwrap();
            run_dir.start_log().unwrap();
            (run_dir, supervisor)
        };
        let (waiting, _supervisor) = begin(1, "update");
        let old = std::time::SystemTime::now() - std::time::Duration::from_secs(500);
        let request = std::fs::File::options().write(true).open(waiting.path("request"));
        request.unwrap().set_modified(old).unwrap();
        let asked = old.duration_since(std::time::UNIX_EPOCH).unwrap().as_secs();
        assert_eq!(active_runs(&paths)[0].since, asked);
        let (working, supervisor) = begin(2, "dist-upgrade");
        working.note_turn().unwrap();
        let now = || {
            let runs = at_work(&active_runs(&paths)).unwrap();
            (runs.operation, runs.waiting)
        };
        assert_eq!(now(), (Operation::DistUpgrade, 1));

        // Its supervisor is killed, and apt goes on.
        drop(supervisor);
        assert_eq!(now(), (Operation::Update, 0));
        let own = i32::try_from(std::process::id()).unwrap();
        let apt = crate::os::process::Process::of(own).unwrap();
        working.save("process", &apt).unwrap();
        assert_eq!(now(), (Operation::DistUpgrade, 1));
    }
}
