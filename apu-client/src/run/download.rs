//! Fetches the .debs of a transaction into apt's cache and changes no package: a later run finds them there.

use apu_proto::{Action, Answer, Cause, ClientOutcome, Note, PackageReport, Reason, RunResult};

use super::approval::check_approval;
use super::context::Run;
use super::planning;
use super::refusal::Refusal;
use crate::apt::complaints::{is_disk_full, summarize};
use crate::apt::{missing_debs, remove_other_debs};

impl Run<'_> {
    /// Fetches what the request would install. A plan that is refused for a run is refused here.
    pub(super) fn download(&mut self) -> Result<RunResult, Refusal> {
        let database = self.database()?;
        let (call, plan) = planning::plan(
            self.paths,
            &self.request,
            &self.policy.conffile_rules(&self.request),
            &database,
        )?;
        check_approval(self.paths, &self.request, &plan, &database)?;
        self.ensure_not_shutting_down()?;
        let cache = self.paths.archives();
        let look_at_cache = |error| Refusal::fault(Action::LookAtCache, &error);
        // apt compares no more than the size of what lies there.
        remove_other_debs(&cache, &plan.debs).map_err(look_at_cache)?;
        let fetched = missing_debs(&cache, &plan.debs).map_err(look_at_cache)?.len();
        let completed = match fetched {
            0 => None,
            _ => Some(self.transact(&call.download_only())?),
        };
        let missing = missing_debs(&cache, &plan.debs).map_err(look_at_cache)?;
        let mut result = RunResult::new(ClientOutcome::Unchanged);
        if missing.is_empty() {
            result
                .notes
                .extend((!plan.debs.is_empty()).then(|| Note::Downloaded {
                    packages: plan.debs.len(),
                    fetched,
                    size: plan.sizes.as_ref().map(|sizes| sizes.download.clone()),
                }));
        } else {
            let complaints = completed
                .as_ref()
                .map_or(&[][..], |completed| &completed.complaints);
            let files = missing.into_iter().map(|deb| deb.file.clone()).collect();
            let said = summarize(complaints, 10).join("\n");
            let mut reason = Reason::from(Cause::NotDownloaded { files }).detailed(said);
            if is_disk_full(complaints) {
                reason.code = apu_proto::ReasonCode::Space;
            }
            result.outcome = ClientOutcome::Failed;
            result.reason = Some(reason);
        }
        result.apt_exit = completed.and_then(|completed| completed.exit.code());
        Ok(result.with(Answer::Packages(PackageReport {
            kept_back: plan.kept_back,
            held: plan.held,
            held_back: plan.held_back,
            ..PackageReport::default()
        })))
    }
}
