//! Makes the package apu-data from `/etc/apu-server`, and publishes it in the site's own archive.
//!
//! apu-data is what turns a Debian machine with apu-client into a client of this server: the push key, the
//! archive keyring, the sources, the proxy. The same inputs give the same bytes, so that a new version appears
//! when, and only when, an input has changed.

mod apt;
mod cannot_read;
mod cli;
#[cfg(any(test, fuzzing))]
#[doc(hidden)]
pub mod fuzz;
mod generate;
mod inputs;
mod keyrings;
mod name;
mod package;
mod proxy;
mod push;
mod scripts;
mod sources;

use std::process::ExitCode;

use apu_site::Ui;
use clap::Parser;

pub use cli::Args;
pub use generate::{Made, make};
use push::Pushed;

/// What clients get of the text of a sources.list, in deb822; where they get nothing, why.
///
/// For the tests that compare it with what apt reads.
///
/// # Errors
/// The reason for which the text is refused.
#[doc(hidden)]
pub fn rendered(text: &str) -> Result<String, String> {
    let stanzas = sources::parse(text).map_err(|error| error.to_string())?;
    let sources: Vec<_> = stanzas.iter().flat_map(sources::Stanza::split).collect();
    if let Some(conflict) = sources::conflict(&sources) {
        return Err(conflict.to_string());
    }
    Ok(sources
        .iter()
        .map(|source| format!("{}\n", source.stanza))
        .collect())
}

/// The program.
#[must_use]
pub fn run() -> ExitCode {
    let ui = Ui::of_process();
    let args = match Args::try_parse() {
        Ok(args) => args,
        Err(error) => {
            let printed = error.print();
            if !error.use_stderr() {
                ui.remember(printed);
            }
            return ui.finish(u8::try_from(error.exit_code()).unwrap_or(2));
        }
    };
    let done = generate::generate(&ui, &args).and_then(|generated| {
        // Nobody may be reading; the package is published all the same.
        ui.show(&generated.text);
        match &args.push {
            Some(target) => match push::push(&ui, &args, target, &generated.deb) {
                Pushed::Exit(status) => Ok(status),
                Pushed::Failed(failure) => Err(failure),
            },
            None => Ok(0),
        }
    });
    match done {
        Ok(status) => ui.finish(status),
        Err(failure) => {
            let (text, status) = apu_site::report(&failure);
            ui.complain(&text);
            ui.finish(status)
        }
    }
}
