//! The result of a request that ends early: refused before anything began, or failed on the way.

use std::io;
use std::path::Path;

use apu_proto::{Action, Advice, Cause, ClientOutcome, Reason, ReasonCode, RunResult};

/// A result with which a request ends early.
#[derive(Debug)]
pub(crate) struct Refusal {
    pub(crate) result: Box<RunResult>,
}

impl Refusal {
    /// Refuses a request before anything began.
    pub(crate) fn new(reason: impl Into<Reason>) -> Self {
        RunResult::because(ClientOutcome::Refused, reason).into()
    }

    /// Ends a request that cannot be carried out.
    pub(crate) fn failed(reason: impl Into<Reason>) -> Self {
        RunResult::because(ClientOutcome::Failed, reason).into()
    }

    /// Ends a request because the system refused something.
    pub(crate) fn fault(action: Action, error: &io::Error) -> Self {
        Self::fault_with(action, None, error)
    }

    /// Ends a request because the system refused something with a file or a program.
    pub(crate) fn fault_at(action: Action, object: &Path, error: &io::Error) -> Self {
        Self::fault_with(action, Some(object.display().to_string()), error)
    }

    fn fault_with(action: Action, object: Option<String>, error: &io::Error) -> Self {
        let mut reason = Reason::from(Cause::Fault { action, object }).detailed(error.to_string());
        if matches!(
            error.kind(),
            io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded
        ) {
            reason.code = ReasonCode::Space;
        }
        Self::failed(reason)
    }

    /// Whether this is the reason.
    pub(crate) fn is_about(&self, code: ReasonCode) -> bool {
        self.result
            .reason
            .as_ref()
            .is_some_and(|reason| reason.code == code)
    }

    /// Adds what to try.
    #[must_use]
    pub(crate) fn advise(mut self, advice: Advice) -> Self {
        if let Some(reason) = &mut self.result.reason {
            reason.advice = Some(advice);
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
