//! `apu`: everything on the server that is not the button.

mod attach;
mod bootstrap;
mod complete;
mod doctor;
mod generate;
mod host_key;
mod hosts;
mod key;
mod remote;
mod status;

use std::path::PathBuf;
use std::process::ExitCode;

use apu_site::{Failure, Site, Ui};
use clap::{Parser, Subcommand};

use crate::ground::Ground;
use crate::program::finished;

/// Everything about a fleet of Debian machines but the button itself, which is apt-all.
#[derive(Debug, Parser)]
#[command(name = "apu", version)]
struct Words {
    #[command(subcommand)]
    command: Command,

    /// Work below this directory instead of /.
    #[arg(long, hide = true, global = true, default_value = "/")]
    root: PathBuf,
}

#[derive(Debug, Subcommand)]
enum Command {
    Hosts(hosts::Words),
    HostKey(host_key::Words),
    Bootstrap(bootstrap::Words),
    Attach(attach::Words),
    Key(key::Words),
    Doctor(doctor::Words),
    Status(status::Words),
    Repo(crate::repo::RepoArgs),
    Serve(crate::serve::ServeArgs),
    /// Make the keys and the archive where they are missing; the package does this when it is installed.
    #[command(hide = true)]
    Setup,
    #[command(hide = true)]
    Man(generate::Words),
    #[command(hide = true)]
    Completions(generate::Words),
    #[command(hide = true)]
    Complete(complete::Words),
}

/// Runs the program.
#[must_use]
pub fn main() -> ExitCode {
    let ui = Ui::of_process();
    finished(&ui, Words::try_parse(), |words| run(&ui, words))
}

fn run(ui: &Ui, words: &Words) -> Result<u8, Failure> {
    let enter = || Ground::enter(&words.root, "apu", ui);
    match &words.command {
        Command::Hosts(words) => hosts::run(&enter()?, words),
        Command::HostKey(words) => host_key::run(&enter()?, words),
        Command::Bootstrap(words) => bootstrap::run(&enter()?, words),
        Command::Attach(words) => attach::run(&enter()?, words),
        Command::Key(words) => key::run(&enter()?, words),
        Command::Doctor(words) => doctor::run(&enter()?, words),
        Command::Status(words) => status::run(&enter()?, words),
        Command::Repo(args) => crate::repo::run(ui, args, &Site::below(&words.root)),
        Command::Serve(args) => crate::serve::run(ui, args, &Site::below(&words.root)),
        Command::Setup => crate::setup::run_setup(ui, &Site::below(&words.root)),
        Command::Man(words) => generate::man(words),
        Command::Completions(words) => generate::completions(words),
        // Whoever types need not be root: sudo comes later.
        Command::Complete(given) => Ok(complete::run(
            ui,
            &Site::below(&words.root),
            given,
            generate::programs(),
        )),
    }
}
