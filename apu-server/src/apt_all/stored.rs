//! Plans that are kept: how a push keeps one, and how it carries one out.

use std::collections::HashMap;

use apu_fleet::{Host, HostName, PushId};
use apu_proto::{PackageArg, Plan, Request, RequestOption};
use apu_site::Failure;
use jiff::Timestamp;

use super::args::{ApplyOptions, Args};
use super::planned::plans_of;
use super::push::Push;
use super::rollout::Arranged;
use super::start::{Pushed, Start, run_push};
use crate::context::Context;
use crate::failure;
use crate::stored_plans::{self, HostsWithRules, StoredPlan};

/// Carries out a plan that was kept, as the push of this identity.
///
/// # Errors
/// Where a host of it is none any more, and where any push cannot begin.
pub(crate) fn apply_stored(
    context: &Context,
    plan: &StoredPlan,
    options: ApplyOptions,
    push: PushId,
) -> Result<Pushed, Failure> {
    let request = request_of(plan)?;
    let mut args = Args::of_request(&plan.target, &request, options.shown);
    args.ignore_windows = options.ignore_windows;
    let hosts = hosts_of_plan(context, plan.hosts.iter().map(|(host, _)| host))?;
    let ssh = context.ssh()?;
    let start = Start {
        push,
        context,
        ssh: &ssh,
        args: &args,
        hosts,
        local: Vec::new(),
        ledger: Some(context.ledger_to_record()?),
        parent: None,
        queue_until: options.queue.map(|duration| Timestamp::now() + duration),
    };
    run_push(start, async move |push: &mut Push<'_>, hosts| {
        let approved = plan.trials();
        let transactions = approved.iter().map(|(_, trial)| trial.transaction.id());
        push.record.planned(transactions);
        push.apply_approved(request, hosts, approved, Arranged::of(plan))
            .await?;
        Ok(push.show(&[]))
    })
}

/// What a plan that was kept asks for.
fn request_of(plan: &StoredPlan) -> Result<Request, Failure> {
    let no_plan = |why: String| {
        Failure::words("the plan is not understood")
            .why(why)
            .advise("make it again")
    };
    let packages = plan.packages.iter().map(|word| word.parse::<PackageArg>());
    let packages: Result<Vec<PackageArg>, _> = packages.collect();
    let packages = packages.map_err(|error| no_plan(error.to_string()))?;
    let options = [
        plan.allow_remove.then_some(RequestOption::AllowRemove),
        plan.security.then_some(RequestOption::OnlySecurity),
        (!plan.sources.is_empty()).then(|| RequestOption::Sources(plan.sources.clone())),
        plan.only_upgrade.then_some(RequestOption::OnlyUpgrade),
        (!plan.hold.is_empty()).then(|| RequestOption::Hold(plan.hold.clone())),
    ];
    Request::new(plan.operation, options.into_iter().flatten(), packages)
        .map_err(|error| no_plan(error.to_string()))
}

/// The hosts that were named when something was approved, as the classes have them now.
///
/// # Errors
/// Where a name of them means something else by now.
fn hosts_of_plan<'a>(
    context: &Context,
    names: impl Iterator<Item = &'a HostName>,
) -> Result<Vec<Host>, Failure> {
    let names: Vec<String> = names.map(ToString::to_string).collect();
    let hosts = context.inventory()?.resolve(&names, &[]);
    let hosts = hosts.map_err(|error| failure::target(&context.site, error))?;
    let is_other = |name: &String| hosts.iter().all(|host| host.name.as_str() != name);
    if hosts.len() != names.len() || names.iter().any(is_other) {
        return Err(Failure::words("the classes no longer mean the hosts of the plan")
            .why("a name of the plan is the name of a class now, or of several hosts")
            .advise("make the plan again"));
    }
    Ok(hosts)
}

impl Push<'_> {
    /// Keeps what the hosts have planned, to be carried out later.
    pub(super) fn keep_plan(&mut self, request: &Request, arranged: &Arranged) -> Result<(), Failure> {
        let endings = self.endings();
        let mut plans: HashMap<&HostName, &Plan> = plans_of(&endings).collect();
        let hosts = arranged.hosts.iter();
        let rules = hosts
            .clone()
            .map(|host| (host.clone(), self.parts.rules_of(host)));
        let stored = StoredPlan {
            at: Timestamp::now().as_duration().as_secs_f64(),
            by: self.record.by().to_owned(),
            target: self.args.target.clone(),
            operation: request.operation(),
            packages: request.packages().iter().map(ToString::to_string).collect(),
            allow_remove: request.allows_removal(),
            security: request.is_only_security(),
            sources: request.sources().to_vec(),
            only_upgrade: request.is_only_upgrade(),
            hold: request.hold().to_vec(),
            conffile_rules: HostsWithRules::of(rules),
            options: self.args.host_and_wave_options(),
            hosts: hosts
                .filter_map(|host| {
                    let mut plan = plans.remove(host)?.clone();
                    // What was asked for, whatever a client says of it.
                    plan.too_young = self.too_young.get(host).cloned().unwrap_or_default();
                    Some((host.clone(), plan))
                })
                .collect(),
            waves: arranged.rollout.waves.clone(),
            soak: arranged.rollout.soak.as_secs(),
            pause_limit: Some(arranged.rollout.pause_limit.as_secs()),
            check: arranged.rollout.check.clone(),
            freeze: arranged.rollout.freeze.clone(),
        };
        if stored.hosts.is_empty() {
            self.ui.complain("no plan was kept: nothing would change\n");
            return Ok(());
        }
        let number = stored_plans::keep(self.site, &stored)?;
        self.kept = Some(number);
        // Standard output is the events' where they are asked for.
        let text = format!("plan p{number} is kept; to carry it out: apu apply p{number}\n");
        match self.args.shown.json {
            true => self.ui.complain(&text),
            false => self.ui.show(&text),
        }
        Ok(())
    }
}
