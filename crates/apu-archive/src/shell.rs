//! Words that a shell takes as they are: advice is there to be typed.

/// The word, in quotes where bash, zsh or dash would read something else: `'web[1-2]'`, `'!db'`.
#[must_use]
pub fn quote(word: &str) -> String {
    let is_plain = |c: char| c.is_ascii_alphanumeric() || "-_.,:/@+%=".contains(c);
    // zsh reads a leading = as a path.
    if !word.is_empty() && word.chars().all(is_plain) && !word.starts_with('=') {
        return word.to_owned();
    }
    format!("'{}'", word.replace('\'', "'\\''"))
}

#[cfg(test)]
mod tests {
    use std::process::Command;

    use super::*;

    #[test]
    fn a_set_of_hosts_is_quoted_and_a_name_is_not() {
        assert_eq!(quote("web1,db.example.org"), "web1,db.example.org");
        assert_eq!(quote("web[1-2]"), "'web[1-2]'");
        assert_eq!(quote("all,!db"), "'all,!db'");
        assert_eq!(quote(""), "''");
    }

    #[test]
    fn a_shell_reads_back_what_was_quoted() {
        for word in ["web[1-2],!x", "a b", "it's", "$(id)", "=ls", "~root", "a;b", "*"] {
            let output = Command::new("sh")
                .args(["-c", &format!("printf %s {}", quote(word))])
                .output()
                .unwrap();
            assert_eq!(String::from_utf8(output.stdout).unwrap(), word);
        }
    }
}
