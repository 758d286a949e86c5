//! How every program of the server begins and ends: words, work, exit status.

use std::process::ExitCode;

use apu_site::{Failure, Ui, report};

/// Does the work that the words ask for, says why where it fails, and makes the exit status.
pub(crate) fn finished<W>(
    ui: &Ui,
    words: Result<W, clap::Error>,
    work: impl FnOnce(&W) -> Result<u8, Failure>,
) -> ExitCode {
    let status = match words {
        Ok(words) => match work(&words) {
            Ok(status) => status,
            Err(failure) => return failed(ui, &failure),
        },
        Err(error) => {
            // Help is an answer; its reader may go away, and the disk that it goes to may be full.
            let printed = error.print();
            if !error.use_stderr() {
                ui.remember(printed);
            }
            u8::try_from(error.exit_code()).unwrap_or(2)
        }
    };
    ui.finish(status)
}

/// Says what went wrong, and makes the exit status.
pub(crate) fn failed(ui: &Ui, failure: &Failure) -> ExitCode {
    let (text, status) = report(failure);
    ui.complain(&text);
    ui.finish(status)
}
