//! `apu attach`: follows a run that was started before.

use std::io::{self, IsTerminal};

use apu_fleet::{Ending, HostName, Job, Limits, Purpose, Sinks, Task};
use apu_proto::{Operation, Request, RunId};
use apu_repo::Failure;
use apu_repo::output::{Stdout, show};
use clap::Args;

use super::remote::wait;
use crate::failure;
use crate::ground::Ground;
use crate::interrupt::stops;
use crate::view::live::{Live, Plain, Telling};
use crate::view::paint::Paint;
use crate::view::summary::summary;

/// Follow a run on its hosts from its beginning, and show how it ended.
#[derive(Debug, Args)]
pub(super) struct Words {
    /// Classes, hosts and ranges; !WORD leaves out, @FILE and - are lists.
    #[arg(required = true)]
    target: Vec<String>,

    /// The run, as apt-all named it.
    run: RunId,

    /// Do not show what apt prints.
    #[arg(short, long)]
    quiet: bool,
}

pub(super) fn run(ground: &Ground, words: &Words) -> Result<u8, Failure> {
    let hosts = ground.inventory()?.resolve(&words.target, &[]);
    let hosts = hosts.map_err(|error| failure::target(&ground.site, error))?;
    let ssh = ground.ssh()?;
    let request = Request {
        run_id: Some(words.run),
        ..Request::new(Operation::Attach)
    };
    let job = Job {
        purpose: Purpose::Run,
        operation: Operation::Attach,
        tasks: hosts
            .into_iter()
            .map(|host| Task {
                host,
                request: request.clone(),
            })
            .collect(),
        published: Vec::new(),
    };
    let settings = &ground.settings.run;
    let limits = Limits {
        parallel: settings.parallel,
        timeout: settings.timeout,
    };
    let telling = Telling {
        paint: Paint::for_stream(&io::stdout()),
        verbose: !words.quiet,
        live: io::stderr().is_terminal(),
    };
    wait(async {
        let mut sinks = if telling.live {
            Sinks::default().with(Live::new(telling))
        } else {
            Sinks::default().with(Plain::new(Stdout, telling))
        };
        let board = apu_fleet::run(&ssh, job, limits, &mut stops(), &mut sinks).await;
        let endings: Vec<(HostName, Ending)> = board
            .endings()
            .map(|(host, ending)| (host.clone(), ending.clone()))
            .collect();
        let seconds = board.seconds.unwrap_or_default();
        show(&summary(
            Operation::Attach,
            &endings,
            &[],
            seconds,
            telling.paint,
            telling.verbose,
        ));
        Ok(match (board.interrupts, board.all_well()) {
            (0, true) => 0,
            (0, false) => 1,
            _ => 130,
        })
    })
}
