//! The audit of the source files: options that make apt trust an archive without a valid signature.
//!
//! No option of apt's own overrides `trusted=yes`, and `apt-get indextargets` does not tell it, so the files are read.

use thiserror::Error;

use crate::dpkg::{Field, paragraphs};

/// A source that apt would trust without a valid signature.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
#[error("line or paragraph {at} sets {option}")]
pub(crate) struct Insecure {
    /// Which line (one-line style) or paragraph (deb822), counted from 1.
    pub(crate) at: usize,
    /// The option, as apt names it.
    pub(crate) option: String,
}

const OPTIONS: [&str; 4] = [
    "trusted",
    "allow-insecure",
    "allow-weak",
    "allow-downgrade-to-insecure",
];

/// Reads a source file; `deb822` is the style of `*.sources`.
pub(crate) fn audit(text: &str, deb822: bool) -> Result<(), Insecure> {
    if deb822 {
        audit_deb822(text)
    } else {
        audit_lines(text)
    }
}

fn audit_deb822(text: &str) -> Result<(), Insecure> {
    for (at, fields) in (1..).zip(paragraphs(text)) {
        let enabled = |field: &Field<'_>| !field.is("Enabled") || !is_no(field.value);
        if !fields.iter().all(enabled) {
            continue;
        }
        for field in fields {
            judge(at, field.name, field.value)?;
        }
    }
    Ok(())
}

fn audit_lines(text: &str) -> Result<(), Insecure> {
    for (at, line) in (1..).zip(text.lines()) {
        let line = line.split('#').next().unwrap_or_default().trim();
        let Some((_, options)) = line.split_once('[') else {
            continue;
        };
        let options = options.split(']').next().unwrap_or_default();
        for option in options.split_whitespace() {
            let (name, value) = option.split_once('=').unwrap_or((option, "yes"));
            judge(at, name, value)?;
        }
    }
    Ok(())
}

fn judge(at: usize, name: &str, value: &str) -> Result<(), Insecure> {
    // apt takes `name+=value` too.
    let name = name.trim_end_matches(['+', '-']).to_ascii_lowercase();
    if OPTIONS.contains(&name.as_str()) && !is_no(value) {
        let option = format!("{name}={value}");
        return Err(Insecure { at, option });
    }
    Ok(())
}

/// The words that apt reads as no; whatever else is taken for a yes here.
fn is_no(value: &str) -> bool {
    let words = ["no", "false", "without", "off", "disable", "0"];
    words.iter().any(|word| value.trim().eq_ignore_ascii_case(word))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_source_that_is_trusted_without_a_signature_is_found() {
        for (text, deb822) in [
            ("deb [trusted=yes] http://x/ ./\n", false),
            ("deb [ arch=amd64 trusted=yes ] http://x/ ./\n", false),
            ("deb [signed-by=/k Trusted=1] http://x/ ./\n", false),
            ("deb [trusted+=yes] http://x/ ./\n", false),
            ("deb-src [allow-insecure=yes] http://x/ ./\n", false),
            ("Types: deb\nURIs: http://x/\nTrusted: yes\n", true),
            ("Types: deb\n\nTypes: deb\nallow-weak: true\n", true),
            ("Types: deb\nEnabled: yes\nTrusted: yes\n", true),
        ] {
            assert!(audit(text, deb822).is_err(), "{text}");
        }
    }

    #[test]
    fn a_source_that_is_signed_or_switched_off_passes() {
        for (text, deb822) in [
            ("", false),
            ("# deb [trusted=yes] http://x/ ./\n", false),
            ("deb [trusted=no] http://x/ ./\n", false),
            (
                "deb [signed-by=/usr/share/keyrings/a.gpg] http://x/ stable main # [trusted=yes]\n",
                false,
            ),
            ("Types: deb\nEnabled: no\nTrusted: yes\n", true),
            (
                "Types: deb\nURIs: http://x/\nSigned-By: /k\n# Trusted: yes\n",
                true,
            ),
        ] {
            assert_eq!(audit(text, deb822), Ok(()), "{text}");
        }
    }

    #[test]
    fn the_finding_says_where_and_what() {
        let error = audit("deb http://x/ a b\ndeb [trusted=yes] http://y/ ./\n", false).unwrap_err();
        assert_eq!(error.to_string(), "line or paragraph 2 sets trusted=yes");
    }
}
