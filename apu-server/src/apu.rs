//! `apu`: everything on the server that is not the button.

mod attach;
mod bootstrap;
mod complete;
mod conffile;
mod diff;
mod doctor;
mod generate;
mod history;
mod host_key;
mod hosts;
mod instruct;
mod key;
mod ledger;
mod locks;
mod log;
mod plans;
mod queue;
mod readiness;
mod recorded;
mod remote;
mod runs;
mod runs_under_way;
mod show;
mod slots;
mod status;

use std::path::PathBuf;
use std::process::ExitCode;

use apu_site::{Failure, Site, Ui};
use clap::{Parser, Subcommand};

use crate::context::Context;
use crate::program::finished;

/// Everything about a fleet of Debian machines but the button itself, which is apt-all.
#[derive(Debug, Parser)]
#[command(name = "apu", version)]
struct Args {
    #[command(subcommand)]
    command: Command,

    /// Work below this directory instead of /.
    #[arg(long, hide = true, global = true, default_value = "/")]
    root: PathBuf,
}

#[derive(Debug, Subcommand)]
enum Command {
    Hosts(hosts::Args),
    HostKey(host_key::Args),
    Bootstrap(bootstrap::Args),
    Attach(attach::Args),
    Runs(runs::Args),
    Show(show::Args),
    Log(log::Args),
    History(history::Args),
    Diff(diff::Args),
    Locks(locks::Args),
    Unlock(locks::UnlockArgs),
    Plans(plans::ListArgs),
    Apply(plans::ApplyArgs),
    Conffile(conffile::Args),
    Queue(queue::Args),
    Slots(slots::Args),
    Resume(runs_under_way::ResumeArgs),
    Retry(runs_under_way::RetryArgs),
    Pause(instruct::PauseArgs),
    Promote(instruct::PromoteArgs),
    Abort(instruct::AbortArgs),
    Wait(runs_under_way::WaitArgs),
    Key(key::Args),
    Doctor(doctor::Args),
    Status(status::Args),
    Readiness(readiness::Args),
    Repo(crate::repo::RepoArgs),
    Serve(crate::serve::ServeArgs),
    Ledger(ledger::Args),
    /// Make the keys and the archive where they are missing; the package does this when it is installed.
    #[command(hide = true)]
    Setup,
    #[command(hide = true)]
    Man(generate::Args),
    #[command(hide = true)]
    Completions(generate::Args),
    #[command(hide = true)]
    Complete(complete::Args),
}

/// Runs the program.
#[must_use]
pub fn main() -> ExitCode {
    let ui = Ui::of_process();
    finished(&ui, Args::try_parse(), |args| run(&ui, args))
}

fn run(ui: &Ui, args: &Args) -> Result<u8, Failure> {
    let site = || Site::below(&args.root);
    let enter = || Context::enter(&args.root, "apu", ui);
    match &args.command {
        Command::Hosts(args) => hosts::run(&enter()?, args),
        Command::HostKey(args) => host_key::run(&enter()?, args),
        Command::Bootstrap(args) => bootstrap::run(&enter()?, args),
        Command::Attach(args) => attach::run(&enter()?, args),
        Command::Runs(args) => runs::run(&enter()?, args),
        Command::Show(args) => show::run(&enter()?, args),
        Command::Log(args) => log::run(&enter()?, args),
        Command::History(args) => history::run(&enter()?, args),
        Command::Diff(args) => diff::run(&enter()?, args),
        Command::Locks(args) => locks::run(&enter()?, args),
        Command::Unlock(args) => locks::unlock(&enter()?, args),
        Command::Plans(args) => plans::list(&enter()?, args),
        Command::Apply(args) => plans::apply(&enter()?, args),
        Command::Conffile(args) => conffile::run(&enter()?, args),
        Command::Queue(args) => queue::run(&enter()?, args),
        Command::Slots(args) => slots::run(&enter()?, args),
        Command::Resume(args) => runs_under_way::resume(&enter()?, args),
        Command::Retry(args) => runs_under_way::retry(&enter()?, args),
        Command::Pause(args) => instruct::pause(&enter()?, args),
        Command::Promote(args) => instruct::promote(&enter()?, args),
        Command::Abort(args) => instruct::abort(&enter()?, args),
        Command::Wait(args) => runs_under_way::wait(&enter()?, args),
        Command::Key(args) => key::run(&enter()?, args),
        Command::Doctor(args) => doctor::run(&enter()?, args),
        Command::Status(args) => status::run(&enter()?, args),
        Command::Readiness(args) => readiness::run(&enter()?, args),
        Command::Repo(args) => crate::repo::run(ui, args, &site()),
        Command::Serve(args) => crate::serve::run(ui, args, &site()),
        Command::Ledger(args) => ledger::run(&enter()?, args),
        Command::Setup => crate::setup::run_setup(ui, &site()),
        Command::Man(args) => generate::man(args),
        Command::Completions(args) => generate::completions(args),
        // Whoever types need not be root: sudo comes later.
        Command::Complete(given) => Ok(complete::run(ui, &site(), given, generate::programs())),
    }
}
