//! The value of Signed-By: paths of keyrings and fingerprints, or a key itself, as apt reads it.

use thiserror::Error;

/// How an armored certificate begins.
const BLOCK: &str = "-----BEGIN PGP PUBLIC KEY BLOCK-----";

/// Who may sign for an archive.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum SignedBy {
    /// Paths and fingerprints, in their order.
    Named(Vec<String>),
    /// An armored certificate.
    Block(String),
}

/// Why a value cannot be used.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub(crate) enum SignedByError {
    #[error("Signed-By {0:?} is neither an absolute path nor a fingerprint of 40 hexadecimal digits")]
    Word(String),
    #[error(
        "Signed-By has the path {0:?}, which is not plain: apt would read it in another way on another release"
    )]
    Path(String),
    #[error("Signed-By has a secret key in it")]
    Secret,
    #[error("the key block in Signed-By has no end")]
    Open,
}

impl SignedBy {
    /// Reads a field's value, continuation lines included; nothing where it is empty.
    pub(crate) fn parse(value: &str) -> Result<Option<Self>, SignedByError> {
        if value.contains("PRIVATE KEY BLOCK") {
            return Err(SignedByError::Secret);
        }
        if value.trim_start().starts_with("-----BEGIN") {
            return block(value).map(|block| Some(Self::Block(block)));
        }
        let words: Vec<String> = value
            .split(|c: char| c == ',' || c.is_ascii_whitespace())
            .filter(|word| !word.is_empty())
            .map(word)
            .collect::<Result<_, _>>()?;
        Ok((!words.is_empty()).then_some(Self::Named(words)))
    }
}

fn word(word: &str) -> Result<String, SignedByError> {
    if word.starts_with('/') {
        let plain = |byte: u8| byte.is_ascii_alphanumeric() || b"/._+~@=:-".contains(&byte);
        let is_plain = word.bytes().all(plain) && !word.split('/').any(|part| part == "..");
        return if is_plain {
            Ok(word.to_owned())
        } else {
            Err(SignedByError::Path(word.to_owned()))
        };
    }
    let digits = word.strip_suffix('!').unwrap_or(word);
    if digits.len() == 40 && digits.bytes().all(|byte| byte.is_ascii_hexdigit()) {
        Ok(word.to_owned())
    } else {
        Err(SignedByError::Word(word.chars().take(80).collect()))
    }
}

/// The armored text, without the indent and the lone dots that deb822 needs.
fn block(value: &str) -> Result<String, SignedByError> {
    let lines = value.lines().map(str::trim).skip_while(|line| line.is_empty());
    let lines: Vec<&str> = lines.map(|line| if line == "." { "" } else { line }).collect();
    if lines.first() != Some(&BLOCK) {
        let first = lines.first().copied().unwrap_or_default();
        return Err(SignedByError::Word(first.chars().take(80).collect()));
    }
    let end = lines
        .iter()
        .rposition(|line| *line == "-----END PGP PUBLIC KEY BLOCK-----");
    let end = end.ok_or(SignedByError::Open)?;
    Ok(lines[..=end].join("\n") + "\n")
}

#[cfg(test)]
mod tests {
    use super::*;

    const FINGERPRINT: &str = "0123456789ABCDEF0123456789abcdef01234567";

    fn named(value: &str) -> Vec<String> {
        match SignedBy::parse(value) {
            Ok(Some(SignedBy::Named(words))) => words,
            other => panic!("{value:?}: {other:?}"),
        }
    }

    #[test]
    fn paths_and_fingerprints_stand_in_any_order_on_any_line() {
        assert_eq!(named("/a.gpg"), ["/a.gpg"]);
        assert_eq!(named("/a.gpg /b.gpg"), ["/a.gpg", "/b.gpg"]);
        assert_eq!(named("/a.gpg,/b.gpg"), ["/a.gpg", "/b.gpg"]);
        assert_eq!(named("\n /a.gpg\n\t/b.gpg"), ["/a.gpg", "/b.gpg"]);
        assert_eq!(named(&format!("/a.gpg {FINGERPRINT}")), ["/a.gpg", FINGERPRINT]);
        assert_eq!(named(&format!("{FINGERPRINT}!")), [format!("{FINGERPRINT}!")]);
        assert_eq!(SignedBy::parse(" \n "), Ok(None));
    }

    #[test]
    fn what_apt_takes_for_no_key_is_refused() {
        for value in [
            "a.gpg",
            "/a b.gpg",
            "01234567",
            "/a/../b.gpg",
            "/a'b",
            &FINGERPRINT[1..],
        ] {
            assert!(SignedBy::parse(value).is_err(), "{value}");
        }
    }

    #[test]
    fn a_key_block_is_unpacked_and_must_end() {
        let value = format!("\n {BLOCK}\n .\n mDMEX\n -----END PGP PUBLIC KEY BLOCK-----");
        let expected = format!("{BLOCK}\n\nmDMEX\n-----END PGP PUBLIC KEY BLOCK-----\n");
        assert_eq!(SignedBy::parse(&value), Ok(Some(SignedBy::Block(expected))));
        assert_eq!(
            SignedBy::parse(&format!("\n {BLOCK}\n .\n mDMEX")),
            Err(SignedByError::Open)
        );
        assert!(SignedBy::parse("-----BEGIN PGP MESSAGE-----\n x").is_err());
    }

    #[test]
    fn a_secret_key_is_never_taken() {
        let value =
            "\n -----BEGIN PGP PRIVATE KEY BLOCK-----\n .\n lFgEX\n -----END PGP PRIVATE KEY BLOCK-----";
        assert_eq!(SignedBy::parse(value), Err(SignedByError::Secret));
    }
}
