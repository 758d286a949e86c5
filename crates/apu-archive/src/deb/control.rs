//! The control file of a .deb, its fields as they stand, and the few that everything depends on checked.

use std::collections::HashSet;
use std::ops::Range;
use std::str::FromStr;

use memchr::memchr;
use thiserror::Error;

use super::{Shared, fields as values};
use apu_debian::deb822::{Comments, Deb822Error, Part, paragraphs, part};
use apu_debian::{is_architecture, is_package_name, is_version};

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
    /// dpkg does not read a last line without its end.
    #[error("its last line has no line break at its end")]
    NoLastLineBreak,
    /// A value that dpkg or apt would not take.
    #[error("line {line}: {field}: {why}")]
    Field {
        /// Where the field starts, counted from 1.
        line: usize,
        /// Its name.
        field: String,
        /// What is wrong.
        why: String,
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
///
/// The fields stand as an index has them, in one piece: an archive has thousands of them in memory.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Control {
    text: Shared,
    package: Range<usize>,
    version: Range<usize>,
    architecture: Range<usize>,
}

/// A field of such a text.
struct Field<'a> {
    name: &'a str,
    value: &'a str,
    /// All of it, with its last line break.
    lines: &'a str,
    /// Where the value stands in the text.
    place: Range<usize>,
}

/// The fields of a text that [`normal`] made.
fn fields(whole: &str) -> impl Iterator<Item = Field<'_>> {
    let mut text = whole;
    std::iter::from_fn(move || {
        let start = whole.len() - text.len();
        let name = &text[..memchr(b':', text.as_bytes())?];
        let mut end = 0;
        // A line that starts with a blank belongs to the one before it.
        loop {
            end += memchr(b'\n', &text.as_bytes()[end..])? + 1;
            if !matches!(text.as_bytes().get(end), Some(b' ' | b'\t')) {
                break;
            }
        }
        let (lines, rest) = text.split_at(end);
        text = rest;
        let value = &lines[name.len() + 1..end - 1];
        let value = value.strip_prefix(' ').unwrap_or(value);
        let end = start + end - 1;
        Some(Field {
            name,
            value,
            lines,
            place: end - value.len()..end,
        })
    })
}

/// The paragraph of a control file with nothing but what an index has: one blank before a value, none at the end of a
/// line.
fn normal(text: &str) -> Result<String, ControlError> {
    let mut normal = String::with_capacity(text.len() + 1);
    let mut names = HashSet::new();
    let mut lines = Vec::new();
    let mut open = false;
    for (line, one) in (1..).zip(text.split_terminator('\n')) {
        // dpkg ends a paragraph at an empty line, and stops at one of blanks.
        if !one.is_empty() && one.trim_ascii().is_empty() {
            return Err(Deb822Error::Line { line }.into());
        }
        match part(line, one, Comments::Refused)? {
            None => {}
            Some(Part::Blank) => open = false,
            Some(Part::More(more)) if open => normal.extend([more, "\n"]),
            Some(Part::More(_)) => return Err(Deb822Error::Line { line }.into()),
            Some(Part::Field(..)) if !open && !names.is_empty() => {
                let all = paragraphs(text, Comments::Refused)?;
                return Err(ControlError::Paragraphs(all.len()));
            }
            Some(Part::Field(name, _)) if !names.insert(name.to_ascii_lowercase()) => {
                let field = name.to_owned();
                return Err(Deb822Error::Twice { line, field }.into());
            }
            Some(Part::Field(name, value)) => {
                open = true;
                lines.push(line);
                // A value that starts on the next line has no blank before the line break.
                let colon = if value.is_empty() { ":" } else { ": " };
                normal.extend([name, colon, value, "\n"]);
            }
        }
    }
    for (line, Field { name, value, .. }) in lines.into_iter().zip(fields(&normal)) {
        values::check(name, value).map_err(|why| ControlError::Field {
            line,
            field: name.to_owned(),
            why,
        })?;
    }
    let all = |wanted: &str| fields(&normal).find(|field| field.name.eq_ignore_ascii_case(wanted));
    let is = |field, wanted: &str| all(field).is_some_and(|field| field.value.eq_ignore_ascii_case(wanted));
    if is("Multi-Arch", "same") && is("Architecture", "all") {
        let (field, value) = ("Multi-Arch", "same, for Architecture: all,".into());
        return Err(ControlError::Value { field, value });
    }
    Ok(normal)
}

impl Control {
    /// Reads a control file, as it stands in a .deb.
    pub fn parse(text: &[u8]) -> Result<Self, ControlError> {
        let text = std::str::from_utf8(text).map_err(|_| ControlError::NotText)?;
        if !text.is_empty() && !text.ends_with('\n') {
            return Err(ControlError::NoLastLineBreak);
        }
        text.parse()
    }

    /// Takes what [`Control::text`] gave; nothing if it is that of no control file.
    pub(crate) fn from_text(text: Shared) -> Option<Self> {
        Self::of(text, |_, _| true).ok()
    }

    fn of(text: Shared, is: impl Fn(&'static str, &str) -> bool) -> Result<Self, ControlError> {
        let take = |name: &'static str| {
            let named = |field: &Field<'_>| field.name.eq_ignore_ascii_case(name);
            let field = fields(&text).find(named);
            let Field { value, place, .. } = field.ok_or(ControlError::Missing { field: name })?;
            if is(name, value) {
                Ok(place)
            } else {
                let value = value.to_owned();
                Err(ControlError::Value { field: name, value })
            }
        };
        Ok(Self {
            package: take("Package")?,
            version: take("Version")?,
            architecture: take("Architecture")?,
            text,
        })
    }

    /// The package's name.
    #[must_use]
    pub fn package(&self) -> &str {
        &self.text[self.package.clone()]
    }

    /// Its version.
    #[must_use]
    pub fn version(&self) -> &str {
        &self.text[self.version.clone()]
    }

    /// Its architecture, or `all`.
    #[must_use]
    pub fn architecture(&self) -> &str {
        &self.text[self.architecture.clone()]
    }

    /// All fields in their order; a value of several lines keeps its line breaks and indents.
    pub fn fields(&self) -> impl Iterator<Item = (&str, &str)> {
        fields(&self.text).map(|field| (field.name, field.value))
    }

    /// All fields in their order: the name, and the whole of it as it stands in an index, with its last line break.
    pub(crate) fn lines(&self) -> impl Iterator<Item = (&str, &str)> {
        fields(&self.text).map(|field| (field.name, field.lines))
    }

    /// All fields, from which the same can be read again.
    pub(crate) fn text(&self) -> &str {
        &self.text
    }

    /// The value of a field, whatever its letters' case.
    #[must_use]
    pub fn get(&self, field: &str) -> Option<&str> {
        let (_, value) = self.fields().find(|(name, _)| name.eq_ignore_ascii_case(field))?;
        Some(value)
    }
}

impl FromStr for Control {
    type Err = ControlError;

    fn from_str(text: &str) -> Result<Self, ControlError> {
        Self::of(normal(text)?.into(), |field, value| match field {
            "Package" => is_package_name(value),
            "Version" => is_published_version(value),
            _ => is_architecture(value),
        })
    }
}

/// As [`is_version`]; the part after the epoch becomes part of a file's name.
fn is_published_version(version: &str) -> bool {
    let rest = version.split_once(':').map_or(version, |(_, rest)| rest);
    is_version(version) && rest.len() <= 128 && !rest.contains(':')
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
    fn its_text_is_read_back_as_the_same() {
        let text = format!("X-Empty:\n{GOOD}X-Files:\n /etc/a 0  \nDescription:  short \n long\n");
        let control: Control = text.parse().unwrap();
        assert_eq!(control.get("X-Empty"), Some(""));
        assert_eq!(control.get("X-Files"), Some("\n /etc/a 0"));
        assert!(control.text().contains("X-Empty:\nPackage: foo\n"), "{control:?}");
        assert_eq!(control.text().parse(), Ok(control.clone()));
        assert_eq!(
            Control::from_text(control.text().to_owned().into()),
            Some(control.clone())
        );
        let lines: String = control.lines().map(|(_, lines)| lines).collect();
        assert_eq!(lines, control.text());
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
