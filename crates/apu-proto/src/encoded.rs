//! Writes a text as one word of a request line: printable ASCII, with `%` and two hexadecimal digits for every other byte.

use std::fmt::Write;

/// The word for a text.
pub(crate) fn encoded(text: &str) -> String {
    let mut word = String::new();
    for byte in text.bytes() {
        if byte.is_ascii_graphic() && byte != b'%' {
            word.push(char::from(byte));
        } else {
            let _ = write!(word, "%{byte:02X}");
        }
    }
    word
}

/// Reads such a word. Each text has one word only.
pub(crate) fn decoded(word: &str) -> Option<String> {
    let mut bytes = Vec::new();
    let mut rest = word.bytes();
    while let Some(byte) = rest.next() {
        if byte != b'%' {
            bytes.push(byte);
            continue;
        }
        let mut digit = || {
            char::from(rest.next()?)
                .to_digit(16)
                .and_then(|digit| u8::try_from(digit).ok())
        };
        bytes.push(digit()? << 4 | digit()?);
    }
    let text = String::from_utf8(bytes).ok()?;
    (encoded(&text) == word).then_some(text)
}
