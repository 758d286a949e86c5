//! The program's standard output and standard error: what cannot be written never stops the work, and is not forgotten.

use std::io::{self, ErrorKind, Write};
use std::process::ExitCode;
use std::sync::{Mutex, PoisonError};

use crate::failure::Failure;

/// The first error of standard output. A program has one standard output, so this is one, too.
static FAILED: Mutex<Option<(ErrorKind, String)>> = Mutex::new(None);

/// Standard output as a stream; an error is remembered for [`finish`] as well as returned.
#[derive(Debug, Clone, Copy, Default)]
pub struct Stdout;

impl Write for Stdout {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        remembered()?;
        remember(io::stdout().write(bytes))
    }

    fn flush(&mut self) -> io::Result<()> {
        remembered()?;
        remember(io::stdout().flush())
    }
}

fn remembered() -> io::Result<()> {
    match &*FAILED.lock().unwrap_or_else(PoisonError::into_inner) {
        Some((kind, text)) => Err(io::Error::new(*kind, text.clone())),
        None => Ok(()),
    }
}

/// Remembers the first error of something that was written on standard output by other means.
///
/// # Errors
/// The very error that was given.
pub fn remember<T>(written: io::Result<T>) -> io::Result<T> {
    if let Err(error) = &written
        && error.kind() != ErrorKind::Interrupted
    {
        let mut failed = FAILED.lock().unwrap_or_else(PoisonError::into_inner);
        failed.get_or_insert_with(|| (error.kind(), error.to_string()));
    }
    written
}

/// Writes a text on standard output as it is, at once.
pub fn show(text: &str) {
    // The error waits for `finish`: the work goes on although nobody reads.
    let _ = Stdout.write_all(text.as_bytes()).and_then(|()| Stdout.flush());
}

/// Writes a line on standard output, as `println!` would, and never panics: see [`show`](crate::output::show).
#[macro_export]
macro_rules! say {
    ($($text:tt)*) => {
        $crate::output::show(&(format!($($text)*) + "\n"))
    };
}

/// Writes a text on standard error. Where that fails there is nobody left to be told.
pub fn complain(text: &str) {
    let _ = io::stderr().write_all(text.as_bytes());
}

/// Whether everything has been written so far: to be asked before a question about it.
///
/// # Errors
/// Where something could not be written.
pub fn all_written() -> Result<(), Failure> {
    remembered().map_err(|error| Failure::machine("cannot write to standard output").why(error))
}

/// The exit status of a program that ends with `status`.
///
/// A reader that went away is no fault: `| head` ends quietly. Anything else is told, and is this machine's failure
/// where all was well otherwise.
#[must_use]
pub fn finish(status: u8) -> ExitCode {
    let _ = remember(io::stdout().flush());
    let (text, status) = verdict(remembered(), status);
    complain(&text);
    ExitCode::from(status)
}

fn verdict(written: io::Result<()>, status: u8) -> (String, u8) {
    match written {
        Err(error) if error.kind() != ErrorKind::BrokenPipe => {
            let text = format!(
                "error: cannot write to standard output; what was to be done is done\n  why: {error}\n"
            );
            (text, if status == 0 { 3 } else { status })
        }
        _ => (String::new(), status),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_reader_that_went_away_is_no_fault_and_a_full_disk_is() {
        let of = |kind: ErrorKind, status| verdict(Err(kind.into()), status);
        assert_eq!(of(ErrorKind::BrokenPipe, 0), (String::new(), 0));
        assert_eq!(of(ErrorKind::BrokenPipe, 1), (String::new(), 1));
        let (text, status) = of(ErrorKind::StorageFull, 0);
        assert_eq!(status, 3);
        assert!(text.contains("why: no storage space"), "{text}");
        assert_eq!(of(ErrorKind::StorageFull, 130).1, 130);
        assert_eq!(verdict(Ok(()), 1), (String::new(), 1));
    }
}
