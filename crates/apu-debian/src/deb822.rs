//! Reads paragraphs of `Field: value` (deb822(5)) strictly: what dpkg and apt read differently is an error.
//!
//! [`lenient`] reads what dpkg, apt and debconf have written themselves.

pub mod lenient;

use thiserror::Error;

/// Why a text is not made of paragraphs.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum Deb822Error {
    /// A line that belongs to no field.
    #[error("line {line} is neither `Field: value` nor the continuation of one")]
    Line {
        /// Counted from 1.
        line: usize,
    },
    /// A field that stands there two times.
    #[error("line {line}: {field} stands there twice")]
    Twice {
        /// Counted from 1.
        line: usize,
        /// Its name.
        field: String,
    },
}

/// Whether lines that start with `#` are skipped or are errors.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Comments {
    /// In what people write.
    Skipped,
    /// In what programs write.
    Refused,
}

/// Fields in their order. A value of several lines keeps its line breaks and indents.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Paragraph {
    /// Where it starts, counted from 1.
    pub line: usize,
    /// Names and values.
    pub fields: Vec<(String, String)>,
}

impl Paragraph {
    /// The value of a field, whatever its letters' case.
    #[must_use]
    pub fn get(&self, field: &str) -> Option<&str> {
        let mut fields = self.fields.iter();
        let (_, value) = fields.find(|(name, _)| name.eq_ignore_ascii_case(field))?;
        Some(value)
    }
}

/// What a line is.
pub enum Part<'a> {
    /// A field starts: its name, and its value as far as it stands in this line.
    Field(&'a str, &'a str),
    /// More of the last field's value, with its indent.
    More(&'a str),
    /// The end of a paragraph.
    Blank,
}

/// Reads one line of which the number is `line`; nothing if it is a comment.
pub fn part(line: usize, text: &str, comments: Comments) -> Result<Option<Part<'_>>, Deb822Error> {
    // dpkg and apt know ASCII's blanks alone: U+00A0 is a letter to them.
    let text = text.trim_ascii_end();
    if text.is_empty() {
        return Ok(Some(Part::Blank));
    }
    if text.starts_with('#') && comments == Comments::Skipped {
        return Ok(None);
    }
    // dpkg takes a Control-Z for the end of the file.
    if text.bytes().any(|byte| matches!(byte, b'\r' | 0 | 0x1a)) {
        return Err(Deb822Error::Line { line });
    }
    if text.starts_with([' ', '\t']) {
        return Ok(Some(Part::More(text)));
    }
    let (name, value) = text.split_once(':').ok_or(Deb822Error::Line { line })?;
    let name = name.trim_end_matches([' ', '\t']);
    if name.is_empty() || name.starts_with(['#', '-']) || !name.bytes().all(|byte| byte.is_ascii_graphic()) {
        return Err(Deb822Error::Line { line });
    }
    Ok(Some(Part::Field(name, value.trim_ascii())))
}

/// Reads all paragraphs of `text`. A line of blanks ends one, as it does for apt.
pub fn paragraphs(text: &str, comments: Comments) -> Result<Vec<Paragraph>, Deb822Error> {
    let mut paragraphs: Vec<Paragraph> = Vec::new();
    let mut open = false;
    for (line, text) in (1..).zip(text.lines()) {
        match part(line, text, comments)? {
            None => {}
            Some(Part::Blank) => open = false,
            Some(Part::More(more)) => {
                let last = paragraphs
                    .last_mut()
                    .filter(|_| open)
                    .and_then(|last| last.fields.last_mut());
                let (_, value) = last.ok_or(Deb822Error::Line { line })?;
                value.push('\n');
                value.push_str(more);
            }
            Some(Part::Field(name, value)) => {
                if !open {
                    paragraphs.push(Paragraph {
                        line,
                        fields: Vec::new(),
                    });
                    open = true;
                }
                if let Some(paragraph) = paragraphs.last_mut() {
                    if paragraph.get(name).is_some() {
                        return Err(Deb822Error::Twice {
                            line,
                            field: name.to_owned(),
                        });
                    }
                    paragraph.fields.push((name.to_owned(), value.to_owned()));
                }
            }
        }
    }
    Ok(paragraphs)
}

#[cfg(test)]
mod tests {
    use super::{Comments, paragraphs};

    #[test]
    fn paragraphs_keep_their_lines_and_continuations() {
        let read = paragraphs("# x\nA: 1\n # no comment\n\n \nB:\n 2\n", Comments::Skipped).unwrap();
        assert_eq!(read.len(), 2);
        assert_eq!((read[0].line, read[0].get("a")), (2, Some("1\n # no comment")));
        assert_eq!((read[1].line, read[1].get("B")), (6, Some("\n 2")));
    }

    #[test]
    fn only_ascii_blanks_are_blank() {
        for letter in ["\u{a0}", "\u{3000}", "\u{2028}"] {
            let read = paragraphs(&format!("A: x\n {letter}\nB: {letter}\n"), Comments::Refused).unwrap();
            assert_eq!(read.len(), 1, "{letter:?}");
            assert_eq!(read[0].get("A"), Some(&*format!("x\n {letter}")));
            assert_eq!(read[0].get("B"), Some(letter));
        }
    }

    #[test]
    fn what_belongs_to_no_field_is_refused() {
        for text in [
            " x\n",
            "A\n",
            ": x\n",
            "A: 1\n\n x\n",
            "A: 1\nA: 2\n",
            "A: 1\rB: 2\n",
            "A B: 1\n",
        ] {
            assert!(paragraphs(text, Comments::Skipped).is_err(), "{text:?}");
        }
        assert!(paragraphs("# x\nA: 1\n", Comments::Refused).is_err());
    }
}
