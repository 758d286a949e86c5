//! What a program of the server says when it cannot do what it was asked to: what, why, and what to try.

use std::error::Error;
use std::fmt::{self, Write};

/// Whose turn it is after a failure; also the program's exit status.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum FailureKind {
    /// Wrong words on the command line or in the configuration: exit status 2.
    Words,
    /// This machine could not do it: exit status 3.
    Machine,
}

impl FailureKind {
    /// The exit status that stands for it.
    #[must_use]
    pub fn exit_status(self) -> u8 {
        match self {
            Self::Words => 2,
            Self::Machine => 3,
        }
    }
}

/// An error that an administrator can act on. The reasons are its [`Error::source`] chain.
#[derive(Debug)]
pub struct Failure {
    kind: FailureKind,
    what: String,
    advice: Option<String>,
    source: Option<Box<dyn Error + Send + Sync>>,
}

impl Failure {
    /// Wrong words or configuration.
    pub fn words(what: impl Into<String>) -> Self {
        Self {
            kind: FailureKind::Words,
            what: what.into(),
            advice: None,
            source: None,
        }
    }

    /// This machine could not do it.
    pub fn machine(what: impl Into<String>) -> Self {
        Self {
            kind: FailureKind::Machine,
            what: what.into(),
            advice: None,
            source: None,
        }
    }

    /// Says what caused it.
    #[must_use]
    pub fn why(mut self, source: impl Into<Box<dyn Error + Send + Sync>>) -> Self {
        self.source = Some(source.into());
        self
    }

    /// Says what to do next: a whole command or a whole path.
    #[must_use]
    pub fn advise(mut self, advice: impl Into<String>) -> Self {
        self.advice = Some(advice.into());
        self
    }

    /// Whose turn it is.
    #[must_use]
    pub fn kind(&self) -> FailureKind {
        self.kind
    }

    /// What to do next.
    #[must_use]
    pub fn advice(&self) -> Option<&str> {
        self.advice.as_deref()
    }
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.what)
    }
}

impl Error for Failure {
    fn source(&self) -> Option<&(dyn Error + 'static)> {
        self.source
            .as_deref()
            .map(|source| source as &(dyn Error + 'static))
    }
}

/// The text of any error as `error:`, `why:` and `try:` lines, and the exit status.
///
/// The outermost [`Failure`] of the chain decides the status and the advice; without one it is this
/// machine's failure.
#[must_use]
pub fn report(error: &(dyn Error + 'static)) -> (String, u8) {
    let mut text = format!("error: {error}\n");
    let mut failure = None;
    let mut next = Some(error);
    while let Some(error) = next {
        if failure.is_none() {
            failure = error.downcast_ref::<Failure>();
        }
        next = error.source();
        if let Some(source) = next {
            let _ = writeln!(text, "  why: {source}");
        }
    }
    if let Some(advice) = failure.and_then(Failure::advice) {
        let _ = writeln!(text, "  try: {advice}");
    }
    (
        text,
        failure.map_or(FailureKind::Machine, Failure::kind).exit_status(),
    )
}

#[cfg(test)]
mod tests {
    use super::{Failure, report};

    #[test]
    fn a_failure_reads_what_why_try() {
        let failure = Failure::words("cannot read the settings")
            .why(Failure::words("line 3: `prot` is not a key of [ssh]"))
            .advise("write `port` in /etc/apu-server/apu.toml");
        assert_eq!(
            report(&failure),
            (
                "error: cannot read the settings\n  why: line 3: `prot` is not a key of [ssh]\n  \
                 try: write `port` in /etc/apu-server/apu.toml\n"
                    .to_owned(),
                2
            )
        );
    }

    #[test]
    fn an_error_without_a_kind_is_this_machines() {
        assert_eq!(report(&std::io::Error::other("no space")).1, 3);
    }
}
