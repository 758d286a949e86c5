//! Goes on with a run whose process was killed, and repeats one for the hosts that did not end well.

use std::num::NonZeroUsize;
use std::time::Duration;

use apu_fleet::{Host, HostName, TargetError, fold};
use apu_ledger::{Ledger, Run, RunStatus};
use apu_proto::Request;
use apu_site::Failure;
use apu_site::settings::ServiceGlob;
use jiff::Timestamp;

use super::args::{Args, Shown};
use super::push::Push;
use super::start::{Start, push_in, run_push};
use crate::context::Context;
use crate::failure::{self, ledger as ledger_failure};
use crate::one_phase::new_push;

/// Goes on with a run. Hosts whose end is known are not asked again. The others are asked for the same run, with what was approved
/// for them: a client that has done it says how that ended, and does nothing twice.
///
/// # Errors
/// Where the run did not break off, or no host of it was to be asked yet.
pub(crate) fn resume(context: &Context, ledger: Ledger, run: &Run, shown: Shown) -> Result<u8, Failure> {
    let number = run.number;
    let stopped = match run.status {
        RunStatus::BrokenOff => None,
        RunStatus::Running => Some((format!("run {number} is under way"), format!("apu wait {number}"))),
        RunStatus::Ended(_) => Some((format!("run {number} has ended"), format!("apu retry {number}"))),
        RunStatus::WentOn(next) => Some((
            format!("run {number} was broken off, and run {next} went on with it"),
            format!("apu show {next}"),
        )),
    };
    if let Some((what, advice)) = stopped {
        return Err(Failure::words(what).advise(advice));
    }
    let work = ledger
        .work(number)
        .map_err(|error| ledger_failure(&context.site, error))?;
    let asked = request(&run.request)?;
    let work = match work {
        Some(work) => Some((request(&work.request)?, work)),
        None => None,
    };
    let Some((request, work)) = work.filter(|(request, _)| request.operation() == asked.operation()) else {
        return Err(Failure::words(format!(
            "no host was asked to change anything in run {number} before it broke off"
        ))
        .why("so nothing is to be gone on with")
        .advise(format!("apu retry {number}, which does it anew")));
    };
    let mut args = Args::of_request(&run.target, &request, shown);
    args.ignore_windows = work.ignores_windows;
    let carried = ledger
        .carried(number)
        .map_err(|error| ledger_failure(&context.site, error))?;
    let promoted = ledger
        .promoted(run)
        .map_err(|error| ledger_failure(&context.site, error))?;
    // Also one that has left the classes since.
    let inventory = context.inventory()?;
    let hosts: Result<Vec<Host>, TargetError> = work.hosts.iter().map(|host| inventory.host(host)).collect();
    let hosts = hosts.map_err(|error| failure::target(&context.site, error))?;
    let ssh = context.ssh()?;
    let start = Start {
        push: new_push()?,
        context,
        ssh: &ssh,
        args: &args,
        hosts,
        local: Vec::new(),
        ledger: Some(ledger),
        parent: Some(number),
        queue_until: work
            .queue_until
            .and_then(|at| Timestamp::from_millisecond(at).ok()),
    };
    let pushed = run_push(start, async move |push: &mut Push<'_>, hosts| {
        let parallel = NonZeroUsize::new(work.parallel).unwrap_or(NonZeroUsize::MIN);
        // What failed in the plan has no turn here, and still counts.
        let most = work
            .max_failures
            .map(|most| most.saturating_sub(work.failed_before));
        push.limit(parallel, Duration::from_secs(work.timeout), most);
        let approved = work.trials();
        push.record
            .planned(approved.iter().map(|(_, trial)| trial.transaction.id()));
        push.approve_all(approved);
        push.carry(carried, promoted);
        push.apply(request, &hosts, work.rollout).await?;
        Ok(push.show(&[]))
    })?;
    Ok(pushed.status)
}

/// Does anew what a run asked for, on these hosts of it.
///
/// # Errors
/// As apt-all.
pub(crate) fn repeat(
    context: &Context,
    run: &Run,
    hosts: &[HostName],
    (yes, shown): (bool, Shown),
) -> Result<u8, Failure> {
    let request = request(&run.request)?;
    let target = fold(hosts.iter().map(HostName::as_str));
    let mut args = Args::of_request(&target, &request, shown);
    args.yes = yes;
    args.min_age = run.min_age;
    args.allow_restart = allowed_restarts(run);
    push_in(context, &args, &run.target, Some(run.number)).map(|pushed| pushed.status)
}

/// The protected services that the packages of a run may restart. A pattern that is not understood allows nothing.
pub(super) fn allowed_restarts(run: &Run) -> Vec<ServiceGlob> {
    run.allow_restart
        .iter()
        .filter_map(|glob| glob.parse().ok())
        .collect()
}

/// A request as the ledger has it.
pub(super) fn request(text: &str) -> Result<Request, Failure> {
    Request::parse(text.as_bytes()).map_err(|error| {
        Failure::machine("a request in the ledger is not understood")
            .why(error)
            .advise("give the command to apt-all again")
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::view::run_facts::example_run;

    #[test]
    fn a_repeated_run_may_restart_what_it_was_allowed_to() {
        let run = Run {
            allow_restart: vec!["postgresql@*".into(), "no service".into(), "cron".into()],
            ..example_run(412)
        };
        let allowed: Vec<String> = allowed_restarts(&run).iter().map(ToString::to_string).collect();
        assert_eq!(allowed, ["postgresql@*", "cron"]);
    }
}
