//! The site's sources.list, old style or deb822, as deb822 that names the key of every archive.
//!
//! A source that names no key is trusted with any key that a client happens to have; one that says
//! `trusted=yes` is not checked at all. Neither leaves this program.

mod one_line;

use std::fmt;

use apu_repo::deb822::{Comments, Deb822Error, Paragraph, paragraphs};
use thiserror::Error;

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
    #[error("line {line}: the source has no {field}")]
    Missing { line: usize, field: &'static str },
    #[error("line {line}: {uri:?} is not an address that clients reach")]
    Uri { line: usize, uri: String },
    #[error("line {line}: {suite:?} is not a suite")]
    Suite { line: usize, suite: String },
    #[error("line {line}: Signed-By {path:?} is not an absolute path")]
    KeyPath { line: usize, path: String },
}

impl SourcesError {
    /// What to do about it.
    pub(crate) fn advice(&self, path: &str) -> String {
        match self {
            Self::NoKey { .. } => format!(
                "write [signed-by=/usr/share/keyrings/NAME.gpg] after `deb` on that line of {path}, and put that \
                 keyring on this server: apu-data carries it to the clients"
            ),
            Self::Unsafe { line, .. } => {
                format!("remove it from line {line} of {path}, and name the archive's key")
            }
            _ => format!("correct {path}, see sources.list(5)"),
        }
    }
}

/// One archive's address and suite.
pub(crate) struct Source {
    pub(crate) uri: String,
    pub(crate) suite: String,
    /// Whether it is this server's.
    pub(crate) own: bool,
    pub(crate) stanza: Stanza,
}

/// One deb822 stanza.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Stanza {
    line: usize,
    fields: Vec<(String, String)>,
}

impl Stanza {
    /// A stanza of this program's own.
    pub(crate) fn new(fields: &[(&str, &str)]) -> Self {
        let fields = fields
            .iter()
            .map(|(name, value)| ((*name).to_owned(), (*value).to_owned()))
            .collect();
        Self { line: 0, fields }
    }

    fn get(&self, field: &str) -> Option<&str> {
        self.fields
            .iter()
            .find(|(name, _)| name.eq_ignore_ascii_case(field))
            .map(|(_, value)| value.as_str())
    }

    /// The words of a field, over all its lines.
    fn words(&self, field: &str) -> impl Iterator<Item = &str> {
        self.get(field).unwrap_or_default().split_whitespace()
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
                own: self.line == 0,
                stanza,
            }
        };
        pairs.map(one).collect()
    }

    /// The keyring file that it names, if it names one.
    pub(crate) fn keyring(&self) -> Option<&str> {
        self.get("Signed-By").filter(|value| value.starts_with('/'))
    }

    /// Names another keyring file.
    pub(crate) fn set_keyring(&mut self, path: &str) {
        self.set("Signed-By", path.to_owned());
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
    let stanzas = if one_line::is(text) {
        one_line::parse(text)?
    } else {
        let deb822 = paragraphs(text, Comments::Skipped)?;
        deb822
            .into_iter()
            .map(|Paragraph { line, fields }| Stanza { line, fields })
            .collect()
    };
    let is_on = |stanza: &Stanza| !stanza.words("Enabled").any(is_no);
    stanzas.into_iter().filter(is_on).map(judge).collect()
}

const UNSAFE: [&str; 4] = [
    "Trusted",
    "Allow-Insecure",
    "Allow-Weak",
    "Allow-Downgrade-To-Insecure",
];

fn is_no(word: &str) -> bool {
    ["no", "false", "without", "off", "disable"].contains(&word.to_ascii_lowercase().as_str())
}

fn judge(mut stanza: Stanza) -> Result<Stanza, SourcesError> {
    let line = stanza.line;
    for option in UNSAFE {
        if stanza.get(option).is_some_and(|value| !is_no(value.trim())) {
            return Err(SourcesError::Unsafe {
                line,
                option: option.to_owned(),
            });
        }
    }
    for field in ["Types", "URIs", "Suites"] {
        if stanza.words(field).next().is_none() {
            return Err(SourcesError::Missing { line, field });
        }
    }
    let uris: Vec<String> = stanza.words("URIs").map(str::to_owned).collect();
    for uri in &uris {
        let reachable = [
            "http://", "https://", "ftp://", "tor+http", "mirror", "file:/", "cdrom:", "copy:/",
        ];
        // The address also stands between single quotes in a maintainer script.
        if !reachable.iter().any(|start| uri.starts_with(start))
            || !uri.bytes().all(|byte| byte.is_ascii_graphic() && byte != b'\'')
        {
            return Err(SourcesError::Uri {
                line,
                uri: uri.clone(),
            });
        }
    }
    let plain = |byte: u8| byte.is_ascii_alphanumeric() || b"./_-+~$()".contains(&byte);
    if let Some(suite) = stanza.words("Suites").find(|suite| !suite.bytes().all(plain)) {
        return Err(SourcesError::Suite {
            line,
            suite: suite.to_owned(),
        });
    }
    let key = stanza.words("Signed-By").next().map(str::to_owned);
    match key {
        // A fingerprint picks among the client's keys, and a block is the key itself.
        Some(path) => {
            if path.contains('/') && !path.starts_with('/') {
                return Err(SourcesError::KeyPath { line, path });
            }
        }
        None => {
            let keyring = uris
                .iter()
                .map(|uri| distribution_keyring(uri))
                .reduce(|a, b| a.filter(|_| a == b));
            match keyring.flatten() {
                Some(keyring) => stanza.set_keyring(keyring),
                None => {
                    return Err(SourcesError::NoKey {
                        line,
                        uri: uris.join(" "),
                    });
                }
            }
        }
    }
    Ok(stanza)
}

/// The keyring that every machine of a distribution has, for an archive that is laid out as a mirror of it. A
/// wrong guess fails closed: the client refuses the archive.
fn distribution_keyring(uri: &str) -> Option<&'static str> {
    let last = uri.trim_end_matches('/').rsplit('/').next().unwrap_or_default();
    match last {
        "debian" | "debian-security" | "debian-debug" | "debian-ports-free" | "debian-backports" => {
            Some("/usr/share/keyrings/debian-archive-keyring.gpg")
        }
        "ubuntu" | "ubuntu-ports" => Some("/usr/share/keyrings/ubuntu-archive-keyring.gpg"),
        _ if uri.contains("://security.debian.org") => Some("/usr/share/keyrings/debian-archive-keyring.gpg"),
        _ => None,
    }
}

/// Whether every client of a distribution has this keyring anyway.
pub(crate) fn is_distribution_keyring(path: &str) -> bool {
    let name = path.strip_prefix("/usr/share/keyrings/").unwrap_or_default();
    name.starts_with("debian-archive-") || name.starts_with("ubuntu-archive-")
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
        ] {
            let error = parse(text).unwrap_err().to_string();
            assert!(error.starts_with(start), "{text}: {error}");
        }
    }
}
