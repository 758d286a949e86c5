//! Answers a dry run: simulates the transaction and reports what it would change.

use apu_proto::{Action, Answer, ClientOutcome, PackageArg, Request, RunResult, System};

use super::services::affected_services;
use crate::apt::{Plan, Target, missing_debs, security_updates};
use crate::dpkg::Database;
use crate::os::os_release::OsRelease;
use crate::os::paths::ClientPaths;
use crate::run::ahead::{Asked, asked_ahead};
use crate::run::answers::{answered, check_policy, check_templates, concerning, left_out};
use crate::run::approval::check_approval;
use crate::run::planning;
use crate::run::policy::Policy;
use crate::run::preflight::preflight;
use crate::run::refusal::Refusal;
use crate::run::site_archives::{installs_apu_data_only, site_sources};
use crate::run::ucf;

/// Returns the sources that the request names and that no installed package is built from.
fn unknown_sources(request: &Request, database: &Database) -> Vec<String> {
    let is_known = |source: &str| {
        let mut packages = database.packages.keys();
        packages.any(|package| database.source(package) == Some(source))
    };
    let sources = request.sources().iter().map(ToString::to_string);
    sources.filter(|source| !is_known(source)).collect()
}

/// Returns the packages that the request upgrades only where they are installed, and that are not.
fn not_installed(request: &Request, database: &Database) -> Vec<String> {
    let is_missing = |package: &&PackageArg| {
        let key = database.key_of(package);
        request.is_only_upgrade() && !key.is_ok_and(|key| database.version(key.as_str()).is_some())
    };
    let packages = request.packages().iter().filter(is_missing);
    packages.map(ToString::to_string).collect()
}

/// Plans a run and returns it without carrying it out.
pub(crate) fn dry_run(paths: &ClientPaths, request: &Request, policy: &Policy) -> Result<RunResult, Refusal> {
    let rules = &policy.conffile_rules(request);
    let (notes, targets) = if installs_apu_data_only(request) {
        site_sources(paths)?;
        (Vec::new(), None)
    } else {
        let checked = preflight(paths, request.operation())?;
        (checked.notes, Some(checked.targets))
    };
    let database =
        Database::read(&paths.dpkg()).map_err(|error| Refusal::fault(Action::ReadDatabase, &error))?;
    let plan = match planning::plan(paths, request, rules, &database) {
        Ok((_, plan)) => plan,
        // A run repairs first, as the same condition says there, and plans then.
        Err(refusal) if refusal.result.outcome == ClientOutcome::Failed && database.is_dirty() => {
            Plan::default()
        }
        Err(mut refusal) => {
            refusal.result.notes.splice(0..0, notes);
            return Err(refusal);
        }
    };
    check_approval(paths, request, &plan, &database)?;
    let answers = concerning(request, &plan.steps);
    check_policy(paths, policy, &answers)?;
    // The packages have the questions; a run fetches them first.
    if missing_debs(&paths.archives(), &plan.debs).is_ok_and(|missing| missing.is_empty()) {
        check_templates(paths, &plan, &answers)?;
    }
    let mut found = planning::report(&plan);
    found.marked_manual = planning::automatically_installed(request, &database)?;
    found.security = targets.and_then(|targets: Vec<Target>| security_updates(paths, &targets, &plan).ok());
    if let Some(asked) = asked_ahead(paths, &plan, &database, rules) {
        let Asked { conffiles, questions } = asked;
        (found.changed_conffiles, found.new_questions) = (Some(conffiles), Some(questions));
    }
    found.changed_ucf_files = ucf::changed_ahead(paths, &plan, rules);
    found.answered = answered(paths, &answers);
    found.answers_left_out = left_out(request, &plan);
    found.services = affected_services(paths, &plan);
    found.not_installed = not_installed(request, &database);
    found.unknown_sources = unknown_sources(request, &database);
    found.too_young = request.too_young().to_vec();
    found.broken = database.broken();
    found.repair = database.is_dirty();
    found.system = System {
        release: OsRelease::read(paths).release(),
        architecture: database.architecture,
    };
    let mut result = RunResult::new(ClientOutcome::Unchanged).with(Answer::Plan(Box::new(found)));
    result.notes = notes;
    result.reboot_required = paths.reboot_required();
    Ok(result)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_source_that_nothing_installed_is_built_from_is_told() {
        let text = "Package: dpkg\nStatus: install ok installed\nArchitecture: amd64\nVersion: 1\n\n\
                    Package: libssl3\nStatus: install ok installed\nArchitecture: amd64\nSource: openssl\nVersion: 1\n\n\
                    Package: vim\nStatus: deinstall ok config-files\nArchitecture: amd64\nVersion: 1\n";
        let database = Database::parse([text]).unwrap();
        let request = Request::parse(b"apu/1 upgrade source_packages=dpkg,libssl3,openssl,vim").unwrap();
        assert_eq!(unknown_sources(&request, &database), ["libssl3", "vim"]);
    }
}
