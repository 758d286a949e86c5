//! Words of sources.list(5) that server and client must read alike: apt's yes and no, and the options that waive signatures.

/// The options, in lower case, with which apt takes packages from a source that nobody signed.
pub const UNSIGNED_OPTIONS: [&str; 4] = [
    "trusted",
    "allow-insecure",
    "allow-weak",
    "allow-downgrade-to-insecure",
];

/// Reads a word that apt takes for yes or for no, in any case. apt takes any other word for neither, silently.
#[must_use]
pub fn yes_or_no(word: &str) -> Option<bool> {
    match word.to_ascii_lowercase().as_str() {
        "yes" | "true" | "with" | "on" | "enable" | "1" => Some(true),
        "no" | "false" | "without" | "off" | "disable" | "0" => Some(false),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::yes_or_no;

    #[test]
    fn apts_words_are_read_in_any_case_and_no_others() {
        assert_eq!(yes_or_no("With"), Some(true));
        assert_eq!(yes_or_no("WITHOUT"), Some(false));
        for word in ["", "y", "yes ", "2", "force", "maybe"] {
            assert_eq!(yes_or_no(word), None, "{word:?}");
        }
    }
}
