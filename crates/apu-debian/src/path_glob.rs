//! Patterns of absolute paths: `*` is any number of characters, / included, `?` is one character, everything else is itself.

use crate::glob::matches_glob;
use crate::text_value;

/// The longest pattern, in bytes.
pub const MAX_PATH_GLOB: usize = 256;

text_value!(
    /// A pattern of absolute paths: it begins with /, and has neither blanks nor commas, for which `?` can stand.
    PathGlob,
    is_glob,
    String,
    |text: &str| format!(
        "{text:?} is not a pattern of absolute paths: / and at most {MAX_PATH_GLOB} printable ASCII characters without blanks and commas"
    )
);

fn is_glob(text: &str) -> bool {
    let is_plain = |byte: u8| byte.is_ascii_graphic() && byte != b',';
    text.len() <= MAX_PATH_GLOB && text.starts_with('/') && text.bytes().all(is_plain)
}

impl PathGlob {
    /// Whether a path matches it.
    #[must_use]
    pub fn matches(&self, path: &str) -> bool {
        matches_glob(self.as_str(), path)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_star_is_any_number_of_characters_and_a_question_mark_is_one() {
        let matches = |glob: &str, path: &str| glob.parse::<PathGlob>().unwrap().matches(path);
        for (glob, path) in [
            ("/*", "/etc/a"),
            ("/etc/ssh/*", "/etc/ssh/sshd_config"),
            ("/*.conf", "/etc/a.conf.conf"),
            ("/a*b*c", "/aXbYbZc"),
            ("/etc/a?b", "/etc/a b"),
            ("/etc/vim", "/etc/vim"),
        ] {
            assert!(matches(glob, path), "{glob} {path}");
        }
        for (glob, path) in [
            ("/?", "/"),
            ("/etc/ssh/*", "/etc/ssh"),
            ("/a*b*c", "/aXbYb"),
            ("/etc/vim", "/etc/vim-tiny"),
            (
                "/*a*a*a*a*a*a*a*a*a*a*b",
                "/aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa",
            ),
        ] {
            assert!(!matches(glob, path), "{glob} {path}");
        }
    }

    #[test]
    fn what_is_no_pattern_of_absolute_paths_is_refused() {
        let long = format!("/{}", "x".repeat(MAX_PATH_GLOB));
        for text in ["", "*", "etc/x", "/a b", "/a,b", "/a\nb", "/é", &long] {
            assert!(text.parse::<PathGlob>().is_err(), "{text:?}");
        }
    }
}
