//! Narrows what a host of a later wave does to what canaries have tested: the rest is held there, and stays as it is.

use std::sync::Arc;
use std::time::Duration;

use apu_debian::PackageKey;
use apu_proto::{Frame, PackageGlob, Plan, Request, RunResult};
use tokio::time::timeout;

use crate::outcome::{Ending, Outcome};
use crate::reader::FrameReader;
use crate::reason::{ServerCause, ServerReason};
use crate::rollout::{Tested, Trial};
use crate::task::Task;
use crate::transport::{Answer, Transport};

/// What a host does not do of its plan.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Narrowed {
    /// The packages that no canary has tested.
    pub(crate) packages: Vec<PackageKey>,
    /// What canaries have tested by then.
    pub(crate) tested: Arc<Tested>,
}

/// The packages that a host leaves as they are for want of a test, where it can do the rest of its plan. `None` where that is nothing,
/// where the operation cannot hold them, or where they are what is asked for.
pub(crate) fn held_back<'a>(task: &Task, missing: &[&'a PackageKey]) -> Option<Vec<&'a PackageKey>> {
    let trial = task.trial.as_ref()?;
    let is_named = |package: &PackageKey| {
        let names = task.request.packages().iter();
        names
            .map(|named| named.name.as_str())
            .any(|name| name == package.name())
    };
    let can_hold = task.request.operation().takes_hold()
        && !trial.is_broken
        && missing.len() < trial.transaction.steps().len()
        && !missing.iter().any(|package| is_named(package));
    can_hold.then(|| missing.to_vec())
}

/// Asks the host what it would do with the others held, and returns the task that does exactly this.
///
/// # Errors
/// How the host ends, where it cannot say so, or would do something that was not tested or not approved.
pub(crate) async fn narrow<T: Transport>(
    transport: &T,
    task: &Task,
    narrowed: &Narrowed,
    limit: Duration,
) -> Result<Task, Box<Ending>> {
    let bug = |()| skipped(narrowed.names());
    let too_long = |_| no_room(task, narrowed.packages.len());
    let globs: Result<Vec<PackageGlob>, _> = narrowed
        .packages
        .iter()
        .map(|package| package.name().parse())
        .collect();
    let Ok(globs) = globs else { return Err(bug(())) };
    let plan = task.request.holding(globs.clone(), None).map_err(too_long)?;
    let result = ask(transport, task, &plan, limit).await?;
    let Some(plan) = result
        .plan()
        .filter(|_| Outcome::from(result.outcome) == Outcome::Unchanged)
    else {
        return Err(Box::new(Ending::of_result(result, None)));
    };
    let trial = narrowed.check(task, plan)?;
    let request = task.request.holding(globs, Some(trial.transaction.id()));
    Ok(Task {
        host: task.host.clone(),
        request: request.map_err(too_long)?,
        trial: Some(Arc::new(trial)),
    })
}

/// The end of a host that is not asked, since these packages are not tested.
fn skipped(packages: Vec<&PackageKey>) -> Box<Ending> {
    let cause = ServerCause::untested(packages);
    Box::new(Ending::without_result(Outcome::Skipped, cause, None))
}

/// The end of a host that is not asked, since its request has no room for so many packages to be held.
fn no_room(task: &Task, more: usize) -> Box<Ending> {
    let request = &task.request;
    let answers = request.answers().map_or(0, |answers| answers.all().len());
    let reason = ServerCause::request_too_long(
        request.conffile_rules().len(),
        answers,
        request.hold().len() + more,
    );
    Box::new(Ending::without_result(Outcome::Skipped, reason, None))
}

impl Narrowed {
    fn names(&self) -> Vec<&PackageKey> {
        self.packages.iter().collect()
    }

    /// What the host would do now, where all of it was tested and approved.
    fn check(&self, task: &Task, plan: &Plan) -> Result<Trial, Box<Ending>> {
        let trial = Trial::of(plan);
        let approved = task.trial.as_ref().map(|trial| &trial.transaction);
        let mut others = self.tested.missing(&trial);
        if let Some(approved) = approved {
            others.extend(Tested::beyond(approved, &trial.transaction));
        }
        others.sort();
        others.dedup();
        if !others.is_empty() || approved.is_none() {
            return Err(skipped(others));
        }
        if trial.transaction.steps().is_empty() {
            return Err(skipped(self.names()));
        }
        Ok(trial)
    }
}

/// The result of a request that begins nothing.
async fn ask<T: Transport>(
    transport: &T,
    task: &Task,
    request: &Request,
    limit: Duration,
) -> Result<Box<RunResult>, Box<Ending>> {
    let unreachable = |why: ServerReason| Box::new(Ending::without_result(Outcome::Unreachable, why, None));
    let mut answer = match timeout(limit, transport.ask(&task.host, request)).await {
        Ok(answer) => answer.map_err(unreachable)?,
        Err(_) => return Err(unreachable(ServerCause::ConnectedAndSilent.into())),
    };
    let result = timeout(limit, async {
        let mut frames = FrameReader::new(answer.bytes());
        while let Some(frame) = frames.next().await {
            if let Frame::Result(result) = frame {
                return Some(result);
            }
        }
        None
    });
    match result.await {
        Ok(Some(result)) => {
            answer.finish().await;
            Ok(result)
        }
        Ok(None) => Err(unreachable(ServerCause::ConnectedAndFailed.into())),
        Err(_) => Err(unreachable(ServerCause::ConnectedAndSilent.into())),
    }
}
