//! Leaves out of a push what is too young for it. Only a plan shows what that is, so hosts that would install some of it plan once
//! more without it.

use std::collections::{BTreeSet, HashMap};

use apu_fleet::{Batch, Host, HostName, Phase};
use apu_ledger::LedgerError;
use apu_proto::{DebSha256, PackageGlob, Plan, Request};
use apu_site::{Failure, Site};
use jiff::Timestamp;

use super::min_age::{debs, without};
use super::planned::plan_of;
use super::push::{Push, not_a_request};
use crate::{failure, ledger};

/// How often a host may plan once more: without a package, apt may choose others, which are too young as well.
const MAX_ROUNDS: usize = 4;

/// Takes note of these .debs, and returns when each was first seen.
fn first_seen(
    site: &Site,
    debs: BTreeSet<DebSha256>,
    now: Timestamp,
) -> Result<HashMap<DebSha256, Timestamp>, LedgerError> {
    if debs.is_empty() {
        return Ok(HashMap::new());
    }
    ledger::made(site)?.first_seen(debs, now)
}

impl Push<'_> {
    /// Takes note of the .debs that the plans show. Hosts that would install one which is too young plan once more without it, by
    /// the same request.
    pub(super) async fn leave_out_young(&mut self, plan: &Request, hosts: &[Host]) -> Result<(), Failure> {
        for round in 0..=MAX_ROUNDS {
            let endings = self.runner.state().endings();
            let plans: Vec<(&HostName, &Plan)> = endings
                .filter_map(|(host, ending)| Some((host, plan_of(ending)?)))
                .collect();
            let now = Timestamp::now();
            let seen = first_seen(self.site, debs(plans.iter().map(|(_, plan)| *plan)), now);
            let Some(min_age) = self.min_age else {
                // A later run may ask for an age; this one does not.
                return Ok(());
            };
            let seen = seen.map_err(|error| failure::ledger(self.site, error))?;
            let mut again: HashMap<HostName, Request> = HashMap::new();
            for (host, found) in plans {
                let young = min_age.too_young(found, &seen, now);
                if young.is_empty() {
                    continue;
                }
                let known = self.too_young.get(host).into_iter().flatten().cloned();
                let all: Vec<PackageGlob> = match round {
                    MAX_ROUNDS => vec![PackageGlob::any()],
                    _ => young
                        .into_iter()
                        .chain(known)
                        .collect::<BTreeSet<_>>()
                        .into_iter()
                        .collect(),
                };
                // With what this host gets beside it there may be less room.
                let plan = self.parts.plan_of(host, plan).unwrap_or_else(|_| plan.clone());
                let (request, all) = without(&plan, &all).map_err(not_a_request)?;
                self.too_young.insert(host.clone(), all);
                again.insert(host.clone(), request);
            }
            if again.is_empty() || self.runner.state().interrupts > 0 {
                return Ok(());
            }
            let part: Vec<Host> = hosts
                .iter()
                .filter(|host| again.contains_key(&host.name))
                .cloned()
                .collect();
            let mut batch = Batch::of(Phase::Plan, &part, plan);
            for task in &mut batch.tasks {
                if let Some(request) = again.remove(&task.host.name) {
                    task.request = request;
                }
            }
            self.ask_all(batch).await;
        }
        Ok(())
    }
}
