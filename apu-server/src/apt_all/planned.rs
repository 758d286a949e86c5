//! What a plan found out: which hosts would do what.

use apu_debian::PackageKey;
use apu_fleet::{Ending, HostName};
use apu_proto::{ClientOutcome, Transaction};

/// How each host ended so far.
pub(super) type Endings = [(HostName, Ending)];

/// The hosts that said what they would do.
pub(super) fn transactions_of(planned: &Endings) -> impl Iterator<Item = (&HostName, &Transaction)> {
    planned
        .iter()
        .filter_map(|(host, ending)| Some((host, transaction_of(ending)?)))
}

/// What a host would do, if it could answer that well.
pub(super) fn transaction_of(ending: &Ending) -> Option<&Transaction> {
    let result = ending
        .result
        .as_ref()
        .filter(|result| result.outcome == ClientOutcome::Unchanged)?;
    result.transaction.as_ref()
}

/// The packages that hosts mark, or would mark, as installed manually.
pub(super) fn marked(planned: &Endings) -> impl Iterator<Item = (&HostName, &[PackageKey])> {
    planned.iter().filter_map(|(host, ending)| {
        let marked = ending.result.as_ref()?.marked_manual.as_slice();
        (!marked.is_empty()).then_some((host, marked))
    })
}

/// The hosts on which something would change: a step of a transaction, or a package that becomes installed manually.
pub(super) fn wanted(planned: &Endings) -> Vec<(HostName, Transaction)> {
    let marks: Vec<&HostName> = marked(planned).map(|(host, _)| host).collect();
    transactions_of(planned)
        .filter(|(host, transaction)| !transaction.steps().is_empty() || marks.contains(host))
        .map(|(host, transaction)| (host.clone(), transaction.clone()))
        .collect()
}
