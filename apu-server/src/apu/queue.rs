//! `apu queue`: the hosts that wait for another turn of a run, and the turn that a timer gives them.

use std::collections::HashSet;
use std::fs::{DirBuilder, File, OpenOptions};
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt};

use apu_fleet::{Host, HostName, Inventory, Sinks, fold, span};
use apu_ledger::{Attempt, Ledger, Queued, RunNumber};
use apu_proto::{Operation, Request};
use apu_site::{Failure, report, say};
use jiff::Timestamp;
use jiff::tz::TimeZone;
use nix::fcntl::{Flock, FlockArg};

use super::recorded::say_json;
use super::remote::named;
use crate::apt_all::{self, Shown, Turn, closed_now, why_queued};
use crate::context::Context;
use crate::failure::{self, ledger as failure_of};
use crate::one_phase::{ask, wait};
use crate::view::groups::{groups, set};
use crate::view::paint::Paint;
use crate::view::queue::{facts, queue};

/// List the hosts that wait for another turn, or give those their turn that can be reached now.
///
/// `apt-all CLASS OPERATION --queue 8h` queues the hosts that could not be reached, that another run held, or whose maintenance window
/// was closed. A timer calls `apu queue run` every five minutes, until they have had their turn or their time is over.
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Examples:
  sudo apt-all web dist-upgrade --yes --queue 8h
  sudo apu queue
  sudo apu queue run
  sudo apu queue drop web39")]
pub(super) struct Args {
    #[command(subcommand)]
    command: Option<Command>,

    /// Print JSON, a host a line.
    #[arg(long)]
    json: bool,

    /// A line for each host.
    #[arg(short, long)]
    verbose: bool,
}

#[derive(Debug, clap::Subcommand)]
enum Command {
    /// Give the hosts their turn that can be reached now; the timer apu-queue.timer does this.
    ///
    /// A host does what was approved for it, or is drifted. One that had no plan, since it was off by then, does only what other hosts of
    /// that run have done before and stayed well with. Exit status: as that of apt-all; 0 where nobody had a turn.
    Run,
    /// Let hosts wait no longer.
    ///
    /// Exit status: 0 all of them waited, 1 some did not.
    Drop {
        /// The hosts: names, ranges and classes; !WORD leaves out.
        #[arg(value_name = "HOST", required = true)]
        hosts: Vec<String>,
    },
}

pub(super) fn run(context: &Context, args: &Args) -> Result<u8, Failure> {
    match &args.command {
        None => list(context, args),
        Some(Command::Run) => take_turns(context),
        Some(Command::Drop { hosts }) => drop_hosts(context, hosts),
    }
}

fn queued(context: &Context) -> Result<Vec<Queued>, Failure> {
    let Some(ledger) = context.ledger()? else {
        return Ok(Vec::new());
    };
    ledger.queue().map_err(|error| failure_of(&context.site, error))
}

fn list(context: &Context, args: &Args) -> Result<u8, Failure> {
    let waiting = queued(context)?;
    if args.json {
        for queued in &waiting {
            say_json(context, &facts(queued))?;
        }
    } else if waiting.is_empty() {
        say!(context.ui, "no host waits");
    } else {
        let paint = Paint::for_stream(context.ui.stdout());
        let zone = TimeZone::system();
        context.ui.show(&queue(&waiting, &zone, paint, args.verbose));
    }
    Ok(0)
}

fn drop_hosts(context: &Context, words: &[String]) -> Result<u8, Failure> {
    let hosts = named(&context.inventory()?, words);
    let hosts = hosts.map_err(|error| failure::target(&context.site, error))?;
    let mut others: Vec<&HostName> = hosts.iter().map(|host| &host.name).collect();
    let mut dropped = Vec::new();
    if let Some(ledger) = context.ledger()? {
        for queued in queued(context)? {
            if hosts.iter().all(|host| host.name != queued.host) {
                continue;
            }
            let run = queued.run.number;
            let was_there = ledger
                .dequeue(&queued.host, run)
                .map_err(|error| failure_of(&context.site, error))?;
            if was_there {
                others.retain(|host| **host != queued.host);
                dropped.push((queued.host, run));
            }
        }
    }
    for (run, hosts) in groups(dropped.iter().map(|(host, run)| (host, *run))) {
        say!(context.ui, "{}: waits no longer for run {run}", set(&hosts));
    }
    if others.is_empty() {
        return Ok(0);
    }
    context
        .ui
        .complain(&format!("{}: not in the queue\n", set(&others)));
    Ok(1)
}

/// Holds the queue for this process; none where another one does.
fn lock(context: &Context) -> Result<Option<Flock<File>>, Failure> {
    let directory = context.site.run();
    let path = directory.join("queue.lock");
    let opened = DirBuilder::new()
        .recursive(true)
        .mode(0o700)
        .create(&directory)
        .and_then(|()| {
            OpenOptions::new()
                .write(true)
                .create(true)
                .truncate(false)
                .mode(0o600)
                .open(&path)
        });
    let file =
        opened.map_err(|error| Failure::of_io(format!("cannot lock {}", path.display()), error, &path))?;
    Ok(Flock::lock(file, FlockArg::LockExclusiveNonblock).ok())
}

/// Why a host leaves the queue without a turn.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
enum Left {
    /// A later run of the queue has done it, and was killed before it could say so.
    Done,
    /// Its time is over.
    Late { seconds: u64, why: String },
    /// The classes do not have it any more.
    Gone,
}

/// What is to be done about a host that waits.
fn left(queued: &Queued, is_done: bool, is_known: bool, now: Timestamp) -> Option<Left> {
    if is_done {
        Some(Left::Done)
    } else if !is_known {
        Some(Left::Gone)
    } else if now >= queued.until {
        let seconds = now.duration_since(queued.since).as_secs();
        Some(Left::Late {
            seconds: u64::try_from(seconds).unwrap_or_default(),
            why: queued.why.clone(),
        })
    } else {
        None
    }
}

fn take_turns(context: &Context) -> Result<u8, Failure> {
    let Some(_lock) = lock(context)? else {
        context.ui.complain("another process works on the queue\n");
        return Ok(0);
    };
    let Some(ledger) = context.ledger()? else {
        return Ok(0);
    };
    let failed = |error| failure_of(&context.site, error);
    let mut waiting = ledger.queue().map_err(failed)?;
    if waiting.is_empty() {
        return Ok(0);
    }
    let inventory = context.inventory()?;
    let now = Timestamp::now();
    let mut status = 0;
    let mut gone: Vec<(HostName, (Left, RunNumber))> = Vec::new();
    let mut stay = Vec::new();
    for queued in waiting {
        let is_done = has_had_turn(&ledger, &queued).map_err(failed)?;
        match left(&queued, is_done, is_known(&inventory, &queued.host), now) {
            None => stay.push(queued),
            Some(why) => {
                ledger.dequeue(&queued.host, queued.run.number).map_err(failed)?;
                gone.push((queued.host, (why, queued.run.number)));
            }
        }
    }
    for ((why, run), hosts) in groups(gone.iter().map(|(host, why)| (host, why.clone()))) {
        status = status.max(u8::from(why != Left::Done));
        tell_left(context, &why, run, &hosts);
    }
    waiting = ready(context, &inventory, &ledger, stay, now)?;
    // apt-all opens it for each run that it begins.
    drop(ledger);
    while let Some(first) = waiting.first() {
        let run = first.run.clone();
        let (now_theirs, later): (Vec<Queued>, Vec<Queued>) = waiting
            .into_iter()
            .partition(|queued| queued.run.number == run.number);
        waiting = later;
        // A host has one turn at a time: another run that it waits for comes next time.
        waiting.retain(|queued| now_theirs.iter().all(|other| other.host != queued.host));
        // One run that cannot be gone on with keeps no other from its turn.
        status = status.max(match turn(context, &inventory, run, now_theirs) {
            Ok(status) => status,
            Err(failure) => {
                let (text, status) = report(&failure);
                context.ui.complain(&text);
                status
            }
        });
    }
    Ok(status)
}

fn is_known(inventory: &Inventory, host: &HostName) -> bool {
    inventory.resolve(&[host.to_string()], &[]).is_ok()
}

fn tell_left(context: &Context, why: &Left, run: RunNumber, hosts: &[&HostName]) {
    let hosts = set(hosts);
    let text = match why {
        Left::Done => format!("{hosts}: has had the turn of run {run} already\n"),
        Left::Gone => format!("{hosts}: in no class any more, and waits no longer for run {run}\n"),
        Left::Late { seconds, why } => format!(
            "{hosts}: waited {} for a turn of run {run} in vain; {why} when it began to wait\n  try: apu retry {run}\n",
            span(*seconds)
        ),
    };
    context.ui.complain(&text);
}

/// Whether a later run for the same request has ended on the host.
fn has_had_turn(ledger: &Ledger, queued: &Queued) -> Result<bool, apu_ledger::LedgerError> {
    let of_queue = ledger.history(&queued.host, 50)?.into_iter();
    let mut later = of_queue.filter(|(run, _)| run.parent == Some(queued.run.number));
    Ok(later.any(|(_, attempt)| attempt.outcome.is_some_and(|outcome| outcome.is_well())))
}

/// Those of the waiting that can have their turn now: their window is open, no run holds them, and they answer.
fn ready(
    context: &Context,
    inventory: &Inventory,
    ledger: &Ledger,
    mut waiting: Vec<Queued>,
    now: Timestamp,
) -> Result<Vec<Queued>, Failure> {
    let leases = ledger
        .leases()
        .map_err(|error| failure_of(&context.site, error))?;
    waiting.retain(|queued| leases.iter().all(|lease| lease.host != queued.host));
    let hosts = hosts_of(context, inventory, waiting.iter().map(|queued| &queued.host))?;
    let closed = closed_now(context, &hosts, now)?;
    // Lists are fetched at any time.
    let changes = |queued: &Queued| {
        let request = Request::parse(queued.run.request.as_bytes());
        request.is_ok_and(|request| request.changes_packages())
    };
    waiting.retain(|queued| !(closed.contains(&queued.host) && changes(queued)));
    let names: HashSet<&HostName> = waiting.iter().map(|queued| &queued.host).collect();
    let hosts: Vec<Host> = hosts
        .into_iter()
        .filter(|host| names.contains(&host.name))
        .collect();
    if hosts.is_empty() {
        return Ok(Vec::new());
    }
    let ping = Request::new(Operation::Ping, [], [])
        .map_err(|error| Failure::machine("cannot ask whether a host answers, which is a bug").why(error))?;
    let ssh = context.ssh()?;
    let limits = context.limits(Operation::Ping);
    let answered = wait(async { ask(&context.ui, &ssh, &hosts, &ping, limits, Sinks::default()).await })?;
    waiting.retain(|queued| {
        answered
            .ending(&queued.host)
            .is_some_and(|ending| ending.outcome.is_well())
    });
    Ok(waiting)
}

fn hosts_of<'a>(
    context: &Context,
    inventory: &Inventory,
    names: impl Iterator<Item = &'a HostName>,
) -> Result<Vec<Host>, Failure> {
    let mut seen = HashSet::new();
    let hosts = names
        .filter(|name| seen.insert(*name))
        .map(|name| inventory.host(name));
    hosts
        .collect::<Result<_, _>>()
        .map_err(|error| failure::target(&context.site, error))
}

/// Gives hosts their turn of a run; those whose turn it was leave the queue.
fn turn(
    context: &Context,
    inventory: &Inventory,
    run: apu_ledger::Run,
    waiting: Vec<Queued>,
) -> Result<u8, Failure> {
    let number = run.number;
    let hosts = hosts_of(context, inventory, waiting.iter().map(|queued| &queued.host))?;
    let names = fold(hosts.iter().map(|host| host.name.as_str()));
    say!(context.ui, "{names}: the turn of run {number}: {}", run.operation);
    let trials = waiting.into_iter().map(|queued| queued.trial);
    let turn = Turn {
        run,
        hosts: hosts.iter().cloned().zip(trials).collect(),
    };
    let status = apt_all::take_turn(context, turn, Shown::default())?;
    let failed = |error| failure_of(&context.site, error);
    let Some(ledger) = context.ledger()? else {
        return Ok(status);
    };
    for host in &hosts {
        let last = ledger.history(&host.name, 1).map_err(failed)?;
        let of_turn = last.first().filter(|(run, _)| run.parent == Some(number));
        let Some((_, attempt)) = of_turn else { continue };
        if has_ended(&ledger, attempt).map_err(failed)? {
            ledger.dequeue(&host.name, number).map_err(failed)?;
        }
    }
    Ok(status)
}

/// Whether a host has had its turn, whatever came of it: one that could not take it waits on.
fn has_ended(ledger: &Ledger, attempt: &Attempt) -> Result<bool, apu_ledger::LedgerError> {
    let ending = ledger.ending(attempt)?;
    Ok(attempt.outcome.is_some() && ending.as_ref().is_none_or(|ending| why_queued(ending).is_none()))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::view::run_facts::example_run;

    #[test]
    fn a_host_leaves_the_queue_when_it_has_had_its_turn_is_gone_or_its_time_is_over() {
        let at = |seconds| Timestamp::from_second(seconds).unwrap();
        let queued = Queued {
            host: "web1".parse().unwrap(),
            run: example_run(412),
            since: at(1000),
            until: at(4600),
            why: "unreachable".into(),
            trial: None,
        };
        assert_eq!(left(&queued, false, true, at(4599)), None);
        assert_eq!(
            left(&queued, false, true, at(4600)),
            Some(Left::Late {
                seconds: 3600,
                why: "unreachable".into()
            })
        );
        assert_eq!(left(&queued, false, false, at(1001)), Some(Left::Gone));
        assert_eq!(left(&queued, true, false, at(9999)), Some(Left::Done));
    }
}
