//! One notice, and how long its text may be.

use serde::Serialize;
use serde_json::Value;

/// The most bytes of a notice's text: a mail server takes more, and nobody reads more.
const LONGEST: usize = 200_000;

/// What is told.
#[derive(Debug, Clone, Serialize)]
pub(crate) struct Notice {
    /// One line.
    pub(crate) subject: String,
    /// All of it, for people.
    pub(crate) text: String,
    /// All of it, for programs.
    #[serde(flatten)]
    pub(crate) facts: Value,
    /// Letters, digits, `-` and `.`: the same for a notice that is told twice.
    #[serde(skip)]
    pub(crate) id: String,
    /// The notice that this one follows.
    #[serde(skip)]
    pub(crate) follows: Option<String>,
}

/// A text that is not too long for a notice; `rest` says where all of it is.
pub(crate) fn shortened(text: &str, rest: &str) -> String {
    if text.len() <= LONGEST {
        return text.to_owned();
    }
    let lines = text.split_inclusive('\n');
    let mut length = 0;
    let kept: String = lines
        .take_while(|line| {
            length += line.len();
            length <= LONGEST
        })
        .collect();
    format!("{kept}… and more; to see all of it: {rest}\n")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_text_has_an_end_after_a_whole_line() {
        assert_eq!(shortened("a\n", "apu show p7"), "a\n");
        let long = "0123456789\n".repeat(100_000);
        let short = shortened(&long, "apu show p7");
        assert!(short.len() < LONGEST + 100, "{}", short.len());
        assert!(short.ends_with("\n0123456789\n… and more; to see all of it: apu show p7\n"));
    }
}
