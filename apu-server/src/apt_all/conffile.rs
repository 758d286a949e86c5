//! Has hosts carry out a decision about a configuration file: a push like any other, with a request that no words of apt-all make.

use apu_fleet::{HostName, fold};
use apu_proto::Request;
use apu_site::Failure;

use super::args::{Args, Shown};
use super::start::push_in;
use crate::context::Context;

/// Has these hosts carry out a decision, in a run that is recorded.
///
/// # Errors
/// As apt-all.
pub(crate) fn carry_out_decision(
    context: &Context,
    target: &str,
    hosts: &[HostName],
    request: &Request,
    shown: Shown,
) -> Result<u8, Failure> {
    let hosts = fold(hosts.iter().map(HostName::as_str));
    let args = Args::of_request(&hosts, request, shown);
    push_in(context, &args, target, None).map(|pushed| pushed.status)
}
