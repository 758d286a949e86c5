//! The site's sources.list, old style or deb822, as deb822 that names the key of every archive.
//!
//! A source that names no key is trusted with any key that a client happens to have; one that says
//! `trusted=yes` is not checked at all. Neither leaves this program. apt is stricter in some places and looser in others:
//! what it would refuse on a client, or read there in another way than it is meant here, is refused here, with its line.

mod check;
mod distribution;
mod one_line;
mod signed_by;
mod together;
mod uri;

use std::fmt;

use apu_debian::deb822::{Comments, Deb822Error, Paragraph, paragraphs};
use thiserror::Error;

pub(crate) use distribution::{DEBIAN, Distribution, UBUNTU};
pub(crate) use signed_by::SignedBy;
pub(crate) use together::{Conflict, conflict};

/// Why the sources cannot go to the clients.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub(crate) enum SourcesError {
    #[error(transparent)]
    Deb822(#[from] Deb822Error),
    #[error("line {line}: {text:?} is not a source: {reason}")]
    OneLine {
        line: usize,
        text: String,
        reason: String,
    },
    #[error("line {line}: {option} would let packages in that nobody signed")]
    Unsafe { line: usize, option: String },
    #[error("line {line}: {uri} has no Signed-By, so that any key of a client could sign for it")]
    NoKey { line: usize, uri: String },
    #[error(
        "line {line}: {0}, and nothing in its place shows whose key that would be",
        uri_without_key(uri)
    )]
    WhoseKey {
        line: usize,
        uri: String,
        keyring: &'static str,
    },
    #[error("line {line}: the source has no {field}")]
    Missing { line: usize, field: &'static str },
    #[error("line {line}: {source}")]
    Uri { line: usize, source: uri::UriError },
    #[error("line {line}: {suite:?} is not a suite")]
    Suite { line: usize, suite: String },
    #[error("line {line}: the suite {suite} of a distribution is another release on the day of its next one")]
    Moving { line: usize, suite: String },
    #[error("line {line}: {component:?} is not a component")]
    Component { line: usize, component: String },
    #[error("line {line}: the suite {suite} is a path, which has no components, and there is {component}")]
    PathWithComponent {
        line: usize,
        suite: String,
        component: String,
    },
    #[error("line {line}: there is no {field} in sources.list(5)")]
    Unknown { line: usize, field: String },
    #[error("line {line}: {field} cannot be {value:?}: {expected}")]
    Value {
        line: usize,
        field: String,
        value: String,
        expected: &'static str,
    },
    #[error("line {line}: {source}")]
    SignedBy {
        line: usize,
        source: signed_by::SignedByError,
    },
    #[error("line {line} has a byte that is no text: {what}")]
    Text { line: usize, what: &'static str },
    #[error(
        "line {line} has blanks alone: for one apt it ends a source and for another it does not; leave it empty"
    )]
    Blanks { line: usize },
}

fn uri_without_key(uri: &str) -> String {
    format!("{uri} has no Signed-By")
}

impl SourcesError {
    /// What to do about it.
    pub(crate) fn advice(&self, path: &str) -> String {
        match self {
            Self::NoKey { .. } => format!(
                "write [signed-by=/usr/share/keyrings/NAME.gpg] after `deb` on that line of {path}, and put that \
                 keyring on this server: apu-data carries it to the clients"
            ),
            Self::WhoseKey { keyring, .. } => format!(
                "write [signed-by=/usr/share/keyrings/NAME.gpg] after `deb` on that line of {path} with the vendor's \
                 keyring, which apu-data carries to the clients, or [signed-by={keyring}] if it is a mirror"
            ),
            Self::Unsafe { line, .. } => {
                format!("remove it from line {line} of {path}, and name the archive's key")
            }
            Self::Uri { source, .. } => source.advice(path),
            Self::Moving { .. } => {
                format!(
                    "write the release's own name, such as bookworm, in {path}; one line for each release is fine"
                )
            }
            Self::SignedBy {
                source: signed_by::SignedByError::Secret,
                line,
            } => format!(
                "take it out of line {line} of {path}; who could read it must be taken for its owner: make a new key"
            ),
            _ => format!("correct {path}, see sources.list(5)"),
        }
    }
}

/// Whose archive a source is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Kind {
    /// One of this server's.
    Own,
    /// Signed with a key that each machine of a distribution has: its suites are that distribution's releases.
    Distribution,
    /// Somebody else's; its suites are named after releases where its owner likes that.
    Foreign,
    /// The same, and the suite's name is meant for all releases.
    ForAll,
}

impl Kind {
    /// The word for it in the table that apu-data carries.
    pub(crate) const fn word(self) -> &'static str {
        match self {
            Self::Own => "own",
            Self::Distribution => "distribution",
            Self::Foreign => "foreign",
            Self::ForAll => "all",
        }
    }
}

/// One archive's address and suite.
pub(crate) struct Source {
    pub(crate) uri: String,
    pub(crate) suite: String,
    pub(crate) kind: Kind,
    pub(crate) stanza: Stanza,
}

/// One deb822 stanza.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Stanza {
    line: usize,
    /// Whether its suites are meant for all releases, whatever their names.
    for_all: bool,
    fields: Vec<(String, String)>,
}

impl Stanza {
    /// A stanza of this program's own.
    pub(crate) fn new(fields: &[(&str, &str)]) -> Self {
        let fields = fields
            .iter()
            .map(|(name, value)| ((*name).to_owned(), (*value).to_owned()))
            .collect();
        Self::read(0, fields)
    }

    fn read(line: usize, fields: Vec<(String, String)>) -> Self {
        Self {
            line,
            for_all: false,
            fields,
        }
    }

    /// Where it starts in the file, counted from 1; 0 for one of this program's own.
    pub(crate) const fn line(&self) -> usize {
        self.line
    }

    fn get(&self, field: &str) -> Option<&str> {
        self.fields
            .iter()
            .find(|(name, _)| name.eq_ignore_ascii_case(field))
            .map(|(_, value)| value.as_str())
    }

    /// The words of a field, over all its lines.
    fn words(&self, field: &str) -> impl Iterator<Item = &str> {
        self.get(field).unwrap_or_default().split_ascii_whitespace()
    }

    fn set(&mut self, field: &str, value: String) {
        match self
            .fields
            .iter_mut()
            .find(|(name, _)| name.eq_ignore_ascii_case(field))
        {
            Some((_, there)) => *there = value,
            None => self.fields.push((field.to_owned(), value)),
        }
    }

    /// One source for each address and suite.
    pub(crate) fn split(&self) -> Vec<Source> {
        let pairs = self
            .words("URIs")
            .flat_map(|uri| self.words("Suites").map(move |suite| (uri, suite)));
        let one = |(uri, suite): (&str, &str)| {
            let mut stanza = self.clone();
            stanza.set("URIs", uri.to_owned());
            stanza.set("Suites", suite.to_owned());
            Source {
                uri: uri.to_owned(),
                suite: suite.to_owned(),
                kind: self.kind(uri, suite),
                stanza,
            }
        };
        pairs.map(one).collect()
    }

    fn kind(&self, uri: &str, suite: &str) -> Kind {
        if self.line == 0 {
            Kind::Own
        } else if self.for_all || distribution::is_for_all(uri, suite) {
            Kind::ForAll
        } else if self.distribution().is_some() && !suite.starts_with(['.', '/']) {
            Kind::Distribution
        } else {
            Kind::Foreign
        }
    }

    /// The distribution whose keyrings alone may sign.
    fn distribution(&self) -> Option<Distribution> {
        let paths = self.words("Signed-By").filter(|word| word.starts_with('/'));
        paths
            .map(Distribution::of_keyring)
            .reduce(|one, other| one.filter(|_| one == other))
            .flatten()
    }

    /// Who may sign. What was read has been checked.
    pub(crate) fn signed_by(&self) -> Option<SignedBy> {
        SignedBy::parse(self.get("Signed-By").unwrap_or_default())
            .ok()
            .flatten()
    }

    /// Names who may sign: paths and fingerprints.
    pub(crate) fn set_signed_by(&mut self, words: &[String]) {
        self.set("Signed-By", words.join(" "));
    }
}

impl fmt::Display for Stanza {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.fields.iter().try_for_each(|(name, value)| {
            let blank = if value.starts_with('\n') { "" } else { " " };
            writeln!(f, "{name}:{blank}{value}")
        })
    }
}

/// Reads sources, in either style.
pub(crate) fn parse(text: &str) -> Result<Vec<Stanza>, SourcesError> {
    // Editors of another system leave it at the start of a file.
    let text = text.strip_prefix('\u{feff}').unwrap_or(text);
    for (line, text) in (1..).zip(text.lines()) {
        // A comment may be in any language.
        if text.trim_start().starts_with('#') {
            continue;
        }
        if let Some(letter) = text.chars().find(|c| c.is_control() && *c != '\t') {
            let what = match letter {
                '\0' => "NUL",
                '\r' => "a carriage return within the line",
                _ => "a control character",
            };
            return Err(SourcesError::Text { line, what });
        }
    }
    let stanzas = if one_line::is(text) {
        one_line::parse(text)?
    } else {
        let text = text.replace("\r\n", "\n");
        let is_blanks = |line: &str| !line.is_empty() && line.trim_matches([' ', '\t']).is_empty();
        let mut lines = (1..).zip(text.trim_ascii_end().lines());
        if let Some((line, _)) = lines.find(|(_, line)| is_blanks(line)) {
            return Err(SourcesError::Blanks { line });
        }
        let deb822 = paragraphs(&text, Comments::Skipped)?;
        deb822
            .into_iter()
            .map(|Paragraph { line, fields }| Stanza::read(line, fields))
            .collect()
    };
    let checked: Vec<Option<Stanza>> = stanzas.into_iter().map(check::check).collect::<Result<_, _>>()?;
    Ok(checked.into_iter().flatten().collect())
}

#[cfg(test)]
mod tests {
    use super::parse;

    const DEBIAN: &str = "/usr/share/keyrings/debian-archive-keyring.gpg";

    fn converted(text: &str) -> String {
        parse(text)
            .unwrap()
            .iter()
            .map(|stanza| format!("\n{stanza}"))
            .collect()
    }

    #[test]
    fn a_debian_line_gets_debians_key() {
        assert_eq!(
            converted("# the mirror\ndeb http://mirror.example.org/debian bookworm main contrib # near\n\n"),
            format!(
                "\nTypes: deb\nURIs: http://mirror.example.org/debian\nSuites: bookworm\n\
                 Components: main contrib\nSigned-By: {DEBIAN}\n"
            )
        );
    }

    #[test]
    fn options_of_a_line_become_fields() {
        assert_eq!(
            converted(
                "deb [ arch=amd64,arm64 signed-by=/usr/share/keyrings/x.gpg ] https://x.example.org/apt ./\n"
            ),
            "\nTypes: deb\nURIs: https://x.example.org/apt\nSuites: ./\nArchitectures: amd64 arm64\n\
             Signed-By: /usr/share/keyrings/x.gpg\n"
        );
    }

    #[test]
    fn a_comma_separates_words_in_lists_and_nowhere_else() {
        let error = |option: &str| {
            let line = format!("deb [{option} signed-by=/k.gpg] http://v.example.org/apt s main\n");
            parse(&line).unwrap_err().to_string()
        };
        assert!(error("by-hash=,force").contains("By-Hash cannot be \",force\""));
        assert!(error("check-valid-until=no,").contains("Check-Valid-Until cannot be \"no,\""));
        assert!(error("snapshot=a,b").contains("Snapshot cannot be \"a,b\""));
        let line = "deb [lang=de,en signed-by=/a.gpg,/b.gpg] http://v.example.org/apt s main\n";
        assert!(converted(line).contains("Languages: de en\nSigned-By: /a.gpg /b.gpg\n"));
    }

    #[test]
    fn a_foreign_source_without_a_key_is_refused() {
        let error = parse("\ndeb https://packages.example.org/apt stable main\n").unwrap_err();
        assert_eq!(
            error.to_string(),
            "line 2: https://packages.example.org/apt has no Signed-By, so that any key of a client could sign for it"
        );
    }

    #[test]
    fn nothing_unsigned_gets_through_in_either_style() {
        for text in [
            "deb [trusted=yes] http://m.example.org/debian bookworm main\n",
            "deb [allow-insecure=yes] http://m.example.org/debian bookworm main\n",
            "deb [allow-weak=yes] http://m.example.org/debian bookworm main\n",
            "deb [allow-downgrade-to-insecure=1] http://m.example.org/debian bookworm main\n",
            "Types: deb\nURIs: http://m.example.org/debian\nSuites: bookworm\nTrusted: yes\n",
            "Types: deb\nURIs: http://m.example.org/debian\nSuites: bookworm\ntrusted:\n yes\n",
        ] {
            let error = parse(text).unwrap_err().to_string();
            assert!(error.contains("nobody signed"), "{text}: {error}");
        }
        assert!(parse("deb [trusted=no] http://m.example.org/debian bookworm main\n").is_ok());
    }

    #[test]
    fn a_stanza_that_is_off_does_not_go_out_and_a_key_block_stays_whole() {
        let block = "Types: deb\nURIs: https://x.example.org/\nSuites: s\nComponents: c\nSigned-By:\n \
                     -----BEGIN PGP PUBLIC KEY BLOCK-----\n .\n mDMEX\n -----END PGP PUBLIC KEY BLOCK-----\n";
        let off = "Enabled: no\nTypes: deb\nURIs: https://y.example.org/\nSuites: s\n";
        assert_eq!(converted(&format!("{off}\n{block}")), format!("\n{block}"));
    }

    #[test]
    fn what_is_no_source_is_refused_with_its_line() {
        for (text, start) in [
            ("deb http://m.example.org/debian\n", "line 1: "),
            ("deb http://m.example.org/debian bookworm\n", "line 1: "),
            (
                "# x\nrpm http://m.example.org/debian bookworm main\ndeb http://m.example.org/debian s main\n",
                "line 2: ",
            ),
            (
                "deb [signed-by=/x http://m.example.org/debian bookworm main\n",
                "line 1: ",
            ),
            (
                "deb [colour=red] http://m.example.org/debian bookworm main\n",
                "line 1: ",
            ),
            ("deb -oX=Y bookworm main\n", "line 1: "),
            (
                "deb [signed-by=x/y.gpg] http://m.example.org/debian bookworm main\n",
                "line 1: ",
            ),
            ("Types: deb\nURIs: http://m.example.org/debian\n", "line 1: "),
            (
                "Type: deb\nEnabled: no\nURIs: http://m.example.org/debian\nSuites: ./\n",
                "line 1: the source has no Types",
            ),
            (
                "Types: deb\nURIs: http://m.example.org/debian\nSuites: ./\nSigned-By: /k\n \nTypes: deb\n",
                "line 5 has blanks alone",
            ),
        ] {
            let error = parse(text).unwrap_err().to_string();
            assert!(error.starts_with(start), "{text}: {error}");
        }
    }
}
