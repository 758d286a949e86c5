//! Compares what a run would do with what was approved.

use apu_proto::{Answer, Cause, ClientOutcome, Request, RunResult, Transaction, TransactionId};

use super::planning::{automatically_installed, report};
use super::refusal::Refusal;
use crate::apt::Plan;
use crate::dpkg::Database;

/// Refuses a plan that is not the approved one. A plan with nothing left to do is let through: nothing can happen that was not
/// approved.
pub(crate) fn check_approval(request: &Request, plan: &Plan, database: &Database) -> Result<(), Refusal> {
    let Some(approved) = request.plan() else {
        return Ok(());
    };
    let has_marks = || Ok(!automatically_installed(request, database)?.is_empty());
    compare(approved, plan, database.is_dirty(), has_marks)
}

/// `has_marks` says whether a package would be marked as manually installed.
fn compare(
    approved: TransactionId,
    plan: &Plan,
    is_dirty: bool,
    has_marks: impl FnOnce() -> Result<bool, Refusal>,
) -> Result<(), Refusal> {
    if plan.transaction().id() == approved {
        return Ok(());
    }
    if plan.steps.is_empty() && !is_dirty && !has_marks()? {
        return Ok(());
    }
    Err(drifted(plan))
}

/// Refuses a plan that was made after a repair, which may have done a part of the approved transaction already.
pub(super) fn check_rest(request: &Request, plan: &Plan, approved: &Transaction) -> Result<(), Refusal> {
    let found = plan.transaction();
    let is_part = || found.steps().iter().all(|step| approved.steps().contains(step));
    if request.plan().is_none() || is_part() {
        Ok(())
    } else {
        Err(drifted(plan))
    }
}

/// Returns the result for a transaction that differs from the approved one.
fn drifted(found: &Plan) -> Refusal {
    let result = RunResult::because(ClientOutcome::Drifted, Cause::Drifted);
    result.with(Answer::Plan(report(found))).into()
}

#[cfg(test)]
mod tests {
    use super::*;

    const UPGRADE: &str = "Inst lab [2] (3 Site:x [all])\n";

    fn plan(output: &str) -> Plan {
        Plan::parse(output, "amd64").unwrap()
    }

    fn database(state: &str) -> Database {
        let text = format!(
            "Package: dpkg\nStatus: install ok installed\nArchitecture: amd64\nVersion: 1\n\n\
             Package: lab\nStatus: install ok {state}\nArchitecture: all\nVersion: 3\n"
        );
        Database::parse([text.as_str()]).unwrap()
    }

    fn request(approved: &Plan) -> Request {
        let id = approved.transaction().id();
        Request::parse(format!("apu/1 upgrade plan_sha256={id}").as_bytes()).unwrap()
    }

    fn outcome(checked: Result<(), Refusal>) -> Option<ClientOutcome> {
        checked.err().map(|refusal| refusal.result.outcome)
    }

    #[test]
    fn what_was_approved_is_done_and_anything_else_is_drifted() {
        let approved = plan(UPGRADE);
        let check = |output: &str| {
            outcome(check_approval(
                &request(&approved),
                &plan(output),
                &database("installed"),
            ))
        };
        assert_eq!(check(UPGRADE), None);
        let drifted = Some(ClientOutcome::Drifted);
        assert_eq!(check("Inst lab [2] (4 Site:x [all])\n"), drifted);
        assert_eq!(check("Inst other [2] (3 Site:x [all])\n"), drifted);
        let both = format!("{UPGRADE}Inst other [2] (3 Site:x [all])\n");
        assert_eq!(check(&both), drifted);
        let without = Request::parse(b"apu/1 upgrade").unwrap();
        assert!(check_approval(&without, &plan(&both), &database("installed")).is_ok());
    }

    #[test]
    fn with_nothing_left_to_do_nothing_is_drifted() {
        let request = request(&plan(UPGRADE));
        let kept_back = plan("The following packages have been kept back:\n  other\n");
        for plan in [&Plan::default(), &kept_back] {
            assert!(check_approval(&request, plan, &database("installed")).is_ok());
        }
    }

    #[test]
    fn a_repair_or_a_mark_that_nobody_approved_is_something_to_do() {
        let approved = plan(UPGRADE).transaction().id();
        let nothing = Plan::default();
        let check = |is_dirty, has_marks| outcome(compare(approved, &nothing, is_dirty, || Ok(has_marks)));
        assert_eq!(check(false, false), None);
        assert_eq!(check(true, false), Some(ClientOutcome::Drifted));
        assert_eq!(check(false, true), Some(ClientOutcome::Drifted));
        let request = request(&plan(UPGRADE));
        let half = database("half-configured");
        assert_eq!(
            outcome(check_approval(&request, &nothing, &half)),
            Some(ClientOutcome::Drifted)
        );
    }

    #[test]
    fn after_a_repair_a_part_of_what_was_approved_may_be_left() {
        let both = plan(&format!("{UPGRADE}Remv other [2]\n"));
        let request = request(&both);
        let check = |output: &str| outcome(check_rest(&request, &plan(output), &both.transaction()));
        assert_eq!(check(UPGRADE), None);
        assert_eq!(check(""), None);
        assert_eq!(
            check("Inst lab [2] (4 Site:x [all])\n"),
            Some(ClientOutcome::Drifted)
        );
    }
}
