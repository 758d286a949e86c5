//! The control file of a .deb, its fields as they stand, and the few that everything depends on judged.

use std::path::Path;
use std::str::FromStr;

use thiserror::Error;

use super::DebError;
use crate::deb822::{Comments, Deb822Error, find, paragraphs};

/// Why a text is not a control file.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum ControlError {
    /// Not text.
    #[error("it is not UTF-8")]
    NotText,
    /// Not fields.
    #[error(transparent)]
    Fields(#[from] Deb822Error),
    /// One paragraph is what it has to be.
    #[error("it has {0} paragraphs")]
    Paragraphs(usize),
    /// A field that has to be there.
    #[error("it has no {field}")]
    Missing {
        /// Its name.
        field: &'static str,
    },
    /// A value that cannot be.
    #[error("{value:?} is not a {field}")]
    Value {
        /// The field.
        field: &'static str,
        /// What it says.
        value: String,
    },
}

/// One paragraph of fields with a package's name, version and architecture.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Control {
    fields: Vec<(String, String)>,
    package: String,
    version: String,
    architecture: String,
}

impl Control {
    /// Reads a control file.
    pub fn parse(text: &[u8]) -> Result<Self, ControlError> {
        let text = std::str::from_utf8(text).map_err(|_| ControlError::NotText)?;
        let mut paragraphs = paragraphs(text, Comments::Refused)?;
        if paragraphs.len() > 1 {
            return Err(ControlError::Paragraphs(paragraphs.len()));
        }
        let fields = paragraphs
            .pop()
            .map(|paragraph| paragraph.fields)
            .unwrap_or_default();
        let take = |field: &'static str, is: fn(&str) -> bool| {
            let value = find(&fields, field).ok_or(ControlError::Missing { field })?;
            if is(value) {
                Ok(value.to_owned())
            } else {
                Err(ControlError::Value {
                    field,
                    value: value.to_owned(),
                })
            }
        };
        let package = take("Package", is_package)?;
        let version = take("Version", is_version)?;
        let architecture = take("Architecture", is_architecture)?;
        Ok(Self {
            fields,
            package,
            version,
            architecture,
        })
    }

    /// The package's name.
    #[must_use]
    pub fn package(&self) -> &str {
        &self.package
    }

    /// Its version.
    #[must_use]
    pub fn version(&self) -> &str {
        &self.version
    }

    /// Its architecture, or `all`.
    #[must_use]
    pub fn architecture(&self) -> &str {
        &self.architecture
    }

    /// All fields in their order; a value of several lines keeps its line breaks and indents.
    pub fn fields(&self) -> impl Iterator<Item = (&str, &str)> {
        self.fields
            .iter()
            .map(|(name, value)| (name.as_str(), value.as_str()))
    }

    /// The value of a field, whatever its letters' case.
    #[must_use]
    pub fn get(&self, field: &str) -> Option<&str> {
        find(&self.fields, field)
    }

    /// A name of the form NAME_VERSION_ARCHITECTURE.deb must not contradict the control file. What vendors
    /// write for the version (`current`, `latest`) is no contradiction.
    pub(super) fn agrees_with_file_name(&self, path: &Path) -> Result<(), DebError> {
        let Some(file) = path.file_name().and_then(|name| name.to_str()) else {
            return Ok(());
        };
        let parts: Vec<&str> = file.strip_suffix(".deb").unwrap_or(file).split('_').collect();
        let [package, _, architecture] = parts[..] else {
            return Ok(());
        };
        if package == self.package && architecture == self.architecture {
            return Ok(());
        }
        let says = format!("{} for {}", self.package, self.architecture);
        Err(DebError::Lies {
            file: file.to_owned(),
            says,
        })
    }
}

impl FromStr for Control {
    type Err = ControlError;

    fn from_str(text: &str) -> Result<Self, ControlError> {
        Self::parse(text.as_bytes())
    }
}

fn is_package(name: &str) -> bool {
    let lower = |byte: &u8| byte.is_ascii_lowercase() || byte.is_ascii_digit();
    (2..=128).contains(&name.len())
        && name.bytes().next().is_some_and(|first| lower(&first))
        && name.bytes().all(|byte| lower(&byte) || b"+.-".contains(&byte))
}

fn is_version(version: &str) -> bool {
    let upstream = match version.split_once(':') {
        Some((epoch, rest)) => {
            if epoch.is_empty() || epoch.len() > 9 || !epoch.bytes().all(|byte| byte.is_ascii_digit()) {
                return false;
            }
            rest
        }
        None => version,
    };
    upstream.len() <= 128
        && upstream.starts_with(|first: char| first.is_ascii_digit())
        && !upstream.ends_with('-')
        && upstream
            .bytes()
            .all(|byte| byte.is_ascii_alphanumeric() || b".+~-".contains(&byte))
}

fn is_architecture(name: &str) -> bool {
    name.len() <= 32
        && !["any", "source", "native"].contains(&name)
        && name.starts_with(|first: char| first.is_ascii_lowercase())
        && name
            .bytes()
            .all(|byte| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'-')
}

#[cfg(test)]
mod tests {
    use super::Control;

    fn error(text: &str) -> String {
        text.parse::<Control>().unwrap_err().to_string()
    }

    const GOOD: &str = "Package: foo\nVersion: 1.2-1\nArchitecture: amd64\n";

    #[test]
    fn continuations_keep_their_lines() {
        let control: Control = format!("{GOOD}Description: short\n long\n .\n  more\n\n")
            .parse()
            .unwrap();
        assert_eq!(control.get("description"), Some("short\n long\n .\n  more"));
    }

    #[test]
    fn what_is_no_control_file_is_refused_with_the_reason() {
        assert_eq!(error("Package: foo\nVersion: 1\n"), "it has no Architecture");
        assert_eq!(
            error(&format!("{GOOD}package: bar\n")),
            "line 4: package stands there twice"
        );
        assert_eq!(error(&format!("{GOOD}\nPackage: bar\n")), "it has 2 paragraphs");
        assert_eq!(
            error(&format!("{GOOD}rubbish\n")),
            "line 4 is neither `Field: value` nor the continuation of one"
        );
        assert_eq!(
            error(&GOOD.replace("foo", "../foo")),
            "\"../foo\" is not a Package"
        );
        assert_eq!(
            error(&GOOD.replace("1.2-1", "1.2 (evil)")),
            "\"1.2 (evil)\" is not a Version"
        );
        assert_eq!(
            error(&GOOD.replace("amd64", "any")),
            "\"any\" is not a Architecture"
        );
        assert_eq!(
            error(" continued\n"),
            "line 1 is neither `Field: value` nor the continuation of one"
        );
    }
}
