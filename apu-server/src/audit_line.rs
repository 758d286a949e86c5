//! A line of the audit trail in this machine's log: who did what, as `name=value` fields that a program can read.

use std::fmt::{self, Write};
use std::path::Path;

use apu_ledger::RunNumber;
use apu_site::{Site, Ui};

use crate::syslog::log;
use crate::who::Who;

/// A line that begins with who acts.
#[derive(Debug)]
pub(crate) struct AuditLine {
    text: String,
}

impl AuditLine {
    pub(crate) fn of(who: &Who) -> Self {
        let mut line = Self { text: String::new() };
        if let Some(behind) = &who.behind {
            line.field("by", behind);
        }
        if let Some(login) = &who.login {
            line.field("login", login);
        }
        line.field("user", &who.user);
        line
    }

    /// What the caller of this program decides about a run.
    pub(crate) fn of_decision(action: &str, run: RunNumber) -> Self {
        let mut line = Self::of(&Who::here());
        line.field("action", &action);
        line.field("number", &run);
        line
    }

    /// Adds a field. What is long stands last: a log may cut the end.
    pub(crate) fn field(&mut self, name: &str, value: &dyn fmt::Display) {
        let space = if self.text.is_empty() { "" } else { " " };
        let _ = write!(self.text, "{space}{name}={}", quoted(&value.to_string()));
    }

    /// Writes the line as `program`; a log that does not take it is a warning.
    pub(crate) fn write(&self, ui: &Ui, site: &Site, program: &str) {
        let socket = site.at(Path::new("/dev/log"));
        if let Err(error) = log(&socket, program, &self.text) {
            ui.complain(&format!(
                "warning: {} took no line about this\n  why: {error}\n",
                socket.display()
            ));
        }
    }

    #[cfg(test)]
    pub(crate) fn text(&self) -> &str {
        &self.text
    }
}

/// A value that cannot be read as another field.
fn quoted(value: &str) -> String {
    let is_plain = |c: char| c.is_ascii_alphanumeric() || "-_.,:/@+%[]!".contains(c);
    if !value.is_empty() && value.chars().all(is_plain) {
        value.to_owned()
    } else {
        format!("{value:?}")
    }
}
