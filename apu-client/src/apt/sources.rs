//! Reads from source files what `apt-get indextargets` does not report: which key may sign, whether an expired archive
//! is accepted, and options that weaken the verification of signatures.
//!
//! apt itself reports which sources need no signature at all, see `targets`.

use apu_debian::{UNSIGNED_OPTIONS, yes_or_no};

use crate::dpkg::{Field, paragraphs};

/// An option with which apt would trust a source without a valid signature.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Insecure {
    /// The line (one-line style) or the stanza (deb822), counted from 1.
    pub(crate) at: usize,
    /// The option and its value.
    pub(crate) option: String,
}

/// Looks for such options in a source file; `deb822` is the style of `*.sources`.
pub(crate) fn find_unsigned(text: &str, deb822: bool) -> Result<(), Insecure> {
    for (at, name, value) in options(text, deb822) {
        if UNSIGNED_OPTIONS.contains(&name.as_str()) && !is_no(value) {
            let option = format!("{name}={value}");
            return Err(Insecure { at, option });
        }
    }
    Ok(())
}

/// Options that weaken the verification and that apt does not report. They are found by name anywhere outside of
/// comments, in every spelling that apt accepts, and also in sources that are disabled.
const UNREPORTED_OPTIONS: [&str; 3] = ["allow-insecure", "allow-weak", "allow-downgrade-to-insecure"];

/// Looks for an option that apt does not report, set to anything but no.
pub(crate) fn find_unreported(text: &str) -> Result<(), Insecure> {
    for (at, line) in (1..).zip(text.lines()) {
        if line.trim_start().starts_with('#') {
            continue;
        }
        let line = normalized(line);
        for name in UNREPORTED_OPTIONS {
            for (found, _) in line.match_indices(name) {
                let value = line[found + name.len()..].trim_start_matches(['+', '-', ' ', '\t', '=', ':']);
                let value = value.split([' ', '\t', ']']).next().unwrap_or_default();
                if !is_no(value) {
                    let option = format!("{name}={value}");
                    return Err(Insecure { at, option });
                }
            }
        }
    }
    Ok(())
}

/// Returns a line as apt reads its words: without quotes and percent-encoding, in lower case.
fn normalized(line: &str) -> String {
    let mut normalized = String::new();
    let mut rest = line;
    while let Some(first) = rest.chars().next() {
        let code = rest
            .strip_prefix('%')
            .and_then(|rest| rest.get(..2))
            .and_then(|code| u8::from_str_radix(code, 16).ok());
        match code {
            Some(code) => {
                normalized.push(char::from(code));
                rest = &rest[3..];
            }
            None => {
                if first != '"' {
                    normalized.push(first);
                }
                rest = &rest[first.len_utf8()..];
            }
        }
    }
    normalized.to_ascii_lowercase()
}

/// Whether a source has `Check-Valid-Until: no`, as for a snapshot, so that expired lists are accepted. `at` is the
/// line or the stanza of the source, as apt counts. A source that is not understood accepts no expired lists.
pub(crate) fn waives_expiry(text: &str, deb822: bool, at: usize, archive: (&str, &str)) -> bool {
    let Some(nth) = at.checked_sub(1) else {
        return false;
    };
    let same = |uri: &str, suite: &str| (uri.trim_end_matches('/'), suite) == archive;
    let waiver = |name: &str| name.eq_ignore_ascii_case("check-valid-until");
    if deb822 {
        let Some(fields) = paragraphs(text).nth(nth) else {
            return false;
        };
        let named = paragraph_sources(&fields)
            .iter()
            .any(|source| same(&source.uri, &source.suite));
        let mut values = fields.iter().filter(|field| waiver(field.name));
        let is_waived = values.next().is_some_and(|field| is_no(field.value)) && values.next().is_none();
        return named && is_waived;
    }
    let Some(line) = text.lines().nth(nth) else {
        return false;
    };
    let is_plain = !line.contains(['"', '%', '#']);
    let named = line_source(line).is_some_and(|source| same(&source.uri, &source.suite));
    let inside = line
        .split_once('[')
        .and_then(|(_, rest)| rest.split_once(']'))
        .map_or("", |(inside, _)| inside);
    let mut values = inside
        .split_whitespace()
        .filter_map(|word| word.split_once('='))
        .filter(|(name, _)| waiver(name));
    let is_waived = values.next().is_some_and(|(_, value)| is_no(value)) && values.next().is_none();
    is_plain && named && is_waived
}

/// One archive in a source file, and the key that may sign it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Source {
    /// Its address, without a slash at its end.
    pub(crate) uri: String,
    /// Its suite, or its path if the archive is flat.
    pub(crate) suite: String,
    /// The path of a keyring, fingerprints, or a key itself; none where every key that apt trusts is accepted.
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

    /// Whether both are the same archive, regardless of the key.
    pub(crate) fn is_at(&self, other: &Self) -> bool {
        (&self.uri, &self.suite) == (&other.uri, &other.suite)
    }
}

/// Returns the enabled archives of binary packages in a source file, each address with each suite.
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

/// Parses `deb [option=value …] URI SUITE …`.
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

/// Returns every option of every enabled source: its line or stanza, its name in lower case, and its value.
fn options(text: &str, deb822: bool) -> Vec<(usize, String, &str)> {
    let found = if deb822 {
        paragraph_options(text)
    } else {
        line_options(text)
    };
    // apt accepts `name+=value` too.
    let normalized = |name: &str| name.trim_end_matches(['+', '-']).to_ascii_lowercase();
    found
        .into_iter()
        .map(|(at, name, value)| (at, normalized(name), value))
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

/// Whether a value is one of apt's words for no; every other value counts as yes.
fn is_no(value: &str) -> bool {
    yes_or_no(value.trim()) == Some(false)
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
            assert!(find_unsigned(text, deb822).is_err(), "{text}");
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
            assert_eq!(find_unsigned(text, deb822), Ok(()), "{text}");
        }
    }

    #[test]
    fn a_waiver_counts_for_the_archive_that_it_stands_beside_and_for_no_other() {
        let waives = |text: &str, deb822: bool, at: usize| waives_expiry(text, deb822, at, ("http://x", "a"));
        let waived = "deb [check-valid-until=no] http://x/ a b\n";
        assert!(waives(waived, false, 1));
        assert!(waives(&format!("deb http://y/ a b\n{waived}"), false, 2));
        assert!(!waives(&format!("{waived}deb http://x/ a b\n"), false, 2));
        assert!(!waives(waived, false, 0) && !waives(waived, false, 2));
        let stanza = "Types: deb\nURIs: http://x/\nSuites: a\nCheck-Valid-Until: no\n";
        assert!(waives(stanza, true, 1));
        assert!(!waives(
            &format!("{stanza}\n{}", stanza.replace("no", "yes")),
            true,
            2
        ));
    }

    #[test]
    fn a_waiver_that_is_not_understood_is_none() {
        for line in [
            "deb [check-valid-until=yes] http://x/ a b",
            "deb [check-valid-until=nope] http://x/ a b",
            "deb [check-valid-until=no check-valid-until=yes] http://x/ a b",
            "deb [lang=en#x check-valid-until=no] http://x/ a b",
            "deb [check-valid-until=%6eo] http://x/ a b",
            "deb [check-valid-until=no] http://y/ a b",
            "deb [check-valid-until=no] http://x/ c b",
        ] {
            assert!(!waives_expiry(line, false, 1, ("http://x", "a")), "{line}");
        }
        let twice = "Types: deb\nURIs: http://x/\nSuites: a\nCheck-Valid-Until: no\nCheck-Valid-Until: yes\n";
        assert!(!waives_expiry(twice, true, 1, ("http://x", "a")));
    }

    #[test]
    fn what_apt_does_not_tell_of_a_source_is_found_however_it_is_spelled() {
        for text in [
            "deb [allow-weak=yes] http://x/ ./\n",
            "deb [lang=en#x allow-weak=yes] http://x/ ./\n",
            "deb [allow%2dweak=yes] http://x/ ./\n",
            "deb [allow-we\"ak\"=yes] http://x/ ./\n",
            "deb [allow-insecure+=1] http://x/ ./\n",
            "Types: deb\nAllow-Weak:\n yes\n",
            "Enabled: no\nEnabled: yes\nALLOW-DOWNGRADE-TO-INSECURE: yes\n",
        ] {
            assert!(find_unreported(text).is_err(), "{text}");
        }
        for text in [
            "deb http://x/ ./\n",
            "# deb [allow-weak=yes] http://x/ ./\n",
            "deb [allow-weak=no] http://x/ ./\n",
            "Allow-Insecure: no\n",
        ] {
            assert_eq!(find_unreported(text), Ok(()), "{text}");
        }
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
        let error = find_unsigned("deb http://x/ a b\ndeb [trusted=yes] http://y/ ./\n", false).unwrap_err();
        assert_eq!((error.at, error.option.as_str()), (2, "trusted=yes"));
    }
}
