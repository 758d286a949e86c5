//! Another turn of a run: hosts that waited in the queue do what was approved for them, or what others of that run have done.

use std::collections::HashMap;
use std::sync::Arc;

use apu_fleet::{
    Batch, Ending, Frozen, Host, HostName, Outcome, Phase, Rollout, ServerAdvice, ServerCause, ServerReason,
    Tested, Trial, package_words,
};
use apu_ledger::{Ledger, LedgerError, RunNumber, Work};
use apu_proto::{Request, RequestOption, Verdict};
use apu_site::Failure;

use super::args::{Args, Shown};
use super::begin::by;
use super::protection::Protection;
use super::push::{Push, not_a_request};
use super::resume::{allowed_restarts, request};
use super::start::{Start, run_push};
use crate::context::Context;
use crate::failure::ledger as ledger_failure;
use crate::one_phase::new_push;

/// Another turn of a run for hosts of it.
pub(crate) struct Turn {
    /// The run's number, request and target.
    pub(crate) run: apu_ledger::Run,
    /// The hosts, each with what it was approved to do.
    pub(crate) hosts: Vec<(Host, Option<Trial>)>,
}

/// Gives hosts their turn, as a run of its own. A host does what it was approved to do; one that had no plan, and any host of a run in
/// waves, does only what hosts of that run have done before and stayed well with.
///
/// # Errors
/// Where a push cannot begin.
pub(crate) fn take_turn(context: &Context, turn: Turn, shown: Shown) -> Result<u8, Failure> {
    let Turn { run, hosts } = turn;
    let failed = |error| ledger_failure(&context.site, error);
    let ledger = context.ledger_to_record()?;
    let work = ledger.work(run.number).map_err(failed)?;
    let tested = tested(&ledger, run.number, work.as_ref()).map_err(failed)?;
    let request = by(request(&run.request)?, &run.by)?;
    let target = apu_fleet::fold(hosts.iter().map(|(host, _)| host.name.as_str()));
    let mut args = Args::of_request(&target, &request, shown);
    args.allow_restart = allowed_restarts(&run);
    args.ignore_windows = work.as_ref().is_some_and(|work| work.ignores_windows);
    let approved: HashMap<HostName, Trial> = hosts
        .iter()
        .filter_map(|(host, trial)| Some((host.name.clone(), trial.clone()?)))
        .collect();
    let ssh = context.ssh()?;
    let start = Start {
        context,
        ssh: &ssh,
        args: &args,
        hosts: hosts.into_iter().map(|(host, _)| host).collect(),
        local: Vec::new(),
        ledger: Some(ledger),
        parent: Some(run.number),
        queue_until: None,
        push: new_push()?,
    };
    let pushed = run_push(start, async move |push: &mut Push<'_>, hosts| {
        let rollout = work
            .as_ref()
            .map_or_else(Rollout::default, |work| work.rollout.clone());
        let may_do = |trial: &Trial, is_approved: bool| {
            (is_approved && rollout.is_at_once()) || tested.missing(trial).is_empty()
        };
        if let (false, Some(id)) = (rollout.freeze.is_empty(), run.client_run) {
            let folder = context.site.frozen().join(id.to_string());
            push.frozen = Some(Arc::new(Frozen::of_turn(folder, rollout.freeze.clone())));
        }
        let once = Rollout {
            check: rollout.check.clone(),
            ..Rollout::default()
        };
        if !request.changes_packages() {
            push.apply(request, &hosts, once).await?;
            return Ok(push.show(&[]));
        }
        let unplanned = hosts.iter().filter(|host| !approved.contains_key(&host.name));
        let unplanned: Vec<Host> = unplanned.cloned().collect();
        let mut trials: Vec<(HostName, Trial)> = Vec::new();
        if !unplanned.is_empty() {
            let plan = (request.clone().with([RequestOption::DryRun])).map_err(not_a_request)?;
            push.ask_all(Batch::of(Phase::Plan, &unplanned, &plan)).await;
            // Nobody has seen what they would restart.
            push.protection = Protection::of(context, push.args, &unplanned)?;
            push.leave_out_protected(&plan, &unplanned).await;
            trials = push.wanted();
        }
        let mut kept_back = HashMap::new();
        for (host, trial) in &trials {
            if !may_do(trial, false) {
                kept_back.insert(host.clone(), untested(&tested, trial, &request));
            }
        }
        for (host, trial) in approved {
            if !may_do(&trial, true) {
                kept_back.insert(host.clone(), untested(&tested, &trial, &request));
            }
            trials.push((host, trial));
        }
        let names: Vec<HostName> = trials.iter().map(|(host, _)| host.clone()).collect();
        let hosts: Vec<Host> = hosts
            .into_iter()
            .filter(|host| names.contains(&host.name))
            .collect();
        push.record
            .planned(trials.iter().map(|(_, trial)| trial.transaction.id()));
        push.approve_all(trials);
        push.keep_back(kept_back);
        push.apply(request, &hosts, once).await?;
        Ok(push.show(&[]))
    });
    pushed.map(|pushed| pushed.status)
}

/// What hosts of a run have done and stayed well with.
fn tested(ledger: &Ledger, run: RunNumber, work: Option<&Work>) -> Result<Tested, LedgerError> {
    let mut tested = Tested::default();
    let Some(work) = work else { return Ok(tested) };
    let trials: HashMap<HostName, Trial> = work.trials().into_iter().collect();
    for attempt in ledger.attempts(run)? {
        let Some(trial) = trials.get(&attempt.host).filter(|trial| !trial.is_broken) else {
            continue;
        };
        let has_changed = attempt.outcome == Some(Outcome::Changed);
        let is_well = |ending: &Ending| ending.verdict().is_none_or(|verdict| verdict == Verdict::Pass);
        if has_changed && ledger.ending(&attempt)?.as_ref().is_some_and(is_well) {
            tested.add(trial);
        }
    }
    Ok(tested)
}

/// Why a host does not do what no other has done before.
fn untested(tested: &Tested, trial: &Trial, request: &Request) -> ServerReason {
    ServerReason::from(ServerCause::untested(tested.missing(trial))).advise(ServerAdvice::RepeatAlone {
        operation: request.operation(),
        packages: package_words(request.packages()),
    })
}
