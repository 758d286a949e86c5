//! `apt-all TARGET prepare`, and `questions`: hosts fetch their lists and the packages, and say what they would do, or only what these
//! packages would ask. No package changes.

use std::collections::BTreeSet;

use apu_fleet::HostName;
use apu_proto::{Operation, Request};
use apu_site::{Failure, say};

use super::args::Args;
use super::start::{Pushed, push_but};
use crate::context::Context;
use crate::view::groups::set;

/// The exit status of a push that was interrupted.
const INTERRUPTED: u8 = 130;

/// Prepares what the words ask for. A host that is not well in one step has no other, and is named at the end.
///
/// # Errors
/// As apt-all.
pub(super) fn prepare(context: &Context, args: &Args) -> Result<u8, Failure> {
    if let Some(file) = args.files()?.first() {
        let option = if args.questions {
            "--questions"
        } else {
            "--prepare"
        };
        return Err(
            Failure::words(format!("{:?} is a file, and {option} takes none", file.display()))
                .why("it would be published, and clients would install it in any run of theirs")
                .advise(format!("leave {option} out, or give --dry-run")),
        );
    }
    args.request(&[])?;
    let ui = &context.ui;
    let mut prepared = Prepared::default();
    for step in [lists(args)?, packages(args), plan(args)] {
        if !(args.shown.json || args.shown.quiet) {
            say!(ui, "{}:", step.what);
        }
        let pushed = push_but(context, &step.args, &args.target, None, &prepared.not_ready)?;
        let status = pushed.status;
        prepared.add(pushed);
        if status == INTERRUPTED || prepared.ready.is_empty() {
            break;
        }
    }
    if prepared.status != INTERRUPTED && !args.shown.json {
        say!(ui, "{}", prepared.text());
    }
    Ok(prepared.status)
}

/// One push of the three.
struct Step {
    what: &'static str,
    args: Args,
}

fn lists(args: &Args) -> Result<Step, Failure> {
    let update = Request::new(Operation::Update, [], []);
    let update = update.map_err(|error| Failure::machine("cannot ask for the lists").why(error))?;
    let args = Args {
        exclude: args.exclude.clone(),
        parallel: args.parallel,
        timeout: args.timeout,
        root: args.root.clone(),
        ..Args::of_request(&args.target, &update, args.shown)
    };
    Ok(Step { what: "lists", args })
}

fn plan(args: &Args) -> Step {
    let args = Args {
        prepare: false,
        dry_run: true,
        ..args.clone()
    };
    let what = if args.questions { "questions" } else { "plan" };
    Step { what, args }
}

fn packages(args: &Args) -> Step {
    let args = Args {
        prepare: false,
        questions: false,
        download_only: true,
        // A download has no plan: what is too young is fetched as well, and nothing is installed.
        min_age: None,
        ..args.clone()
    };
    Step {
        what: "packages",
        args,
    }
}

/// How far the hosts have come.
#[derive(Debug, Default, PartialEq, Eq)]
struct Prepared {
    status: u8,
    ready: BTreeSet<HostName>,
    not_ready: BTreeSet<HostName>,
}

impl Prepared {
    fn add(&mut self, pushed: Pushed) {
        self.status = self.status.max(pushed.status);
        self.ready = pushed.well;
        self.not_ready.extend(pushed.unwell);
    }

    fn text(&self) -> String {
        let named = |hosts: &BTreeSet<HostName>| set(&hosts.iter().collect::<Vec<_>>());
        match (self.ready.is_empty(), self.not_ready.is_empty()) {
            (_, true) => format!("ready: {}", named(&self.ready)),
            (true, false) => format!("not ready: {}", named(&self.not_ready)),
            (false, false) => format!(
                "ready: {}; not ready: {}",
                named(&self.ready),
                named(&self.not_ready)
            ),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn pushed(status: u8, well: &[&str], unwell: &[&str]) -> Pushed {
        let hosts = |names: &[&str]| names.iter().map(|name| name.parse().unwrap()).collect();
        Pushed {
            status,
            run: None,
            plan: None,
            well: hosts(well),
            unwell: hosts(unwell),
        }
    }

    #[test]
    fn a_host_is_ready_that_is_well_in_each_step() {
        let mut prepared = Prepared::default();
        prepared.add(pushed(0, &["web1", "web2", "web3"], &[]));
        assert_eq!(prepared.text(), "ready: web[1-3]");
        prepared.add(pushed(1, &["web1", "web3"], &["web2"]));
        prepared.add(pushed(0, &["web1", "web3"], &[]));
        assert_eq!(prepared.status, 1);
        assert_eq!(prepared.text(), "ready: web[1,3]; not ready: web2");
        prepared.add(pushed(1, &[], &["web1", "web3"]));
        assert_eq!(prepared.text(), "not ready: web[1-3]");
    }
}
