//! The result of a request that ends early: refused before anything began, or failed on the way.

use std::io;

use apu_proto::{ClientOutcome, ReasonCode, RunResult};

/// A result with which a request ends early.
#[derive(Debug)]
pub(crate) struct Refusal {
    pub(crate) result: Box<RunResult>,
}

impl Refusal {
    /// Refuses a request before anything began.
    pub(crate) fn new(code: ReasonCode, text: impl Into<String>) -> Self {
        RunResult::because(ClientOutcome::Refused, code, text).into()
    }

    /// Ends a request that cannot be carried out.
    pub(crate) fn failed(code: ReasonCode, text: impl Into<String>) -> Self {
        RunResult::because(ClientOutcome::Failed, code, text).into()
    }

    /// Ends a request because of an error on this machine.
    pub(crate) fn fault(what: &str, error: &io::Error) -> Self {
        let code = match error.kind() {
            io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded => ReasonCode::Space,
            _ => ReasonCode::Client,
        };
        Self::failed(code, format!("{what}: {error}"))
    }

    /// Whether this is the reason.
    pub(crate) fn is_about(&self, code: ReasonCode) -> bool {
        self.result
            .reason
            .as_ref()
            .is_some_and(|reason| reason.code == code)
    }

    /// Adds what to try: a whole command or a whole path.
    #[must_use]
    pub(crate) fn advise(mut self, advice: impl Into<String>) -> Self {
        if let Some(reason) = &mut self.result.reason {
            reason.advice = advice.into();
        }
        self
    }
}

impl From<RunResult> for Refusal {
    fn from(result: RunResult) -> Self {
        let result = Box::new(result);
        Self { result }
    }
}
