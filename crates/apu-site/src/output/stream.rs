//! What a stream of the program goes to: whether that is a terminal, its colours, its letters and its size.

use std::ffi::OsString;
use std::os::fd::AsFd;

use terminal_size::{Height, Width, terminal_size_of};

/// Rows and columns that every terminal has, and what a log is written for.
const USUAL_SIZE: (usize, usize) = (24, 80);

/// What a stream goes to, and what can be shown there.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Stream {
    /// A terminal.
    pub is_terminal: bool,
    /// Colours.
    pub colour: bool,
    /// Letters beyond ASCII.
    pub unicode: bool,
}

impl Stream {
    /// What the environment says of a stream: `NO_COLOR`, `TERM` and the locale.
    pub(super) fn of(is_terminal: bool, variable: impl Fn(&str) -> Option<OsString>) -> Self {
        let set = |name: &str| variable(name).filter(|value| !value.is_empty());
        let dumb = variable("TERM").is_none_or(|term| term == "dumb");
        let locale = ["LC_ALL", "LC_CTYPE", "LANG"].into_iter().find_map(set);
        let locale = locale.and_then(|value| value.into_string().ok());
        let locale = locale.unwrap_or_default().to_uppercase();
        Self {
            is_terminal,
            colour: is_terminal && set("NO_COLOR").is_none() && !dumb,
            unicode: locale.contains("UTF-8") || locale.contains("UTF8"),
        }
    }

    /// Rows and columns of its terminal as they are now, or the usual ones.
    pub(super) fn size(self, stream: impl AsFd) -> (usize, usize) {
        let size = self.is_terminal.then(|| terminal_size_of(stream));
        known(size.flatten())
    }
}

fn known(size: Option<(Width, Height)>) -> (usize, usize) {
    match size {
        Some((Width(columns), Height(rows))) if columns > 0 && rows > 0 => {
            (usize::from(rows), usize::from(columns))
        }
        _ => USUAL_SIZE,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn colours_are_for_terminals_that_want_them() {
        let stream = |is_terminal, variables: &[(&str, &str)]| {
            let value = |name: &str| variables.iter().find(|(other, _)| *other == name);
            Stream::of(is_terminal, |name| value(name).map(|(_, value)| value.into()))
        };
        let xterm = ("TERM", "xterm");
        assert!(stream(true, &[xterm]).colour);
        assert!(stream(true, &[xterm, ("NO_COLOR", "")]).colour);
        assert!(!stream(true, &[xterm, ("NO_COLOR", "1")]).colour);
        assert!(!stream(true, &[("TERM", "dumb")]).colour);
        assert!(!stream(true, &[]).colour);
        assert!(!stream(false, &[xterm]).colour);
        assert!(stream(false, &[("LANG", "C.utf8")]).unicode);
        assert!(stream(false, &[("LC_ALL", ""), ("LANG", "de_DE.UTF-8")]).unicode);
        assert!(!stream(false, &[("LC_ALL", "C"), ("LANG", "C.UTF-8")]).unicode);
    }

    #[test]
    fn a_size_that_a_terminal_does_not_know_is_the_usual_one() {
        let size = |columns, rows| known(Some((Width(columns), Height(rows))));
        assert_eq!(size(120, 50), (50, 120));
        assert_eq!(size(0, 50), USUAL_SIZE);
        assert_eq!(size(120, 0), USUAL_SIZE);
        assert_eq!(known(None), USUAL_SIZE);
    }
}
