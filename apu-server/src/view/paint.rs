//! Colours and letters that the reader's terminal has.

use apu_fleet::Outcome;
use apu_site::output::Stream;

/// What may be used to show something.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Paint {
    /// Colours.
    pub colour: bool,
    /// Letters beyond ASCII.
    pub unicode: bool,
}

impl Paint {
    /// What fits a stream.
    #[must_use]
    pub const fn for_stream(stream: Stream) -> Self {
        Self {
            colour: stream.colour,
            unicode: stream.unicode,
        }
    }

    /// A text in an outcome's colour.
    #[must_use]
    pub fn outcome(self, outcome: Outcome, text: &str) -> String {
        self.code(
            match outcome {
                Outcome::Changed => "32",
                Outcome::Unchanged => "36",
                Outcome::Partial
                | Outcome::Stale
                | Outcome::Refused
                | Outcome::Drifted
                | Outcome::Skipped => "33",
                Outcome::Failed | Outcome::Unreachable | Outcome::Lost | Outcome::TimedOut => "31",
            },
            text,
        )
    }

    /// A text that stands out.
    #[must_use]
    pub fn strong(self, text: &str) -> String {
        self.code("1", text)
    }

    /// A text that warns.
    #[must_use]
    pub fn warn(self, text: &str) -> String {
        self.code("31", text)
    }

    /// A line of changes, which warns where something goes away or back.
    #[must_use]
    pub fn change(self, line: &str) -> String {
        if line.contains("  REMOVED, was ") || line.contains("  DOWNGRADED, ") {
            self.warn(line)
        } else {
            line.to_owned()
        }
    }

    /// A text that steps back.
    #[must_use]
    pub fn faint(self, text: &str) -> String {
        self.code("2", text)
    }

    fn code(self, code: &str, text: &str) -> String {
        if self.colour {
            format!("\u{1b}[{code}m{text}\u{1b}[0m")
        } else {
            text.to_owned()
        }
    }

    /// A text that is to be shown with these letters.
    #[must_use]
    pub fn letters(self, text: String) -> String {
        if self.unicode {
            text
        } else {
            text.replace('→', "->")
                .replace('…', "...")
                .replace('\u{fffd}', "?")
        }
    }
}
