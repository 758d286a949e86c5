//! Running the machine's tools: what one printed, or an error that says which command failed and why.

use std::process::{Command, Output, Stdio};

use anyhow::{Context, Result, bail};

/// The environment that a program in a root gets, and nothing else: a test never depends on who runs it.
pub(crate) const ENVIRONMENT: [(&str, &str); 4] = [
    (
        "PATH",
        "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin",
    ),
    ("HOME", "/root"),
    ("LANG", "C.UTF-8"),
    ("TERM", "dumb"),
];

/// How a program ended, and what it printed.
#[derive(Debug, Clone)]
pub struct Finished {
    /// Its exit status; 128 and the signal's number where a signal ended it.
    pub code: i32,
    /// Its standard output, bytes that are not UTF-8 replaced.
    pub stdout: String,
    /// Its standard error, likewise.
    pub stderr: String,
}

impl Finished {
    /// Its standard output.
    ///
    /// # Panics
    /// If it did not exit with 0: the test has no use for a half-done step.
    #[track_caller]
    #[allow(clippy::must_use_candidate)] // Often called only to be sure.
    pub fn ok(self) -> String {
        assert!(
            self.code == 0,
            "exit status {}\nstdout: {}\nstderr: {}",
            self.code,
            self.stdout,
            self.stderr
        );
        self.stdout
    }
}

impl From<Output> for Finished {
    fn from(output: Output) -> Self {
        use std::os::unix::process::ExitStatusExt;
        let signal = output.status.signal().unwrap_or_default();
        Self {
            code: output.status.code().unwrap_or(128 + signal),
            stdout: String::from_utf8_lossy(&output.stdout).into_owned(),
            stderr: String::from_utf8_lossy(&output.stderr).into_owned(),
        }
    }
}

/// Runs a tool to its end without standard input; its standard output.
pub(crate) fn run(command: &mut Command) -> Result<String> {
    let name = command.get_program().to_string_lossy().into_owned();
    let output = command
        .stdin(Stdio::null())
        .output()
        .with_context(|| format!("cannot run {name}"))?;
    let finished = Finished::from(output);
    if finished.code != 0 {
        let words: Vec<_> = command.get_args().map(|word| word.to_string_lossy()).collect();
        bail!(
            "`{name} {}` ended with {}: {}{}",
            words.join(" "),
            finished.code,
            finished.stdout,
            finished.stderr
        );
    }
    Ok(finished.stdout)
}

/// What cargo says of this workspace, with the lock file as it is.
///
/// # Panics
/// Where cargo fails.
#[track_caller]
#[must_use]
pub fn cargo(arguments: &[&str]) -> String {
    let mut command = Command::new(env!("CARGO"));
    command
        .args(arguments)
        .arg("--locked")
        .current_dir(concat!(env!("CARGO_MANIFEST_DIR"), "/.."));
    run(&mut command).expect("cargo")
}
