//! Lines of files that people write, with whatever editor: comments may hold anything, words are ASCII.

use thiserror::Error;

/// Why a line cannot be read.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum TextError {
    /// Two bytes for each letter, as some editors of Windows write.
    #[error("the file is UTF-16: save it as UTF-8, or: iconv -f utf-16 -t utf-8")]
    Utf16,
    /// Latin-1, most likely.
    #[error("{0:?} is not UTF-8: names of hosts have ASCII letters alone, or xn-- names as DNS has them")]
    Encoding(String),
    /// No text at all.
    #[error("{0:?} has a NUL: this is no text file")]
    Nul(String),
}

/// The lines of a file without comments, blanks around them and a byte order mark.
pub(crate) fn lines(bytes: &[u8]) -> impl Iterator<Item = Result<String, TextError>> {
    let is_utf16 = bytes.starts_with(b"\xff\xfe") || bytes.starts_with(b"\xfe\xff");
    let bytes = bytes.strip_prefix(b"\xef\xbb\xbf").unwrap_or(bytes);
    let bytes = bytes.strip_suffix(b"\n").unwrap_or(bytes);
    let mut lines = bytes.split(|byte| *byte == b'\n');
    let mut is_over = false;
    std::iter::from_fn(move || {
        if is_over {
            return None;
        }
        if is_utf16 {
            // It has no lines that could be told apart.
            is_over = true;
            return Some(Err(TextError::Utf16));
        }
        lines.next().map(line_of)
    })
}

fn line_of(line: &[u8]) -> Result<String, TextError> {
    // What stands behind a # may be in any encoding.
    let line = line.split(|byte| *byte == b'#').next().unwrap_or_default();
    let shown = || String::from_utf8_lossy(line).trim().chars().take(60).collect();
    if line.contains(&0) {
        return Err(TextError::Nul(shown()));
    }
    match std::str::from_utf8(line) {
        Ok(text) => Ok(text.trim().to_owned()),
        Err(_) => Err(TextError::Encoding(shown())),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(bytes: &[u8]) -> Vec<Result<String, TextError>> {
        lines(bytes).collect()
    }

    #[test]
    fn a_byte_order_mark_and_the_line_ends_of_windows_are_no_part_of_a_name() {
        let text = b"\xef\xbb\xbfweb1\r\n  web2  # B\xfcro\r\n";
        assert_eq!(read(text), [Ok("web1".to_owned()), Ok("web2".to_owned())]);
        assert_eq!(read(b""), [Ok(String::new())]);
    }

    #[test]
    fn what_is_no_utf8_is_named_and_the_other_lines_are_read() {
        assert_eq!(
            read(b"web1\nb\xfcro\nweb2"),
            [
                Ok("web1".to_owned()),
                Err(TextError::Encoding("b\u{fffd}ro".into())),
                Ok("web2".to_owned())
            ]
        );
        assert_eq!(read(b"\xff\xfew\0e\0b\0\n\0x\0\n\0"), [Err(TextError::Utf16)]);
        assert_eq!(read(b"a\0b"), [Err(TextError::Nul("a\0b".into()))]);
    }
}
