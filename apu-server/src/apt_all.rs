//! `apt-all TARGET OPERATION`: the button.

mod candidate;
mod ended;
mod fresh;
mod push;
mod show;
mod words;

use std::process::ExitCode;

use apu_repo::report;
use clap::Parser;

pub use words::Words;

/// Runs the program.
#[must_use]
pub fn main() -> ExitCode {
    let words = Words::parse();
    match push::push(&words) {
        Ok(status) => ExitCode::from(status),
        Err(failure) => {
            let (text, status) = report(&failure);
            eprint!("{text}");
            ExitCode::from(status)
        }
    }
}
