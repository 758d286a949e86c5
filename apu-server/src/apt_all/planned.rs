//! What a plan found out: which hosts would do what.

use apu_debian::PackageKey;
use apu_fleet::{Ending, HostName};
use apu_proto::{ClientOutcome, Plan, Transaction};

/// How each host ended so far.
pub(super) type Endings = [(HostName, Ending)];

/// The hosts that said what they would do.
pub(super) fn plans_of(planned: &Endings) -> impl Iterator<Item = (&HostName, &Plan)> {
    planned
        .iter()
        .filter_map(|(host, ending)| Some((host, plan_of(ending)?)))
}

/// What a host would do, if it could answer that well.
pub(super) fn plan_of(ending: &Ending) -> Option<&Plan> {
    let result = ending
        .result
        .as_ref()
        .filter(|result| result.outcome == ClientOutcome::Unchanged)?;
    result.plan()
}

/// The packages that hosts mark, or would mark, as installed manually.
pub(super) fn marked(planned: &Endings) -> impl Iterator<Item = (&HostName, &[PackageKey])> {
    planned.iter().filter_map(|(host, ending)| {
        let marked = ending.result.as_ref()?.marked_manual();
        (!marked.is_empty()).then_some((host, marked))
    })
}

/// The hosts on which something would change: a step of a transaction, or a package that becomes installed manually.
pub(super) fn wanted(planned: &Endings) -> Vec<(HostName, Transaction)> {
    let marks: Vec<&HostName> = marked(planned).map(|(host, _)| host).collect();
    plans_of(planned)
        .map(|(host, plan)| (host, &plan.transaction))
        .filter(|(host, transaction)| !transaction.steps().is_empty() || marks.contains(host))
        .map(|(host, transaction)| (host.clone(), transaction.clone()))
        .collect()
}
