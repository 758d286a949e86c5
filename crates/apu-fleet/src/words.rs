//! The words of a target, written out: commas and blanks part them, `@FILE` and `-` stand for lists of more.

use std::fs::File;
use std::io::{self, Read};

use crate::inventory::Inventory;
use crate::target_error::TargetError;

/// The most bytes of a list of targets.
const MOST: u64 = 4 << 20;

/// One word of a target, and where it was written if that was in a list.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Word {
    /// Without the `!` that leaves it out.
    pub(crate) text: String,
    /// It was written with `!`.
    pub(crate) is_out: bool,
    /// `line 3 of /root/hosts`.
    pub(crate) place: Option<String>,
}

impl Word {
    fn of(text: &str, place: Option<String>) -> Self {
        let (text, is_out) = match text.strip_prefix('!') {
            Some(text) => (text, true),
            None => (text, false),
        };
        Self {
            text: text.to_owned(),
            is_out,
            place,
        }
    }

    /// An error of this word, with the place where it stands.
    pub(crate) fn wrong(&self, error: TargetError) -> TargetError {
        match &self.place {
            Some(place) => TargetError::Listed {
                place: place.clone(),
                source: Box::new(error),
            },
            None => error,
        }
    }
}

impl Inventory {
    /// All words that these words mean; lists are read, standard input among them.
    pub(crate) fn written_out(&self, target: &[String]) -> Result<Vec<Word>, TargetError> {
        let mut all = Vec::new();
        for text in target.iter().flat_map(|words| parted(words)) {
            if text == "-" {
                all.extend(list("standard input", io::stdin().lock())?);
            } else if let Some(name) = text.strip_prefix('@') {
                all.extend(self.list_or_class(name)?);
            } else {
                all.push(Word::of(text, None));
            }
        }
        Ok(all)
    }

    /// `@NAME`: a file, or a class as in a class file; never one where the other may be meant.
    fn list_or_class(&self, name: &str) -> Result<Vec<Word>, TargetError> {
        let is_class = self.is_class(name);
        let failed = |source| TargetError::List {
            path: name.to_owned(),
            source,
        };
        match File::open(name) {
            Ok(_) if is_class => Err(TargetError::FileOrClass(name.to_owned())),
            Ok(file) => {
                // A pipe or a device may never end.
                if !file.metadata().map_err(failed)?.is_file() {
                    return Err(failed(io::Error::other("it is not a file")));
                }
                list(name, file)
            }
            Err(_) if is_class => Ok(vec![Word::of(name, None)]),
            Err(error) => Err(failed(error)),
        }
    }
}

/// The words of a list: as on the command line, and a comment behind `#`.
fn list(name: &str, from: impl Read) -> Result<Vec<Word>, TargetError> {
    let failed = |source| TargetError::List {
        path: name.to_owned(),
        source,
    };
    let mut bytes = Vec::new();
    from.take(MOST + 1).read_to_end(&mut bytes).map_err(failed)?;
    if bytes.len() as u64 > MOST {
        return Err(failed(io::Error::other(format!(
            "it is longer than {MOST} bytes"
        ))));
    }
    let mut all = Vec::new();
    for (line, text) in (1..).zip(crate::text::lines(&bytes)) {
        let place = format!("line {line} of {name}");
        let text = text.map_err(|fault| failed(io::Error::other(format!("line {line}: {fault}"))))?;
        for word in parted(&text).filter(|word| !word.is_empty()) {
            let word = Word::of(word, Some(place.clone()));
            if word.text == "-" || word.text.starts_with('@') {
                return Err(failed(io::Error::other(format!(
                    "line {line}: {:?} would read another list, which a list cannot",
                    word.text
                ))));
            }
            all.push(word);
        }
    }
    if all.is_empty() {
        return Err(failed(io::Error::other("it names no host")));
    }
    Ok(all)
}

/// The words between commas and blanks; a comma in brackets belongs to a range.
pub(crate) fn parted(target: &str) -> impl Iterator<Item = &str> {
    let mut depth = 0i32;
    target
        .split(move |c: char| {
            depth += i32::from(c == '[') - i32::from(c == ']');
            c == ',' && depth <= 0
        })
        .flat_map(|part| {
            let part = part.trim();
            // Nothing between two commas is a slip, and kept to be named.
            let empty = part.is_empty().then_some(part);
            empty.into_iter().chain(part.split_whitespace())
        })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(text: &[u8]) -> Result<Vec<String>, String> {
        let words = list("hosts", text).map_err(|error| {
            let source = std::error::Error::source(&error).map(ToString::to_string);
            source.unwrap_or_default()
        })?;
        let shown = |word: Word| {
            let out = if word.is_out { "!" } else { "" };
            format!("{out}{}", word.text)
        };
        Ok(words.into_iter().map(shown).collect())
    }

    #[test]
    fn a_list_has_what_a_command_line_has_and_comments() {
        let text = b"\xef\xbb\xbf# ours \xfc\nweb[1,2], db1  # both\r\n\n!web2 mail\n";
        assert_eq!(read(text).unwrap(), ["web[1,2]", "db1", "!web2", "mail"]);
    }

    #[test]
    fn a_list_that_cannot_be_meant_is_refused_with_its_line() {
        for (text, error) in [
            (
                &b"a\n@b\n"[..],
                "line 2: \"@b\" would read another list, which a list cannot",
            ),
            (
                b"a\n-\n",
                "line 2: \"-\" would read another list, which a list cannot",
            ),
            (b"# nobody\n", "it names no host"),
        ] {
            assert_eq!(read(text).unwrap_err(), error);
        }
        assert!(read(b"a\nb\xfcro\n").unwrap_err().starts_with("line 2: "));
        assert!(list("x", io::repeat(b'a')).is_err(), "a list has an end");
    }

    #[test]
    fn commas_and_blanks_part_words_and_ranges_keep_theirs() {
        let words = |text| parted(text).collect::<Vec<_>>();
        assert_eq!(words("a,b  c[1,2-3]d,e"), ["a", "b", "c[1,2-3]d", "e"]);
        assert_eq!(words("a,,b"), ["a", "", "b"]);
        assert_eq!(words(""), [""]);
    }
}
