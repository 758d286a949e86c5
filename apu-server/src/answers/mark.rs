//! Marks of answers: HMAC-SHA256 by a key that is made of the push key's private half.
//!
//! Plans and the ledger have the mark in place of the value. To guess a password by its mark takes that key as well, which root alone can read, as
//! the files with the answers. With another push key each answer has another mark.

use std::fs::File;
use std::io::{self, Read};
use std::path::Path;

use apu_debian::debconf::Selection;
use apu_proto::AnswerMark;
use sha2::{Digest, Sha256};

/// The block of SHA-256 in bytes, which HMAC is made of; see RFC 2104.
const BLOCK: usize = 64;

/// The most bytes of a key file.
const LONGEST: u64 = 64 * 1024;

/// What marks are made by.
pub(crate) struct MarkKey([u8; 32]);

impl MarkKey {
    /// The key that goes with a push key.
    ///
    /// # Errors
    /// Where its file cannot be read.
    pub(crate) fn of(push_key: &Path) -> io::Result<Self> {
        let mut bytes = Vec::new();
        File::open(push_key)?.take(LONGEST).read_to_end(&mut bytes)?;
        Ok(Self(hmac(&bytes, &[b"apu: marks of answers"])))
    }

    /// The mark of an answer.
    pub(crate) fn mark(&self, answer: &Selection) -> AnswerMark {
        let Selection {
            owner,
            question,
            kind,
            value,
            ..
        } = answer;
        // No word before the value has a zero byte.
        let parts = [owner.as_str(), question.as_str(), kind.as_str(), value.expose()];
        let parts: Vec<&[u8]> = parts.iter().flat_map(|part| [part.as_bytes(), b"\0"]).collect();
        let mut mark = [0; 16];
        mark.copy_from_slice(&hmac(&self.0, &parts)[..16]);
        AnswerMark::from_bytes(mark)
    }
}

/// HMAC-SHA256 of the parts, one behind the other.
fn hmac(key: &[u8], parts: &[&[u8]]) -> [u8; 32] {
    let mut block = [0; BLOCK];
    if key.len() > BLOCK {
        block[..32].copy_from_slice(&Sha256::digest(key));
    } else {
        block[..key.len()].copy_from_slice(key);
    }
    let padded = |byte: u8| block.map(|own| own ^ byte);
    let mut inner = Sha256::new().chain_update(padded(0x36));
    for part in parts {
        inner.update(part);
    }
    let outer = Sha256::new()
        .chain_update(padded(0x5c))
        .chain_update(inner.finalize());
    outer.finalize().into()
}

#[cfg(test)]
mod tests {
    use apu_debian::debconf::selections;
    use apu_debian::hex;

    use super::*;

    #[test]
    fn the_checksum_is_that_of_rfc_4231() {
        for (key, data, expected) in [
            (
                &[0x0b; 20][..],
                &b"Hi There"[..],
                "b0344c61d8db38535ca8afceaf0bf12b881dc200c9833da726e9376c2e32cff7",
            ),
            (
                b"Jefe",
                b"what do ya want for nothing?",
                "5bdcc146bf60754e6a042426089575c75a003f089d2739839dec58b964ec3843",
            ),
            (
                &[0xaa; 131],
                b"Test Using Larger Than Block-Size Key - Hash Key First",
                "60e431591ee0b67f0d8a26aacbf5b77f8e0bc6213728c5140546040f0ee37f54",
            ),
        ] {
            assert_eq!(hex::encode(&hmac(key, &[data])), expected);
            assert_eq!(hex::encode(&hmac(key, &[&data[..3], &data[3..]])), expected);
        }
    }

    #[test]
    fn another_answer_and_another_key_have_another_mark() {
        let directory = tempfile::tempdir().unwrap();
        let key = |text: &str| {
            let path = directory.path().join("key");
            std::fs::write(&path, text).unwrap();
            MarkKey::of(&path).unwrap()
        };
        let mark = |key: &MarkKey, line: &str| key.mark(&selections(line.as_bytes()).unwrap()[0]);
        let (one, other) = (key("one"), key("other"));
        let answer = "aa a/b string x";
        assert_eq!(mark(&one, answer), mark(&one, "# why\naa  a/b string x\n"));
        assert_ne!(mark(&one, answer), mark(&other, answer));
        for different in [
            "ab a/b string x",
            "aa a/c string x",
            "aa a/b password x",
            "aa a/b string y",
        ] {
            assert_ne!(mark(&one, answer), mark(&one, different), "{different}");
        }
    }
}
