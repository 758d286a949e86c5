//! Calls the administrator's own programs on this server: the hooks of a run, and the check of a host that has changed.

mod run;

use std::fs;
use std::io::ErrorKind;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use apu_debian::run_parts;
use apu_proto::{CANNOT_TELL, Check, RunId, Verdict};
use tokio::sync::Semaphore;

use self::run::{End, Ended, run};
use crate::event::Event;
use crate::hook::{Hook, ProgramEnd};
use crate::host::Host;
use crate::name::HostName;
use crate::outcome::Outcome;
use crate::reason::{ServerCause, ServerReason};

/// How long the check of a host may take.
pub const CHECK_LIMIT: Duration = Duration::from_secs(60);

/// The name of the server's check among those of a host.
pub const SERVER_CHECK: &str = "server";

/// The programs of a run, and what they are told of it.
#[derive(Debug, Clone)]
pub struct Programs {
    /// The directory of the hooks.
    pub hooks: PathBuf,
    /// How long one program of a hook may take.
    pub hook_limit: Duration,
    /// The command that checks a host from here, its program first; none where it is not checked so.
    pub check: Option<Vec<String>>,
    /// The run.
    pub run: RunId,
    /// Its number in the ledger.
    pub number: Option<u64>,
    /// Its operation.
    pub operation: String,
    /// The words of its target.
    pub target: String,
    /// Who began it.
    pub by: String,
    /// A place for each program that may be at work at once.
    pub places: Arc<Semaphore>,
}

/// A program of a hook that failed.
#[derive(Debug, Clone, PartialEq)]
pub struct HookFailure {
    /// The hook.
    pub hook: Hook,
    /// The path of the program.
    pub program: String,
    /// How it ended.
    pub end: ProgramEnd,
    /// What it said, line by line.
    pub detail: Vec<String>,
}

const NOT_ROOTS: &str = "not run: its directory is not root's alone to write";

/// The most lines of a program's output that are kept.
const MOST_LINES: usize = 20;

impl HookFailure {
    fn of(hook: Hook, program: &Path, ended: Ended) -> Self {
        let (end, error) = match ended.end {
            End::Code(code) => (ProgramEnd::Exited { status: code }, None),
            End::Signal(signal) => (ProgramEnd::Killed { signal }, None),
            End::Late(limit) => (
                ProgramEnd::Late {
                    seconds: limit.as_secs(),
                },
                None,
            ),
            End::NotRun(error) => (ProgramEnd::NotRun, Some(error.to_string())),
        };
        let lines = ended
            .output
            .lines()
            .map(str::trim_end)
            .filter(|line| !line.is_empty());
        let mut detail: Vec<String> = error.into_iter().chain(lines.map(str::to_owned)).collect();
        // What a program dies of it says last.
        let much = detail.len().saturating_sub(MOST_LINES);
        detail.drain(..much);
        Self {
            hook,
            program: program.display().to_string(),
            end,
            detail,
        }
    }

    fn not_run(hook: Hook, program: &Path, why: impl Into<String>) -> Self {
        Self {
            hook,
            program: program.display().to_string(),
            end: ProgramEnd::NotRun,
            detail: vec![why.into()],
        }
    }
}

impl HookFailure {
    /// The event that tells it, where it is no reason of a host.
    #[must_use]
    pub fn event(self, host: Option<HostName>) -> Event {
        let Self {
            hook,
            program,
            end,
            detail,
        } = self;
        Event::HookFailed {
            hook,
            host,
            program,
            end,
            detail,
        }
    }
}

impl From<HookFailure> for ServerReason {
    fn from(failure: HookFailure) -> Self {
        let HookFailure {
            hook,
            program,
            end,
            detail,
        } = failure;
        Self {
            detail,
            ..ServerCause::HookFailed { hook, program, end }.into()
        }
    }
}

/// What a hook is about, beside the run.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct About<'a> {
    pub(crate) host: Option<&'a Host>,
    pub(crate) outcome: Option<Outcome>,
}

impl Programs {
    /// Whether anything is to be called for this hook. What cannot be looked at counts.
    pub(crate) fn has(&self, hook: Hook) -> bool {
        match fs::symlink_metadata(self.hooks.join(hook.as_str())) {
            Ok(_) => true,
            Err(error) => error.kind() != ErrorKind::NotFound,
        }
    }

    /// Calls the programs of a hook about the whole run, with these lines on their standard input.
    ///
    /// # Errors
    /// The first program that failed; no further one is called then.
    pub async fn call_for_run(&self, hook: Hook, input: String) -> Result<(), HookFailure> {
        self.call(hook, About::default(), input).await
    }

    /// Calls the programs of a hook, one after the other, up to the first that fails.
    pub(crate) async fn call(&self, hook: Hook, about: About<'_>, input: String) -> Result<(), HookFailure> {
        if !self.has(hook) {
            return Ok(());
        }
        let mut variables = self.variables(about);
        variables.push(("APU_HOOK", hook.to_string()));
        for program in self.find(hook)? {
            let command = [program.display().to_string()];
            let ended = self
                .run(&command, &variables, input.clone(), self.hook_limit)
                .await;
            if !matches!(ended.end, End::Code(0)) {
                return Err(HookFailure::of(hook, &program, ended));
            }
        }
        Ok(())
    }

    /// The programs of a hook. One that may not be run is a failure before any is run: half of them is not what was meant.
    fn find(&self, hook: Hook) -> Result<Vec<PathBuf>, HookFailure> {
        let path = self.hooks.join(hook.as_str());
        let is_directory = fs::symlink_metadata(&path).is_ok_and(|metadata| metadata.is_dir());
        // Who may write there could put another directory in its place.
        if is_directory && !run_parts::is_roots_alone(&self.hooks).unwrap_or(false) {
            return Err(HookFailure::not_run(hook, &self.hooks, NOT_ROOTS));
        }
        let directory = if is_directory { &path } else { &self.hooks };
        let found = run_parts::find(directory)
            .map_err(|error| HookFailure::not_run(hook, directory, error.to_string()))?;
        let mut programs = Vec::new();
        for found in found {
            if !is_directory && found.name != hook.as_str() {
                continue;
            }
            let program = directory.join(&found.name);
            if let Some(obstacle) = found.obstacle {
                return Err(HookFailure::not_run(hook, &program, obstacle));
            }
            programs.push(program);
        }
        if !is_directory && programs.is_empty() {
            return Err(HookFailure::not_run(hook, &path, "not run: it is not executable"));
        }
        Ok(programs)
    }

    /// Checks a host from here. `None` where nothing is to be checked.
    pub(crate) async fn check(&self, host: &Host) -> Option<Check> {
        let command = self.check.as_ref()?;
        let about = About {
            host: Some(host),
            outcome: None,
        };
        let variables = self.variables(about);
        let ended = self.run(command, &variables, String::new(), CHECK_LIMIT).await;
        let said = ended.output.trim().to_owned();
        let or = |words: String| if said.is_empty() { words } else { said.clone() };
        let and = |words: String| format!("{words}\n{said}");
        let (verdict, detail) = match ended.end {
            End::Code(0) => (Verdict::Pass, said),
            End::Code(CANNOT_TELL) => (Verdict::Inconclusive, or(format!("exit status {CANNOT_TELL}"))),
            End::Code(code) => (Verdict::Fail, or(format!("exit status {code}"))),
            End::Signal(signal) => (Verdict::Fail, or(format!("signal {signal}"))),
            End::Late(limit) => {
                let why = format!("it did not end within {} s", limit.as_secs());
                (Verdict::Inconclusive, and(why))
            }
            End::NotRun(error) => (Verdict::Inconclusive, format!("not run: {error}")),
        };
        Some(Check::new(SERVER_CHECK, verdict, detail))
    }

    /// Runs a program once there is a place for it.
    async fn run(
        &self,
        command: &[String],
        variables: &[(&'static str, String)],
        input: String,
        limit: Duration,
    ) -> Ended {
        // Nobody closes it.
        let _place = self.places.acquire().await;
        run(command, variables, input, limit).await
    }

    fn variables(&self, about: About<'_>) -> Vec<(&'static str, String)> {
        let mut variables = vec![
            ("APU_RUN_ID", self.run.to_string()),
            ("APU_OPERATION", self.operation.clone()),
            ("APU_TARGET", self.target.clone()),
            ("APU_BY", self.by.clone()),
        ];
        variables.extend(self.number.map(|number| ("APU_RUN", number.to_string())));
        if let Some(host) = about.host {
            variables.push(("APU_HOST", host.name.to_string()));
            let address = host.address.as_ref().unwrap_or(&host.name);
            variables.push(("APU_ADDRESS", address.to_string()));
        }
        variables.extend(about.outcome.map(|outcome| ("APU_OUTCOME", outcome.to_string())));
        variables
    }
}

#[cfg(test)]
mod tests;
