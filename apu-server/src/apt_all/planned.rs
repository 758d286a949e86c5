//! What a plan found out: which hosts would do what.

use apu_debian::PackageKey;
use apu_fleet::{Ending, HostName, Outcome, Trial};
use apu_proto::Plan;

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
    // The server may refuse what the client answered, as of one that is too old.
    let is_plan = ending.outcome == Outcome::Unchanged;
    ending.result.as_ref().filter(|_| is_plan)?.plan()
}

/// The packages that hosts mark, or would mark, as installed manually.
pub(super) fn marked(planned: &Endings) -> impl Iterator<Item = (&HostName, &[PackageKey])> {
    planned.iter().filter_map(|(host, ending)| {
        let marked = &plan_of(ending)?.marked_manual;
        (!marked.is_empty()).then_some((host, marked.as_slice()))
    })
}

/// The hosts on which something would change: a step of a transaction, a package that becomes installed manually, or a package
/// database that a run repairs first; each with what that is.
pub(super) fn wanted(planned: &Endings) -> Vec<(HostName, Trial)> {
    let is_wanted =
        |plan: &Plan| !(plan.transaction.steps().is_empty() && plan.marked_manual.is_empty()) || plan.repair;
    plans_of(planned)
        .filter(|(_, plan)| is_wanted(plan))
        .map(|(host, plan)| (host.clone(), Trial::of(plan)))
        .collect()
}

#[cfg(test)]
mod tests {
    use apu_proto::{Answer, ClientOutcome, RunResult, Step, Transaction};

    use super::*;

    #[test]
    fn a_host_that_the_server_refuses_is_in_no_plan() {
        let step = Step::Remove {
            package: "foo:amd64".parse().unwrap(),
            old: "1".into(),
        };
        let plan = Plan {
            transaction: Transaction::new(vec![step]),
            marked_manual: vec!["bar:amd64".parse().unwrap()],
            ..Plan::default()
        };
        let result = RunResult::new(ClientOutcome::Unchanged).with(Answer::Plan(Box::new(plan)));
        let good = Ending::of_result(Box::new(result), None);
        let mut too_old = good.clone();
        too_old.outcome = Outcome::Refused;
        let hosts = [
            ("web1".parse().unwrap(), good),
            ("web2".parse().unwrap(), too_old),
        ];
        let named = |host: &HostName| host.as_str().to_owned();
        assert_eq!(
            plans_of(&hosts).map(|(host, _)| named(host)).collect::<Vec<_>>(),
            ["web1"]
        );
        assert_eq!(
            marked(&hosts).map(|(host, _)| named(host)).collect::<Vec<_>>(),
            ["web1"]
        );
        assert_eq!(wanted(&hosts).len(), 1);
    }

    #[test]
    fn a_host_whose_package_database_is_broken_has_something_to_do() {
        let plan = |repair: bool| {
            let plan = Plan {
                repair,
                ..Plan::default()
            };
            let result = RunResult::new(ClientOutcome::Unchanged).with(Answer::Plan(Box::new(plan)));
            Ending::of_result(Box::new(result), None)
        };
        let endings = [
            ("web1".parse().unwrap(), plan(false)),
            ("web2".parse().unwrap(), plan(true)),
        ];
        let wanted = wanted(&endings);
        assert_eq!(wanted.len(), 1);
        assert!(wanted[0].0 == "web2".parse().unwrap() && wanted[0].1.is_broken);
    }
}
