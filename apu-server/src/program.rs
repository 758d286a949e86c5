//! How every program of the server begins and ends: words, work, exit status.

use std::process::ExitCode;

use apu_site::output::{complain, finish, remember};
use apu_site::{Failure, report};

/// Does the work that the words ask for, says why where it fails, and makes the exit status.
pub(crate) fn finished<W>(
    words: Result<W, clap::Error>,
    work: impl FnOnce(&W) -> Result<u8, Failure>,
) -> ExitCode {
    let status = match words {
        Ok(words) => match work(&words) {
            Ok(status) => status,
            Err(failure) => return failed(&failure),
        },
        Err(error) => {
            // Help is an answer; its reader may go away, and the disk that it goes to may be full.
            let printed = error.print();
            if !error.use_stderr() {
                let _ = remember(printed);
            }
            u8::try_from(error.exit_code()).unwrap_or(2)
        }
    };
    finish(status)
}

/// Says what went wrong, and makes the exit status.
pub(crate) fn failed(failure: &Failure) -> ExitCode {
    let (text, status) = report(failure);
    complain(&text);
    finish(status)
}
