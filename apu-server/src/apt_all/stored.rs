//! Plans that are kept: how a push keeps one, and how it carries one out.

use std::collections::HashMap;

use apu_fleet::HostName;
use apu_proto::{Plan, Request};
use apu_site::Failure;
use jiff::Timestamp;

use super::args::Args;
use super::planned::plans_of;
use super::push::{Push, run_push};
use super::rollout::Arranged;
use crate::context::Context;
use crate::failure;
use crate::stored_plans::{self, StoredPlan};

/// Carries out a plan that was kept; `shown` is whether events are printed, everything, or only what needs a hand.
///
/// # Errors
/// Where a host of it is none any more, and where any push cannot begin.
pub(crate) fn apply_stored(
    context: &Context,
    plan: &StoredPlan,
    shown: (bool, bool, bool),
) -> Result<u8, Failure> {
    let args = Args::of(plan, shown);
    let request = args.request(&[])?;
    let names: Vec<String> = plan.hosts.iter().map(|(host, _)| host.to_string()).collect();
    let hosts = context.inventory()?.resolve(&names, &[]);
    let hosts = hosts.map_err(|error| failure::target(&context.site, error))?;
    let is_other = |name: &String| hosts.iter().all(|host| host.name.as_str() != name);
    if hosts.len() != names.len() || names.iter().any(is_other) {
        return Err(Failure::words("the classes no longer mean the hosts of the plan")
            .why("a name of the plan is the name of a class now, or of several hosts")
            .advise("make the plan again"));
    }
    let ssh = context.ssh()?;
    run_push(
        context,
        &ssh,
        &args,
        hosts,
        Vec::new(),
        async move |push: &mut Push<'_>, hosts| {
            let approved = plan.trials();
            let transactions = approved.iter().map(|(_, trial)| trial.transaction.id());
            push.record.planned(transactions);
            push.apply_approved(request, hosts, approved, Arranged::of(plan))
                .await?;
            Ok(push.show(&[]))
        },
    )
}

impl Push<'_> {
    /// Keeps what the hosts have planned, to be carried out later.
    pub(super) fn keep_plan(&mut self, request: &Request, arranged: &Arranged) -> Result<(), Failure> {
        let endings = self.endings();
        let mut plans: HashMap<&HostName, &Plan> = plans_of(&endings).collect();
        let hosts = arranged.hosts.iter();
        let stored = StoredPlan {
            at: Timestamp::now().as_duration().as_secs_f64(),
            by: self.record.by().to_owned(),
            target: self.args.target.clone(),
            operation: request.operation(),
            packages: request.packages().iter().map(ToString::to_string).collect(),
            allow_remove: request.allows_removal(),
            options: self.args.host_and_wave_options(),
            hosts: hosts
                .filter_map(|host| Some((host.clone(), plans.remove(host)?.clone())))
                .collect(),
            waves: arranged.rollout.waves.clone(),
            soak: arranged.rollout.soak.as_secs(),
        };
        if stored.hosts.is_empty() {
            self.ui.complain("no plan was kept: nothing would change\n");
            return Ok(());
        }
        let number = stored_plans::keep(self.site, &stored)?;
        // Standard output is the events' where they are asked for.
        let text = format!("plan {number} is kept; to carry it out: apu apply {number}\n");
        match self.args.json {
            true => self.ui.complain(&text),
            false => self.ui.show(&text),
        }
        Ok(())
    }
}
