//! Lets apt simulate a call, and explains why apt cannot plan it.

use std::collections::BTreeMap;
use std::time::Duration;

use apu_proto::{Action, Advice, Cause, Reason};

use super::refusal::Refusal;
use crate::apt::{APT_GET, Call, ENVIRONMENT, Plan, errors};
use crate::dpkg::Database;
use crate::os::spawn;

/// Time limit for a simulation; far more than it needs.
pub(super) const SIMULATION_TIMEOUT: Duration = Duration::from_secs(300);

/// Packages that keep the client reachable; they are never removed.
const PROTECTED: [&str; 3] = ["openssh-server", "apu-client", "apu-data"];

/// Simulates a call and returns what it would change.
pub(super) fn simulate(call: &Call, database: &Database) -> Result<Plan, Refusal> {
    let captured = spawn::capture(APT_GET, &call.simulation(), &ENVIRONMENT, SIMULATION_TIMEOUT)
        .map_err(|error| Refusal::fault(Action::Simulate, &error))?;
    let plan = Plan::parse(&captured.stdout, &database.architecture)
        .map_err(|error| Refusal::new(Cause::UnknownStep { line: error.0 }))?;
    if captured.succeeded() {
        Ok(plan)
    } else {
        Err(explain_failed_simulation(
            &plan,
            &captured.stdout,
            &captured.stderr,
        ))
    }
}

/// Derives a refusal from the output of a failed simulation.
fn explain_failed_simulation(plan: &Plan, stdout: &str, stderr: &str) -> Refusal {
    let says = |words: &str| stderr.contains(words);
    if says("remove is disabled") || says("Essential packages were removed") {
        if let Some(name) = plan.removed.iter().find(|name| is_protected(name)) {
            return protected_removal(name);
        }
        if says("remove is disabled") {
            return removal_not_allowed(plan.removed.clone());
        }
        return Refusal::new(Cause::RemovesEssential);
    }
    let with_errors = |cause: Cause| Reason::from(cause).detailed(errors(stderr));
    if says("--allow-change-held-packages") {
        return Refusal::new(with_errors(Cause::OnHold)).advise(Advice::ShowHold);
    }
    if says("has no installation candidate") {
        let providers = BTreeMap::new();
        return Refusal::new(with_errors(Cause::NoCandidate { providers }));
    }
    if says("--allow-downgrades") {
        return Refusal::new(with_errors(Cause::Downgrades));
    }
    // apt prints unmet dependencies on its standard output.
    let why = stdout.split_once("unmet dependencies").map_or("", |(_, why)| why);
    let why: Vec<&str> = why.lines().skip(1).take(20).collect();
    Refusal::failed(with_errors(Cause::CannotPlan).detailed(why.join("\n")))
}

pub(super) fn is_protected(name: &str) -> bool {
    PROTECTED.contains(&name)
}

pub(super) fn protected_removal(name: &str) -> Refusal {
    Refusal::new(Cause::RemovesProtected {
        package: name.to_owned(),
    })
}

pub(super) fn removal_not_allowed(packages: Vec<String>) -> Refusal {
    Refusal::new(Cause::RemovalNotAllowed { packages }).advise(Advice::AllowRemove)
}

#[cfg(test)]
mod tests {
    use apu_proto::ReasonCode;

    use super::*;

    #[test]
    fn what_apt_refuses_itself_gets_its_own_code() {
        let removing = Plan::parse("The following packages will be REMOVED:\n  lab\n", "amd64").unwrap();
        let reachable =
            Plan::parse("The following packages will be REMOVED:\n  apu-client\n", "amd64").unwrap();
        let disabled = "E: Packages need to be removed but remove is disabled.\n";
        for (plan, stderr, expected) in [
            (&removing, disabled, ReasonCode::Removal),
            (&reachable, disabled, ReasonCode::Protected),
            (
                &removing,
                "E: Essential packages were removed and -y was used\n",
                ReasonCode::Protected,
            ),
            (
                &Plan::default(),
                "E: Held packages were changed and -y was used without --allow-change-held-packages.\n",
                ReasonCode::Policy,
            ),
            (
                &Plan::default(),
                "E: Unable to correct problems, you have held broken packages.\n",
                ReasonCode::Apt,
            ),
        ] {
            let refusal = explain_failed_simulation(plan, "", stderr);
            assert_eq!(refusal.result.reason.unwrap().code, expected, "{stderr}");
        }
    }
}
