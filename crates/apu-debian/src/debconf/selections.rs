//! Reads answers in the form of debconf-set-selections(1): `OWNER QUESTION TYPE VALUE`, a line each.
//!
//! What that program reads otherwise than it looks is refused here. No error has a value in it, which may be a password.

use std::collections::BTreeMap;

use thiserror::Error;

use super::{QuestionKind, QuestionName, Secret};
use crate::PackageName;

/// The longest text with answers in bytes.
pub const MAX_SELECTIONS: usize = 64 * 1024;

/// An answer to a question, ahead of the package that asks it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Selection {
    /// Its line, counted from 1.
    pub line: usize,
    /// The package that asks.
    pub owner: PackageName,
    /// What is asked.
    pub question: QuestionName,
    /// How it is answered.
    pub kind: QuestionKind,
    /// The answer.
    pub value: Secret,
}

/// Why a text has no answers that can be used.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum SelectionsError {
    /// Over [`MAX_SELECTIONS`].
    #[error("it is longer than {MAX_SELECTIONS} bytes")]
    TooLong,
    /// Something in a line.
    #[error("line {line}: {fault}")]
    Line {
        /// Counted from 1.
        line: usize,
        /// What is wrong there.
        fault: SelectionFault,
    },
}

/// What is wrong with a line. Words of the line are told only where no value can be among them.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum SelectionFault {
    /// No UTF-8.
    #[error("it is not UTF-8")]
    Utf8,
    /// A control character other than a tab.
    #[error("it has a control character")]
    Control,
    /// Fewer than three words.
    #[error("it has not the form OWNER QUESTION TYPE VALUE")]
    Words,
    /// The first word.
    #[error("its first word is not the name of a package")]
    Owner,
    /// The second word.
    #[error("its second word is not the name of a question")]
    Question,
    /// `seen` is set of itself.
    #[error("it sets the flag `seen`, which every answer has of itself")]
    Seen,
    /// The third word.
    #[error("its third word is none of string, boolean, select, multiselect and password")]
    Kind,
    /// A boolean that is none.
    #[error("the value of {0} is neither true nor false")]
    Boolean(QuestionName),
    /// A value that would join its line with the next one.
    #[error("the value of {0} ends in a backslash")]
    Backslash(QuestionName),
    /// A second answer to a question.
    #[error("line {first} answers {question} for the same owner already")]
    Twice {
        /// The line of the first one.
        first: usize,
        /// The question.
        question: QuestionName,
    },
}

/// Whether debconf-set-selections reads this value as it is written.
#[must_use]
pub fn is_value(value: &str) -> bool {
    value.len() <= MAX_SELECTIONS && !value.chars().any(is_control) && !value.ends_with('\\')
}

fn is_control(letter: char) -> bool {
    letter.is_control() && letter != '\t'
}

/// Reads a text with answers, in the order of its lines.
///
/// # Errors
/// The first thing that is wrong with it; nothing of such a text is used.
pub fn selections(text: &[u8]) -> Result<Vec<Selection>, SelectionsError> {
    if text.len() > MAX_SELECTIONS {
        return Err(SelectionsError::TooLong);
    }
    let mut found: Vec<Selection> = Vec::new();
    let mut lines_of: BTreeMap<(String, String), usize> = BTreeMap::new();
    let text = text.strip_suffix(b"\n").unwrap_or(text);
    let mut lines = (1..).zip(text.split(|byte| *byte == b'\n')).peekable();
    while let Some((line, bytes)) = lines.next() {
        let at = |fault| SelectionsError::Line { line, fault };
        let mut joined = without_return(bytes).to_vec();
        // A comment goes on in the next line as an answer does.
        while joined.last() == Some(&b'\\')
            && let Some((_, next)) = lines.next()
        {
            joined.pop();
            joined.extend_from_slice(without_return(next));
        }
        let text = std::str::from_utf8(&joined).map_err(|_| at(SelectionFault::Utf8))?;
        let selection = selection(line, text).map_err(at)?;
        let Some(selection) = selection else { continue };
        let key = (selection.owner.to_string(), selection.question.to_string());
        if let Some(first) = lines_of.insert(key, line) {
            let question = selection.question;
            return Err(at(SelectionFault::Twice { first, question }));
        }
        found.push(selection);
    }
    Ok(found)
}

fn without_return(line: &[u8]) -> &[u8] {
    line.strip_suffix(b"\r").unwrap_or(line)
}

const fn is_blank(letter: char) -> bool {
    matches!(letter, ' ' | '\t')
}

/// The first word of a text, and what stands behind one blank after it.
fn word(text: &str) -> (&str, &str) {
    text.split_once(is_blank).unwrap_or((text, ""))
}

/// Reads a line; none where it is blank or a comment.
fn selection(line: usize, text: &str) -> Result<Option<Selection>, SelectionFault> {
    let text = text.trim_start_matches(is_blank);
    if text.is_empty() || text.starts_with('#') {
        return Ok(None);
    }
    if text.chars().any(is_control) {
        return Err(SelectionFault::Control);
    }
    // Any number of blanks parts the words, and one the type and the value, which may begin with more.
    let (owner, rest) = word(text);
    let (question, rest) = word(rest.trim_start_matches(is_blank));
    let (kind, value) = word(rest.trim_start_matches(is_blank));
    if kind.is_empty() {
        return Err(SelectionFault::Words);
    }
    let owner = owner.parse().map_err(|_| SelectionFault::Owner)?;
    let question: QuestionName = question.parse().map_err(|_| SelectionFault::Question)?;
    let kind = match QuestionKind::of(kind) {
        Some(kind) => kind,
        None if kind == "seen" => return Err(SelectionFault::Seen),
        None => return Err(SelectionFault::Kind),
    };
    if value.ends_with('\\') {
        return Err(SelectionFault::Backslash(question));
    }
    if kind == QuestionKind::Boolean && !matches!(value, "true" | "false") {
        return Err(SelectionFault::Boolean(question));
    }
    Ok(Some(Selection {
        line,
        owner,
        question,
        kind,
        value: value.into(),
    }))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn fault(text: &[u8]) -> (usize, SelectionFault) {
        match selections(text) {
            Err(SelectionsError::Line { line, fault }) => (line, fault),
            other => panic!("{other:?}"),
        }
    }

    fn values(text: &str) -> Vec<(String, String)> {
        let read = selections(text.as_bytes()).unwrap().into_iter();
        read.map(|answer| (answer.question.to_string(), answer.value.expose().to_owned()))
            .collect()
    }

    #[test]
    fn answers_are_read_with_comments_and_lines_that_go_on() {
        let text = "# mail\n\n  # more \\\npostfix postfix/lost string x\n\
                    postfix\tpostfix/mailname  string mail.example.org\r\n\
                    postfix postfix/destinations string a.example.org, \\\n  b.example.org\n\
                    cups  cups/raw boolean false\nxx x/empty string\nxx x/blanks string   two  blanks ";
        let pair = |question: &str, value: &str| (question.to_owned(), value.to_owned());
        assert_eq!(
            values(text),
            [
                pair("postfix/mailname", "mail.example.org"),
                pair("postfix/destinations", "a.example.org,   b.example.org"),
                pair("cups/raw", "false"),
                pair("x/empty", ""),
                pair("x/blanks", "  two  blanks "),
            ]
        );
        assert_eq!(selections(b"aa a/b string x\n\n").unwrap()[0].line, 1);
        assert!(selections(b"").unwrap().is_empty());
    }

    #[test]
    fn what_is_not_understood_is_named_with_its_line_and_without_its_value() {
        let name = |name: &str| name.parse().unwrap();
        for (text, line, expected) in [
            (&b"\naa a/b\n"[..], 2, SelectionFault::Words),
            (b"aa", 1, SelectionFault::Words),
            (b"A a/b string x", 1, SelectionFault::Owner),
            (b"aa ab string x", 1, SelectionFault::Question),
            (b"aa a/b hunter2", 1, SelectionFault::Kind),
            (b"aa a/b note x", 1, SelectionFault::Kind),
            (b"aa a/b seen true", 1, SelectionFault::Seen),
            (b"aa a/b boolean yes", 1, SelectionFault::Boolean(name("a/b"))),
            (b"aa a/b string x\\", 1, SelectionFault::Backslash(name("a/b"))),
            (b"aa a/b string x\x1b[2J", 1, SelectionFault::Control),
            (b"aa a/b string \xff", 1, SelectionFault::Utf8),
            (
                b"aa a/b string x\nbb a/b string x\naa a/b string y",
                3,
                SelectionFault::Twice {
                    first: 1,
                    question: name("a/b"),
                },
            ),
        ] {
            assert_eq!(fault(text), (line, expected), "{}", text.escape_ascii());
        }
        let error = selections(b"aa a/b hunter2").unwrap_err().to_string();
        assert!(
            error.starts_with("line 1: ") && !error.contains("hunter2"),
            "{error}"
        );
        let long = vec![b'\n'; MAX_SELECTIONS + 1];
        assert_eq!(selections(&long), Err(SelectionsError::TooLong));
        assert!(selections(&long[1..]).is_ok());
    }

    #[test]
    fn a_value_is_never_printed_for_a_log() {
        let read = selections(b"aa a/password password hunter2").unwrap();
        let printed = format!("{read:?}");
        assert!(
            printed.contains("value: …") && !printed.contains("hunter2"),
            "{printed}"
        );
    }
}
