//! `apu attach`: follows a run that was started before.

use apu_fleet::{Ending, Host, HostName, TargetError};
use apu_ledger::{Ledger, Run};
use apu_proto::{Operation, Request, RunId};
use apu_site::Failure;

use super::recorded::{find, ledger};
use super::remote::wait;
use super::runs;
use crate::context::Context;
use crate::failure;
use crate::failure::ledger as failure_of;
use crate::one_phase::ask;
use crate::view::live::{OutputOptions, follow};
use crate::view::paint::Paint;
use crate::view::summary::summary;

/// Follow a run on its hosts from its beginning, and show how it ended; without words, list the runs that began here.
#[derive(Debug, clap::Args)]
#[command(override_usage = "apu attach [OPTIONS] [[TARGET...] RUN]")]
pub(super) struct Args {
    /// The run, by its number, @ for the last one or the beginning of its id, behind the hosts to ask: classes, hosts and ranges;
    /// !WORD leaves out, @FILE and - are lists. Without them, the hosts that it was meant for.
    #[arg(value_name = "TARGET... RUN")]
    words: Vec<String>,

    /// Do not show what apt prints.
    #[arg(short, long)]
    quiet: bool,
}

pub(super) fn run(context: &Context, args: &Args) -> Result<u8, Failure> {
    let Some((run, target)) = args.words.split_last() else {
        return runs::run(context, &runs::Args::usual());
    };
    let named = |target: &[String]| {
        context
            .inventory()?
            .resolve(target, &[])
            .map_err(|error| of_target(context, error))
    };
    let (run, hosts) = match (run.parse::<RunId>(), target) {
        // One that began elsewhere, or long ago.
        (Ok(id), [_, ..]) => (id, named(target)?),
        (_, target) => {
            let ledger = ledger(context)?;
            let run = find(context, &ledger, run)?;
            let id = run.client_run.ok_or_else(|| {
                Failure::words(format!("no host was asked for run {}", run.number))
                    .why("so there is nothing to follow")
                    .advise(format!("apu show {}", run.number))
            })?;
            let hosts = match target {
                [] => meant_for(context, &ledger, &run)?,
                target => named(target)?,
            };
            (id, hosts)
        }
    };
    let ssh = context.ssh()?;
    let request = Request::attach(run);
    let output = OutputOptions {
        quiet: false,
        paint: Paint::for_stream(context.ui.stdout()),
        verbose: !args.quiet,
        live: context.ui.stderr().is_terminal,
    };
    let limits = context.limits(Operation::Attach);
    wait(async {
        let run = ask(
            &context.ui,
            &ssh,
            &hosts,
            &request,
            limits,
            follow(&context.ui, output),
        )
        .await?;
        let endings: Vec<(HostName, Ending)> = run
            .endings()
            .map(|(host, ending)| (host.clone(), ending.clone()))
            .collect();
        context.ui.show(&summary(
            Operation::Attach,
            &endings,
            &[],
            run.seconds,
            output.paint,
            output.verbose,
        ));
        Ok(run.status.unwrap_or_default())
    })
}

/// The hosts of a run that were to do it, those among them that have left the classes since.
fn meant_for(context: &Context, ledger: &Ledger, run: &Run) -> Result<Vec<Host>, Failure> {
    let work = ledger
        .work(run.number)
        .map_err(|error| failure_of(&context.site, error))?;
    let inventory = context.inventory()?;
    let names = work.map(|work| work.hosts).unwrap_or_default();
    let hosts = names.iter().map(|name| inventory.host(name));
    hosts
        .collect::<Result<_, _>>()
        .map_err(|error| of_target(context, error))
}

fn of_target(context: &Context, error: TargetError) -> Failure {
    failure::target(&context.site, error)
}
