//! The rules of one stanza: what apt would refuse on a client, and what it would take and should not.

use apu_debian::{UNSIGNED_OPTIONS, yes_or_no};

use super::distribution::{Distribution, is_moving};
use super::one_line::{FOR_ALL, OPTIONS};
use super::signed_by::SignedBy;
use super::{SourcesError, Stanza, uri};

/// Lists that a source may also add to or remove from.
const LISTS: [&str; 3] = ["Architectures", "Languages", "Targets"];

const NUMBERS: [&str; 3] = ["Valid-Until-Min", "Valid-Until-Max", "Date-Max-Future"];

fn types(stanza: &Stanza) -> Result<(), SourcesError> {
    let (line, field) = (stanza.line, "Types");
    if stanza.words(field).next().is_none() {
        return Err(SourcesError::Missing { line, field });
    }
    match stanza
        .words(field)
        .find(|kind| !["deb", "deb-src"].contains(kind))
    {
        Some(kind) => Err(value_error(line, field, kind, "there are deb and deb-src")),
        None => Ok(()),
    }
}

/// Checks a stanza, and names its key; nothing comes back of one that is switched off.
pub(super) fn check(mut stanza: Stanza) -> Result<Option<Stanza>, SourcesError> {
    let line = stanza.line;
    if let Some(value) = stanza.get("Enabled") {
        match yes_or_no(value.trim()) {
            Some(true) => {}
            Some(false) => {
                // The type is what apt reads before it sees that the source is off.
                types(&stanza)?;
                return Ok(None);
            }
            None => return Err(value_error(line, "Enabled", value, "write yes or no")),
        }
    }
    if let Some(value) = stanza.get(FOR_ALL) {
        if value.trim() != "any" {
            return Err(value_error(line, FOR_ALL, value, "it can only be `any`"));
        }
        stanza.for_all = true;
    }
    // apt reads none of what starts with X-, and these two were obeyed here.
    stanza.fields.retain(|(name, _)| {
        !name.eq_ignore_ascii_case("Enabled")
            && !name
                .get(..2)
                .is_some_and(|start| start.eq_ignore_ascii_case("X-"))
    });
    // apt takes commas there too, and nowhere else.
    for (name, value) in &mut stanza.fields {
        if LISTS.contains(&list_of(name)) {
            *value = value
                .split([',', ' ', '\t', '\n'])
                .filter(|word| !word.is_empty())
                .collect::<Vec<_>>()
                .join(" ");
        }
    }
    fields(&stanza)?;
    types(&stanza)?;
    for field in ["URIs", "Suites"] {
        if stanza.words(field).next().is_none() {
            return Err(SourcesError::Missing { line, field });
        }
    }
    for uri in stanza.words("URIs") {
        uri::check(uri).map_err(|source| SourcesError::Uri { line, source })?;
    }
    suites(&stanza)?;
    let signed_by = SignedBy::parse(stanza.get("Signed-By").unwrap_or_default())
        .map_err(|source| SourcesError::SignedBy { line, source })?;
    match signed_by {
        Some(SignedBy::Named(words)) => stanza.set_signed_by(&words),
        Some(SignedBy::Block(_)) => {}
        None => {
            let keyring = guess(&stanza)?;
            stanza.set_signed_by(&[keyring.to_owned()]);
        }
    }
    if stanza.distribution().is_some()
        && let Some(suite) = stanza.words("Suites").find(|suite| is_moving(suite))
    {
        return Err(SourcesError::Moving {
            line,
            suite: suite.to_owned(),
        });
    }
    Ok(Some(stanza))
}

fn value_error(line: usize, field: &str, value: &str, expected: &'static str) -> SourcesError {
    SourcesError::Value {
        line,
        field: field.to_owned(),
        value: value.chars().take(80).collect(),
        expected,
    }
}

/// The list that a field is, or adds to or removes from.
fn list_of(name: &str) -> &'static str {
    let is = |field: &&&str| {
        let start = name.get(..field.len()).unwrap_or_default();
        let end = name.get(field.len()..).unwrap_or_default();
        start.eq_ignore_ascii_case(field)
            && ["", "-add", "-remove"].contains(&end.to_ascii_lowercase().as_str())
    };
    LISTS.iter().find(is).copied().unwrap_or_default()
}

/// Every field is one that apt knows, with a value that apt reads as it is meant.
fn fields(stanza: &Stanza) -> Result<(), SourcesError> {
    let line = stanza.line;
    for (name, value) in &stanza.fields {
        let is = |other: &str| name.eq_ignore_ascii_case(other);
        let known = ["Types", "URIs", "Suites", "Components"]
            .iter()
            .any(|known| is(known))
            || OPTIONS.iter().any(|(_, field)| is(field))
            || LISTS.contains(&list_of(name));
        if !known {
            return Err(SourcesError::Unknown {
                line,
                field: name.clone(),
            });
        }
        let word = value.trim();
        let error = |expected| value_error(line, name, word, expected);
        if UNSIGNED_OPTIONS.iter().any(|option| is(option)) {
            if yes_or_no(word) != Some(false) {
                return Err(SourcesError::Unsafe {
                    line,
                    option: name.clone(),
                });
            }
        } else if ["Check-Valid-Until", "Check-Date", "PDiffs"]
            .iter()
            .any(|option| is(option))
        {
            yes_or_no(word).ok_or_else(|| error("write yes or no"))?;
        } else if is("By-Hash") {
            if yes_or_no(word).is_none() && !word.eq_ignore_ascii_case("force") {
                return Err(error("write yes, no or force"));
            }
        } else if NUMBERS.iter().any(|option| is(option)) {
            if word.is_empty() || word.len() > 12 || !word.bytes().all(|byte| byte.is_ascii_digit()) {
                return Err(error("write a number of seconds"));
            }
        } else if is("Include") || is("Exclude") {
            return Err(error(
                "releases of apt before it would read it as if it were not there, and take everything",
            ));
        } else if !is("Signed-By") {
            let plain = |byte: u8| {
                byte.is_ascii_graphic() && byte != b'#' && byte != b',' || byte.is_ascii_whitespace()
            };
            if !value.bytes().all(plain) {
                return Err(error(
                    "write words of letters and digits, with blanks between them",
                ));
            }
        }
    }
    Ok(())
}

/// A suite that is a path has no components, any other has some; neither leads out of the archive.
fn suites(stanza: &Stanza) -> Result<(), SourcesError> {
    let line = stanza.line;
    let plain = |byte: u8| byte.is_ascii_alphanumeric() || b"./_-+~$():".contains(&byte);
    let leads_out = |path: &str| path.split('/').any(|part| part == "..");
    for suite in stanza.words("Suites") {
        if !suite.bytes().all(plain) || leads_out(suite) || suite.starts_with('-') {
            return Err(SourcesError::Suite {
                line,
                suite: suite.to_owned(),
            });
        }
        match stanza.words("Components").next() {
            Some(component) if suite.ends_with('/') => {
                return Err(SourcesError::PathWithComponent {
                    line,
                    suite: suite.to_owned(),
                    component: component.to_owned(),
                });
            }
            None if !suite.ends_with('/') => {
                return Err(SourcesError::Missing {
                    line,
                    field: "Components",
                });
            }
            _ => {}
        }
    }
    let plain = |byte: u8| byte.is_ascii_alphanumeric() || b"./_-+~$()".contains(&byte);
    let is_component = |word: &str| {
        word.bytes().all(plain)
            && word.starts_with(|c: char| c.is_ascii_alphanumeric() || c == '$')
            && !word.ends_with('/')
            && !word.split('/').any(|part| matches!(part, "" | "." | ".."))
    };
    match stanza.words("Components").find(|word| !is_component(word)) {
        Some(component) => Err(SourcesError::Component {
            line,
            component: component.to_owned(),
        }),
        None => Ok(()),
    }
}

/// The keyring of a source that names none: a distribution's, if all its addresses are of that distribution.
fn guess(stanza: &Stanza) -> Result<&'static str, SourcesError> {
    let line = stanza.line;
    let suites: Vec<&str> = stanza.words("Suites").collect();
    let components: Vec<&str> = stanza.words("Components").collect();
    let whose = stanza
        .words("URIs")
        .map(|uri| Distribution::of_mirror(uri, &suites, &components))
        .reduce(|one, other| one.filter(|_| one == other));
    if let Some(distribution) = whose.flatten() {
        return Ok(distribution.keyring());
    }
    let uri = stanza.words("URIs").collect::<Vec<_>>().join(" ");
    let last = uri.trim_end_matches('/').rsplit('/').next().unwrap_or_default();
    let named = match last {
        "debian" => Some(Distribution::Debian),
        "ubuntu" => Some(Distribution::Ubuntu),
        _ => None,
    };
    Err(match named {
        Some(distribution) => SourcesError::WhoseKey {
            line,
            uri,
            keyring: distribution.keyring(),
        },
        None => SourcesError::NoKey { line, uri },
    })
}

#[cfg(test)]
mod tests {
    use crate::sources::parse;

    fn stanza(more: &str) -> String {
        format!("Types: deb\nURIs: http://v.example.org/apt\nSuites: s\nSigned-By: /k.gpg\n{more}")
    }

    #[test]
    fn what_apt_would_refuse_or_misread_is_refused_with_its_line() {
        for (text, part) in [
            (stanza(""), "the source has no Components"),
            (stanza("Components: main,\n"), "Components cannot be \"main,\""),
            (stanza("Components: ../../x\n"), "\"../../x\" is not a component"),
            (stanza("Components: /main\n"), "\"/main\" is not a component"),
            (
                stanza("Components: main\nComponent: x\n"),
                "there is no Component in",
            ),
            (
                stanza("Components: main\nEnabled: maybe\n"),
                "Enabled cannot be \"maybe\"",
            ),
            (stanza("Components: main\nBy-Hash: sure\n"), "By-Hash cannot be"),
            (
                stanza("Components: main\nValid-Until-Max: 1d\n"),
                "Valid-Until-Max cannot be",
            ),
            (stanza("Components: main\nInclude: a b\n"), "Include cannot be"),
            (
                stanza(
                    "Components: main
Architectures: amd64#x
",
                ),
                "Architectures cannot be",
            ),
            (
                stanza("Components: main\n").replace("Suites: s", "Suites: s ./"),
                "the suite ./ is a path, which has no components, and there is main",
            ),
            (
                stanza("Components: main\n").replace("Suites: s", "Suites: ../s"),
                "\"../s\" is not a suite",
            ),
            (
                stanza("Components: main\n").replace("Types: deb", "Types: deb rpm"),
                "Types cannot be \"rpm\"",
            ),
            (
                stanza("Components: main\n").replace("/k.gpg", "k.gpg"),
                "neither an absolute path",
            ),
        ] {
            let error = parse(&format!("# head\n\n{text}")).unwrap_err().to_string();
            assert!(error.starts_with("line 3: "), "{text}: {error}");
            assert!(error.contains(part), "{text}: {error}");
        }
    }

    #[test]
    fn every_word_that_apt_reads_as_no_switches_a_source_off_and_no_other() {
        for word in ["no", "False", "without", "OFF", "disable", "0"] {
            let text = stanza(&format!("Components: main\nEnabled: {word}\n"));
            assert_eq!(parse(&text), Ok(Vec::new()), "{word}");
        }
        for word in ["yes", "True", "with", "ON", "enable", "1"] {
            let read = parse(&stanza(&format!("Components: main\nEnabled: {word}\n"))).unwrap();
            assert!(!read[0].to_string().contains("Enabled"), "{word}");
        }
    }

    #[test]
    fn a_vendors_archive_is_asked_for_its_key_though_its_address_ends_like_a_mirrors() {
        for line in [
            "deb https://v.example.org/linux/debian bookworm stable",
            "deb https://v.example.org/zabbix/6.0/debian bookworm main",
            "deb http://v.example.org/packages/ubuntu jammy nginx",
        ] {
            let error = parse(line).unwrap_err();
            assert!(error.to_string().contains("has no Signed-By"), "{line}: {error}");
            let advice = error.advice("F");
            assert!(
                advice.contains("[signed-by=/usr/share/keyrings/NAME.gpg]"),
                "{advice}"
            );
            assert!(
                advice.contains("-archive-keyring.gpg] if it is a mirror"),
                "{advice}"
            );
        }
    }

    #[test]
    fn a_suite_that_moves_to_the_next_release_is_refused_for_a_distribution_alone() {
        for suite in ["stable", "oldstable", "stable-updates", "oldstable-security"] {
            let line = format!("deb http://mirror.debian.org/debian {suite} main");
            let error = parse(&line).unwrap_err().to_string();
            assert!(error.contains("another release on the day"), "{suite}: {error}");
        }
        assert!(parse("deb http://archive.ubuntu.com/ubuntu devel main").is_err());
        assert!(parse("deb [signed-by=/k.gpg] https://v.example.org/apt stable main").is_ok());
        assert!(parse("deb http://mirror.example.org/debian sid main").is_ok());
    }
}
