//! `apu locks` and `apu unlock`: the hosts that runs hold, and how they are let go.

use apu_archive::quote;
use apu_fleet::{HostName, fold};
use apu_ledger::{Lease, RunStatus};
use apu_site::{Failure, say};
use jiff::tz::TimeZone;

use super::recorded::say_json;
use super::remote::named;
use crate::audit_line::AuditLine;
use crate::context::Context;
use crate::failure;
use crate::view::groups::{groups, set};
use crate::view::locks::{facts, locks};
use crate::view::paint::Paint;

/// List the hosts that a run holds, so that no other run begins there.
///
/// A host is held while a run works on it. Where a run was broken off, the hosts that it had asked stay held, since what became
/// of them is not known here: `apu resume RUN` asks them, and `apu unlock HOST` lets them go.
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Examples:
  sudo apu locks
  sudo apu locks --json | jq -r 'select(.state == \"unknown\").host'")]
pub(super) struct Args {
    /// Print JSON, a host a line.
    #[arg(long)]
    json: bool,

    /// A line for each host.
    #[arg(short, long)]
    verbose: bool,
}

/// Let hosts go that a run holds which was broken off.
///
/// What that run began on a host may still go on there: apt-all's next run then waits for its lock.
///
/// Exit status: 0 all were let go, 1 some were not held.
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Examples:
  sudo apu unlock web1
  sudo apu unlock 'web[01-20]'")]
pub(super) struct UnlockArgs {
    /// The hosts: names, ranges and classes; !WORD leaves out.
    #[arg(value_name = "HOST", required = true)]
    hosts: Vec<String>,

    /// Also hosts of a run that is alive. It still asks them in their turn.
    #[arg(long)]
    force: bool,
}

pub(super) fn run(context: &Context, args: &Args) -> Result<u8, Failure> {
    let leases = leases(context)?;
    if args.json {
        for lease in &leases {
            say_json(context, &facts(lease))?;
        }
    } else if leases.is_empty() {
        say!(context.ui, "no host is held");
    } else {
        let paint = Paint::for_stream(context.ui.stdout());
        let zone = TimeZone::system();
        context.ui.show(&locks(&leases, &zone, paint, args.verbose));
    }
    Ok(0)
}

fn leases(context: &Context) -> Result<Vec<Lease>, Failure> {
    let Some(ledger) = context.ledger()? else {
        return Ok(Vec::new());
    };
    ledger
        .leases()
        .map_err(|error| failure::ledger(&context.site, error))
}

pub(super) fn unlock(context: &Context, args: &UnlockArgs) -> Result<u8, Failure> {
    let hosts = named(&context.inventory()?, &args.hosts);
    let hosts = hosts.map_err(|error| failure::target(&context.site, error))?;
    let hosts: Vec<&HostName> = hosts.iter().map(|host| &host.name).collect();
    let mut held = leases(context)?;
    held.retain(|lease| hosts.contains(&&lease.host));
    if !args.force {
        refuse_living(&held)?;
    }
    let mut free: Vec<&HostName> = hosts;
    let mut let_go = Vec::new();
    let mut failed = None;
    if let Some(ledger) = context.ledger()? {
        for lease in &held {
            match ledger.unlock(lease) {
                Ok(true) => {
                    free.retain(|host| **host != lease.host);
                    let_go.push((&lease.host, lease.run.number));
                }
                Ok(false) => {}
                Err(error) => {
                    failed = Some(failure::ledger(&context.site, error));
                    break;
                }
            }
        }
    }
    for (run, hosts) in groups(let_go) {
        let mut line = AuditLine::of_decision("unlock", run);
        line.field("names", &set(&hosts));
        line.write(&context.ui, &context.site, "apu");
        say!(context.ui, "{}: let go; run {run} held it", set(&hosts));
    }
    // Those before it are let go, and were told.
    if let Some(failure) = failed {
        return Err(failure);
    }
    if free.is_empty() {
        return Ok(0);
    }
    context.ui.complain(&format!("{}: not held\n", set(&free)));
    Ok(1)
}

/// Refuses to let a host go whose run has a process.
fn refuse_living(held: &[Lease]) -> Result<(), Failure> {
    let mut living = held.iter().filter(|lease| lease.run.status == RunStatus::Running);
    let Some(first) = living.next() else {
        return Ok(());
    };
    let number = first.run.number;
    let others = living.filter(|lease| lease.run.number == number);
    let hosts = fold(
        std::iter::once(first)
            .chain(others)
            .map(|lease| lease.host.as_str()),
    );
    let process = match &first.run.owner {
        Some(owner) => format!("its process {} is alive", owner.pid),
        None => "whether its process is alive is not known".to_owned(),
    };
    Err(
        Failure::words(format!("run {number} is at work, and holds {hosts}"))
            .why(process)
            .advise(format!(
                "apu abort {number}, which ends it; or apu unlock --force {}",
                quote(&hosts)
            )),
    )
}
