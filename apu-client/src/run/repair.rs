//! Repairs a broken package database before a run, step by step.

mod step;

use apu_debian::PackageKey;
use apu_proto::{Advice, ClientOutcome, Frame, Note, Phase, ReasonCode};

use super::context::Run;
use super::exec::Completed;
use super::held::hold;
use super::outcome::{Facts, determine_outcome};
use super::refusal::Refusal;
use crate::apt::{Call, ENVIRONMENT, Verb};
use crate::dpkg::{DPKG, Database, dpkg_forces};
pub(super) use step::RepairStep;

impl Run<'_> {
    /// Applies repair steps until the database is whole or no step is left.
    pub(super) fn repair(
        &mut self,
        before: &Database,
        notes: &mut Vec<Note>,
    ) -> Result<Option<Completed>, Refusal> {
        self.log.frame(&Frame::Progress {
            phase: Phase::Repair,
            percent: 0.0,
            package: String::new(),
        });
        let broken = before.broken().into_iter().map(|broken| broken.package);
        let packages: Vec<PackageKey> = broken.collect();
        notes.push(if packages.is_empty() {
            Note::JournalRepaired
        } else {
            Note::RepairTried { packages }
        });
        let mut tried = Vec::new();
        let mut last = None;
        let mut now = before.clone();
        while let Some(step) = step::next_step(&now, &tried) {
            last = Some(self.apply(&step)?);
            tried.push(step);
            now = self.database()?;
        }
        Ok(last)
    }

    pub(super) fn apply(&mut self, step: &RepairStep) -> Result<Completed, Refusal> {
        let conffiles = self.policy.conffile_rules(&self.request).for_dpkg();
        let verb = match step {
            RepairStep::Configure => {
                let forces = dpkg_forces(conffiles).iter().map(|force| (*force).to_owned());
                let arguments: Vec<String> = forces.chain(["--configure".into(), "-a".into()]).collect();
                return self.exec(DPKG, &arguments, &ENVIRONMENT);
            }
            RepairStep::Reinstall(_) => Verb::Reinstall,
            RepairStep::FixBroken => Verb::FixBroken,
        };
        let mut call = Call::new(self.paths, verb, conffiles);
        if let RepairStep::Reinstall(keys) = step {
            let exact = |key: &PackageKey| Some((key.name().parse().ok()?, key.architecture().to_owned()));
            call.packages = keys.iter().filter_map(exact).collect();
        }
        let call = hold(self.paths, &self.request, call)?;
        self.transact(&call)
    }

    /// Returns the result where no step is left and the database is still broken.
    pub(super) fn beyond_repair(before: &Database, now: &Database, completed: Option<&Completed>) -> Refusal {
        let mut result = determine_outcome(&Facts {
            before,
            after: now,
            plan: &[],
            apt_exit: completed.and_then(|completed| completed.exit.code()),
            complaints: completed.map_or(&[], |completed| &completed.complaints),
        });
        result.outcome = ClientOutcome::Failed;
        if let Some(reason) = &mut result.reason {
            if reason.code != ReasonCode::Space {
                reason.code = ReasonCode::Broken;
            }
            reason.advice = Some(Advice::DpkgAudit);
        }
        result.into()
    }

    /// Adds what the repair changed to the result of a request that could not be carried out afterwards.
    pub(super) fn with_changes(mut refusal: Refusal, before: &Database, now: &Database) -> Refusal {
        let changes = before.changes(now);
        let is_nothing_done = matches!(
            refusal.result.outcome,
            ClientOutcome::Failed | ClientOutcome::Refused
        );
        if !changes.is_empty() && is_nothing_done {
            refusal.result.outcome = ClientOutcome::Partial;
        }
        let report = refusal.result.packages_mut();
        report.changes = changes;
        report.broken = now.broken();
        refusal
    }
}

#[cfg(test)]
mod tests {
    use apu_proto::Cause;

    use super::*;

    #[test]
    fn a_refusal_after_a_repair_that_changed_something_is_a_partial_result() {
        let database = |status: &str| {
            let text = format!("Package: a\nVersion: 1\nArchitecture: amd64\nStatus: {status}\n");
            Database::parse([text.as_str()]).unwrap()
        };
        let (before, now) = (database("install ok unpacked"), database("install ok installed"));
        for refusal in [Refusal::new(Cause::OnHold), Refusal::failed(Cause::CannotPlan)] {
            let result = Run::with_changes(refusal, &before, &now).result;
            assert_eq!(result.outcome, ClientOutcome::Partial);
            assert_eq!(result.packages().unwrap().changes.len(), 1);
        }
        let unchanged = Run::with_changes(Refusal::new(Cause::OnHold), &now, &now).result;
        assert_eq!(unchanged.outcome, ClientOutcome::Refused);
    }
}
