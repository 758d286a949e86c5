//! What differs between the two versions of a configuration file, as `conffiles with_diffs=yes` tells it.

use serde::{Deserialize, Serialize};

/// The most bytes of the difference of one file.
pub const MAX_DIFF: usize = 64 * 1024;

/// The most bytes of all differences of an answer.
pub const MAX_DIFFS: usize = 256 * 1024;

/// The difference, or why there is none.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "kebab-case")]
pub enum ConffileDiff {
    /// From the version in place to the one beside it.
    Unified {
        /// As diff -u prints it; not to be trusted.
        text: String,
        /// Whether more of it was left out.
        #[serde(default, skip_serializing_if = "std::ops::Not::not")]
        is_cut: bool,
    },
    /// One of them is no text.
    Binary,
    /// Not everybody on the machine may read both: nothing of them is told.
    NotPublic,
    /// They are not looked at: one is a link, no regular file, too long, or in a folder that others than root may change.
    NotRead,
    /// No room was left in the answer, or no time.
    NoRoom,
    /// One that a later version knows.
    #[serde(other)]
    Unknown,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_difference_reads_back_and_one_of_a_later_version_is_unknown() {
        let unified = ConffileDiff::Unified {
            text: "--- a\n".into(),
            is_cut: false,
        };
        let text = serde_json::to_string(&unified).unwrap();
        assert_eq!(text, r#"{"kind":"unified","text":"--- a\n"}"#);
        assert_eq!(serde_json::from_str::<ConffileDiff>(&text).unwrap(), unified);
        let later: ConffileDiff = serde_json::from_str(r#"{"kind":"folded"}"#).unwrap();
        assert_eq!(later, ConffileDiff::Unknown);
    }
}
