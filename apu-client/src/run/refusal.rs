//! Results that end a request early, and the words for them.

use std::io;

use apu_proto::{ClientOutcome, ReasonCode, RunResult};

/// A result that ends the work where it stands.
pub(crate) type Stop = Box<RunResult>;

/// Not begun, and not to be begun.
pub(crate) fn refused(code: ReasonCode, text: impl Into<String>) -> Stop {
    Box::new(RunResult::because(ClientOutcome::Refused, code, text))
}

/// Could not be done.
pub(crate) fn failed(code: ReasonCode, text: impl Into<String>) -> Stop {
    Box::new(RunResult::because(ClientOutcome::Failed, code, text))
}

/// Adds what to try: a whole command or a whole path.
pub(crate) fn advise(mut stop: Stop, advice: impl Into<String>) -> Stop {
    if let Some(reason) = &mut stop.reason {
        reason.advice = advice.into();
    }
    stop
}

/// This machine failed in something that should not fail.
pub(crate) fn own_fault(what: &str, error: &io::Error) -> Stop {
    let code = match error.kind() {
        io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded => ReasonCode::Space,
        _ => ReasonCode::Client,
    };
    failed(code, format!("{what}: {error}"))
}
