//! The child: gives up what it can, then reads one .deb after another.

use std::io::{self, Write};
use std::process::ExitCode;

use super::wire::{self, Answer, Job};
use super::{Depth, confine};
use crate::deb::compression::wants_memory;
use crate::deb::{DebError, control_and_names};

/// Reads until there are no more jobs, with so many seconds of CPU time; the exit status.
pub(super) fn serve(seconds: u64) -> ExitCode {
    match work(seconds) {
        Ok(()) => ExitCode::SUCCESS,
        Err(_) => ExitCode::FAILURE,
    }
}

fn work(seconds: u64) -> io::Result<()> {
    let missing = confine::confine(seconds)?;
    let (jobs, mut answers) = (io::stdin(), io::stdout().lock());
    wire::write_hello(&mut answers, &missing.join(" and "))?;
    answers.flush()?;
    while let Some((file, job)) = wire::receive(&jobs)? {
        let Job { depth, memory } = job;
        let answer = match control_and_names(&file, depth, memory) {
            Ok((control, names)) => Answer::Read {
                control: control.text().as_bytes().to_vec(),
                names: if depth == Depth::Whole { names } else { Vec::new() },
            },
            Err(DebError::Damaged { source, .. }) if wants_memory(&source) => Answer::WantsMemory,
            Err(error) => Answer::Refused(words(&error)),
        };
        wire::write_answer(&mut answers, &answer)?;
        answers.flush()?;
    }
    Ok(())
}

/// An error and what is behind it, where its own text does not say that.
fn words(error: &DebError) -> String {
    match error {
        DebError::Read(source) => format!("{error}: {source}"),
        _ => error.to_string(),
    }
}
