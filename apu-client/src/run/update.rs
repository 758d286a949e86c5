//! Carries out the runs that change no package: `update` and `clean` here, `reboot`, `restart-services`, holds and
//! decisions about configuration files in files of their own.

use std::fs;
use std::os::unix::fs::PermissionsExt;

use apu_proto::{Advice, Answer, Cause, ClientOutcome, Note, Operation, Reason, ReasonCode, RunResult};

use super::context::Run;
use super::exec::Completed;
use super::refusal::Refusal;
use super::site_archives::{check_used, site_sources};
use crate::apt::complaints::{Kind, is_disk_full, summarize};
use crate::apt::lists;
use crate::apt::release_dates;
use crate::apt::{APT_GET, Call, ENVIRONMENT, Target, Verb};
use crate::os::atomic_file::replace;
use crate::os::locks::{self, HeldLock};
use crate::os::spawn::Exit;

impl Run<'_> {
    /// Carries out a run of an operation that changes no package.
    pub(super) fn change_no_package(&mut self) -> Result<RunResult, Refusal> {
        match self.request.operation() {
            Operation::Update => self.update(),
            Operation::Clean => self.clean(),
            Operation::Hold | Operation::Unhold => self.set_holds(),
            Operation::Conffile => self.decide_conffile(),
            Operation::Reboot => self.reboot(),
            Operation::RestartServices => self.restart_services(),
            operation => Err(Refusal::failed(Cause::NotARun { operation })),
        }
    }

    /// Fetches the lists. apt is told to exit with an error if one of them cannot be fetched; the old one stays then.
    fn update(&mut self) -> Result<RunResult, Refusal> {
        if self.request.wants_site_lists_only() {
            // The machine's other sources must not prevent the next apu-data.
            let site_sources = site_sources(self.paths)?;
            if let Err(refusal) = check_used(self.paths, &site_sources) {
                return Err(self.fetch_separately(refusal));
            }
            return self.fetch_lists(&[]);
        }
        let checked = self.check_sources()?;
        // Told whatever comes of the update: it will not be found again.
        let mut result = self.fetch_lists(&checked.archives);
        let notes = result
            .as_mut()
            .map_or_else(|refusal| &mut refusal.result.notes, |result| &mut result.notes);
        notes.extend(checked.notes);
        result
    }

    fn fetch_lists(&mut self, archives: &[Target]) -> Result<RunResult, Refusal> {
        let of_site = self.request.wants_site_lists_only();
        let directory = self.paths.lists();
        if self.paths.is_exclusive() {
            // apt fetches as a user of its own, which must reach the lists and must not reach the runs beside them.
            let _ = fs::create_dir_all(directory.join("partial"));
            let _ = fs::set_permissions(&directory, fs::Permissions::from_mode(0o755));
        }
        let before = lists::snapshot(&directory);
        let times = lists::update_times(self.paths);
        let completed = self.run_when_unlocked(Verb::Update, false)?;
        let changed = lists::snapshot(&directory) != before;
        let mut result = update_result(&completed, changed);
        if of_site {
            lists::restore_times(&times);
        } else if result.reason.is_none() {
            let _ = replace(&self.paths.update_stamp(), b"");
        } else if matches!(completed.exit, Exit::Code(0 | 100)) {
            let said = completed
                .complaints
                .iter()
                .map(|complaint| complaint.text.clone());
            lists::record_fetched(self.paths, archives, &said.collect::<Vec<_>>());
        }
        result.answer = Answer::Lists {
            releases: release_dates::release_dates(self.paths, archives),
        };
        result.apt_exit = completed.exit.code();
        Ok(result)
    }

    /// Fetches the lists of the site's own archives into a separate directory, where they must not be among the
    /// machine's. That is enough to install apu-data. The refusal remains, since nothing else is installed from there.
    fn fetch_separately(&mut self, mut refusal: Refusal) -> Refusal {
        let directory = self.paths.site_lists();
        let _ = fs::create_dir_all(directory.join("partial"));
        let _ = fs::set_permissions(self.paths.state(), fs::Permissions::from_mode(0o755));
        let completed = match self.run_when_unlocked(Verb::Update, true) {
            Ok(completed) => completed,
            Err(refusal) => return refusal,
        };
        let result = update_result(&completed, false);
        match result.reason {
            None => refusal.result.notes.push(Note::ListsFetchedApart),
            Some(reason) => {
                let exit = match reason.cause {
                    Cause::ListsNotFetched { exit } => exit,
                    _ => None,
                };
                let said = reason.detail;
                (refusal.result.notes).push(Note::ListsNotFetchedApart { said, exit });
            }
        }
        refusal
    }

    /// Empties the cache of downloaded packages.
    fn clean(&mut self) -> Result<RunResult, Refusal> {
        let directory = self.paths.archives();
        let before = lists::snapshot(&directory);
        let completed = self.run_when_unlocked(Verb::Clean, false)?;
        let changed = lists::snapshot(&directory) != before;
        let mut result = if completed.exit == Exit::Code(0) {
            RunResult::new(if changed {
                ClientOutcome::Changed
            } else {
                ClientOutcome::Unchanged
            })
        } else {
            let said = summarize(&completed.complaints, 12).join("\n");
            *Refusal::failed(Reason::from(Cause::AptFailed).detailed(said)).result
        };
        result.apt_exit = completed.exit.code();
        Ok(result)
    }

    /// Calls apt until it gets the lock that it needs; apt's own timeout does not cover this lock.
    fn run_when_unlocked(&mut self, verb: Verb, apart: bool) -> Result<Completed, Refusal> {
        let needed = match verb {
            Verb::Update if apart => self.paths.site_lists(),
            Verb::Update => self.paths.lists(),
            _ => self.paths.archives(),
        };
        let locks = [needed.join("lock")];
        loop {
            self.wait_until_free(&locks)?;
            self.ensure_not_shutting_down()?;
            let mut call = Call::new(
                self.paths,
                verb,
                self.policy.conffile_rules(&self.request).for_dpkg(),
            );
            if apart {
                call = call.use_site_archives_separately(self.paths);
            } else if self.request.wants_site_lists_only() {
                call = call.use_site_archives(self.paths);
            }
            let completed = self.exec(APT_GET, &call.action(self.lock_wait_left()), &ENVIRONMENT)?;
            if !completed.was_locked() {
                return Ok(completed);
            }
            // Another process was faster. It may be done by now.
            let lock = locks[0].clone();
            let held = locks::held(&locks).ok().flatten();
            let held = held.unwrap_or(HeldLock {
                lock,
                holder: String::new(),
                pid: 0,
            });
            self.wait_for_holder(held, &mut None)?;
        }
    }
}

/// Determines the result of an update: everything was fetched, or not.
///
/// A hook of the machine's apt configuration may fail, or print what looks like an error, after everything was fetched.
/// That becomes a note and does not change the outcome.
fn update_result(completed: &Completed, changed: bool) -> RunResult {
    let complaints = &completed.complaints;
    let is_any = |kind: Kind| complaints.iter().any(|complaint| complaint.kind == kind);
    let is_fetched = !is_any(Kind::Fetch)
        && match completed.exit {
            Exit::Code(0) => true,
            // apt exits alike for a hook and for any other error, so the archives must have answered.
            Exit::Code(_) => completed.fetched > 0 && is_any(Kind::Hook) && !is_any(Kind::Other),
            Exit::Signal(_) | Exit::Unknown => false,
        };
    let lines = summarize(complaints, 12);
    if is_fetched {
        let mut result = RunResult::new(if changed {
            ClientOutcome::Changed
        } else {
            ClientOutcome::Unchanged
        });
        if is_any(Kind::Hook) || is_any(Kind::Other) {
            result.notes.push(Note::HookFailed { said: lines });
        }
        return result;
    }
    let mut result = RunResult::new(if changed {
        ClientOutcome::Partial
    } else {
        ClientOutcome::Failed
    });
    let exit = lines.is_empty().then(|| completed.exit.to_string());
    let mut reason = Reason::from(Cause::ListsNotFetched { exit }).detailed(lines.join("\n"));
    if is_disk_full(complaints) {
        reason.code = ReasonCode::Space;
    }
    reason.advice = lines.iter().find_map(|line| changed_release_info(line));
    result.reason = Some(reason);
    result
}

/// Returns the advice for a changed field of a Release file, such as Label, that apt does not accept by itself.
fn changed_release_info(line: &str) -> Option<Advice> {
    let (_, rest) = line.split_once("changed its '")?;
    let (field, _) = rest.split_once('\'')?;
    let is_known = ["Origin", "Label", "Suite", "Codename", "Version"].contains(&field);
    Some(Advice::AllowReleaseInfoChange {
        field: if is_known { field } else { "" }.to_owned(),
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::apt::complaints::Complaints;

    fn checked(exit: i32, output: &str, changed: bool) -> RunResult {
        let mut complaints = Complaints::default();
        output.lines().for_each(|line| complaints.add_line(line));
        let (complaints, fetched) = complaints.finish();
        let completed = Completed {
            exit: Exit::Code(exit),
            complaints,
            fetched,
        };
        update_result(&completed, changed)
    }

    #[test]
    fn an_update_that_could_not_fetch_everything_has_not_gone_well_whatever_apt_says() {
        use ClientOutcome::{Changed, Failed, Partial, Unchanged};
        for (exit, output, changed, expected) in [
            (0, "", false, Unchanged),
            (0, "", true, Changed),
            (
                100,
                "Hit:1 http://y/ a InRelease\nE: Failed to fetch http://x/",
                false,
                Failed,
            ),
            (0, "Err:1 http://x/ a InRelease", false, Failed),
            (0, "W: Failed to fetch http://x/", true, Partial),
            (0, "W: GPG error: http://x/ a InRelease: no key", false, Failed),
            (100, "", false, Failed),
            (100, "Hit:1 http://y/ a InRelease", false, Failed),
        ] {
            let result = checked(exit, output, changed);
            assert_eq!(result.outcome, expected, "{exit} {output:?} {changed}");
            assert_eq!(result.reason.is_some(), matches!(expected, Failed | Partial));
        }
    }

    #[test]
    fn a_hook_that_fails_after_everything_was_fetched_is_noted() {
        let hit = "Hit:1 http://y/ a InRelease\n";
        let hook = "E: Problem executing scripts APT::Update::Post-Invoke 'false'\nE: Sub-process returned an error code\n";
        let noted = checked(100, &format!("{hit}{hook}"), false);
        assert_eq!((noted.outcome, noted.notes.len()), (ClientOutcome::Unchanged, 1));
        let [Note::HookFailed { said }] = noted.notes.as_slice() else {
            panic!("{:?}", noted.notes);
        };
        assert!(said[0].contains("Post-Invoke 'false'"), "{said:?}");
        let printed = checked(0, &format!("{hit}E: a hook's words\n"), true);
        assert_eq!(
            (printed.outcome, printed.notes.len()),
            (ClientOutcome::Changed, 1)
        );

        // Where nothing was fetched, or something else went wrong too, it is no excuse.
        for output in [
            hook.to_owned(),
            format!("{hit}{hook}E: Failed to fetch http://x/\n"),
            format!("{hit}{hook}E: The list of sources could not be read.\n"),
        ] {
            assert_eq!(
                checked(100, &output, false).outcome,
                ClientOutcome::Failed,
                "{output}"
            );
        }
    }

    #[test]
    fn a_vendor_that_changes_its_name_comes_with_the_command_that_accepts_it() {
        let text = "Get:1 http://x/ a InRelease\nE: Repository 'http://x a InRelease' changed its 'Label' value from 'A' to 'B'\n";
        let reason = checked(100, text, false).reason.unwrap();
        assert!(reason.detail[0].contains("from 'A' to 'B'"), "{reason:?}");
        let field = "Label".to_owned();
        assert_eq!(reason.advice, Some(Advice::AllowReleaseInfoChange { field }));
    }
}
