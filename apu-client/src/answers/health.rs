//! Answers `health`: makes the checks of the machine, where systemd is PID 1 in a unit of their own.
//!
//! The process that answers a connection is confined, and checks that ran in it would find other things than there are.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::time::Duration;

use apu_proto::{Action, Answer, Cause, ClientOutcome, Request, RunId, RunResult};

use crate::os::atomic_file::{private_directory, replace};
use crate::os::paths::ClientPaths;
use crate::os::spawn::capture;
use crate::run::active::{active_runs, at_work};
use crate::run::health::{Before, checks, doubt, failure};
use crate::run::preflight::read_policy;
use crate::run::refusal::Refusal;
use crate::run::run_dir::{RunDir, make_state_private, random_id};

/// Longer than the checks and systemd's own limit of the unit, so that each of these tells its own end.
const UNIT_TIMEOUT: Duration = Duration::from_secs(1320);

/// The age at which a file is left from a request whose handler was ended.
const LEFT: Duration = Duration::from_secs(3600);

/// Refuses what the policy does not allow. The checks belong to a run: where they are not allowed by themselves, they are for a run
/// that the policy would allow now.
pub(super) fn check_policy(paths: &ClientPaths, request: &Request) -> Result<(), Refusal> {
    let Err(refusal) = read_policy(paths, request) else {
        return Ok(());
    };
    let run_dir = request.run_id().and_then(|run| RunDir::find(paths, run));
    let of_run = run_dir.and_then(|run_dir| run_dir.request().ok()?.request.ok());
    match of_run {
        Some(of_run) if read_policy(paths, &of_run).is_ok() => Ok(()),
        _ => Err(refusal),
    }
}

/// Makes the checks, compared with what was before the run that the request names.
pub(super) fn health(paths: &ClientPaths, request: &Request) -> Result<RunResult, Refusal> {
    let run = request.run_id();
    if let Some(run) = run.filter(|run| RunDir::find(paths, *run).is_none()) {
        return Err(Refusal::failed(Cause::UnknownRun { run }));
    }
    if let Some(runs) = at_work(&active_runs(paths)) {
        return Err(Refusal::failed(Cause::RunAtWork(runs)));
    }
    if paths.path("/run/systemd/system").is_dir() {
        in_a_unit(paths, run)
    } else {
        Ok(look(paths, run))
    }
}

fn look(paths: &ClientPaths, run: Option<RunId>) -> RunResult {
    let run_dir = run.and_then(|run| RunDir::find(paths, run));
    let before = run_dir.map_or(Before::Nothing, |run_dir| Before::of_run(&run_dir));
    let checks = checks(paths, run, &before, &mut || false);
    let mut result = match failure(&checks).or_else(|| doubt(&checks)) {
        None => RunResult::new(ClientOutcome::Unchanged),
        Some(reason) => RunResult::because(ClientOutcome::Failed, reason),
    };
    result.answer = Answer::Health { checks };
    result.reboot_required = paths.reboot_required();
    result
}

/// The files through which a handler and the unit that it starts understand each other: the run that is asked about, and the
/// result.
struct Exchange {
    request: PathBuf,
    result: PathBuf,
}

impl Exchange {
    fn of(paths: &ClientPaths, id: RunId) -> Self {
        let file = |ending: &str| paths.health().join(format!("{id}.{ending}"));
        Self {
            request: file("request"),
            result: file("result"),
        }
    }
}

/// Starts the unit, waits for its end and reads its result.
fn in_a_unit(paths: &ClientPaths, run: Option<RunId>) -> Result<RunResult, Refusal> {
    let keep = |error: io::Error| Refusal::fault(Action::KeepState, &error);
    make_state_private(paths).map_err(keep)?;
    private_directory(&paths.health()).map_err(keep)?;
    remove_left(&paths.health());
    let id = random_id().map_err(|error| Refusal::fault(Action::MakeRunId, &error))?;
    let exchange = Exchange::of(paths, id);
    replace(&exchange.request, &serde_json::to_vec(&run).unwrap_or_default()).map_err(keep)?;
    let unit = format!("apu-health@{id}.service");
    let environment = ["PATH=/usr/sbin:/usr/bin:/sbin:/bin"];
    let started =
        capture("/bin/systemctl", &["start", &unit], &environment, UNIT_TIMEOUT).and_then(|started| {
            match started.succeeded() {
                true => Ok(()),
                false => Err(io::Error::other(started.stderr.trim().to_owned())),
            }
        });
    let result = started
        .and_then(|()| fs::read(&exchange.result))
        .and_then(|bytes| serde_json::from_slice(&bytes).map_err(io::Error::other));
    for file in [&exchange.request, &exchange.result] {
        let _ = fs::remove_file(file);
    }
    result.map_err(|error| Refusal::fault_at(Action::RunProgram, unit.as_ref(), &error))
}

/// Makes the checks that a handler asked for, and leaves the result to it: `apu-client health ID`.
pub(crate) fn carry_out(paths: &ClientPaths, id: RunId) -> io::Result<()> {
    std::env::set_current_dir("/")?;
    let exchange = Exchange::of(paths, id);
    let run = serde_json::from_slice(&fs::read(&exchange.request)?)?;
    replace(&exchange.result, &serde_json::to_vec(&look(paths, run))?)
}

/// Removes what requests left whose handlers were ended.
fn remove_left(directory: &Path) {
    for entry in fs::read_dir(directory).into_iter().flatten().flatten() {
        let modified = entry.metadata().and_then(|metadata| metadata.modified());
        let age = modified.ok().and_then(|modified| modified.elapsed().ok());
        if age.is_some_and(|age| age > LEFT) {
            let _ = fs::remove_file(entry.path());
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use apu_proto::{Check, Verdict, overall};
    use std::os::unix::fs::PermissionsExt;

    fn machine() -> (tempfile::TempDir, ClientPaths) {
        let root = tempfile::tempdir().unwrap();
        let paths = ClientPaths::below(root.path());
        fs::create_dir_all(paths.checks()).unwrap();
        fs::create_dir_all(paths.dpkg()).unwrap();
        fs::create_dir_all(paths.policy().parent().unwrap()).unwrap();
        fs::write(
            paths.dpkg().join("status"),
            "Package: dpkg\nStatus: install ok installed\nArchitecture: amd64\nVersion: 1\n\n",
        )
        .unwrap();
        (root, paths)
    }

    fn script(paths: &ClientPaths, text: &str) {
        let path = paths.checks().join("web");
        fs::write(&path, format!("#!/bin/sh\n{text}\n")).unwrap();
        fs::set_permissions(&path, fs::Permissions::from_mode(0o755)).unwrap();
    }

    fn asked(paths: &ClientPaths, words: &str) -> Result<RunResult, Refusal> {
        health(
            paths,
            &Request::parse(format!("apu/1 {words}").as_bytes()).unwrap(),
        )
    }

    #[test]
    fn health_is_well_only_where_every_check_passes() {
        if !nix::unistd::geteuid().is_root() {
            return eprintln!("skipped: only root makes files of root");
        }
        let (_root, paths) = machine();
        let result = asked(&paths, "health").unwrap();
        assert_eq!(result.outcome, ClientOutcome::Unchanged);
        assert_eq!(result.checks(), [Check::new("dpkg", Verdict::Pass, "")]);
        for (text, verdict, outcome) in [
            ("exit 0", Verdict::Pass, ClientOutcome::Unchanged),
            ("exit 75", Verdict::Inconclusive, ClientOutcome::Failed),
            ("exit 1", Verdict::Fail, ClientOutcome::Failed),
        ] {
            script(&paths, text);
            let result = asked(&paths, "health").unwrap();
            assert_eq!(
                (overall(result.checks()), result.outcome),
                (verdict, outcome),
                "{text}"
            );
            assert_eq!(result.reason.is_some(), outcome == ClientOutcome::Failed);
        }
    }

    #[test]
    fn a_run_that_is_not_known_is_no_run_without_a_baseline() {
        let (_root, paths) = machine();
        let id: RunId = "0123456789abcdef0123456789abcdef".parse().unwrap();
        let words = format!("health run_id={id}");
        let refusal = asked(&paths, &words).unwrap_err();
        assert_eq!(
            refusal.result.reason.unwrap().cause,
            Cause::UnknownRun { run: id }
        );
        RunDir::claim(&paths, id, "apu/1 upgrade").unwrap();
        assert_eq!(asked(&paths, &words).unwrap().outcome, ClientOutcome::Unchanged);
    }

    #[test]
    fn the_policy_allows_the_checks_themselves_or_the_run_that_they_are_for() {
        if !nix::unistd::geteuid().is_root() {
            return eprintln!("skipped: a policy is root's");
        }
        let (_root, paths) = machine();
        let id = |digit: &str| digit.repeat(32).parse::<RunId>().unwrap();
        for (digit, request) in [("1", "apu/1 upgrade"), ("2", "apu/1 install vim")] {
            RunDir::claim(&paths, id(digit), request).unwrap();
        }
        let is_allowed = |policy: &str, words: &str| {
            fs::write(paths.policy(), policy).unwrap();
            let request = Request::parse(format!("apu/1 {words}").as_bytes()).unwrap();
            check_policy(&paths, &request).is_ok()
        };
        let of_run = |digit: &str| format!("health run_id={}", id(digit));
        for (policy, allowed) in [
            ("", [true, true, true, true]),
            ("operations = [\"health\"]", [true, true, true, true]),
            ("operations = [\"upgrade\"]", [false, true, false, false]),
            ("operations = [\"install\"]", [false, false, true, false]),
            (
                "operations = [\"install\"]\n[install]\nallow = [\"nano\"]",
                [false, false, false, false],
            ),
            ("operations = [\"update\"]", [false, false, false, false]),
            ("operation = []", [false, false, false, false]),
        ] {
            let asked = ["health", &of_run("1"), &of_run("2"), &of_run("3")];
            assert_eq!(asked.map(|words| is_allowed(policy, words)), allowed, "{policy}");
        }
    }

    #[test]
    fn the_unit_reads_what_is_asked_and_leaves_the_result() {
        let (_root, paths) = machine();
        let id: RunId = "0123456789abcdef0123456789abcdef".parse().unwrap();
        private_directory(&paths.health()).unwrap();
        let exchange = Exchange::of(&paths, id);
        assert!(carry_out(&paths, id).is_err());
        replace(&exchange.request, b"null").unwrap();
        carry_out(&paths, id).unwrap();
        let result: RunResult = serde_json::from_slice(&fs::read(&exchange.result).unwrap()).unwrap();
        assert_eq!(result.checks().len(), 1);
        let left = exchange.result.clone();
        remove_left(&paths.health());
        assert!(left.exists());
        let old = std::time::SystemTime::now() - LEFT - Duration::from_secs(9);
        fs::File::options()
            .write(true)
            .open(&left)
            .unwrap()
            .set_modified(old)
            .unwrap();
        remove_left(&paths.health());
        assert!(!left.exists() && exchange.request.exists());
    }
}
