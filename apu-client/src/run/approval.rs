//! Compares what a run would do with what was approved.

use apu_proto::{Answer, Cause, Change, ClientOutcome, Request, RunResult, Transaction, TransactionId};

use super::planning::{automatically_installed, report};
use super::refusal::Refusal;
use super::run_dir::RunDir;
use crate::apt::Plan;
use crate::dpkg::Database;
use crate::os::paths::ClientPaths;

/// Refuses a plan that is not the approved one. Where a run that is kept has carried that one out, and nothing is left to do, the
/// plan is let through: a host on which the packages were put on hold instead, or whose lists are gone, has drifted, and so has one
/// on which they were changed again.
pub(crate) fn check_approval(
    paths: &ClientPaths,
    request: &Request,
    plan: &Plan,
    database: &Database,
) -> Result<(), Refusal> {
    let Some(approved) = request.plan() else {
        return Ok(());
    };
    let is_nothing = || {
        Ok(!database.is_dirty()
            && automatically_installed(request, database)?.is_empty()
            && was_carried_out(&RunDir::all(paths), approved, database))
    };
    compare(approved, plan, is_nothing)
}

/// `is_nothing` says whether a plan without a step has nothing else to do, and should have nothing to do.
fn compare(
    approved: TransactionId,
    plan: &Plan,
    is_nothing: impl FnOnce() -> Result<bool, Refusal>,
) -> Result<(), Refusal> {
    if plan.transaction().id() == approved || (plan.steps.is_empty() && is_nothing()?) {
        return Ok(());
    }
    Err(drifted(plan))
}

/// Whether one of the runs has carried out what was approved, all went well, and every package is still as it left it.
fn was_carried_out(runs: &[RunDir], approved: TransactionId, database: &Database) -> bool {
    let is_of_it = |run: &RunDir| {
        let saved = run.request().ok().and_then(|saved| saved.request.ok());
        saved.is_some_and(|request| request.plan() == Some(approved))
    };
    let is_so_still = |change: &Change| database.version(change.package.as_str()) == change.new.as_deref();
    let is_well_still = |result: RunResult| {
        let changes = result.packages().map_or(&[][..], |report| &report.changes);
        result.outcome == ClientOutcome::Changed && changes.iter().all(is_so_still)
    };
    runs.iter()
        .any(|run| is_of_it(run) && run.result().is_some_and(is_well_still))
}

/// Refuses a plan that was made after a repair, which may have done a part of the approved transaction already.
pub(super) fn check_rest(request: &Request, plan: &Plan, approved: &Transaction) -> Result<(), Refusal> {
    let found = plan.transaction();
    let is_part = || {
        found.steps().iter().all(|step| approved.steps().contains(step))
            && found
                .answers()
                .iter()
                .all(|answer| approved.answers().contains(answer))
    };
    if request.plan().is_none() || is_part() {
        Ok(())
    } else {
        Err(drifted(plan))
    }
}

/// Returns the result for a transaction that differs from the approved one.
fn drifted(found: &Plan) -> Refusal {
    let result = RunResult::because(ClientOutcome::Drifted, Cause::Drifted);
    result.with(Answer::Plan(Box::new(report(found)))).into()
}

#[cfg(test)]
mod tests {
    use apu_proto::{AnswerMark, ApprovedAnswer, RunId, Step};

    use super::super::run_dir::Claim;
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

    fn change(step: &Step) -> Change {
        let (old, new) = match step {
            Step::Install { old, new, .. } => (old.clone(), Some(new.clone())),
            Step::Remove { old, .. } => (Some(old.clone()), None),
        };
        let package = step.package().clone();
        Change { package, old, new }
    }

    /// A client which keeps a run that carried this out and ended so.
    fn client(carried_out: Option<(&Plan, ClientOutcome)>) -> (tempfile::TempDir, ClientPaths) {
        let root = tempfile::tempdir().unwrap();
        let paths = ClientPaths::below(root.path());
        if let Some((plan, outcome)) = carried_out {
            let id = RunId::from_bytes([1; 16]);
            let words = request(plan).to_string();
            let Claim::New(run) = RunDir::claim(&paths, id, &format!("{words} run_id={id}")).unwrap() else {
                panic!("there was one before");
            };
            let mut log = run.start_log().unwrap();
            let mut result = RunResult::new(outcome);
            result.packages_mut().changes = plan.steps.iter().map(change).collect();
            run.finish(&mut log, result).unwrap();
        }
        (root, paths)
    }

    #[test]
    fn what_was_approved_is_done_and_anything_else_is_drifted() {
        let approved = plan(UPGRADE);
        let (_root, paths) = client(Some((&approved, ClientOutcome::Changed)));
        let database = database("installed");
        let check = |output: &str| {
            let plan = plan(output);
            outcome(check_approval(&paths, &request(&approved), &plan, &database))
        };
        assert_eq!(check(UPGRADE), None);
        let drifted = Some(ClientOutcome::Drifted);
        assert_eq!(check("Inst lab [2] (4 Site:x [all])\n"), drifted);
        assert_eq!(check("Inst other [2] (3 Site:x [all])\n"), drifted);
        let both = format!("{UPGRADE}Inst other [2] (3 Site:x [all])\n");
        assert_eq!(check(&both), drifted);
        let without = Request::parse(b"apu/1 upgrade").unwrap();
        assert!(check_approval(&paths, &without, &plan(&both), &database).is_ok());
    }

    #[test]
    fn what_was_carried_out_here_has_nothing_left_to_do_and_is_not_drifted() {
        let approved = plan(UPGRADE);
        let nothing = plan("The following packages have been kept back:\n  other\n");
        let check_on = |carried_out, database: &Database| {
            let (_root, paths) = client(carried_out);
            outcome(check_approval(&paths, &request(&approved), &nothing, database))
        };
        let check = |carried_out| check_on(carried_out, &database("installed"));
        let drifted = Some(ClientOutcome::Drifted);
        assert_eq!(check(Some((&approved, ClientOutcome::Changed))), None);
        // Held instead, or done in part, or something else was done.
        assert_eq!(check(None), drifted);
        assert_eq!(check(Some((&approved, ClientOutcome::Failed))), drifted);
        let other = plan("Inst other [2] (3 Site:x [all])\n");
        assert_eq!(check(Some((&other, ClientOutcome::Changed))), drifted);
        // Taken back since, and held.
        let before = Database::parse([
            "Package: lab\nStatus: hold ok installed\nArchitecture: all\nVersion: 2\n\n\
             Package: dpkg\nStatus: install ok installed\nArchitecture: amd64\nVersion: 1\n",
        ]);
        let carried_out = Some((&approved, ClientOutcome::Changed));
        assert_eq!(check_on(carried_out, &before.unwrap()), drifted);
    }

    #[test]
    fn a_repair_that_nobody_approved_is_something_to_do() {
        let approved = plan(UPGRADE);
        let (_root, paths) = client(Some((&approved, ClientOutcome::Changed)));
        let half = database("half-configured");
        let checked = check_approval(&paths, &request(&approved), &Plan::default(), &half);
        assert_eq!(outcome(checked), Some(ClientOutcome::Drifted));
        let id = approved.transaction().id();
        let with = |is_nothing| outcome(compare(id, &Plan::default(), || Ok(is_nothing)));
        assert_eq!((with(true), with(false)), (None, Some(ClientOutcome::Drifted)));
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
        // Nor is an answer given that was not approved.
        let answer = ApprovedAnswer {
            owner: "lab".parse().unwrap(),
            question: "lab/colour".parse().unwrap(),
            mark: AnswerMark::from_bytes([1; 16]),
        };
        let answered = Plan {
            answers: vec![answer.clone()],
            ..plan(UPGRADE)
        };
        let approved = both.transaction().answered(vec![answer]);
        assert_eq!(outcome(check_rest(&request, &answered, &approved)), None);
        let other = check_rest(&request, &answered, &both.transaction());
        assert_eq!(outcome(other), Some(ClientOutcome::Drifted));
    }
}
