//! The handle through which a program prints: its standard output and error, and what their terminals can show.
//!
//! A program makes one [`Ui`] when it starts and passes it down. What cannot be written never stops the work, and is not
//! forgotten.

mod stream;

use std::fmt;
use std::io::{self, ErrorKind, IsTerminal, Write};
use std::process::ExitCode;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

pub use self::stream::Stream;
use crate::failure::Failure;

/// A program's output. Clones are the same output.
#[derive(Clone)]
pub struct Ui(Arc<Shared>);

struct Shared {
    stdout: Stream,
    stderr: Stream,
    stdin_is_terminal: bool,
    output: Mutex<Output>,
    errors: Mutex<Box<dyn Write + Send>>,
}

impl Shared {
    fn of_writers(output: impl Write + Send + 'static, errors: impl Write + Send + 'static) -> Self {
        Self {
            stdout: Stream::default(),
            stderr: Stream::default(),
            stdin_is_terminal: false,
            output: Mutex::new(Output {
                to: Box::new(output),
                failed: None,
            }),
            errors: Mutex::new(Box::new(errors)),
        }
    }
}

/// Standard output, and its first error.
struct Output {
    to: Box<dyn Write + Send>,
    failed: Option<(ErrorKind, String)>,
}

impl Output {
    fn check(&self) -> io::Result<()> {
        match &self.failed {
            Some((kind, text)) => Err(io::Error::new(*kind, text.clone())),
            None => Ok(()),
        }
    }

    fn remember<T>(&mut self, written: io::Result<T>) -> io::Result<T> {
        if let Err(error) = &written
            && error.kind() != ErrorKind::Interrupted
        {
            self.failed
                .get_or_insert_with(|| (error.kind(), error.to_string()));
        }
        written
    }
}

impl Ui {
    /// The output of this process. To be made once, when the program starts.
    #[must_use]
    pub fn of_process() -> Self {
        let variable = |name: &str| std::env::var_os(name);
        Self(Arc::new(Shared {
            stdout: Stream::of(io::stdout().is_terminal(), variable),
            stderr: Stream::of(io::stderr().is_terminal(), variable),
            stdin_is_terminal: io::stdin().is_terminal(),
            ..Shared::of_writers(io::stdout(), io::stderr())
        }))
    }

    /// An output that goes to these writers, and to no terminal.
    #[must_use]
    pub fn of_writers(output: impl Write + Send + 'static, errors: impl Write + Send + 'static) -> Self {
        Self(Arc::new(Shared::of_writers(output, errors)))
    }

    /// What standard output goes to.
    #[must_use]
    pub fn stdout(&self) -> Stream {
        self.0.stdout
    }

    /// What standard error goes to.
    #[must_use]
    pub fn stderr(&self) -> Stream {
        self.0.stderr
    }

    /// Whether somebody can type an answer.
    #[must_use]
    pub fn stdin_is_terminal(&self) -> bool {
        self.0.stdin_is_terminal
    }

    /// Whether somebody can be asked: questions are shown on standard error.
    #[must_use]
    pub fn can_ask(&self) -> bool {
        self.0.stdin_is_terminal && self.0.stderr.is_terminal
    }

    /// The columns of standard output's terminal as they are now, or those of a log.
    #[must_use]
    pub fn columns(&self) -> usize {
        self.0.stdout.size(io::stdout()).1
    }

    /// The rows of standard error's terminal as they are now, or those that every terminal has.
    #[must_use]
    pub fn error_rows(&self) -> usize {
        self.0.stderr.size(io::stderr()).0
    }

    fn output(&self) -> MutexGuard<'_, Output> {
        self.0.output.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Standard output as a stream of bytes; an error is returned, and remembered for [`Ui::finish`] as well.
    #[must_use]
    pub fn writer(&self) -> Stdout {
        Stdout(self.clone())
    }

    /// Writes a text on standard output as it is, at once.
    pub fn show(&self, text: &str) {
        let mut stdout = self.writer();
        // The error waits for `finish`: the work goes on although nobody reads.
        let _ = stdout.write_all(text.as_bytes()).and_then(|()| stdout.flush());
    }

    /// Writes a text on standard error. Where that fails there is nobody left to be told.
    pub fn complain(&self, text: &str) {
        let mut errors = self.0.errors.lock().unwrap_or_else(PoisonError::into_inner);
        let _ = errors.write_all(text.as_bytes());
    }

    /// Remembers the error of something that was written on standard output by other means.
    pub fn remember(&self, written: io::Result<()>) {
        let _ = self.output().remember(written);
    }

    /// Whether everything has been written so far: to be asked before a question about it.
    ///
    /// # Errors
    /// Where something could not be written.
    pub fn all_written(&self) -> Result<(), Failure> {
        let written = self.output().check();
        written.map_err(|error| Failure::machine("cannot write to standard output").why(error))
    }

    /// The exit status of a program that ends with `status`.
    ///
    /// A reader that went away is no fault: `| head` ends quietly. Anything else is told, and is this machine's failure
    /// where all was well otherwise.
    #[must_use]
    pub fn finish(&self, status: u8) -> ExitCode {
        ExitCode::from(self.last_status(status))
    }

    fn last_status(&self, status: u8) -> u8 {
        let mut output = self.output();
        let flushed = output.to.flush();
        let _ = output.remember(flushed);
        let (text, status) = final_status(output.check(), status);
        drop(output);
        self.complain(&text);
        status
    }
}

impl fmt::Debug for Ui {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Ui")
            .field("stdout", &self.0.stdout)
            .field("stderr", &self.0.stderr)
            .finish_non_exhaustive()
    }
}

/// Standard output as a stream of bytes, see [`Ui::writer`]. After its first error it takes nothing more.
#[derive(Debug, Clone)]
pub struct Stdout(Ui);

impl Write for Stdout {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let mut output = self.0.output();
        output.check()?;
        let written = output.to.write(bytes);
        output.remember(written)
    }

    fn flush(&mut self) -> io::Result<()> {
        let mut output = self.0.output();
        output.check()?;
        let flushed = output.to.flush();
        output.remember(flushed)
    }
}

/// Writes a line on the standard output of a [`Ui`](crate::Ui), as `println!` would, and never panics.
#[macro_export]
macro_rules! say {
    ($ui:expr, $($text:tt)*) => {
        $ui.show(&(format!($($text)*) + "\n"))
    };
}

fn final_status(written: io::Result<()>, status: u8) -> (String, u8) {
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

    /// What was written, for a test to read.
    #[derive(Clone, Default)]
    struct Page(Arc<Mutex<Vec<u8>>>);

    impl Page {
        fn text(&self) -> String {
            String::from_utf8(self.0.lock().unwrap().clone()).unwrap()
        }
    }

    impl Write for Page {
        fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
            self.0.lock().unwrap().write(bytes)
        }

        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }

    /// A stream that takes the first bytes and nothing more.
    struct Broken {
        room: usize,
        kind: ErrorKind,
    }

    impl Write for Broken {
        fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
            if self.room == 0 {
                return Err(self.kind.into());
            }
            let taken = bytes.len().min(self.room);
            self.room -= taken;
            Ok(taken)
        }

        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }

    #[test]
    fn each_stream_gets_its_own_text_through_every_clone() {
        let (output, errors) = (Page::default(), Page::default());
        let ui = Ui::of_writers(output.clone(), errors.clone());
        say!(ui, "one {}", 1);
        ui.clone().show("two");
        ui.complain("three\n");
        assert_eq!(output.text(), "one 1\ntwo");
        assert_eq!(errors.text(), "three\n");
        assert!(ui.all_written().is_ok());
        assert_eq!(ui.last_status(1), 1);
        assert_eq!(errors.text(), "three\n");
    }

    #[test]
    fn a_full_disk_stops_nothing_and_is_told_once_at_the_end() {
        let errors = Page::default();
        let full = Broken {
            room: 2,
            kind: ErrorKind::StorageFull,
        };
        let ui = Ui::of_writers(full, errors.clone());
        ui.show("some text");
        ui.clone().show("more of it");
        assert!(ui.all_written().is_err());
        assert_eq!(errors.text(), "");
        assert_eq!(ui.last_status(0), 3);
        assert_eq!(errors.text().matches("error: ").count(), 1, "{}", errors.text());
    }

    #[test]
    fn after_its_first_error_standard_output_takes_nothing_more() {
        let output = Page::default();
        let ui = Ui::of_writers(output.clone(), io::sink());
        ui.remember(Err(ErrorKind::Interrupted.into()));
        ui.show("before");
        ui.remember(Err(ErrorKind::BrokenPipe.into()));
        ui.show("after");
        assert_eq!(output.text(), "before");
        assert_eq!(ui.last_status(0), 0);
    }

    #[test]
    fn a_reader_that_went_away_is_no_fault_and_a_full_disk_is() {
        let of = |kind: ErrorKind, status| final_status(Err(kind.into()), status);
        assert_eq!(of(ErrorKind::BrokenPipe, 0), (String::new(), 0));
        assert_eq!(of(ErrorKind::BrokenPipe, 1), (String::new(), 1));
        let (text, status) = of(ErrorKind::StorageFull, 0);
        assert_eq!(status, 3);
        assert!(text.contains("why: no storage space"), "{text}");
        assert_eq!(of(ErrorKind::StorageFull, 130).1, 130);
        assert_eq!(final_status(Ok(()), 1), (String::new(), 1));
    }
}
