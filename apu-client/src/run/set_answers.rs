//! Gives the server's answers to debconf, before the packages that ask for them come.

use std::time::Duration;

use apu_debian::debconf::Secret;
use apu_proto::{Action, Cause, DebconfAnswer, Reason};

use super::answers::{check_policy, check_templates, concerning};
use super::context::Run;
use super::refusal::Refusal;
use crate::apt::complaints::summarize;
use crate::apt::{Call, ENVIRONMENT, Plan, missing_debs, remove_other_debs};
use crate::os::spawn;

const SET_SELECTIONS: &str = "/usr/bin/debconf-set-selections";

/// Time limit for debconf, whose database may be large.
const TIMEOUT: Duration = Duration::from_secs(120);

impl Run<'_> {
    /// Sets the answers that concern the plan, once all of them fit. Until then nothing is changed: the packages are fetched first,
    /// since they have the questions. Returns which questions were answered.
    pub(super) fn set_answers(&mut self, call: &Call, plan: &Plan) -> Result<Vec<String>, Refusal> {
        let request = self.request.clone();
        let answers = concerning(&request, &plan.steps);
        if answers.is_empty() {
            return Ok(Vec::new());
        }
        check_policy(self.paths, &self.policy, &answers)?;
        self.fetch_for_answers(call, plan)?;
        check_templates(self.paths, plan, &answers)?;
        self.ensure_not_shutting_down()?;
        set(&answers)?;
        Ok(answers.iter().map(|answer| answer.question.to_string()).collect())
    }

    fn fetch_for_answers(&mut self, call: &Call, plan: &Plan) -> Result<(), Refusal> {
        let cache = self.paths.archives();
        let look_at_cache = |error| Refusal::fault(Action::LookAtCache, &error);
        remove_other_debs(&cache, &plan.debs).map_err(look_at_cache)?;
        if missing_debs(&cache, &plan.debs)
            .map_err(look_at_cache)?
            .is_empty()
        {
            return Ok(());
        }
        let completed = self.transact(&call.clone().download_only())?;
        let missing = missing_debs(&cache, &plan.debs).map_err(look_at_cache)?;
        if missing.is_empty() {
            return Ok(());
        }
        let files = missing.into_iter().map(|deb| deb.file.clone()).collect();
        let said = summarize(&completed.complaints, 10).join("\n");
        Err(Refusal::failed(
            Reason::from(Cause::NotDownloaded { files }).detailed(said),
        ))
    }
}

/// Feeds debconf. It writes its database in one step.
fn set(answers: &[&DebconfAnswer]) -> Result<(), Refusal> {
    let lines: Option<Vec<Secret>> = answers.iter().map(|answer| answer.selection_line()).collect();
    let lines = lines.map(|lines| Secret::from(lines.iter().map(Secret::expose).collect::<String>()));
    let Some(lines) = lines else {
        // A plan comes without passwords, and a run with all of them.
        return Err(Refusal::new(apu_proto::AnswersError::Value));
    };
    let none: [&str; 0] = [];
    let captured = spawn::capture_fed(SET_SELECTIONS, &none, &ENVIRONMENT, TIMEOUT, lines.expose())
        .map_err(|error| Refusal::fault_at(Action::RunProgram, SET_SELECTIONS.as_ref(), &error))?;
    if captured.succeeded() {
        return Ok(());
    }
    Err(Refusal::failed(
        Reason::from(Cause::AnswersNotTaken).detailed(own_words(&captured.stderr)),
    ))
}

/// What debconf says of itself. Other lines may repeat an answer.
fn own_words(said: &str) -> String {
    let words = said.lines().filter(|line| line.starts_with("debconf: "));
    words.collect::<Vec<_>>().join("\n")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn of_what_debconf_says_no_line_is_told_that_may_repeat_an_answer() {
        let said = "error: parse error on line 1: 'lab lab/secret password hunter2'\n\
                    debconf: DbDriver \"config\": /var/cache/debconf/config.dat is locked by another process\n";
        assert!(own_words(said).contains("is locked by another process"));
        assert!(!own_words(said).contains("hunter2"));
    }
}
