//! Matches names and paths against the patterns of policy.toml.

/// Matches a name: `*` is any number of characters, `?` is one character, everything else is itself.
pub(super) fn matches_glob(glob: &str, name: &str) -> bool {
    matches(glob.as_bytes(), name.as_bytes())
}

fn matches(glob: &[u8], name: &[u8]) -> bool {
    // Where the last * began, and what it has taken so far: no other * has to be tried again.
    let (mut at, mut place) = (0, 0);
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
                let Some((star, taken)) = last else {
                    return false;
                };
                last = Some((star, taken + 1));
                at = star + 1;
                place = taken + 1;
            }
        }
    }
    glob[at..].iter().all(|byte| *byte == b'*')
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_star_is_any_number_of_characters_and_a_question_mark_is_one() {
        for (glob, name) in [
            ("", ""),
            ("*", ""),
            ("*", "/etc/a"),
            ("/etc/ssh/*", "/etc/ssh/sshd_config"),
            ("*.conf", "/etc/a.conf.conf"),
            ("a*b*c", "aXbYbZc"),
            ("lib?1", "libx1"),
            ("vim", "vim"),
        ] {
            assert!(matches_glob(glob, name), "{glob} {name}");
        }
        for (glob, name) in [
            ("", "a"),
            ("?", ""),
            ("/etc/ssh/*", "/etc/ssh"),
            ("a*b*c", "aXbYb"),
            ("lib?1", "libxx1"),
            ("vim", "vim-tiny"),
            (
                "*a*a*a*a*a*a*a*a*a*a*b",
                "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa",
            ),
        ] {
            assert!(!matches_glob(glob, name), "{glob} {name}");
        }
    }
}
