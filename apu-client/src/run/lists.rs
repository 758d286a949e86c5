//! `update` and `clean`: what changes no package.

use std::fs;
use std::os::unix::fs::PermissionsExt;

use apu_proto::{ClientOutcome, Reason, ReasonCode, RunResult};

use super::site_archives::site_archives;
use super::{Run, preflight};
use crate::apt::{APT_GET, Call, ENVIRONMENT, Verb};
use crate::launch::Ended;
use crate::lists;
use crate::locks::{self, Held};
use crate::output::digest;
use crate::record::replace;
use crate::verdict::{Stop, failed};
use crate::work::Worked;

impl Run<'_> {
    /// Fetches the lists. apt ends with 0 where some could not be fetched, unless it is told not to, and old lists stay.
    pub(super) fn update(&mut self) -> Result<RunResult, Stop> {
        preflight(self.site, self.request.operation)?;
        let of_site = self.request.lists_of_site;
        if of_site {
            site_archives(self.site)?;
        }
        let directory = self.site.lists();
        if self.site.is_exclusive() {
            // apt fetches as a user of its own, which must reach the lists and may not reach the runs beside them.
            let _ = fs::create_dir_all(directory.join("partial"));
            let _ = fs::set_permissions(self.site.state(), fs::Permissions::from_mode(0o755));
        }
        let before = lists::read(&directory);
        let times = lists::times(self.site);
        let worked = self.without_locks(Verb::Update)?;
        let changed = lists::read(&directory) != before;
        let mut result = judge_update(&worked, changed);
        if of_site {
            lists::set_back(&times);
        } else if result.reason.is_none() {
            let _ = replace(&self.site.update_stamp(), b"");
        }
        result.apt_exit = worked.ended.code();
        Ok(result)
    }

    /// Empties the cache of packages.
    pub(super) fn clean(&mut self) -> Result<RunResult, Stop> {
        let directory = self.site.archives();
        let before = lists::read(&directory);
        let worked = self.without_locks(Verb::Clean)?;
        let changed = lists::read(&directory) != before;
        let mut result = if worked.ended == Ended::Exit(0) {
            RunResult::new(if changed {
                ClientOutcome::Changed
            } else {
                ClientOutcome::Unchanged
            })
        } else {
            *failed(ReasonCode::Apt, worked.complaints.join("\n"))
        };
        result.apt_exit = worked.ended.code();
        Ok(result)
    }

    /// Calls apt where its own timeout does not cover the lock that it needs: again and again, until it gets it.
    fn without_locks(&mut self, verb: Verb) -> Result<Worked, Stop> {
        let needed = match verb {
            Verb::Update => self.site.lists(),
            _ => self.site.archives(),
        };
        let locks = [needed.join("lock")];
        loop {
            self.wait_until_free(&locks)?;
            self.is_wanted()?;
            let mut call = Call::new(self.site, verb, self.policy.conffiles);
            if self.request.lists_of_site {
                call = call.of_the_site(self.site);
            }
            let worked = self.act(APT_GET, &call.action(self.lock_wait_left()), &ENVIRONMENT)?;
            if !worked.was_locked() {
                return Ok(worked);
            }
            // Somebody was faster. They may be done by now.
            let lock = locks[0].clone();
            let held = locks::held(&locks).ok().flatten();
            let held = held.unwrap_or(Held {
                lock,
                holder: String::new(),
            });
            self.wait_for(held, &mut None)?;
        }
    }
}

/// Judges an update: everything was fetched, or it was not.
fn judge_update(worked: &Worked, changed: bool) -> RunResult {
    if worked.ended == Ended::Exit(0) && worked.complaints.is_empty() {
        return RunResult::new(if changed {
            ClientOutcome::Changed
        } else {
            ClientOutcome::Unchanged
        });
    }
    let mut result = RunResult::new(if changed {
        ClientOutcome::Partial
    } else {
        ClientOutcome::Failed
    });
    let full = worked
        .complaints
        .iter()
        .any(|line| line.contains("No space left on device"));
    let lines = digest(&worked.complaints, 12);
    let text = match lines.as_slice() {
        [] => format!("apt-get update ended with {:?} and said nothing", worked.ended),
        lines => lines.join("\n"),
    };
    result.reason = Some(Reason {
        code: if full {
            ReasonCode::Space
        } else {
            ReasonCode::Lists
        },
        text,
        advice: String::new(),
    });
    result
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_update_that_could_not_fetch_everything_has_not_gone_well_whatever_apt_says() {
        use ClientOutcome::{Changed, Failed, Partial, Unchanged};
        for (exit, complaint, changed, expected) in [
            (0, None, false, Unchanged),
            (0, None, true, Changed),
            (100, Some("E: Failed to fetch http://x/"), false, Failed),
            (0, Some("Err:1 http://x/ a InRelease"), false, Failed),
            (0, Some("W: Failed to fetch http://x/"), true, Partial),
            (100, None, false, Failed),
        ] {
            let worked = Worked {
                ended: Ended::Exit(exit),
                complaints: complaint.map(str::to_owned).into_iter().collect(),
            };
            let result = judge_update(&worked, changed);
            assert_eq!(result.outcome, expected, "{exit} {complaint:?} {changed}");
            assert_eq!(result.reason.is_some(), matches!(expected, Failed | Partial));
        }
    }
}
