//! `apt-all TARGET OPERATION`: the button.

mod audit;
mod candidate;
mod ended;
mod fresh;
mod push;
mod question;
mod show;
mod words;

use std::process::ExitCode;

use clap::Parser;

pub use words::Words;

use crate::program::finished;

/// Runs the program.
#[must_use]
pub fn main() -> ExitCode {
    finished(Words::try_parse(), push::push)
}
