//! What the commands that speak to hosts have in common.

use std::future::Future;
use std::sync::Arc;

use apu_fleet::ssh::Ssh;
use apu_fleet::{Ending, Host, HostName, Inventory, Job, Limits, Purpose, Sinks, TargetError, Task, run};
use apu_proto::{Operation, Request};
use apu_repo::Failure;

use crate::failure;
use crate::ground::{Ground, SHORT_ANSWER};
use crate::interrupt::stops;

/// Waits for `work` on a runtime of its own.
///
/// # Errors
/// Where there is no runtime to be had, and whatever the work says.
pub(super) fn wait<T>(work: impl Future<Output = Result<T, Failure>>) -> Result<T, Failure> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
    runtime
        .map_err(|error| Failure::machine("cannot start").why(error))?
        .block_on(work)
}

/// The hosts that words name. Unlike for apt-all, a host need not be in a class: it may be about to come into one.
///
/// # Errors
/// For words that are no host names.
pub(super) fn named(inventory: &Inventory, words: &[String]) -> Result<Vec<Host>, TargetError> {
    inventory.resolve_new(words, &[])
}

/// All hosts of all classes, each once; a class may have nobody in it.
///
/// # Errors
/// Where a class cannot be used, or two of them know a host differently.
pub(super) fn all_hosts(ground: &Ground) -> Result<Vec<Host>, Failure> {
    let all = ground.inventory()?.all();
    all.map_err(|error| failure::target(&ground.site, error))
}

/// The exit status of a command that was interrupted.
pub(super) const INTERRUPTED: u8 = 130;

/// What every host says of itself, without a word on the terminal; none where somebody stopped the asking, so that no
/// half of the answers is taken for all of them.
pub(super) async fn statuses(
    ssh: &Arc<Ssh>,
    hosts: &[Host],
    ground: &Ground,
) -> Option<Vec<(HostName, Ending)>> {
    asked(ssh, hosts, ground, Operation::Status).await
}

/// What every host answers to an operation that changes nothing; none where somebody stopped the asking.
pub(super) async fn asked(
    ssh: &Arc<Ssh>,
    hosts: &[Host],
    ground: &Ground,
    operation: Operation,
) -> Option<Vec<(HostName, Ending)>> {
    let task = |host: &Host| Task {
        host: host.clone(),
        request: Request::new(operation),
    };
    let job = Job {
        purpose: Purpose::Run,
        operation,
        tasks: hosts.iter().map(task).collect(),
        published: Vec::new(),
    };
    let settings = &ground.settings.run;
    let limits = Limits {
        parallel: settings.parallel,
        timeout: settings.timeout.min(SHORT_ANSWER),
        failures: None,
    };
    let run_state = run(ssh, job, limits, &mut stops(), &mut Sinks::default()).await;
    let endings = run_state
        .endings()
        .map(|(host, ending)| (host.clone(), ending.clone()));
    (run_state.interrupts == 0).then(|| endings.collect())
}
