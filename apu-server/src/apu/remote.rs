//! What the commands that speak to hosts have in common.

use std::sync::Arc;

use apu_fleet::ssh::Ssh;
use apu_fleet::{Ending, Host, HostName, Inventory, Sinks, TargetError};
use apu_proto::Request;
use apu_site::Failure;

use crate::context::Context;
use crate::failure;
use crate::one_phase::ask;
pub(super) use crate::one_phase::wait;

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
pub(super) fn all_hosts(context: &Context) -> Result<Vec<Host>, Failure> {
    let all = context.inventory()?.all();
    all.map_err(|error| failure::target(&context.site, error))
}

/// The exit status of a command that was interrupted.
pub(super) const INTERRUPTED: u8 = 130;

/// What every host says of itself, without a word on the terminal; none where somebody stopped the asking, so that no
/// half of the answers is taken for all of them.
///
/// # Errors
/// As [`asked`].
pub(super) async fn statuses(
    ssh: &Arc<Ssh>,
    hosts: &[Host],
    context: &Context,
) -> Result<Option<Vec<(HostName, Ending)>>, Failure> {
    asked(ssh, hosts, context, &Request::status()).await
}

/// What every host answers to a request that changes nothing; none where somebody stopped the asking.
///
/// # Errors
/// Where this machine cannot ask.
pub(super) async fn asked(
    ssh: &Arc<Ssh>,
    hosts: &[Host],
    context: &Context,
    request: &Request,
) -> Result<Option<Vec<(HostName, Ending)>>, Failure> {
    let limits = context.limits(request.operation());
    let run = ask(&context.ui, ssh, hosts, request, limits, Sinks::default()).await?;
    let endings = run.endings().map(|(host, ending)| (host.clone(), ending.clone()));
    Ok((run.interrupts == 0).then(|| endings.collect()))
}
