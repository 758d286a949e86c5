//! The frozen .debs of a run: canaries give what they have installed and are well with, and hosts of later waves install that,
//! whatever the archives have by then.

mod fetch;
mod store;

use std::collections::HashSet;
use std::path::PathBuf;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use apu_debian::{PackageKey, matches_glob};
use apu_proto::{
    ClientOutcome, DebSha256, Frame, MAX_DEBS, Operation, Request, RequestError, RequestOption, RunId,
    RunResult, SentDeb, Step,
};
use tokio::time::timeout;

use self::fetch::fetch;
use self::store::Store;
use crate::name::HostName;
use crate::outcome::{Ending, Outcome};
use crate::reader::FrameReader;
use crate::reason::{HostReason, ServerAdvice, ServerCause, ServerReason};
use crate::reply::old_client;
use crate::rollout::{Rollout, Trial};
use crate::task::Task;
use crate::transport::{Answer, Transport};

/// What is frozen in a phase, and for whom.
#[derive(Debug)]
pub struct Frozen {
    store: Store,
    /// The origins whose .debs are frozen, as globs.
    origins: Vec<String>,
    /// How many hosts, the first of the phase, give.
    givers: usize,
    /// What the others need; none where that is not known of all of them.
    wanted: Option<HashSet<DebSha256>>,
    /// One host gives at a time.
    turn: tokio::sync::Mutex<()>,
    /// The last host that could not give, and why.
    failed: Mutex<Option<(HostName, HostReason)>>,
}

impl Frozen {
    /// What the canaries of a phase give for its later waves, in this folder; none where nothing is to be frozen. Where `for_more`, hosts
    /// may follow that are not in the phase.
    #[must_use]
    pub fn of_phase(folder: PathBuf, rollout: &Rollout, tasks: &[Task], for_more: bool) -> Option<Arc<Self>> {
        if rollout.freeze.is_empty() || rollout.is_at_once() {
            return None;
        }
        let mut frozen = Self::of_turn(folder, rollout.freeze.clone());
        frozen.givers = rollout.range(0, tasks.len()).end;
        let takers = tasks.iter().skip(frozen.givers);
        let trials = takers.filter_map(|task| task.trial.as_deref());
        let wanted = trials
            .flat_map(|trial| frozen.chosen(trial))
            .map(|(_, sha256)| sha256)
            .collect();
        frozen.wanted = (!for_more).then_some(wanted);
        Some(Arc::new(frozen))
    }

    /// What hosts take that have another turn of a run: all that is in its folder already.
    #[must_use]
    pub fn of_turn(folder: PathBuf, origins: Vec<String>) -> Self {
        Self {
            store: Store::new(folder),
            origins,
            givers: 0,
            wanted: None,
            turn: tokio::sync::Mutex::new(()),
            failed: Mutex::new(None),
        }
    }

    /// Whether a host, counted in the order of the phase, gives.
    #[must_use]
    pub fn is_giver(&self, host: usize) -> bool {
        host < self.givers
    }

    /// The .debs of a transaction that are frozen.
    fn chosen<'a>(&self, trial: &'a Trial) -> Vec<(&'a PackageKey, DebSha256)> {
        let chosen = |step: &'a Step| match step {
            Step::Install {
                package,
                sha256: Some(sha256),
                origin,
                ..
            } if self.is_chosen(origin) => Some((package, *sha256)),
            _ => None,
        };
        trial.transaction.steps().iter().filter_map(chosen).collect()
    }

    /// Whether one of the origins is chosen that apt names, as in `Debian:12.11/stable, Debian-Security:12/stable-security`.
    fn is_chosen(&self, origins: &str) -> bool {
        let mut names = origins
            .split(", ")
            .map(|origin| origin.split(':').next().unwrap_or_default());
        names.any(|name| self.origins.iter().any(|glob| matches_glob(glob, name)))
    }

    /// Has a canary give what the others need and no other canary has given. Where it cannot, that is remembered: it is told where a
    /// host needs it.
    pub(crate) async fn freeze<T: Transport>(&self, transport: &T, task: &Task, run: RunId, limit: Duration) {
        let Some(trial) = &task.trial else { return };
        let _turn = self.turn.lock().await;
        let mut needed: Vec<DebSha256> = (self.chosen(trial).into_iter())
            .map(|(_, sha256)| sha256)
            .filter(|sha256| self.wanted.as_ref().is_none_or(|wanted| wanted.contains(sha256)))
            .filter(|sha256| self.store.size(*sha256).is_none())
            .collect();
        needed.sort();
        needed.dedup();
        for part in needed.chunks(MAX_DEBS) {
            let why = match timeout(limit, fetch(transport, &task.host, run, part, &self.store)).await {
                Ok(Ok(())) => continue,
                Ok(Err(why)) => why,
                Err(_) => ServerReason::from(ServerCause::ConnectedAndSilent).into(),
            };
            if let Ok(mut failed) = self.failed.lock() {
                *failed = Some((task.host.name.clone(), why));
            }
            return;
        }
    }

    /// Sends a host the frozen .debs of what it is to do.
    ///
    /// # Errors
    /// How the host ends, where one of them is not frozen or the host does not take it.
    pub(crate) async fn give<T: Transport>(
        &self,
        transport: &T,
        task: &Task,
        limit: Duration,
    ) -> Result<(), Box<Ending>> {
        let (Some(trial), Some(run)) = (&task.trial, task.request.run_id()) else {
            return Ok(());
        };
        let mut debs: Vec<SentDeb> = Vec::new();
        let mut missing: Vec<&PackageKey> = Vec::new();
        for (package, sha256) in self.chosen(trial) {
            match self.store.size(sha256) {
                Some(size) if debs.iter().all(|deb| deb.sha256 != sha256) => {
                    debs.push(SentDeb { sha256, size })
                }
                Some(_) => {}
                None => missing.push(package),
            }
        }
        if !missing.is_empty() {
            return Err(self.not_frozen(missing, task));
        }
        let sending = async {
            for part in debs.chunks(MAX_DEBS) {
                self.send(transport, task, run, part).await?;
            }
            Ok(())
        };
        timeout(limit, sending).await.unwrap_or_else(|_| {
            let cause = ServerCause::TimeUp {
                seconds: limit.as_secs_f64(),
                goes_on: false,
                lost: None,
            };
            Err(Box::new(Ending::without_result(Outcome::TimedOut, cause, None)))
        })
    }

    /// The end of a host that is not asked, since what it would install is not frozen.
    fn not_frozen(&self, missing: Vec<&PackageKey>, task: &Task) -> Box<Ending> {
        let failed = self
            .failed
            .lock()
            .map(|failed| failed.clone())
            .unwrap_or_default();
        let cause = ServerCause::not_frozen(missing, failed);
        let reason = ServerReason::from(cause).advise(ServerAdvice::RepeatAlone {
            operation: task.request.operation(),
            packages: crate::event::package_words(task.request.packages()),
        });
        Box::new(Ending::without_result(Outcome::Skipped, reason, None))
    }

    async fn send<T: Transport>(
        &self,
        transport: &T,
        task: &Task,
        run: RunId,
        debs: &[SentDeb],
    ) -> Result<(), Box<Ending>> {
        let unreachable =
            |why: ServerReason| Box::new(Ending::without_result(Outcome::Unreachable, why, None));
        let request = take_debs(run, debs).map_err(|_| unreachable(ServerCause::Bug.into()))?;
        let files: Vec<PathBuf> = debs.iter().map(|deb| self.store.path(deb.sha256)).collect();
        let answer = transport.ask_sending(&task.host, &request, &files).await;
        let mut answer = answer.map_err(unreachable)?;
        let mut frames = FrameReader::new(answer.bytes());
        let mut client = (String::new(), Vec::new());
        let mut result: Option<Box<RunResult>> = None;
        while let Some(frame) = frames.next().await {
            match frame {
                Frame::Hello {
                    client: version,
                    features,
                    ..
                } => client = (version, features),
                Frame::Result(last) => {
                    result = Some(last);
                    break;
                }
                _ => {}
            }
        }
        let Some(result) = result else {
            return Err(unreachable(ServerCause::ConnectedAndFailed.into()));
        };
        answer.finish().await;
        if result.outcome == ClientOutcome::Unchanged {
            return Ok(());
        }
        let mut ending = Ending::of_result(result, None);
        if let Some(old) = old_client(&request, &client.0, &client.1) {
            ending.outcome = Outcome::Refused;
            ending.reason = Some(old.into());
        }
        Err(Box::new(ending))
    }
}

fn take_debs(run: RunId, debs: &[SentDeb]) -> Result<Request, RequestError> {
    let options = [
        RequestOption::RunId(run),
        RequestOption::DebsFollow(debs.to_vec()),
    ];
    Request::new(Operation::TakeDebs, options, [])
}

#[cfg(test)]
mod tests;
