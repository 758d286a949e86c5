//! Matches names with the globs that policy.toml and apu.toml take.

/// Whether the glob matches the whole name: `*` is any number of characters, `?` is one character, everything else is itself.
#[must_use]
pub fn matches_glob(glob: &str, name: &str) -> bool {
    let (glob, name) = (glob.as_bytes(), name.as_bytes());
    let (mut at, mut place) = (0, 0);
    // Where the last * stands, and from where on its rest was tried: no other * has to be tried again.
    let mut last: Option<(usize, usize)> = None;
    while place < name.len() {
        match glob.get(at) {
            Some(b'*') => {
                last = Some((at, place));
                at += 1;
            }
            Some(byte) if *byte == b'?' || *byte == name[place] => {
                at += 1;
                place += 1;
            }
            _ => {
                let Some((star, tried)) = last else {
                    return false;
                };
                last = Some((star, tried + 1));
                (at, place) = (star + 1, tried + 1);
            }
        }
    }
    glob[at..].iter().all(|byte| *byte == b'*')
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
