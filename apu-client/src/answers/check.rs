//! Answers `check`: reports what is wrong with the package database.
//!
//! It looks in three places, since each one misses what another one shows: the states and error flags of dpkg's
//! database, the text of `dpkg --audit` (its exit status says nothing), and `apt-get check` for dependencies.

use std::time::Duration;

use apu_proto::{Answer, ClientOutcome, ReasonCode, RunResult};

use crate::apt::{APT_GET, Call, ENVIRONMENT, Verb, errors};
use crate::dpkg::{Conffiles, DPKG, Database};
use crate::os::paths::ClientPaths;
use crate::os::spawn::{Captured, capture};
use crate::run::active::{active_runs, notice};
use crate::run::refusal::Refusal;

const CHECK_TIMEOUT: Duration = Duration::from_secs(120);

/// Looks in all three places and reports everything that is wrong.
pub(crate) fn check(paths: &ClientPaths) -> Result<RunResult, Refusal> {
    if let Some(notice) = notice(&active_runs(paths)) {
        let text = format!("{notice}; whether packages are broken can be checked when it has ended");
        return Err(Refusal::failed(ReasonCode::Locked, text));
    }
    let database = Database::read(&paths.dpkg())
        .map_err(|error| Refusal::fault("cannot read dpkg's database", &error))?;
    let run = |program: &str, arguments: &[String]| {
        capture(program, arguments, &ENVIRONMENT, CHECK_TIMEOUT)
            .map_err(|error| Refusal::fault(&format!("cannot run {program}"), &error))
    };
    let audit = run(DPKG, &["--audit".to_owned()])?;
    let apt = run(
        APT_GET,
        &Call::new(paths, Verb::Check, Conffiles::Keep).simulation(),
    )?;
    let mut result = match findings(&database, &audit, &apt).as_slice() {
        [] => RunResult::new(ClientOutcome::Unchanged),
        lines => {
            *Refusal::failed(ReasonCode::Broken, lines.join("\n"))
                .advise("on the client: dpkg --audit")
                .result
        }
    };
    result.answer = Answer::Check {
        broken: database.broken(),
    };
    result.reboot_required = paths.reboot_required();
    Ok(result)
}

fn findings(database: &Database, audit: &Captured, apt: &Captured) -> Vec<String> {
    let mut lines = Vec::new();
    if database.interrupted {
        lines.push("dpkg was interrupted and left its journal".to_owned());
    }
    let broken = database.broken();
    lines.extend(
        broken
            .iter()
            .map(|broken| format!("{} is {}", broken.package, broken.state)),
    );
    lines.extend(
        [&audit.stdout, &audit.stderr]
            .into_iter()
            .map(|text| text.trim_end().to_owned()),
    );
    if !apt.succeeded() {
        lines.push(errors(&apt.stderr));
    }
    lines.retain(|line| !line.is_empty());
    lines
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
        assert!(findings(&whole, &said("", 0), &said("Reading package lists...", 0)).is_empty());
        assert_eq!(findings(&broken, &said("", 0), &said("", 0)).len(), 1);
        assert_eq!(
            findings(&whole, &said("The following packages are ...", 0), &said("", 0)).len(),
            1
        );
        let mut apt = said("", 100);
        apt.stderr = "E: Unmet dependencies.".into();
        assert_eq!(findings(&whole, &said("", 0), &apt), ["Unmet dependencies."]);
    }
}
