//! Carries out `restart-services`: restarts the services that run with replaced files, one after the other, and looks at what became of
//! them.

mod choice;
mod never_restarted;
mod units;

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::io;
use std::time::{Duration, Instant};

use apu_proto::{
    Action, Advice, Answer, Cause, ClientOutcome, FailedRestart, Frame, LeftService, MAX_SAID, MAX_SERVICES,
    NotRestarted, Note, Reason, RestartReport, RunResult,
};

use self::choice::{Choice, choose, is_a_name};
use self::units::{PROPERTIES, Unit, parse};
use super::context::Run;
use super::needrestart;
use super::policy::Policy;
use super::refusal::Refusal;
use crate::os::paths::ClientPaths;
use crate::os::services::running_services;
use crate::os::spawn::{Captured, capture};

const SYSTEMCTL: &str = "/bin/systemctl";
const ENVIRONMENT: [&str; 3] = [
    "PATH=/usr/sbin:/usr/bin:/sbin:/bin",
    "LC_ALL=C.UTF-8",
    "SYSTEMD_COLORS=0",
];

/// Time for systemd to tell of units.
const ANSWER: Duration = Duration::from_secs(30);

/// Time for the restart of one service. systemd itself gives it 90 seconds to stop and 90 to start, unless its unit says more.
const RESTART: Duration = Duration::from_secs(300);

/// The time after which no further restart begins.
const ALL_RESTARTS: Duration = Duration::from_secs(1800);

/// How long services run before what became of them is looked at: one that ends at once has ended by then.
const SETTLE: Duration = Duration::from_secs(2);

/// How many units one call of systemctl is asked about.
const UNITS_A_CALL: usize = 200;

/// The processes of each service that have replaced files.
type Stale = BTreeMap<String, BTreeSet<u32>>;

/// Tells which services run with replaced files, and what a run would do with each.
pub(crate) fn look(paths: &ClientPaths, policy: &Policy) -> Result<RunResult, Refusal> {
    let (Choice { restart, left }, notes) = chosen_with_needrestart(paths, policy)?;
    let report = RestartReport::new(restart, Vec::new(), left);
    let mut result = RunResult::new(ClientOutcome::Unchanged).with(Answer::Restarts(report));
    result.notes = notes;
    Ok(result)
}

/// The same with what needrestart names beside it, where it is installed. Nothing is restarted for its word alone: what it says of scripts is
/// a guess.
fn chosen_with_needrestart(paths: &ClientPaths, policy: &Policy) -> Result<(Choice, Vec<Note>), Refusal> {
    let mut choice = chosen(paths, policy)?;
    match needrestart::services(paths) {
        Ok(named) => {
            choice.add_named(named);
            Ok((choice, Vec::new()))
        }
        Err(said) => Ok((choice, vec![Note::NeedrestartFailed { said }])),
    }
}

fn chosen(paths: &ClientPaths, policy: &Policy) -> Result<Choice, Refusal> {
    if !paths.path("/run/systemd/system").is_dir() {
        return Err(Refusal::new(Cause::NoSystemd));
    }
    let stale = stale(paths).ok_or_else(|| Refusal::failed(Cause::ServicesNotRead))?;
    let names: Vec<&String> = stale.keys().collect();
    let units = ask(paths, &names)
        .map_err(|error| Refusal::fault_at(Action::RunProgram, SYSTEMCTL.as_ref(), &error))?;
    Ok(choose(&stale, &units, &|service| policy.keeps_running(service)))
}

/// The stale services; none where they cannot be told.
fn stale(paths: &ClientPaths) -> Option<Stale> {
    running_services(paths.root()).map(|services| services.stale())
}

/// Asks systemd what it knows of these services.
fn ask(paths: &ClientPaths, services: &[&String]) -> io::Result<HashMap<String, Unit>> {
    let named: Vec<&&String> = services.iter().filter(|service| is_a_name(service)).collect();
    let mut units = HashMap::new();
    for named in named.chunks(UNITS_A_CALL) {
        let mut arguments = vec![
            "show".to_owned(),
            "--no-pager".to_owned(),
            format!("--property={}", PROPERTIES.join(",")),
            "--".to_owned(),
        ];
        arguments.extend(named.iter().map(|service| format!("{service}.service")));
        let told = systemctl(paths, &arguments, ANSWER)?;
        if !told.succeeded() {
            let said = told.stderr.trim();
            return Err(io::Error::other(format!("{}: {said}", told.exit)));
        }
        units.extend(parse(&told.stdout));
    }
    Ok(units)
}

fn systemctl(paths: &ClientPaths, arguments: &[String], limit: Duration) -> io::Result<Captured> {
    let program = paths.path(SYSTEMCTL);
    capture(&program.display().to_string(), arguments, &ENVIRONMENT, limit)
}

impl Run<'_> {
    /// Restarts the stale services while no package manager is at work.
    pub(super) fn restart_services(&mut self) -> Result<RunResult, Refusal> {
        let _locks = self.take_package_locks()?;
        let (Choice { restart, left }, notes) = chosen_with_needrestart(self.paths, &self.policy)?;
        if restart.is_empty() {
            let report = RestartReport::new(restart, Vec::new(), left);
            let mut result = RunResult::new(ClientOutcome::Unchanged).with(Answer::Restarts(report));
            result.notes = notes;
            return Ok(result);
        }
        self.save_state_before()?;
        self.ensure_not_shutting_down()?;
        let begun = Instant::now();
        let mut tried = Vec::new();
        for service in &restart {
            let may_begin = begun.elapsed() < ALL_RESTARTS && !self.signals.poll_stop_request();
            let failure = if may_begin {
                self.log.frame(&Frame::Line {
                    text: format!("systemctl restart {service}.service"),
                });
                restart_one(self.paths, service).err()
            } else {
                Some(NotRestarted::NotBegun)
            };
            tried.push((service.clone(), failure));
        }
        std::thread::sleep(SETTLE);
        let after = ask(self.paths, &restart.iter().collect::<Vec<_>>()).unwrap_or_default();
        let mut result = result(tried, &after, stale(self.paths).as_ref(), left);
        result.notes = notes;
        Ok(result)
    }
}

/// Restarts a service and waits until systemd has done it.
fn restart_one(paths: &ClientPaths, service: &str) -> Result<(), NotRestarted> {
    let unit = format!("{service}.service");
    let arguments = ["--no-ask-password", "restart", "--", unit.as_str()].map(str::to_owned);
    match systemctl(paths, &arguments, RESTART) {
        Ok(done) if done.succeeded() => Ok(()),
        Ok(done) => Err(NotRestarted::Systemctl {
            said: said(&format!("{}: {}", done.exit, done.stderr.trim())),
        }),
        Err(error) if error.kind() == io::ErrorKind::TimedOut => Err(NotRestarted::TimeUp {
            seconds: RESTART.as_secs(),
        }),
        Err(error) => Err(NotRestarted::Systemctl {
            said: said(&error.to_string()),
        }),
    }
}

/// As much of a text as a report has room for.
fn said(text: &str) -> String {
    let mut end = text.len().min(MAX_SAID);
    while !text.is_char_boundary(end) {
        end -= 1;
    }
    text[..end].to_owned()
}

/// The result of the restarts. `tried` has why each failed, if it did. A service whose restart did not fail counts as restarted only by
/// what systemd (`units`) and /proc (`stale`) say afterwards; `stale` is none where /proc could not be read.
fn result(
    tried: Vec<(String, Option<NotRestarted>)>,
    units: &HashMap<String, Unit>,
    stale: Option<&Stale>,
    left: Vec<LeftService>,
) -> RunResult {
    let (mut restarted, mut failed) = (Vec::new(), Vec::new());
    for (service, failure) in tried {
        let unit = units.get(&format!("{service}.service"));
        match failure.or_else(|| seen(&service, unit, stale)) {
            None => restarted.push(service),
            Some(why) => failed.push(FailedRestart { service, why }),
        }
    }
    let outcome = match (restarted.is_empty(), failed.is_empty()) {
        (_, true) => ClientOutcome::Changed,
        (false, false) => ClientOutcome::Partial,
        (true, false) => ClientOutcome::Failed,
    };
    let reason = (!failed.is_empty()).then(|| why(&failed));
    let mut result =
        RunResult::new(outcome).with(Answer::Restarts(RestartReport::new(restarted, failed, left)));
    result.reason = reason;
    result
}

/// What is wrong with a service that systemctl has restarted; none where it runs, and with no replaced file.
fn seen(service: &str, unit: Option<&Unit>, stale: Option<&Stale>) -> Option<NotRestarted> {
    let (Some(unit), Some(stale)) = (unit, stale) else {
        return Some(NotRestarted::NotKnown);
    };
    let state = unit.get("ActiveState");
    if state != "active" {
        let state = said(state);
        return Some(NotRestarted::NotRunning { state });
    }
    let processes = stale.get(service)?;
    choice::is_stale(unit, processes).then_some(NotRestarted::StillStale)
}

fn why(failed: &[FailedRestart]) -> Reason {
    let services = failed.iter().take(MAX_SERVICES);
    let services = services.map(|failed| failed.service.clone()).collect();
    let lines = failed.iter().filter_map(|failed| match &failed.why {
        NotRestarted::Systemctl { said } => Some(format!("{}: {said}", failed.service)),
        _ => None,
    });
    let mut reason =
        Reason::from(Cause::NotRestarted { services }).detailed(lines.collect::<Vec<_>>().join("\n"));
    reason.advice = Some(Advice::FailedUnits);
    reason
}

#[cfg(test)]
mod tests;
