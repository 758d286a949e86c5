//! Plans a request by apt's own simulation, and refuses a plan that the request or the protection of the client does
//! not allow.

use std::collections::BTreeMap;
use std::time::Duration;

use apu_debian::PackageKey;
use apu_proto::{
    Action, Advice, Cause, HeldBack, MAX_HELD_BACK, MAX_PROVIDERS, Operation, PackageArg, Reason, Request,
    Step,
};

use super::answers::{approved, concerning};
use super::conffile_rules::ConffileRules;
use super::held::{check_held, hold, kept_from_coming, names_nothing, stay_at_version};
use super::hold_back::to_hold_back;
use super::plan_cache::{self, Inputs};
use super::refusal::Refusal;
use super::selection::{is_narrowed, plan_selection};
use super::simulation::{SIMULATION_TIMEOUT, is_protected, protected_removal, removal_not_allowed, simulate};
use super::site_archives::{installs_apu_data_only, need_separate_lists};
use super::space::check_space;
use crate::apt::{
    APT_CACHE, APT_GET, Call, Downloads, ENVIRONMENT, Plan, Verb, automatic_among, cache_arguments, errors,
    providers,
};
use crate::dpkg::{Conffiles, DPKG, Database, compare};
use crate::os::paths::ClientPaths;
use crate::os::spawn;

/// Maximal number of plans until no package more is held back.
const MAX_ROUNDS: usize = 8;

/// For how many packages of a request providers are looked up, and the time limit for each.
const MAX_HINTS: usize = 8;
const HINT_TIMEOUT: Duration = Duration::from_secs(20);

/// Returns the apt call for a request that changes packages; none for other requests.
pub(crate) fn call_for(
    paths: &ClientPaths,
    request: &Request,
    conffiles: Conffiles,
    database: &Database,
) -> Option<Call> {
    let verb = match request.is_only_upgrade() {
        true => Verb::DistUpgrade,
        false => Verb::of(request.operation())?,
    };
    let mut call = Call::new(paths, verb, conffiles);
    call.remove |= request.allows_removal();
    if request.is_only_upgrade() {
        // The selection narrows it to the named packages.
        return Some(call);
    }
    let exact = |package: &PackageArg| (package.name.clone(), database.architecture_of(package));
    call.packages = request.packages().iter().map(exact).collect();
    if installs_apu_data_only(request) {
        call = call.for_apu_data(paths, need_separate_lists(paths));
    }
    Some(call)
}

/// Simulates a request and checks what it would change, and that there is space for it.
pub(crate) fn plan(
    paths: &ClientPaths,
    request: &Request,
    rules: &ConffileRules,
    database: &Database,
) -> Result<(Call, Plan), Refusal> {
    let planned = find_plan(paths, request, rules, database)?;
    // Nothing may prevent that one, and it is small.
    if !installs_apu_data_only(request) {
        check_space(paths, &planned.1, request.is_download_only())?;
    }
    Ok(planned)
}

fn find_plan(
    paths: &ClientPaths,
    request: &Request,
    rules: &ConffileRules,
    database: &Database,
) -> Result<(Call, Plan), Refusal> {
    let conffiles = rules.for_dpkg();
    let unheld = call_for(paths, request, conffiles, database).ok_or_else(|| {
        Refusal::failed(Cause::NoPlan {
            operation: request.operation(),
        })
    })?;
    if let Some(refusal) = refuse_foreign_architecture(request, &database.architecture, foreign_architectures)
    {
        return Err(refusal);
    }
    let call = hold(paths, request, unheld.clone())?;
    // What cannot be looked at may have changed.
    // What holds packages back lies in places that the kept plan does not know of.
    let inputs = || match rules.hold_back() {
        true => None,
        false => Inputs::of(paths, request, conffiles).ok().flatten(),
    };
    let before = inputs();
    if let (Some(approved_id), Some(before)) = (request.plan(), &before)
        && let Some(plan) = plan_cache::find(paths, before).map(|plan| with_answers(request, plan))
        && plan.transaction().id() == approved_id
    {
        return Ok((
            stay_at_version(paths, call, plan.stay.iter().map(ToString::to_string))?,
            plan,
        ));
    }
    let planned = if is_narrowed(request) {
        plan_selection(paths, request, &call, database)
    } else {
        simulate(&call, database).map(|plan| (call, plan))
    };
    let (call, plan) = planned.map_err(|refusal| with_providers(paths, refusal, request))?;
    let (call, mut plan) = match rules.hold_back() && !request.is_download_only() {
        true => hold_back(paths, rules, database, (call, plan))?,
        false => (call, plan),
    };
    check_plan(request, &plan, database).map_err(|refusal| with_providers(paths, refusal, request))?;
    check_held(request, &plan)?;
    if !request.hold().is_empty() {
        // What apt cannot plan without the hold is not known.
        let without = simulate(&unheld, database).unwrap_or_default();
        plan.held = kept_from_coming(request, &without, database);
        plan.held_nothing = names_nothing(request, database);
    }
    let needs_checksums = request.is_dry_run()
        || request.plan().is_some()
        || request.is_download_only()
        || request.answers().is_some();
    if needs_checksums && !plan.steps.is_empty() {
        add_checksums(&call, &mut plan)?;
    }
    if let Some(inputs) = inputs().filter(|now| request.is_dry_run() && before.as_ref() == Some(now)) {
        plan_cache::keep(paths, inputs, &plan);
    }
    Ok((call, with_answers(request, plan)))
}

/// The plan with the answers of this request that concern it.
fn with_answers(request: &Request, mut plan: Plan) -> Plan {
    plan.answers = approved(&concerning(request, &plan.steps));
    plan
}

/// Plans without the packages that the policy holds back for their configuration files. A request that only fetches has them all: with the
/// .debs there, only those are held back whose files would really be asked about.
fn hold_back(
    paths: &ClientPaths,
    rules: &ConffileRules,
    database: &Database,
    (mut call, mut plan): (Call, Plan),
) -> Result<(Call, Plan), Refusal> {
    let mut held: Vec<HeldBack> = Vec::new();
    for _ in 0..MAX_ROUNDS {
        let found = to_hold_back(paths, rules, &plan, database, || {
            let mut priced = plan.clone();
            add_checksums(&call, &mut priced)?;
            Ok(priced.debs)
        })?;
        if found.is_empty() {
            held.sort();
            held.truncate(MAX_HELD_BACK);
            plan.held_back = held;
            return Ok((call, plan));
        }
        call = stay_at_version(paths, call, found.iter().map(|one| one.package.to_string()))?;
        held.extend(found);
        // Those that a selection keeps are kept by the call.
        let stay = std::mem::take(&mut plan.stay);
        plan = simulate(&call, database)?;
        plan.stay = stay;
    }
    let packages = held.into_iter().map(|one| one.package).collect();
    Err(Refusal::new(Cause::ChangesHeld { packages }))
}

/// Adds what a plan needs to be approved and the simulation does not print: the checksum of each .deb, and the sizes.
fn add_checksums(call: &Call, plan: &mut Plan) -> Result<(), Refusal> {
    let captured = spawn::capture(APT_GET, &call.print_uris(), &ENVIRONMENT, SIMULATION_TIMEOUT)
        .map_err(|error| Refusal::fault(Action::AskForChecksums, &error))?;
    if !captured.succeeded() {
        let reason = Reason::from(Cause::NoDownloads).detailed(errors(&captured.stderr));
        return Err(Refusal::failed(reason));
    }
    let downloads = Downloads::parse(&captured.stdout);
    plan.add_checksums(&downloads).map_err(|package| {
        let package = package.to_string();
        Refusal::new(Cause::NoSha256 {
            package: package.clone(),
        })
        .advise(Advice::HoldOrSha256 { package })
    })?;
    plan.sizes = downloads.sizes;
    Ok(())
}

/// Returns the foreign architectures that dpkg accepts, one a line.
fn foreign_architectures() -> Option<String> {
    let words = ["--print-foreign-architectures"];
    let captured = spawn::capture(DPKG, &words, &ENVIRONMENT, HINT_TIMEOUT).ok()?;
    captured.succeeded().then_some(captured.stdout)
}

/// Refuses packages of an architecture that dpkg does not accept, with dpkg's own words. apt plans their installation
/// if an index has them, and dpkg refuses them after the download.
fn refuse_foreign_architecture(
    request: &Request,
    own: &str,
    foreign: impl FnOnce() -> Option<String>,
) -> Option<Refusal> {
    let named = |package: &PackageArg| package.architecture.as_ref().map(ToString::to_string);
    let is_other = |architecture: &String| architecture != own;
    let others: Vec<(&PackageArg, String)> = (request.packages().iter())
        .filter_map(|package| Some((package, named(package).filter(is_other)?)))
        .collect();
    // Where it is only upgraded, a package that dpkg does not accept is not installed, which is no fault.
    if others.is_empty() || request.operation() != Operation::Install || request.is_only_upgrade() {
        return None;
    }
    let foreign = foreign()?;
    let is_taken = |architecture: &str| foreign.lines().any(|line| line == architecture);
    let (package, architecture) = others
        .into_iter()
        .find(|(_, architecture)| !is_taken(architecture))?;
    let native = own.to_owned();
    let cause = Cause::ForeignArchitecture {
        package: package.name.to_string(),
        architecture: architecture.clone(),
        native: native.clone(),
    };
    Some(Refusal::new(cause).advise(Advice::AddArchitecture { native, architecture }))
}

/// Adds the providers of an unknown package, which may be a virtual one.
fn with_providers(paths: &ClientPaths, mut refusal: Refusal, request: &Request) -> Refusal {
    let cause = refusal.result.reason.as_mut().map(|reason| &mut reason.cause);
    if let Some(Cause::UnknownPackage { providers: known, .. } | Cause::NoCandidate { providers: known }) =
        cause
    {
        for package in request.packages().iter().take(MAX_HINTS) {
            let name = package.name.as_str();
            // apt-cache would take such a name as a regular expression.
            if name.contains(['.', '+']) {
                continue;
            }
            let words = cache_arguments(paths, &["showpkg".to_owned(), name.to_owned()]);
            let captured = spawn::capture(APT_CACHE, &words, &ENVIRONMENT, HINT_TIMEOUT);
            let found = captured.map_or(Vec::new(), |captured| providers(&captured.stdout, name));
            if !found.is_empty() {
                known.insert(
                    name.to_owned(),
                    found.into_iter().take(MAX_PROVIDERS + 1).collect(),
                );
            }
        }
    }
    refusal
}

fn check_plan(request: &Request, plan: &Plan, database: &Database) -> Result<(), Refusal> {
    let may_remove = request.allows_removal() || request.operation().removes_packages();
    let mut removed = Vec::new();
    for step in &plan.steps {
        match step {
            Step::Remove { package, .. } => {
                if is_protected(package.name()) {
                    return Err(protected_removal(package.name()));
                }
                removed.push(package.to_string());
            }
            Step::Install {
                package,
                old: Some(old),
                new,
                ..
            } if compare(old, new).is_gt() => {
                return Err(Refusal::new(Cause::Downgrade {
                    package: package.clone(),
                    old: old.clone(),
                    new: new.clone(),
                }));
            }
            Step::Install { .. } => {}
        }
    }
    if !may_remove && !removed.is_empty() {
        return Err(removal_not_allowed(removed));
    }
    if request.operation() == Operation::Install && !request.is_only_upgrade() {
        for package in request.packages() {
            check_resolved(package, plan, database)?;
        }
    }
    Ok(())
}

/// Returns the requested packages that are installed automatically so far, and that `install` marks as manually
/// installed.
pub(crate) fn automatically_installed(
    request: &Request,
    database: &Database,
) -> Result<Vec<PackageKey>, Refusal> {
    // apt-mark reads all sources, and apu-data may have to repair these.
    let marks = request.operation() == Operation::Install && !request.is_only_upgrade();
    if !marks || installs_apu_data_only(request) {
        return Ok(Vec::new());
    }
    automatic_among(request, database).map_err(|error| Refusal::fault(Action::ReadMarks, &error))
}

/// Checks that an exact name led to exactly that package: for an unknown name, apt does nothing and reports success.
fn check_resolved(package: &PackageArg, plan: &Plan, database: &Database) -> Result<(), Refusal> {
    let key = database.key_of(package).map_err(|_| {
        Refusal::failed(Cause::NotAKey {
            package: package.to_string(),
        })
    })?;
    let planned = plan.coming(key.as_str());
    let planned = planned.map(|(version, origin)| (version, Some(origin)));
    let installed = || Some((database.version(key.as_str())?, None));
    match (planned.or_else(installed), &package.version) {
        (None, _) => Err(Refusal::new(Cause::UnknownPackage {
            package: shown(package, &key),
            providers: BTreeMap::new(),
        })),
        (Some((found, origin)), Some(asked)) if compare(asked.as_str(), found).is_ne() => {
            Err(Refusal::new(Cause::NotTheCandidate {
                package: key.clone(),
                asked: asked.to_string(),
                found: found.to_owned(),
                origin: origin.map(str::to_owned),
            }))
        }
        _ => Ok(()),
    }
}

fn shown(package: &PackageArg, key: &PackageKey) -> String {
    if package.architecture.is_some() {
        key.to_string()
    } else {
        package.name.to_string()
    }
}

/// Returns a plan as the server is told it.
pub(crate) fn report(plan: &Plan) -> apu_proto::Plan {
    apu_proto::Plan {
        transaction: plan.transaction(),
        kept_back: plan.kept_back.clone(),
        held: plan.held.clone(),
        held_back: plan.held_back.clone(),
        held_nothing: plan.held_nothing.clone(),
        sizes: plan.sizes.clone(),
        ..apu_proto::Plan::default()
    }
}

#[cfg(test)]
mod tests {
    use apu_proto::ReasonCode;

    use super::*;

    fn database() -> Database {
        let text = "Package: dpkg\nStatus: install ok installed\nArchitecture: amd64\nVersion: 1\n\n\
                    Package: lab\nStatus: install ok installed\nArchitecture: all\nVersion: 2\n";
        Database::parse([text]).unwrap()
    }

    fn code(request: &str, output: &str) -> Option<ReasonCode> {
        let request = Request::parse(format!("apu/1 {request}").as_bytes()).unwrap();
        let plan = Plan::parse(output, "amd64").unwrap();
        let refusal = check_plan(&request, &plan, &database()).err()?;
        Some(refusal.result.reason.unwrap().code)
    }

    #[test]
    fn a_name_that_apt_did_nothing_for_is_unknown_unless_it_is_installed() {
        assert_eq!(code("install lab", ""), None);
        assert_eq!(code("install lab:amd64", ""), None);
        assert_eq!(code("install la.b", ""), Some(ReasonCode::UnknownPackage));
        assert_eq!(code("install lab:i386", ""), Some(ReasonCode::UnknownPackage));
        let output = "Inst lab-new (1 Site:x [all])\n";
        assert_eq!(code("install lab-new", output), None);
        assert_eq!(
            code("install lab-other", output),
            Some(ReasonCode::UnknownPackage)
        );
    }

    #[test]
    fn a_version_must_be_the_candidate() {
        let output = "Inst lab [2] (3 Site:x [all])\n";
        assert_eq!(code("install lab=3", output), None);
        assert_eq!(code("install lab=2", output), Some(ReasonCode::NotTheCandidate));
        assert_eq!(code("install lab=2", ""), None);
        assert_eq!(code("install lab=1", ""), Some(ReasonCode::NotTheCandidate));
    }

    #[test]
    fn a_removal_needs_to_be_allowed_and_some_never_are() {
        let output = "Remv lab [2]\n";
        assert_eq!(code("dist-upgrade", output), Some(ReasonCode::Removal));
        assert_eq!(code("dist-upgrade allow_remove=yes", output), None);
        assert_eq!(code("remove lab", output), None);
        for name in ["openssh-server", "apu-client", "apu-data"] {
            let output = format!("Remv {name} [2]\n");
            assert_eq!(code("remove lab", &output), Some(ReasonCode::Protected), "{name}");
        }
    }

    #[test]
    fn a_package_for_another_kind_of_machine_is_named_as_that() {
        let why = |request: &str, foreign: Option<&str>| {
            let request = Request::parse(format!("apu/1 {request}").as_bytes()).unwrap();
            let refusal = refuse_foreign_architecture(&request, "amd64", || foreign.map(str::to_owned))?;
            Some(refusal.result.reason.unwrap().cause)
        };
        let refused = Some(Cause::ForeignArchitecture {
            package: "lab".into(),
            architecture: "arm64".into(),
            native: "amd64".into(),
        });
        assert_eq!(why("install lab:arm64=1", Some("")), refused);
        assert_eq!(why("install foo:i386 lab:arm64", Some("i386\n")), refused);
        assert_eq!(why("install only_upgrade=yes lab:arm64", Some("")), None);
        // What dpkg takes, what names no architecture, and a dpkg that does not answer: nothing is claimed.
        for request in ["install lab:arm64", "install lab:amd64", "install lab"] {
            assert_eq!(why(request, Some("i386\narm64\n")), None, "{request}");
            assert_eq!(why(request, None), None, "{request}");
        }
    }

    #[test]
    fn a_downgrade_is_refused() {
        assert_eq!(
            code("dist-upgrade", "Inst lab [2] (1 Site:x [all])\n"),
            Some(ReasonCode::Policy)
        );
    }
}
