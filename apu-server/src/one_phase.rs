//! Pushes of one phase: the same request for every host, and what each of them answered.

use std::future::Future;
use std::io;
use std::sync::Arc;

use apu_fleet::ssh::Ssh;
use apu_fleet::{Announcement, Batch, Host, Limits, Phase, PushId, RunState, Runner, Sinks};
use apu_proto::Request;
use apu_site::{Failure, Ui};

use crate::interrupt::instructions;
use crate::who::Who;

/// Waits for `work` on a runtime of its own.
///
/// # Errors
/// Where there is no runtime to be had, and whatever the work says.
pub(crate) fn wait<T>(work: impl Future<Output = Result<T, Failure>>) -> Result<T, Failure> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
    runtime
        .map_err(|error| Failure::machine("cannot start").why(error))?
        .block_on(work)
}

/// A new identity for a push.
///
/// # Errors
/// Where the kernel gives no random bits.
pub(crate) fn new_push() -> Result<PushId, Failure> {
    PushId::random().map_err(|error| Failure::machine("cannot read /dev/urandom").why(error))
}

/// Begins a push of one request to these hosts. Needs a runtime.
///
/// # Errors
/// As [`new_push`].
pub(crate) fn start<'a>(
    ssh: &'a Arc<Ssh>,
    hosts: &[Host],
    request: &Request,
    sinks: Sinks<'a>,
) -> Result<Runner<'a, Ssh>, Failure> {
    let by = Who::here().name().to_owned();
    let announcement = Announcement::of(new_push()?, hosts, request, by);
    Ok(Runner::start(ssh, instructions(), sinks, announcement))
}

/// Sends the request to every host; returns the state in which all have ended, with the exit status that it means.
///
/// # Errors
/// As [`new_push`].
pub(crate) async fn ask(
    ui: &Ui,
    ssh: &Arc<Ssh>,
    hosts: &[Host],
    request: &Request,
    limits: Limits,
    sinks: Sinks<'_>,
) -> Result<RunState, Failure> {
    let mut runner = start(ssh, hosts, request, sinks)?;
    let batch = Batch::of(Phase::of(request.operation()), hosts, request);
    runner.phase(batch, limits).await;
    let status = exit_status(&runner);
    tell_failed_sinks(ui, runner.failed_sinks());
    Ok(runner.finish(status))
}

/// The exit status that a push's state means.
pub(crate) fn exit_status(runner: &Runner<'_, Ssh>) -> u8 {
    let state = runner.state();
    if state.interrupts > 0 {
        130
    } else if state.failed_hooks > 0 || state.endings().any(|(_, ending)| !ending.outcome.is_well()) {
        1
    } else if terminal(runner.failed_sinks()).next().is_none() {
        0
    } else {
        3
    }
}

/// Says where the output went wrong.
pub(crate) fn tell_failed_sinks(ui: &Ui, failed: &[(String, io::Error)]) {
    for (sink, error) in terminal(failed) {
        ui.complain(&format!(
            "error: cannot write to the {sink}; the hosts went on\n  why: {error}\n"
        ));
    }
}

/// What goes to standard output is told when the program ends.
fn terminal(failed: &[(String, io::Error)]) -> impl Iterator<Item = &(String, io::Error)> {
    failed.iter().filter(|(sink, _)| sink == "terminal")
}
