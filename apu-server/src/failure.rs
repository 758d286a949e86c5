//! What the fleet's errors mean for an administrator: what, why, and what to try.

use std::error::Error;
use std::fmt;
use std::io;

use apu_archive::quote;
use apu_fleet::{HostName, ServerReason, TargetError};
use apu_ledger::LedgerError;
use apu_site::{Failure, Site, io_advice};

use crate::view::clean::clean;
use crate::view::server_reason::{server_advice_text, server_reason_lines};

/// One reason after the other, as a chain of sources.
#[derive(Debug)]
struct Reasons(String, Option<Box<Self>>);

impl fmt::Display for Reasons {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl Error for Reasons {
    fn source(&self) -> Option<&(dyn Error + 'static)> {
        self.1.as_deref().map(|next| next as &(dyn Error + 'static))
    }
}

/// A failure with these reasons, in their order.
#[must_use]
pub fn with_reasons(failure: Failure, reasons: impl DoubleEndedIterator<Item = String>) -> Failure {
    match reasons
        .rev()
        .fold(None, |next, text| Some(Box::new(Reasons(text, next))))
    {
        Some(reasons) => failure.why(*reasons),
        None => failure,
    }
}

fn reasons_of(failure: &Failure) -> Vec<String> {
    let mut reasons = Vec::new();
    let mut next = failure.source();
    while let Some(reason) = next {
        reasons.push(reason.to_string());
        next = reason.source();
    }
    reasons
}

/// A target that names no hosts.
#[must_use]
pub fn target(site: &Site, error: TargetError) -> Failure {
    let clients = site.clients();
    let clients = clients.display();
    let what = Failure::words(error.to_string());
    match error {
        TargetError::Directory { source, .. } => {
            let advice = match source.kind() {
                io::ErrorKind::NotFound => format!("write a class, one host a line, into {clients}/default"),
                _ => io_advice(&source, &site.clients()).1,
            };
            what.why(source).advise(advice)
        }
        TargetError::File { class, source } => {
            let path = site.clients().join(class.as_str());
            let advice = match source.kind() {
                io::ErrorKind::Other => format!("make {} a text file", path.display()),
                _ => io_advice(&source, &path).1,
            };
            what.why(source).advise(advice)
        }
        TargetError::Class { class, errors } => with_reasons(what, errors.iter().map(ToString::to_string))
            .advise(format!("correct {clients}/{class}")),
        TargetError::Empty(class) => {
            what.advise(format!("write its hosts, one a line, into {clients}/{class}"))
        }
        TargetError::Nothing { word, nearest } => match nearest {
            Some(nearest) => what.advise(format!(
                "say `{nearest}`, or write {word} into a class in {clients}"
            )),
            None => what.advise("apu hosts, which lists all classes"),
        },
        TargetError::NoName { source, .. } => what.why(source).advise("apu hosts, which lists all classes"),
        TargetError::Range { source, .. } => what.why(source).advise("write a range as in web[01-20]"),
        TargetError::Ambiguous { .. } => what.advise(format!("make the two equal, in {clients}")),
        TargetError::NotAmong(_) => what.advise("leave it out of --exclude, or correct its name"),
        TargetError::List { path, source } => {
            let advice = match source.kind() {
                io::ErrorKind::NotFound => {
                    format!("write words into {path}, one a line, or name a class without @")
                }
                _ => format!("correct {path}"),
            };
            what.why(source).advise(advice)
        }
        TargetError::Listed { place, source } => {
            let inner = target(site, *source);
            let reasons = std::iter::once(inner.to_string()).chain(reasons_of(&inner));
            let reasons: Vec<String> = reasons.collect();
            let what = with_reasons(Failure::words(format!("cannot use {place}")), reasons.into_iter());
            match inner.advice() {
                Some(advice) => what.advise(advice),
                None => what,
            }
        }
        TargetError::FileOrClass(name) => {
            what.advise(format!("@./{name} for the file, or {name} for the class"))
        }
        TargetError::OnlyOut(word) => what.advise(quote(&format!("all,!{word}"))),
        TargetError::NoClasses => what.advise(format!("write the hosts, one a line, into {clients}/default")),
        TargetError::Run { .. } => what.advise("apu runs, which lists them"),
        TargetError::NoneLeft => what.advise("exclude less"),
    }
}

/// A run that is not there, or a ledger that cannot be used.
#[must_use]
pub fn ledger(site: &Site, error: LedgerError) -> Failure {
    match error {
        LedgerError::NoRun(_) => Failure::words(error.to_string()).advise(RUNS),
        // It names its cause itself.
        error => Failure::machine(format!("cannot use the ledger {}", site.ledger().display()))
            .why(error.to_string()),
    }
}

/// What lists the runs that there are.
pub const RUNS: &str = "apu runs, which lists them";

/// A failure that is due to a host or to the way to it.
#[must_use]
pub fn of_reason(what: impl Into<String>, reason: &ServerReason, host: &HostName) -> Failure {
    let failure = Failure::machine(what).why(clean(&server_reason_lines(reason).join("; ")));
    match &reason.advice {
        None => failure,
        Some(advice) => failure.advise(clean(&server_advice_text(advice, host.as_str()))),
    }
}
