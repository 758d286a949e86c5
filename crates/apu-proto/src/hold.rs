//! Holds: the packages that stay at their version on a machine until somebody takes them off hold, or until their end.

use apu_debian::{PackageKey, UserName, text_value};
use serde::{Deserialize, Serialize};

use crate::encoded::{decoded, encoded};
use crate::printable::is_invisible;

/// The longest reason of a hold, in bytes.
pub const MAX_HOLD_REASON: usize = 200;

/// The most holds with a reason that a machine keeps, and the most that an answer has.
pub const MAX_HOLDS: usize = 1000;

/// The last end that a hold may have, in seconds since 1970: it is in the year 9999 in every zone.
pub const MAX_HOLD_END: u64 = 253_402_207_200;

text_value!(
    /// Why packages are on hold, for people: one line of printable text.
    HoldReason,
    is_reason,
    String,
    |_: &str| format!(
        "not a reason: 1 to {MAX_HOLD_REASON} bytes of printable text without a space at its start or end"
    )
);

fn is_reason(text: &str) -> bool {
    let is_printable = |character: char| {
        character == ' ' || !(character.is_control() || character.is_whitespace() || is_invisible(character))
    };
    (1..=MAX_HOLD_REASON).contains(&text.len()) && text.trim() == text && text.chars().all(is_printable)
}

impl HoldReason {
    /// The reason as a word of a request line.
    pub(crate) fn encoded(&self) -> String {
        encoded(self.as_str())
    }

    /// Reads such a word. Each reason has one word only.
    pub(crate) fn decode(word: &str) -> Option<Self> {
        decoded(word)?.parse().ok()
    }
}

/// A package on hold, as `showhold` and `status` tell it.
///
/// One that was put on hold on the machine itself has a name alone.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
pub struct Hold {
    /// The package.
    pub package: PackageKey,
    /// Why; not to be trusted.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reason: Option<String>,
    /// The user of the server who asked for it, as the server said.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub by: Option<UserName>,
    /// When it ends, in seconds since 1970; none where it has no end.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub until: Option<u64>,
}

/// The end of a hold in a request: seconds since 1970, written in one way only. Whether it is at most [`MAX_HOLD_END`] is not judged.
pub(crate) fn end(word: &str) -> Option<u64> {
    let end: u64 = word.parse().ok()?;
    (end.to_string() == word).then_some(end)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn a_reason_is_one_line_that_can_be_read() {
        for text in ["waits for #412", "bricht Grüße 100%", "a", &"x".repeat(200)] {
            let reason: HoldReason = text.parse().unwrap();
            let word = reason.encoded();
            assert!(word.bytes().all(|byte| byte.is_ascii_graphic()), "{word}");
            assert_eq!(HoldReason::decode(&word), Some(reason));
        }
        for text in [
            "",
            " ",
            " a",
            "a ",
            "a\nb",
            "a\tb",
            "\u{1b}[31m",
            "a\u{202e}b",
            "a\u{2028}b",
            "a\u{a0}b",
            &"x".repeat(201),
            &"\u{e9}".repeat(101),
        ] {
            assert!(text.parse::<HoldReason>().is_err(), "{text:?}");
        }
    }

    #[test]
    fn a_reason_has_one_word_only() {
        assert_eq!(HoldReason::decode("a%20b").unwrap().as_str(), "a b");
        for word in [
            "",
            "%",
            "%2",
            "%61",
            "a%2Gb",
            "a%c3%a9",
            "%FF",
            "a%0Ab",
            "a%E2%80%AEb",
            "%+1",
            "a%20",
        ] {
            assert_eq!(HoldReason::decode(word), None, "{word}");
        }
    }

    #[test]
    fn an_end_is_written_in_one_way() {
        assert_eq!(end("1798066800"), Some(1_798_066_800));
        for word in ["", "+1", "01", "-1", "1.5", "99999999999999999999"] {
            assert_eq!(end(word), None, "{word}");
        }
    }

    proptest! {
        #[test]
        fn every_reason_reads_back(text in any::<String>()) {
            if let Ok(reason) = text.parse::<HoldReason>() {
                prop_assert_eq!(HoldReason::decode(&reason.encoded()), Some(reason));
            }
        }
    }
}
