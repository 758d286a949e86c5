//! Determines a run's outcome from dpkg's database before and after it. An exit status proves nothing: apt exits with 0
//! beside a half-installed package, and with 100 after a complete installation.

use apu_proto::{
    Answer, Cause, Change, ClientOutcome, Incomplete, Note, PackageReport, Reason, ReasonCode, RunResult,
    Step,
};

use crate::apt::complaints::{Complaint, is_disk_full, summarize};
use crate::dpkg::{Database, compare};

/// What is known at the end of a run that changes packages.
#[derive(Debug)]
pub(crate) struct Facts<'a> {
    pub(crate) before: &'a Database,
    pub(crate) after: &'a Database,
    /// The planned steps.
    pub(crate) plan: &'a [Step],
    /// apt's exit status, if apt was called and its end was seen.
    pub(crate) apt_exit: Option<i32>,
    /// What apt and dpkg complained of.
    pub(crate) complaints: &'a [Complaint],
}

/// Determines the result of a run that was to change packages.
pub(crate) fn determine_outcome(facts: &Facts<'_>) -> RunResult {
    let changes = facts.before.changes(facts.after);
    let broken = facts.after.broken();
    let missing: Vec<&Step> = facts
        .plan
        .iter()
        .filter(|step| !is_done(step, facts.after))
        .collect();
    let well = missing.is_empty() && !facts.after.is_dirty();

    let outcome = match (well, changes.is_empty()) {
        (true, true) => ClientOutcome::Unchanged,
        (true, false) => ClientOutcome::Changed,
        // A half-installed package alone is no partial success.
        (false, _) if changes.iter().any(|change| is_reached(facts.after, change)) => ClientOutcome::Partial,
        (false, _) => ClientOutcome::Failed,
    };
    let mut result = RunResult::new(outcome);
    if !well {
        result.reason = Some(reason(facts, &missing));
    } else if let Some(exit) = facts.apt_exit.filter(|exit| *exit != 0) {
        result.notes.push(Note::AptFailedAfterAll {
            exit,
            said: summarize(facts.complaints, 1).into_iter().next(),
        });
    }
    result.apt_exit = facts.apt_exit;
    result.with(Answer::Packages(PackageReport {
        changes,
        broken,
        ..PackageReport::default()
    }))
}

/// Whether a change was completed: the new version is installed, or the package is gone.
fn is_reached(after: &Database, change: &Change) -> bool {
    change.new.is_none() || after.is_whole(change.package.as_str())
}

fn is_done(step: &Step, after: &Database) -> bool {
    match step {
        Step::Install { package, new, .. } => {
            // dpkg writes `0:1.0` as `1.0`.
            let version = after.version(package.as_str());
            version.is_some_and(|version| compare(version, new).is_eq()) && after.is_whole(package.as_str())
        }
        Step::Remove { package, .. } => after.version(package.as_str()).is_none(),
    }
}

fn reason(facts: &Facts<'_>, missing: &[&Step]) -> Reason {
    let broken = facts.after.broken();
    let not_done = missing.iter().map(|step| match step {
        Step::Install { package, .. } | Step::Remove { package, .. } => package,
    });
    let mut not_done = not_done.filter(|key| !broken.iter().any(|broken| broken.package == **key));
    let left = Incomplete {
        not_done: not_done.next().cloned(),
        more_not_done: not_done.count(),
        broken: broken.iter().take(10).cloned().collect(),
        interrupted: facts.after.interrupted,
    };
    let mut reason =
        Reason::from(Cause::Incomplete(left)).detailed(summarize(facts.complaints, 10).join("\n"));
    if is_disk_full(facts.complaints) {
        reason.code = ReasonCode::Space;
    }
    reason
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::apt::complaints::Complaints;

    /// `NAME VERSION STATUS WORDS` a line.
    fn database(lines: &[&str]) -> Database {
        let mut text =
            "Package: dpkg\nStatus: install ok installed\nArchitecture: amd64\nVersion: 1\n\n".to_owned();
        for line in lines {
            let mut words = line.splitn(3, ' ');
            let mut word = || words.next().unwrap_or_default();
            let (name, version, status) = (word(), word(), word());
            text +=
                &format!("Package: {name}\nVersion: {version}\nStatus: {status}\nArchitecture: amd64\n\n");
        }
        Database::parse([text.as_str()]).unwrap()
    }

    fn install(name: &str, new: &str) -> Step {
        Step::Install {
            package: format!("{name}:amd64").parse().unwrap(),
            old: None,
            new: new.into(),
            sha256: None,
            origin: String::new(),
        }
    }

    fn outcome(before: &[&str], after: &[&str], plan: &[Step], apt_exit: i32) -> ClientOutcome {
        let (before, after) = (database(before), database(after));
        let facts = Facts {
            before: &before,
            after: &after,
            plan,
            apt_exit: Some(apt_exit),
            complaints: &[],
        };
        let result = determine_outcome(&facts);
        let ended_well = matches!(result.outcome, ClientOutcome::Changed | ClientOutcome::Unchanged);
        assert_eq!(
            result.reason.is_none(),
            ended_well,
            "a reason goes with a bad end and with no other"
        );
        result.outcome
    }

    #[test]
    fn the_database_decides_and_not_the_exit_status() {
        use ClientOutcome::{Changed, Failed, Partial, Unchanged};
        let old = "a 1 install ok installed";
        let new = "a 2 install ok installed";
        let up = [install("a", "2")];
        for (what, before, after, plan, exit, expected) in [
            ("nothing to do", vec![old], vec![old], vec![], 0, Unchanged),
            ("all done", vec![old], vec![new], up.to_vec(), 0, Changed),
            (
                "all done, yet apt says 100",
                vec![old],
                vec![new],
                up.to_vec(),
                100,
                Changed,
            ),
            (
                "nothing done, yet apt says 0",
                vec![old],
                vec![old],
                up.to_vec(),
                0,
                Failed,
            ),
            (
                "half installed, yet apt says 0",
                vec![],
                vec!["a 2 install reinstreq half-installed"],
                up.to_vec(),
                0,
                Failed,
            ),
            (
                "its script failed",
                vec![old],
                vec!["a 2 install ok half-configured"],
                up.to_vec(),
                100,
                Failed,
            ),
            (
                "one did, one failed",
                vec![old],
                vec![new, "b 1 install ok half-configured"],
                vec![install("a", "2"), install("b", "1")],
                100,
                Partial,
            ),
            (
                "one did, one did not begin",
                vec![old],
                vec![new],
                vec![install("a", "2"), install("b", "1")],
                100,
                Partial,
            ),
            (
                "a script failed at a re-installation",
                vec![old],
                vec!["a 1 install reinstreq installed"],
                vec![],
                0,
                Failed,
            ),
            (
                "mended",
                vec!["a 1 install ok unpacked"],
                vec![old],
                vec![],
                0,
                Changed,
            ),
            (
                "still broken",
                vec!["a 1 install ok unpacked"],
                vec!["a 1 install ok unpacked"],
                vec![],
                0,
                Failed,
            ),
        ] {
            assert_eq!(outcome(&before, &after, &plan, exit), expected, "{what}");
        }
    }

    #[test]
    fn a_version_is_compared_as_one_and_not_as_text() {
        let (before, after) = (database(&[]), database(&["a 1.0 install ok installed"]));
        let facts = Facts {
            before: &before,
            after: &after,
            plan: &[install("a", "0:1.0")],
            apt_exit: Some(0),
            complaints: &[],
        };
        assert_eq!(determine_outcome(&facts).outcome, ClientOutcome::Changed);
    }

    #[test]
    fn a_removal_is_done_when_only_configuration_files_are_left() {
        let plan = [Step::Remove {
            package: "a:amd64".parse().unwrap(),
            old: "1".into(),
        }];
        let there = ["a 1 install ok installed"];
        assert_eq!(
            outcome(&there, &["a 1 deinstall ok config-files"], &plan, 0),
            ClientOutcome::Changed
        );
        assert_eq!(outcome(&there, &there, &plan, 0), ClientOutcome::Failed);
    }

    #[test]
    fn a_full_disk_is_named() {
        let (before, after) = (database(&[]), database(&[]));
        let mut complaints = Complaints::default();
        complaints.add_line("E: You don't have enough free space in /var/cache/apt/archives/.");
        let (complaints, _) = complaints.finish();
        let facts = Facts {
            before: &before,
            after: &after,
            plan: &[install("a", "2")],
            apt_exit: Some(100),
            complaints: &complaints,
        };
        assert_eq!(determine_outcome(&facts).reason.unwrap().code, ReasonCode::Space);
    }
}
