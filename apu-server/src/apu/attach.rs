//! `apu attach`: follows a run that was started before.

use std::io;

use apu_fleet::{Ending, HostName};
use apu_proto::{Operation, Request, RunId};
use apu_site::{Failure, say};

use jiff::tz::TimeZone;
use jiff::{SignedDuration, Timestamp};

use super::remote::wait;
use crate::context::Context;
use crate::failure;
use crate::one_phase::ask;
use crate::runs::{self, BegunRun};
use crate::view::clean::clean;
use crate::view::columns::columns;
use crate::view::live::{OutputOptions, follow};
use crate::view::paint::Paint;
use crate::view::summary::summary;

/// Follow a run on its hosts from its beginning, and show how it ended; without words, list the runs that began here.
#[derive(Debug, clap::Args)]
#[command(override_usage = "apu attach [OPTIONS] [[TARGET...] RUN]")]
pub(super) struct Args {
    /// The run, as apt-all named it, behind the hosts to ask: classes, hosts and ranges; !WORD leaves out, @FILE and - are
    /// lists. Without them, the hosts that it was meant for.
    #[arg(value_name = "TARGET... RUN")]
    words: Vec<String>,

    /// Do not show what apt prints.
    #[arg(short, long)]
    quiet: bool,
}

pub(super) fn run(context: &Context, args: &Args) -> Result<u8, Failure> {
    let Some((run, target)) = args.words.split_last() else {
        return list(context);
    };
    let run: RunId = run.parse().map_err(|error| {
        Failure::words(format!("{run:?} is not a run: the run stands last"))
            .why(error)
            .advise("apu attach, which lists the runs that began here")
    })?;
    let target = match target {
        [] => vec![meant_for(context, run)?],
        target => target.to_vec(),
    };
    let hosts = context.inventory()?.resolve(&target, &[]);
    let hosts = hosts.map_err(|error| failure::target(&context.site, error))?;
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

fn unreadable(context: &Context, error: io::Error) -> Failure {
    let directory = context.site.runs();
    Failure::of_io(
        format!("cannot read the runs in {}", directory.display()),
        error,
        &directory,
    )
}

/// The hosts that a run was begun for.
fn meant_for(context: &Context, run: RunId) -> Result<String, Failure> {
    let begun = runs::find(&context.site, run).map_err(|error| unreadable(context, error))?;
    begun.map(|begun| begun.hosts).ok_or_else(|| {
        Failure::words(format!("run {run} did not begin here, or long ago"))
            .why("so its hosts are not known")
            .advise(format!("apu attach HOST {run}"))
    })
}

fn list(context: &Context) -> Result<u8, Failure> {
    let known = runs::known(&context.site).map_err(|error| unreadable(context, error))?;
    if known.is_empty() {
        say!(context.ui, "no run has begun here");
    } else {
        context.ui.show(&table(&known, &TimeZone::system()));
    }
    Ok(0)
}

fn table(known: &[BegunRun], zone: &TimeZone) -> String {
    let mut rows = vec![
        ["RUN", "BEGAN", "BY", "OPERATION", "TARGET"]
            .map(str::to_owned)
            .to_vec(),
    ];
    for begun in known {
        let since = SignedDuration::try_from_secs_f64(begun.at).unwrap_or_default();
        let at = Timestamp::UNIX_EPOCH.checked_add(since).unwrap_or_default();
        rows.push(vec![
            begun.run.to_string(),
            at.to_zoned(zone.clone()).strftime("%F %H:%M").to_string(),
            clean(&begun.by),
            clean(&begun.operation),
            clean(&begun.target),
        ]);
    }
    columns(&rows, "  ").join("\n") + "\n"
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_runs_are_listed_with_when_who_what_and_where() {
        let begun = BegunRun {
            run: RunId::from_bytes([1; 16]),
            at: 1_700_000_000.5,
            by: "alice".into(),
            operation: "upgrade --yes".into(),
            target: "web,!web3".into(),
            hosts: "web[1-2]".into(),
        };
        let table = table(&[begun], &TimeZone::UTC);
        assert_eq!(
            table.lines().nth(1).unwrap(),
            "01010101010101010101010101010101  2023-11-14 22:13  alice  upgrade --yes  web,!web3"
        );
    }
}
