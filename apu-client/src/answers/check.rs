//! Answers `check`: reports what is wrong with the package database.
//!
//! It looks in three places, since each one misses what another one shows: the states and error flags of dpkg's
//! database, the text of `dpkg --audit` (its exit status says nothing), and `apt-get check` for dependencies.

use std::time::Duration;

use apu_proto::{Action, Advice, Answer, Cause, ClientOutcome, Incomplete, Reason, RunResult};

use crate::apt::{APT_GET, Call, ENVIRONMENT, Verb, errors};
use crate::dpkg::{Conffiles, DPKG, Database};
use crate::os::paths::ClientPaths;
use crate::os::spawn::{Captured, capture};
use crate::run::active::{active_runs, at_work};
use crate::run::refusal::Refusal;

const CHECK_TIMEOUT: Duration = Duration::from_secs(120);

/// Looks in all three places and reports everything that is wrong.
pub(crate) fn check(paths: &ClientPaths) -> Result<RunResult, Refusal> {
    if let Some(runs) = at_work(&active_runs(paths)) {
        return Err(Refusal::failed(Cause::RunAtWork(runs)));
    }
    let database =
        Database::read(&paths.dpkg()).map_err(|error| Refusal::fault(Action::ReadDatabase, &error))?;
    let run = |program: &str, arguments: &[String]| {
        capture(program, arguments, &ENVIRONMENT, CHECK_TIMEOUT)
            .map_err(|error| Refusal::fault_at(Action::RunProgram, program.as_ref(), &error))
    };
    let audit = run(DPKG, &["--audit".to_owned()])?;
    let apt = run(
        APT_GET,
        &Call::new(paths, Verb::Check, Conffiles::Keep).simulation(),
    )?;
    let mut result = match findings(&database, &audit, &apt) {
        None => RunResult::new(ClientOutcome::Unchanged),
        Some(reason) => *Refusal::failed(reason).advise(Advice::DpkgAudit).result,
    };
    result.answer = Answer::Check {
        broken: database.broken(),
    };
    result.reboot_required = paths.reboot_required();
    Ok(result)
}

/// Returns what any of the three finds; none where all is well.
fn findings(database: &Database, audit: &Captured, apt: &Captured) -> Option<Reason> {
    let left = Incomplete {
        broken: database.broken(),
        interrupted: database.interrupted,
        ..Incomplete::default()
    };
    let is_database_well = left == Incomplete::default();
    let mut reason = Reason::from(Cause::PackagesBroken(left));
    // First, since an audit may be long.
    if !apt.succeeded() {
        reason = reason.detailed(errors(&apt.stderr));
    }
    reason = reason.detailed(&audit.stdout).detailed(&audit.stderr);
    let is_well = is_database_well && reason.detail.is_empty() && apt.succeeded();
    (!is_well).then_some(reason)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::os::spawn::Exit;

    fn said(text: &str, exit: i32) -> Captured {
        Captured {
            exit: Exit::Code(exit),
            stdout: text.to_owned(),
            stderr: String::new(),
        }
    }

    #[test]
    fn each_of_the_three_looks_alone_finds_something() {
        let whole = Database::default();
        let broken = Database::parse([
            "Package: a\nVersion: 1\nArchitecture: amd64\nStatus: install reinstreq installed\n",
        ])
        .unwrap();
        assert_eq!(
            findings(&whole, &said("", 0), &said("Reading package lists...", 0)),
            None
        );
        let found = findings(&broken, &said("", 0), &said("", 0)).unwrap();
        let Cause::PackagesBroken(left) = found.cause else {
            panic!("{found:?}");
        };
        assert_eq!(left.broken.len(), 1);
        let audit = findings(&whole, &said("The following packages are ...", 0), &said("", 0)).unwrap();
        assert_eq!(audit.detail, ["The following packages are ..."]);
        let mut apt = said("", 100);
        apt.stderr = "E: Unmet dependencies.".into();
        assert_eq!(
            findings(&whole, &said("", 0), &apt).unwrap().detail,
            ["Unmet dependencies."]
        );
        let long = said(&"x\n".repeat(100), 0);
        assert_eq!(
            findings(&whole, &long, &apt).unwrap().detail[0],
            "Unmet dependencies."
        );
        // An apt that fails without a word is no apt that finds nothing.
        assert!(findings(&whole, &said("", 0), &said("", 100)).is_some());
    }
}
