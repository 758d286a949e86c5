//! The runs that change packages: plan, repair, act, judge.

use std::fs;
use std::path::{Path, PathBuf};
use std::time::SystemTime;

use apu_proto::{ClientOutcome, Frame, Operation, Phase, ReasonCode, Request, RunResult, Transaction};
use nix::sys::statvfs::statvfs;

use super::Run;
use crate::apt::{APT_GET, Call, DPKG, Plan, Verb, audit, dpkg_forces, environment, waives_expiry};
use crate::dpkg::Database;
use crate::judge::{Facts, judge};
use crate::policy::Policy;
use crate::repair::{self, Rung};
use crate::site::Site;
use crate::verdict::{Stop, advise, failed, own_fault, refused};
use crate::work::Worked;
use crate::{conffiles, locks, planning, questions, release};

/// Below this a transaction does not begin: dpkg and the log need room themselves.
const LEAST_SPACE: u64 = 16 * 1024 * 1024;

/// Reads the policy and asks it.
pub(crate) fn configuration(site: &Site, request: &Request) -> Result<Policy, Stop> {
    let path = site.policy();
    let policy = Policy::read(site).map_err(|error| {
        let why = std::error::Error::source(&error).map_or(String::new(), |why| format!(": {why}"));
        let text = format!("this client's policy cannot be used: {error}{why}");
        advise(
            refused(ReasonCode::Configuration, text),
            path.display().to_string(),
        )
    })?;
    policy.allows(request).map_err(|why| {
        advise(
            refused(ReasonCode::Policy, why.to_string()),
            path.display().to_string(),
        )
    })?;
    Ok(policy)
}

/// Looks at what must be right before apt may fetch or install anything.
pub(crate) fn preflight(site: &Site, operation: Operation) -> Result<(), Stop> {
    let mut may_be_old = false;
    for path in source_files(site) {
        let text =
            fs::read(&path).map_err(|error| own_fault(&format!("cannot read {}", path.display()), &error))?;
        let text = String::from_utf8_lossy(&text);
        let deb822 = path.extension().is_some_and(|extension| extension == "sources");
        audit(&text, deb822).map_err(|insecure| {
            let text = format!(
                "{}: {insecure}: apt would take packages without a signature",
                path.display()
            );
            advise(
                refused(ReasonCode::Configuration, text),
                path.display().to_string(),
            )
        })?;
        may_be_old |= waives_expiry(&text, deb822);
    }
    let installs = matches!(
        operation,
        Operation::Install | Operation::Upgrade | Operation::DistUpgrade
    );
    if let Some((list, until)) = release::expired(&site.lists(), SystemTime::now())
        && installs
        && !may_be_old
    {
        let text = format!("the package lists are out of date: {list} was valid until {until}");
        return Err(advise(
            failed(ReasonCode::Lists, text),
            "on the client: apt-get update",
        ));
    }
    Ok(())
}

/// The source files that our apt calls read.
fn source_files(site: &Site) -> Vec<PathBuf> {
    let (mut files, directory) = if site.is_exclusive() {
        (Vec::new(), site.exclusive_sources())
    } else {
        (
            vec![site.path("/etc/apt/sources.list")],
            site.path("/etc/apt/sources.list.d"),
        )
    };
    let entries = fs::read_dir(directory).into_iter().flatten().flatten();
    let is_source = |path: &PathBuf| {
        path.extension()
            .is_some_and(|end| end == "list" || end == "sources")
    };
    files.extend(entries.map(|entry| entry.path()).filter(is_source));
    files.retain(|path| path.is_file());
    files.sort();
    files
}

fn has_room(path: &Path) -> bool {
    #[allow(clippy::unnecessary_cast, clippy::useless_conversion)]
    let room =
        |room: nix::sys::statvfs::Statvfs| u64::from(room.blocks_free()) * u64::from(room.fragment_size());
    statvfs(path).map_or(true, |found| room(found) >= LEAST_SPACE)
}

impl Run<'_> {
    pub(super) fn change_packages(&mut self) -> Result<RunResult, Stop> {
        let locks = locks::package_locks(self.site);
        self.wait_until_free(&locks)?;
        // Nobody may fetch other lists between the plan and the deed.
        let _lists = self.take(&self.site.lists().join("lock"))?;
        preflight(self.site, self.request.operation)?;
        for path in [self.site.dpkg(), self.site.state(), self.site.root().to_owned()] {
            if !has_room(&path) {
                let text = format!(
                    "there is hardly any space left on the file system of {}",
                    path.display()
                );
                return Err(advise(
                    failed(ReasonCode::Space, text),
                    "on the client: apt-get clean",
                ));
            }
        }

        let before = self.database()?;
        self.is_wanted()?;
        self.save("before", &before)?;
        let leftovers = conffiles::find(self.site, &before);
        let questions = questions::read(self.site);

        // Where dpkg was interrupted apt may be unable to plan; what can be refused is refused before any repair.
        let planned = planning::plan(self.site, &self.request, self.policy.conffiles, &before);
        let mut notes = Vec::new();
        let (call, plan, worked) = match planned {
            Err(stop) if stop.outcome == ClientOutcome::Refused || !before.is_dirty() => return Err(stop),
            Ok((call, plan)) if !before.is_dirty() => {
                self.approve(&plan, None)?;
                (call, plan, None)
            }
            first => {
                let approved = match &first {
                    Ok((_, plan)) => {
                        self.approve(plan, None)?;
                        Some(plan.transaction())
                    }
                    Err(_) => None,
                };
                let worked = self.repair(&before, &mut notes)?;
                let now = self.database()?;
                let planned = planning::plan(self.site, &self.request, self.policy.conffiles, &now);
                match planned {
                    Ok((call, plan)) if !now.is_dirty() || repair::is_mended_by(&now, &plan.steps) => {
                        self.approve(&plan, approved.as_ref())?;
                        (call, plan, worked)
                    }
                    Err(stop) if !now.is_dirty() => return Err(self.with_changes(stop, &before, &now)),
                    _ => return Err(self.beyond_repair(&before, &now, worked.as_ref())),
                }
            }
        };
        self.is_wanted()?;
        self.save("plan", &plan.transaction())?;

        let worked = if plan.steps.is_empty() {
            worked
        } else {
            Some(self.transact(&call)?)
        };
        if let Some(worked) = worked.as_ref().filter(|worked| worked.was_locked()) {
            return Err(failed(ReasonCode::Locked, worked.complaints.join("\n")));
        }

        let mut complaints = worked
            .as_ref()
            .map_or(Vec::new(), |worked| worked.complaints.clone());
        let mut after = self.database()?;
        if after.has_unconfigured() {
            // One package's failure must not leave others unpacked, with their services down.
            let settled = self.climb(&Rung::Configure)?;
            complaints.extend(settled.complaints);
            after = self.database()?;
        }
        let mut result = judge(&Facts {
            before: &before,
            after: &after,
            plan: &plan.steps,
            apt_exit: worked.as_ref().and_then(|worked| worked.ended.code()),
            complaints: &complaints,
        });
        result.notes.splice(0..0, notes);
        result.kept_back = plan.kept_back;
        let (kept, replaced) = conffiles::appeared(&leftovers, &conffiles::find(self.site, &after));
        result.conffiles_kept = kept;
        result.notes.extend(
            replaced
                .iter()
                .map(|path| format!("{path} was replaced by the package's; this machine's lies beside it")),
        );
        let names = result
            .changes
            .iter()
            .filter_map(|change| change.package.split(':').next());
        result.questions_defaulted = questions::defaulted(
            &questions,
            &questions::read(self.site),
            &names.collect::<Vec<_>>(),
        );
        Ok(result)
    }

    fn database(&self) -> Result<Database, Stop> {
        Database::read(&self.site.dpkg()).map_err(|error| own_fault("cannot read dpkg's database", &error))
    }

    fn save<T: serde::Serialize>(&self, file: &str, fact: &T) -> Result<(), Stop> {
        self.record
            .save(file, fact)
            .map_err(|error| own_fault("cannot keep the run's record", &error))
    }

    /// Compares a plan with the transaction that was approved. After a repair a part of what was approved may be done.
    fn approve(&self, plan: &Plan, before_repair: Option<&Transaction>) -> Result<(), Stop> {
        let Some(approved) = &self.request.plan else {
            return Ok(());
        };
        let found = plan.transaction();
        let same = match before_repair {
            None => found.id() == *approved,
            Some(before) => found.steps().iter().all(|step| before.steps().contains(step)),
        };
        if same { Ok(()) } else { Err(drifted(found)) }
    }

    /// apt's transaction itself; tried again where another package manager was faster.
    fn transact(&mut self, call: &Call) -> Result<Worked, Stop> {
        let arguments = call.action(self.lock_wait_left());
        self.act(APT_GET, &arguments, &environment(call.conffiles))
    }

    /// Climbs the ladder as far as needed.
    fn repair(&mut self, before: &Database, notes: &mut Vec<String>) -> Result<Option<Worked>, Stop> {
        self.log.frame(&Frame::Progress {
            phase: Phase::Repair,
            percent: 0.0,
            package: String::new(),
        });
        let broken: Vec<String> = before.broken().into_iter().map(|broken| broken.package).collect();
        notes.push(match broken.as_slice() {
            [] => "dpkg had been interrupted and was repaired first".to_owned(),
            keys => format!(
                "before this run these were not whole and a repair was tried: {}",
                keys.join(", ")
            ),
        });
        let mut tried = Vec::new();
        let mut last = None;
        let mut now = before.clone();
        while let Some(rung) = repair::next(&now, &tried) {
            last = Some(self.climb(&rung)?);
            tried.push(rung);
            now = self.database()?;
        }
        Ok(last)
    }

    fn climb(&mut self, rung: &Rung) -> Result<Worked, Stop> {
        let conffiles = self.policy.conffiles;
        let environment = environment(conffiles);
        let verb = match rung {
            Rung::Configure => {
                let forces = dpkg_forces(conffiles).iter().map(|force| (*force).to_owned());
                let arguments: Vec<String> = forces.chain(["--configure".into(), "-a".into()]).collect();
                return self.act(DPKG, &arguments, &environment);
            }
            Rung::Reinstall(_) => Verb::Reinstall,
            Rung::FixBroken => Verb::FixBroken,
        };
        let mut call = Call::new(self.site, verb, conffiles);
        if let Rung::Reinstall(keys) = rung {
            let exact = |key: &String| {
                let (name, architecture) = key.split_once(':')?;
                Some((name.parse().ok()?, architecture.to_owned()))
            };
            call.packages = keys.iter().filter_map(exact).collect();
        }
        self.transact(&call)
    }

    fn beyond_repair(&self, before: &Database, now: &Database, worked: Option<&Worked>) -> Stop {
        let mut result = judge(&Facts {
            before,
            after: now,
            plan: &[],
            apt_exit: worked.and_then(|worked| worked.ended.code()),
            complaints: worked.map_or(&[], |worked| &worked.complaints),
        });
        result.outcome = ClientOutcome::Failed;
        if let Some(reason) = &mut result.reason {
            if reason.code != ReasonCode::Space {
                reason.code = ReasonCode::Broken;
            }
            reason.advice = "on the client: dpkg --audit".into();
        }
        Box::new(result)
    }

    /// A repair was made, and then the request could not be carried out.
    fn with_changes(&self, mut stop: Stop, before: &Database, now: &Database) -> Stop {
        stop.changes = before.changes(now);
        if !stop.changes.is_empty() && stop.outcome == ClientOutcome::Failed {
            stop.outcome = ClientOutcome::Partial;
        }
        stop.broken = now.broken();
        stop
    }
}

/// The transaction is another than the one that was approved.
pub(crate) fn drifted(found: Transaction) -> Stop {
    let text = "this client would change something else than what was approved";
    let mut result = RunResult::because(ClientOutcome::Drifted, ReasonCode::Drifted, text);
    result.transaction = Some(found);
    Box::new(result)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn site_with(files: &[(&str, &str)]) -> (tempfile::TempDir, Site) {
        let root = tempfile::tempdir().unwrap();
        let site = Site::below(root.path());
        for (path, text) in files {
            let path = site.path(path);
            fs::create_dir_all(path.parent().unwrap()).unwrap();
            fs::write(path, text).unwrap();
        }
        (root, site)
    }

    #[test]
    fn a_source_that_apt_would_trust_unsigned_stops_everything() {
        let (_root, site) = site_with(&[
            ("/etc/apt/sources.list", "deb http://x/ stable main\n"),
            (
                "/etc/apt/sources.list.d/a.list",
                "deb [trusted=yes] http://y/ ./\n",
            ),
        ]);
        let reason = preflight(&site, Operation::Install).unwrap_err().reason.unwrap();
        assert_eq!(reason.code, ReasonCode::Configuration);
        assert!(
            reason.advice.ends_with("/etc/apt/sources.list.d/a.list"),
            "{}",
            reason.advice
        );
    }

    #[test]
    fn nothing_is_installed_from_lists_whose_time_is_over() {
        let release = (
            "/var/lib/apt/lists/x_InRelease",
            "Valid-Until: Sat, 01 Jan 2000 00:00:00 UTC\n",
        );
        let (_root, site) = site_with(&[release]);
        let code = |operation| {
            preflight(&site, operation)
                .err()
                .and_then(|stop| stop.reason)
                .map(|why| why.code)
        };
        assert_eq!(code(Operation::DistUpgrade), Some(ReasonCode::Lists));
        assert_eq!(code(Operation::Update), None);
        assert_eq!(code(Operation::Remove), None);
        let waived = (
            "/etc/apt/sources.list",
            "deb [check-valid-until=no] http://x/ a b\n",
        );
        let (_root, site) = site_with(&[release, waived]);
        assert!(preflight(&site, Operation::DistUpgrade).is_ok());
    }

    #[test]
    fn what_apt_does_not_read_is_not_judged() {
        let (_root, site) = site_with(&[
            (
                "/etc/apt/sources.list.d/a.list.save",
                "deb [trusted=yes] http://y/ ./\n",
            ),
            (
                "/etc/apt/sources.list.d/b.sources",
                "Types: deb\nURIs: http://x/\nSuites: ./\nSigned-By: /k\n",
            ),
        ]);
        assert!(preflight(&site, Operation::Install).is_ok());
    }

    #[test]
    fn an_exclusive_client_is_judged_by_the_sources_that_it_uses() {
        let (_root, site) = site_with(&[
            ("/etc/apt/sources.list", "deb [trusted=yes] http://x/ ./\n"),
            (
                "/usr/share/apu-data/exclusive/apu.sources",
                "Types: deb\nURIs: http://x/\nSuites: ./\n",
            ),
        ]);
        assert!(preflight(&site, Operation::Install).is_ok());
    }
}
