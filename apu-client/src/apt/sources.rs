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
    for (at, name, value) in options(text, deb822) {
        if OPTIONS.contains(&name.as_str()) && !is_no(value) {
            let option = format!("{name}={value}");
            return Err(Insecure { at, option });
        }
    }
    Ok(())
}

/// Whether the administrator takes lists of some source after their time is over, as for a snapshot.
pub(crate) fn waives_expiry(text: &str, deb822: bool) -> bool {
    let mut options = options(text, deb822).into_iter();
    options.any(|(_, name, value)| name == "check-valid-until" && is_no(value))
}

/// One archive that a file names, and the key that may sign for it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Source {
    /// Its address, without a slash at its end.
    pub(crate) uri: String,
    /// Its suite, or its path where it is flat.
    pub(crate) suite: String,
    /// A keyring's path, fingerprints, or a key itself; none where any key that apt trusts will do.
    pub(crate) signed_by: Option<String>,
}

impl Source {
    fn new(uri: &str, suite: &str, signed_by: Option<&str>) -> Self {
        Self {
            uri: uri.trim_end_matches('/').to_owned(),
            suite: suite.to_owned(),
            signed_by: signed_by.map(str::to_owned),
        }
    }

    /// Whether both are the same archive, whoever may sign for it.
    pub(crate) fn is_at(&self, other: &Self) -> bool {
        (&self.uri, &self.suite) == (&other.uri, &other.suite)
    }
}

/// The binary archives that a file names and that are switched on, each address with each suite.
pub(crate) fn sources(text: &str, deb822: bool) -> Vec<Source> {
    if deb822 {
        paragraphs(text)
            .filter(|fields| is_on(fields))
            .flat_map(|fields| paragraph_sources(&fields))
            .collect()
    } else {
        text.lines().filter_map(line_source).collect()
    }
}

fn paragraph_sources(fields: &[Field<'_>]) -> Vec<Source> {
    let value = |name: &str| {
        fields
            .iter()
            .find(|field| field.is(name))
            .map(|field| field.value)
    };
    let words = |name: &str| value(name).unwrap_or_default().split_whitespace();
    if !words("Types").any(|kind| kind == "deb") {
        return Vec::new();
    }
    let suites: Vec<&str> = words("Suites").collect();
    words("URIs")
        .flat_map(|uri| suites.iter().map(move |suite| (uri, *suite)))
        .map(|(uri, suite)| Source::new(uri, suite, value("Signed-By")))
        .collect()
}

/// `deb [option=value …] URI SUITE …`.
fn line_source(line: &str) -> Option<Source> {
    let line = line.split('#').next()?.trim();
    let rest = line.strip_prefix("deb")?;
    let rest = rest.starts_with([' ', '\t', '[']).then(|| rest.trim_start())?;
    let (inside, rest) = match rest.strip_prefix('[') {
        Some(rest) => rest.split_once(']')?,
        None => ("", rest),
    };
    let key = inside.split_whitespace().find_map(|word| {
        let (name, value) = word.split_once('=')?;
        name.eq_ignore_ascii_case("signed-by").then_some(value)
    });
    let mut words = rest.split_whitespace();
    Some(Source::new(words.next()?, words.next()?, key))
}

fn is_on(fields: &[Field<'_>]) -> bool {
    fields
        .iter()
        .all(|field| !field.is("Enabled") || !is_no(field.value))
}

/// Every option of every source that is switched on: where, its name in lower case, and its value.
fn options(text: &str, deb822: bool) -> Vec<(usize, String, &str)> {
    let found = if deb822 {
        paragraph_options(text)
    } else {
        line_options(text)
    };
    // apt takes `name+=value` too.
    let plain = |name: &str| name.trim_end_matches(['+', '-']).to_ascii_lowercase();
    found
        .into_iter()
        .map(|(at, name, value)| (at, plain(name), value))
        .collect()
}

fn paragraph_options(text: &str) -> Vec<(usize, &str, &str)> {
    (1..)
        .zip(paragraphs(text))
        .filter(|(_, fields)| is_on(fields))
        .flat_map(|(at, fields)| fields.into_iter().map(move |field| (at, field.name, field.value)))
        .collect()
}

fn line_options(text: &str) -> Vec<(usize, &str, &str)> {
    let mut options = Vec::new();
    for (at, line) in (1..).zip(text.lines()) {
        let line = line.split('#').next().unwrap_or_default().trim();
        let Some((_, inside)) = line.split_once('[') else {
            continue;
        };
        let words = inside.split(']').next().unwrap_or_default().split_whitespace();
        options.extend(words.map(|word| {
            let (name, value) = word.split_once('=').unwrap_or((word, "yes"));
            (at, name, value)
        }));
    }
    options
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
    fn a_source_that_may_be_out_of_date_is_known() {
        assert!(waives_expiry("deb [check-valid-until=no] http://x/ a b\n", false));
        assert!(waives_expiry("Types: deb\nCheck-Valid-Until: no\n", true));
        assert!(!waives_expiry(
            "deb [check-valid-until=yes] http://x/ a b\n",
            false
        ));
    }

    #[test]
    fn archives_are_named_with_the_key_that_may_sign_for_them() {
        let source = |uri: &str, suite: &str, key: Option<&str>| Source::new(uri, suite, key);
        assert_eq!(
            sources(
                "# deb http://x/ ./\ndeb http://a/local/ ./\ndeb-src http://a/local ./\n\
                 deb [arch=amd64 signed-by=/k.gpg] http://b/debian stable main # x\ndebug http://c/ s m\n",
                false
            ),
            [
                source("http://a/local", "./", None),
                source("http://b/debian", "stable", Some("/k.gpg")),
            ]
        );
        assert_eq!(
            sources(
                "Types: deb deb-src\nURIs: http://a/local\n http://b/\nSuites: ./\nSigned-By: /k.gpg\n\n\
                 Types: deb-src\nURIs: http://c/\nSuites: s\n\n\
                 Enabled: no\nTypes: deb\nURIs: http://d/\nSuites: s\n",
                true
            ),
            [
                source("http://a/local", "./", Some("/k.gpg")),
                source("http://b", "./", Some("/k.gpg")),
            ]
        );
    }

    #[test]
    fn the_finding_says_where_and_what() {
        let error = audit("deb http://x/ a b\ndeb [trusted=yes] http://y/ ./\n", false).unwrap_err();
        assert_eq!(error.to_string(), "line or paragraph 2 sets trusted=yes");
    }
}
