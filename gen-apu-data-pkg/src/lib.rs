//! Makes the package apu-data from `/etc/apu-server`, and publishes it in the site's own archive.
//!
//! apu-data is what turns a Debian machine with apu-client into a client of this server: the push key, the
//! archive keyring, the sources, the proxy. The same inputs give the same bytes, so that a new version appears
//! when, and only when, an input has changed.

mod cli;
mod generate;
mod inputs;
mod package;
mod push;
mod scripts;
mod sources;

use std::io::Write;
use std::process::ExitCode;

use clap::Parser;

pub use cli::Args;

/// The program.
#[must_use]
pub fn run() -> ExitCode {
    let args = Args::parse();
    let done = generate::generate(&args).and_then(|generated| {
        // Nobody may be reading; the package is published all the same.
        let mut stdout = std::io::stdout();
        let _ = stdout
            .write_all(generated.text.as_bytes())
            .and_then(|()| stdout.flush());
        match &args.push {
            Some(target) => Err(push::push(&args, target, &generated.deb)),
            None => Ok(()),
        }
    });
    match done {
        Ok(()) => ExitCode::SUCCESS,
        Err(failure) => {
            let (text, status) = apu_repo::report(&failure);
            eprint!("{text}");
            ExitCode::from(status)
        }
    }
}
