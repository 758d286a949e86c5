//! Matches names with the globs that policy.toml and apu.toml take.

/// Whether the glob matches the whole name: `*` is any number of characters, `?` is one character, everything else is itself.
#[must_use]
pub fn matches_glob(glob: &str, name: &str) -> bool {
    matches_bytes(glob.as_bytes(), name.as_bytes())
}

fn matches_bytes(glob: &[u8], name: &[u8]) -> bool {
    match (glob, name) {
        ([], []) => true,
        ([b'*', rest @ ..], _) => {
            matches_bytes(rest, name) || (!name.is_empty() && matches_bytes(glob, &name[1..]))
        }
        ([b'?', glob @ ..], [_, name @ ..]) => matches_bytes(glob, name),
        ([first, glob @ ..], [other, name @ ..]) if first == other => matches_bytes(glob, name),
        _ => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn stars_and_question_marks_stand_for_characters_and_the_rest_for_itself() {
        for (glob, name, is_match) in [
            ("vim", "vim", true),
            ("vim", "vim-tiny", false),
            ("site-*", "site-", true),
            ("site-*", "site-web", true),
            ("site-*", "site", false),
            ("*@15-*", "postgresql@15-main", true),
            ("a?c", "abc", true),
            ("a?c", "ac", false),
            ("*", "", true),
            ("", "a", false),
            ("[a]", "a", false),
        ] {
            assert_eq!(matches_glob(glob, name), is_match, "{glob} {name}");
        }
    }
}
