//! Checks whether the machine is well: dpkg, systemd's units, and the administrator's own checks, compared with what they were
//! before a run.

mod header;
mod script_verdict;
mod scripts;
mod units;

use std::io;

use apu_proto::{Advice, Cause, Check, ClientOutcome, Reason, RunId, RunResult, Verdict};
use serde::{Deserialize, Serialize};

use self::scripts::{Scripts, TOTAL};
use self::units::{Earlier, Units};
use super::run_dir::RunDir;
use crate::dpkg::Database;
use crate::os::paths::ClientPaths;

/// The name of the baseline's file in a run's directory.
const BASELINE: &str = "baseline";

/// What the units and scripts were like before a run.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Baseline {
    /// The units that had failed; none where that is not known.
    units: Option<Vec<String>>,
    /// What came of the scripts, if they were run.
    scripts: Vec<Check>,
}

/// What the checks are compared with.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Before {
    /// Nothing: everything that is wrong counts.
    Nothing,
    /// The state before a run.
    Known(Baseline),
    /// A state that was saved and is not understood.
    NotUnderstood,
}

impl Before {
    /// The state that a run saved before it began.
    pub(crate) fn of_run(run_dir: &RunDir) -> Self {
        match run_dir.load(BASELINE) {
            Some(baseline) => Self::Known(baseline),
            None if run_dir.has(BASELINE) => Self::NotUnderstood,
            None => Self::Nothing,
        }
    }

    fn units(&self) -> Earlier<'_> {
        match self {
            Self::Nothing => Earlier::Failed(&[]),
            Self::Known(Baseline {
                units: Some(units), ..
            }) => Earlier::Failed(units),
            Self::Known(_) | Self::NotUnderstood => Earlier::Unknown,
        }
    }

    /// Compares a script's check with what came of it before.
    fn judge(&self, after: Check) -> Check {
        if after.verdict != Verdict::Fail {
            return after;
        }
        let doubt = match self {
            Self::Nothing => None,
            Self::Known(baseline) => {
                let mut same = baseline.scripts.iter().filter(|before| before.name == after.name);
                let failed = same.any(|before| before.verdict == Verdict::Fail);
                failed.then_some("it failed before the run as well")
            }
            Self::NotUnderstood => Some("whether it failed before the run is not known"),
        };
        match doubt {
            None => after,
            Some(doubt) => Check::new(
                after.name,
                Verdict::Inconclusive,
                format!("{doubt}: {}", after.detail),
            ),
        }
    }
}

/// Whether the machine's administrator has checks of their own here.
pub(super) fn has_scripts(paths: &ClientPaths) -> bool {
    scripts::has_any(paths)
}

/// Looks at the machine before a run changes anything, and saves what is found. The scripts run only where the run has
/// something to do.
pub(super) fn save_baseline(
    paths: &ClientPaths,
    run_dir: &RunDir,
    run: Option<RunId>,
    with_scripts: bool,
    is_stopped: &mut dyn FnMut() -> bool,
) -> io::Result<()> {
    let units = match units::failed(paths) {
        Units::Failed(units) => Some(units),
        Units::None | Units::Unknown(_) => None,
    };
    let scripts = if with_scripts {
        run_scripts(paths, run, is_stopped)
    } else {
        Vec::new()
    };
    run_dir.save(BASELINE, &Baseline { units, scripts })
}

/// Makes all checks. `run` is what they are told of the run that they follow.
pub(crate) fn checks(
    paths: &ClientPaths,
    run: Option<RunId>,
    before: &Before,
    is_stopped: &mut dyn FnMut() -> bool,
) -> Vec<Check> {
    let mut checks = vec![check_dpkg(&Database::read(&paths.dpkg()))];
    checks.extend(units::check(before.units(), &units::failed(paths)));
    let scripts = run_scripts(paths, run, is_stopped).into_iter();
    checks.extend(scripts.map(|check| before.judge(check)));
    checks
}

fn run_scripts(paths: &ClientPaths, run: Option<RunId>, is_stopped: &mut dyn FnMut() -> bool) -> Vec<Check> {
    let total = TOTAL;
    let mut scripts = Scripts {
        paths,
        run,
        total,
        is_stopped,
    };
    scripts.run_all()
}

/// The checks of a run that nobody carried to its end: what dpkg's database shows, and that the others were not made.
pub(super) fn unmade(after: &Database) -> Vec<Check> {
    let why = "not made: apu-client was ended during the run";
    vec![dpkg(after), Check::new("checks.d", Verdict::Inconclusive, why)]
}

fn check_dpkg(database: &io::Result<Database>) -> Check {
    match database {
        Ok(database) => dpkg(database),
        Err(error) => Check::new("dpkg", Verdict::Inconclusive, error.to_string()),
    }
}

fn dpkg(database: &Database) -> Check {
    if !database.is_dirty() {
        return Check::new("dpkg", Verdict::Pass, "");
    }
    let broken = database.broken();
    let journal = database.interrupted.then(|| "its journal was left".to_owned());
    let broken = broken
        .iter()
        .map(|broken| format!("{} ({})", broken.package, broken.state));
    let lines: Vec<String> = journal.into_iter().chain(broken).collect();
    Check::new("dpkg", Verdict::Fail, lines.join("\n"))
}

/// Makes a run that went well partial where a check fails. A run that did not has a reason of its own.
pub(super) fn apply(result: &mut RunResult) {
    if result.outcome != ClientOutcome::Changed {
        return;
    }
    if let Some(reason) = failure(result.checks()) {
        result.outcome = ClientOutcome::Partial;
        result.reason = Some(reason);
    }
}

/// The reason of a machine that is not well; none where no check fails.
pub(crate) fn failure(checks: &[Check]) -> Option<Reason> {
    let failed = Check::named(checks, Verdict::Fail);
    if failed.is_empty() {
        return None;
    }
    let advice = if failed.iter().any(|name| name == "dpkg") {
        Some(Advice::DpkgAudit)
    } else if failed.iter().any(|name| name == "units") {
        Some(Advice::FailedUnits)
    } else {
        None
    };
    let mut reason = told(
        Cause::ChecksFailed {
            checks: failed.clone(),
        },
        checks,
        &failed,
    );
    reason.advice = advice;
    Some(reason)
}

/// The reason of a machine that is not known to be well; none where all checks pass or some fail.
pub(crate) fn doubt(checks: &[Check]) -> Option<Reason> {
    let names = Check::named(checks, Verdict::Inconclusive);
    let is_in_doubt = !names.is_empty() && failure(checks).is_none();
    is_in_doubt.then(|| {
        told(
            Cause::ChecksInconclusive {
                checks: names.clone(),
            },
            checks,
            &names,
        )
    })
}

/// A reason with the words of the checks that it names.
fn told(cause: Cause, checks: &[Check], names: &[String]) -> Reason {
    let named = checks.iter().filter(|check| names.contains(&check.name));
    let lines = named.flat_map(|check| {
        check
            .detail
            .lines()
            .map(move |line| format!("{}: {line}", check.name))
    });
    Reason::from(cause).detailed(lines.collect::<Vec<_>>().join("\n"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::run::run_dir::Claim;
    use Verdict::{Fail, Inconclusive, Pass};

    fn database(status: &str) -> Database {
        let text = format!("Package: a\nVersion: 1\nArchitecture: amd64\nStatus: {status}\n");
        Database::parse([text.as_str()]).unwrap()
    }

    fn known(scripts: Vec<Check>) -> Before {
        let units = Some(Vec::new());
        Before::Known(Baseline { units, scripts })
    }

    #[test]
    fn dpkg_fails_where_its_database_is_broken_and_is_no_pass_where_it_cannot_be_read() {
        assert_eq!(check_dpkg(&Ok(database("install ok installed"))).verdict, Pass);
        let broken = check_dpkg(&Ok(database("install ok half-configured")));
        assert_eq!(broken.verdict, Fail);
        assert!(broken.detail.starts_with("a:amd64 ("), "{broken:?}");
        let mut interrupted = database("install ok installed");
        interrupted.interrupted = true;
        assert_eq!(
            dpkg(&interrupted),
            Check::new("dpkg", Fail, "its journal was left")
        );
        let unread = check_dpkg(&Err(io::ErrorKind::PermissionDenied.into()));
        assert_eq!(unread.verdict, Inconclusive);
    }

    #[test]
    fn a_script_is_compared_with_what_came_of_it_before() {
        let web = |verdict| Check::new("checks.d/web", verdict, "refused");
        for (before, after, expected) in [
            (None, Fail, Fail),
            (Some(Pass), Fail, Fail),
            (Some(Inconclusive), Fail, Fail),
            (Some(Inconclusive), Pass, Pass),
            (Some(Fail), Fail, Inconclusive),
            (Some(Fail), Pass, Pass),
            (Some(Fail), Inconclusive, Inconclusive),
            (Some(Pass), Inconclusive, Inconclusive),
        ] {
            let before_run = known(before.into_iter().map(web).collect());
            assert_eq!(
                before_run.judge(web(after)).verdict,
                expected,
                "{before:?} {after:?}"
            );
            assert_eq!(Before::Nothing.judge(web(after)).verdict, after);
        }
        let again = known(vec![web(Fail)]).judge(web(Fail));
        assert_eq!(again.detail, "it failed before the run as well: refused");
        assert_eq!(Before::NotUnderstood.judge(web(Fail)).verdict, Inconclusive);
        assert_eq!(Before::NotUnderstood.judge(web(Pass)).verdict, Pass);
    }

    #[test]
    fn units_that_are_not_known_from_before_are_in_doubt() {
        assert!(matches!(Before::Nothing.units(), Earlier::Failed([])));
        assert!(matches!(known(Vec::new()).units(), Earlier::Failed([])));
        assert!(matches!(Before::NotUnderstood.units(), Earlier::Unknown));
        let unknown = Before::Known(Baseline {
            units: None,
            scripts: Vec::new(),
        });
        assert!(matches!(unknown.units(), Earlier::Unknown));
    }

    #[test]
    fn a_baseline_is_kept_with_its_run_and_one_that_is_not_understood_is_told_apart_from_none() {
        let root = tempfile::tempdir().unwrap();
        let paths = ClientPaths::below(root.path());
        let id = "0123456789abcdef0123456789abcdef".parse().unwrap();
        let Claim::New(run_dir) = RunDir::claim(&paths, id, "apu/1 upgrade").unwrap() else {
            panic!("known");
        };
        assert_eq!(Before::of_run(&run_dir), Before::Nothing);
        save_baseline(&paths, &run_dir, Some(id), true, &mut || false).unwrap();
        let mut log = run_dir.start_log().unwrap();
        let result = RunResult::new(ClientOutcome::Changed);
        run_dir.finish(&mut log, result).unwrap();
        // A root directory without systemd.
        let nothing = Baseline {
            units: None,
            scripts: Vec::new(),
        };
        assert_eq!(Before::of_run(&run_dir), Before::Known(nothing));
        run_dir.save(BASELINE, &1).unwrap();
        assert_eq!(Before::of_run(&run_dir), Before::NotUnderstood);
    }

    #[test]
    fn a_run_that_went_well_is_partial_where_a_check_fails_and_no_doubt_changes_its_outcome() {
        for (outcome, verdict, expected) in [
            (ClientOutcome::Changed, Fail, ClientOutcome::Partial),
            (ClientOutcome::Changed, Inconclusive, ClientOutcome::Changed),
            (ClientOutcome::Changed, Pass, ClientOutcome::Changed),
            (ClientOutcome::Failed, Fail, ClientOutcome::Failed),
        ] {
            let mut result = RunResult::new(outcome);
            result.packages_mut().checks = vec![Check::new("checks.d/web", verdict, "")];
            apply(&mut result);
            assert_eq!(result.outcome, expected, "{outcome:?} {verdict:?}");
            assert_eq!(result.reason.is_some(), expected == ClientOutcome::Partial);
        }
    }

    #[test]
    fn the_reason_names_what_fails_with_its_words_or_else_what_is_in_doubt() {
        let checks = [
            Check::new("dpkg", Pass, ""),
            Check::new("units", Fail, "a.service (signal)\nb.service"),
            Check::new("checks.d/db", Inconclusive, "starting"),
            Check::new("checks.d/web", Fail, "refused"),
        ];
        let reason = failure(&checks).unwrap();
        let named = vec!["units".to_owned(), "checks.d/web".to_owned()];
        assert_eq!(reason.cause, Cause::ChecksFailed { checks: named });
        assert_eq!(
            reason.detail,
            [
                "units: a.service (signal)",
                "units: b.service",
                "checks.d/web: refused"
            ]
        );
        assert_eq!(reason.advice, Some(Advice::FailedUnits));
        assert_eq!(doubt(&checks), None);

        let in_doubt = [checks[0].clone(), checks[2].clone()];
        assert_eq!(failure(&in_doubt), None);
        let reason = doubt(&in_doubt).unwrap();
        assert_eq!(reason.detail, ["checks.d/db: starting"]);
        assert_eq!((failure(&checks[..1]), doubt(&checks[..1])), (None, None));
    }
}
