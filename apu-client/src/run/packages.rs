//! Carries out the runs that change packages: plans, repairs where needed, runs apt, and determines the outcome.

use std::collections::BTreeSet;
use std::io;
use std::path::Path;
use std::time::Instant;

use apu_debian::PackageKey;
use apu_proto::{Action, Cause, ClientOutcome, Note, Reason, RunResult, Transaction};

use super::answers::{check_policy, concerning};
use super::approval::{check_approval, check_rest};
use super::conffile::MayBeOverwritten;
use super::conffiles::{self, Leftovers};
use super::context::Run;
use super::debconf::{self, Questions};
use super::exec::Completed;
use super::health::{self, Before as HealthBefore};
use super::needrestart;
use super::outcome::{Facts, determine_outcome};
use super::planning;
use super::preflight::check_free_space;
use super::refusal::Refusal;
use super::repair::RepairStep;
use super::site_archives::{installs_apu_data_only, site_sources};
use super::taken_debs;
use super::ucf::{self, UcfFiles};
use crate::apt::complaints::summarize;
use crate::apt::composed;
use crate::apt::{Call, Plan, remove_other_debs};
use crate::dpkg::{Conffiles, Database};
use crate::os::locks;

/// The state before the run.
struct Before {
    database: Database,
    leftovers: Leftovers,
    /// The configuration files that are not there.
    missing: BTreeSet<String>,
    /// The files of ucf; an error where they cannot be told.
    ucf: io::Result<UcfFiles>,
    questions: Questions,
}

/// What is to be done, after a repair where one was needed.
struct Prepared {
    call: Call,
    plan: Plan,
    /// The last program that the repair ran.
    repair: Option<Completed>,
    notes: Vec<Note>,
}

impl<'a> Run<'a> {
    /// Keeps the files of ucf that were changed here, where dpkg takes the packages' versions of all files, and ucf may do the same.
    fn keep_ucf_files(&self, before: &Before) -> Result<Option<MayBeOverwritten<'a>>, Refusal> {
        let rules = self.policy.conffile_rules(&self.request);
        if rules.for_dpkg() != Conffiles::New {
            return Ok(None);
        }
        let name = self
            .request
            .run_id()
            .map_or_else(|| "run".to_owned(), |id| id.to_string());
        let files = (before.ucf.as_ref())
            .map_err(|error| Refusal::fault_at(Action::KeepConffile, Path::new(ucf::HASHES), error))?;
        MayBeOverwritten::keep(self.paths, &name, &files.changed).map(Some)
    }
}

impl Run<'_> {
    pub(super) fn change_packages(&mut self) -> Result<RunResult, Refusal> {
        self.wait_until_free(&locks::package_locks(self.paths))?;
        // No other program may fetch lists between the plan and the transaction.
        let _lists = self.wait_for_lock(&self.paths.lists().join("lock"))?;
        let left_out = if installs_apu_data_only(&self.request) {
            site_sources(self.paths)?;
            Vec::new()
        } else {
            self.check_sources()?.notes
        };
        // Reported for every outcome: a package may be missing because of this.
        let mut result = self.change();
        let notes = result
            .as_mut()
            .map_or_else(|refusal| &mut refusal.result.notes, |result| &mut result.notes);
        notes.splice(0..0, left_out);
        result
    }

    fn change(&mut self) -> Result<RunResult, Refusal> {
        check_free_space(self.paths)?;
        self.ensure_not_shutting_down()?;
        if self.request.is_download_only() {
            return self.download();
        }

        self.save_baseline()?;
        self.ensure_not_shutting_down()?;
        // The machine's own checks may have taken a while.
        let database = self.database()?;
        self.save("before", &database)?;
        let accepted = self.accept(&database)?;
        let before = Before {
            leftovers: conffiles::find(self.paths, &database),
            missing: conffiles::missing(self.paths, &database),
            ucf: UcfFiles::find(self.paths),
            questions: debconf::read(self.paths),
            database,
        };
        let may_be_overwritten = self.keep_ucf_files(&before)?;
        let prepared = self.prepare(accepted, &before.database)?;
        self.ensure_not_shutting_down()?;
        self.save("plan", &planning::report(&prepared.plan))?;
        let automatic = planning::automatically_installed(&self.request, &before.database)?;
        taken_debs::place(self.paths, &self.request, &prepared.plan)?;
        self.keep_debs(&prepared.call, &prepared.plan)?;
        let answered = self.set_answers(&prepared.call, &prepared.plan)?;
        let completed = if prepared.plan.steps.is_empty() && automatic.is_empty() {
            None
        } else {
            remove_other_debs(&self.paths.archives(), &prepared.plan.debs)
                .map_err(|error| Refusal::fault(Action::LookAtCache, &error))?;
            Some(self.transact(&prepared.call)?)
        };
        let mut result = self.build_result(&before, prepared, completed, may_be_overwritten)?;
        self.report_marks(&automatic, &mut result)?;
        if !answered.is_empty() {
            result.packages_mut().questions_answered = answered;
        }
        self.judge_health(&mut result);
        Ok(result)
    }

    /// Saves what the machine's health is before anything changes. Its own checks run only where there is something to do, so
    /// that a plan is made before them: what it refuses is refused without them.
    fn save_baseline(&mut self) -> Result<(), Refusal> {
        let with_scripts = health::has_scripts(self.paths) && self.has_work()?;
        let begun = Instant::now();
        let (signals, id) = (&mut self.signals, self.request.run_id());
        let mut is_stopped = || signals.poll_stop_request();
        let saved = health::save_baseline(self.paths, self.run_dir, id, with_scripts, &mut is_stopped);
        // The time to wait for locks is not that of the checks.
        self.lock_deadline += begun.elapsed();
        saved.map_err(|error| Refusal::fault(Action::KeepRunRecord, &error))
    }

    /// Whether the run would change anything, a repair included.
    fn has_work(&self) -> Result<bool, Refusal> {
        let database = self.database()?;
        let Some((_, plan)) = self.accept(&database)? else {
            return Ok(true);
        };
        let automatic = planning::automatically_installed(&self.request, &database)?;
        Ok(database.is_dirty() || !plan.steps.is_empty() || !automatic.is_empty())
    }

    /// Makes the checks after a run that changed or broke packages. A run that went well is partial where one fails.
    fn judge_health(&mut self, result: &mut RunResult) {
        let report = result.packages_mut();
        if report.changes.is_empty() && report.broken.is_empty() {
            return;
        }
        let (signals, id) = (&mut self.signals, self.request.run_id());
        let mut is_stopped = || signals.poll_stop_request();
        let before = HealthBefore::of_run(self.run_dir);
        report.checks = health::checks(self.paths, id, &before, &mut is_stopped);
        health::apply(result);
    }

    /// Reports which packages are newly marked as manually installed. That alone is a change, since `autoremove` no
    /// longer removes them.
    fn report_marks(&self, automatic: &[PackageKey], result: &mut RunResult) -> Result<(), Refusal> {
        if automatic.is_empty() {
            return Ok(());
        }
        let still = planning::automatically_installed(&self.request, &self.database()?)?;
        let (not_marked, marked): (Vec<PackageKey>, Vec<PackageKey>) =
            automatic.iter().cloned().partition(|key| still.contains(key));
        let is_any_marked = !marked.is_empty();
        result.packages_mut().marked_manual = marked;
        if is_any_marked && result.outcome == ClientOutcome::Unchanged {
            result.outcome = ClientOutcome::Changed;
        }
        if !not_marked.is_empty() && result.reason.is_none() {
            result.outcome = ClientOutcome::Partial;
            result.reason = Some(Cause::StillAutomatic { packages: not_marked }.into());
        }
        Ok(())
    }

    /// Plans the run, and refuses what may not be done before anything changes. None where apt cannot plan on a broken database: the plan
    /// is made after its repair.
    fn accept(&self, database: &Database) -> Result<Option<(Call, Plan)>, Refusal> {
        match self.plan(database) {
            Err(refusal) if refusal.result.outcome == ClientOutcome::Refused || !database.is_dirty() => {
                Err(refusal)
            }
            Err(_) => Ok(None),
            Ok((call, plan)) => {
                check_approval(self.paths, &self.request, &plan, database)?;
                taken_debs::check(self.paths, &self.request, &plan)?;
                // Before a repair, which the answers have no part in.
                check_policy(self.paths, &self.policy, &concerning(&self.request, &plan.steps))?;
                Ok(Some((call, plan)))
            }
        }
    }

    /// Repairs where dpkg was interrupted, and plans again then.
    fn prepare(&mut self, accepted: Option<(Call, Plan)>, before: &Database) -> Result<Prepared, Refusal> {
        let approved = match accepted {
            Some((call, plan)) if !before.is_dirty() => {
                return Ok(Prepared {
                    call,
                    plan,
                    repair: None,
                    notes: Vec::new(),
                });
            }
            Some((_, plan)) => Some(plan.transaction()),
            None => None,
        };
        let mut notes = Vec::new();
        match self.repair_and_plan(before, approved.as_ref(), &mut notes) {
            Ok(prepared) => Ok(Prepared { notes, ..prepared }),
            Err(mut refusal) => {
                refusal.result.notes.extend(notes);
                Err(refusal)
            }
        }
    }

    /// Repairs and plans again. `notes` tell of the repair, whatever comes of it.
    fn repair_and_plan(
        &mut self,
        before: &Database,
        approved: Option<&Transaction>,
        notes: &mut Vec<Note>,
    ) -> Result<Prepared, Refusal> {
        let repair = self.repair(before, notes)?;
        let now = self.database()?;
        match self.plan(&now) {
            // What could not be repaired stays broken, and everything else is done.
            Ok((call, plan)) if !now.is_dirty() || (!now.interrupted && !plan.steps.is_empty()) => {
                // Nothing but the repair was approved, since apt could plan nothing before it.
                let plan = if self.request.plan() == Some(Transaction::default().id()) {
                    Plan::default()
                } else {
                    match approved {
                        // Against the database before the repair, which nobody has approved.
                        None => check_approval(self.paths, &self.request, &plan, before)?,
                        Some(approved) => check_rest(&self.request, &plan, approved)?,
                    }
                    plan
                };
                Ok(Prepared {
                    call,
                    plan,
                    repair,
                    notes: Vec::new(),
                })
            }
            Err(refusal) if !now.is_dirty() => Err(Self::with_changes(refusal, before, &now)),
            _ => Err(Self::beyond_repair(before, &now, repair.as_ref())),
        }
    }

    /// Determines the outcome, and adds what else the administrator should know.
    fn build_result(
        &mut self,
        before: &Before,
        prepared: Prepared,
        completed: Option<Completed>,
        may_be_overwritten: Option<MayBeOverwritten<'_>>,
    ) -> Result<RunResult, Refusal> {
        let mut after = self.database()?;
        if let Some(completed) = completed.as_ref().filter(|completed| completed.was_locked())
            && after == before.database
        {
            let said = summarize(&completed.complaints, 10).join("\n");
            return Err(Refusal::failed(Reason::from(Cause::LockedForApt).detailed(said)));
        }
        let completed = completed.or(prepared.repair);
        let apt_exit = completed.as_ref().and_then(|completed| completed.exit.code());
        let mut complaints = completed.map_or(Vec::new(), |completed| completed.complaints);
        if after.has_unconfigured() {
            // A failed package must not leave others unpacked, with their services stopped.
            complaints.extend(self.apply(&RepairStep::Configure)?.complaints);
            after = self.database()?;
        }
        let mut result = determine_outcome(&Facts {
            before: &before.database,
            after: &after,
            plan: &prepared.plan.steps,
            apt_exit,
            complaints: &complaints,
        });
        result.notes.splice(0..0, prepared.notes);
        // After the last script of a package, and before anything is replaced by the policy.
        let overwritten = may_be_overwritten.map(MayBeOverwritten::overwritten);
        result.notes.extend(overwritten.into_iter().flatten());
        let (kept, replaced) = conffiles::appeared(&before.leftovers, &conffiles::find(self.paths, &after));
        // Where it cannot be told, an unchanged file stays as it is and is told with those that were kept.
        let none = BTreeSet::new();
        let unchanged = before.ucf.as_ref().map_or(&none, |ucf| &ucf.unchanged);
        let (kept, of_policy) = self.take_new(kept, unchanged);
        result.notes.extend(of_policy);
        let replaced = replaced.iter();
        result
            .notes
            .extend(replaced.map(|path| Note::ConffileReplaced { path: path.clone() }));
        if !prepared.plan.steps.is_empty() && needrestart::restarts_by_itself(self.paths) {
            result.notes.push(Note::NeedrestartLists);
        }
        let back = before
            .missing
            .iter()
            .filter(|path| conffiles::is_there(self.paths, path));
        result
            .notes
            .extend(back.map(|path| Note::ConffileBack { path: path.clone() }));
        let report = result.packages_mut();
        report.kept_back = prepared.plan.kept_back;
        report.held = prepared.plan.held;
        report.held_back = prepared.plan.held_back;
        report.conffiles_kept = kept;
        let changes = report.changes.iter();
        let names: Vec<&str> = changes.map(|change| change.package.name()).collect();
        report.questions_defaulted =
            debconf::answered_by_default(&before.questions, &debconf::read(self.paths), &names);
        if installs_apu_data_only(&self.request) {
            result.notes.extend(composed::left_out_notes(self.paths));
        }
        Ok(result)
    }

    fn plan(&self, database: &Database) -> Result<(Call, Plan), Refusal> {
        planning::plan(
            self.paths,
            &self.request,
            &self.policy.conffile_rules(&self.request),
            database,
        )
    }

    fn save<T: serde::Serialize>(&self, file: &str, fact: &T) -> Result<(), Refusal> {
        let saved = self.run_dir.save(file, fact);
        saved.map_err(|error| Refusal::fault(Action::KeepRunRecord, &error))
    }
}
