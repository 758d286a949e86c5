//! `apt-all TARGET OPERATION`: the button.

mod audit;
mod candidate;
mod command_line;
mod ended;
mod fresh;
mod push;
mod question;
mod show;
mod words;

use std::process::ExitCode;

use clap::{CommandFactory, Parser};

pub(crate) use command_line::operation_of;
pub use words::Words;

use crate::program::{failed, finished};

/// Runs the program.
#[must_use]
pub fn main() -> ExitCode {
    match command_line::in_order(&Words::command(), std::env::args_os().collect()) {
        Ok(words) => finished(Words::try_parse_from(words), push::push),
        Err(failure) => failed(&failure),
    }
}
