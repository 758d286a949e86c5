//! Which ssh key a request came with: the fingerprint that sshd logs, and how it travels on the client's socket.

use std::fmt;
use std::str::FromStr;

use sha2::{Digest, Sha256};

const ALPHABET: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";

/// Characters of a SHA-256 in base64 without padding.
const LENGTH: usize = 43;

/// Bytes of a public key in ssh's format: RSA of 16,384 bits has about 2,100.
const LONGEST_KEY: usize = 4096;

/// A public key's fingerprint as `ssh-keygen -l` writes it: `SHA256:` and 43 characters of base64.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct KeyFingerprint(String);

/// A text is no fingerprint.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("not a fingerprint of the form SHA256:…")]
pub struct KeyFingerprintError;

impl FromStr for KeyFingerprint {
    type Err = KeyFingerprintError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let digest = text.strip_prefix("SHA256:").ok_or(KeyFingerprintError)?;
        if digest.len() != LENGTH || !digest.bytes().all(|byte| ALPHABET.contains(&byte)) {
            return Err(KeyFingerprintError);
        }
        Ok(Self(text.to_owned()))
    }
}

impl fmt::Display for KeyFingerprint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl KeyFingerprint {
    /// The last key in what sshd writes for `ExposeAuthInfo yes`: lines `METHOD`, or `publickey TYPE BASE64`.
    #[must_use]
    pub fn of_auth_info(text: &str) -> Option<Self> {
        let line = text
            .lines()
            .rev()
            .find_map(|line| line.strip_prefix("publickey "))?;
        let blob = line.split(' ').nth(1)?;
        Some(Self(format!(
            "SHA256:{}",
            encoded(&Sha256::digest(decoded(blob)?))
        )))
    }

    /// The name that the wrapper gives its end of the socket, in Linux's abstract namespace: a claim of user apu, which the
    /// handler writes into the log and does not act on.
    ///
    /// It is not in the request's line, so that handlers and wrappers of other versions understand each other: to a handler
    /// that does not ask for it, a socket's name is nothing. `unique` keeps two connections apart.
    #[must_use]
    pub fn to_peer_name(&self, unique: u32) -> String {
        format!("apu-key/{self}/{unique}")
    }

    /// The fingerprint in the name of the other end of a socket.
    #[must_use]
    pub fn from_peer_name(name: &[u8]) -> Option<Self> {
        let (key, unique) = std::str::from_utf8(name)
            .ok()?
            .strip_prefix("apu-key/")?
            .rsplit_once('/')?;
        unique.parse::<u32>().ok()?;
        key.parse().ok()
    }
}

fn encoded(bytes: &[u8]) -> String {
    let mut text = String::new();
    for group in bytes.chunks(3) {
        let bits = (0..3).fold(0_u32, |bits, at| {
            bits << 8 | u32::from(group.get(at).copied().unwrap_or(0))
        });
        for digit in 0..=group.len() {
            let value = bits >> (18 - 6 * digit) & 63;
            text.push(char::from(ALPHABET[value as usize]));
        }
    }
    text
}

/// Base64 as ssh writes it, with its padding.
fn decoded(text: &str) -> Option<Vec<u8>> {
    if text.is_empty() || !text.len().is_multiple_of(4) || text.len() > LONGEST_KEY * 4 / 3 {
        return None;
    }
    let digits = text.trim_end_matches('=');
    if text.len() - digits.len() > 2 {
        return None;
    }
    let mut bytes = Vec::with_capacity(text.len() / 4 * 3);
    let (mut bits, mut count) = (0_u32, 0);
    for digit in digits.bytes() {
        let value = ALPHABET.iter().position(|known| *known == digit)?;
        bits = bits << 6 | u32::try_from(value).ok()?;
        count += 6;
        if count >= 8 {
            count -= 8;
            bytes.push((bits >> count & 0xff) as u8);
        }
        bits &= (1 << count) - 1;
    }
    Some(bytes)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Made by `ssh-keygen -t ed25519`, and told by `ssh-keygen -l`.
    const LINE: &str = "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAINkl2kolJbxEnK3tKfO2zHZ4VPy69dGx1TlqrCW+Rjyx";
    const TOLD: &str = "SHA256:aseLqk6tRUHIBsNJsCJAEv+e6/AN/GzzVRmzTPhRLBU";

    #[test]
    fn a_key_has_the_fingerprint_that_ssh_keygen_tells() {
        let told: KeyFingerprint = TOLD.parse().unwrap();
        assert_eq!(
            KeyFingerprint::of_auth_info(&format!("publickey {LINE}\n")),
            Some(told.clone())
        );
        let both = format!("password\npublickey ssh-rsa AAAA\npublickey {LINE}\n");
        assert_eq!(KeyFingerprint::of_auth_info(&both), Some(told));
        for other in [
            "",
            "password\n",
            "publickey",
            "publickey ssh-ed25519",
            "publickey ssh-ed25519 A",
            "publickey x AA==AA==",
            "publickey x A===",
            "publickey x AA\u{e9}A",
            "publickey x ????",
        ] {
            assert_eq!(KeyFingerprint::of_auth_info(other), None, "{other}");
        }
        assert_eq!(
            KeyFingerprint::of_auth_info(&format!("publickey x {}", "AAAA".repeat(9999))),
            None
        );
    }

    #[test]
    fn a_name_of_a_socket_carries_a_fingerprint_and_nothing_else() {
        let key: KeyFingerprint = TOLD.parse().unwrap();
        let name = key.to_peer_name(u32::MAX);
        // sun_path has 108 bytes, the first of which is NUL.
        assert!(name.len() <= 107, "{name}");
        assert_eq!(KeyFingerprint::from_peer_name(name.as_bytes()), Some(key));
        let long = format!("apu-key/{TOLD}A/1");
        let forged = format!("apu-key/SHA256:{}\nroot/1", "A".repeat(38));
        for name in [
            "",
            "apu-key/",
            "apu-key//1",
            "apu-key/MD5:x/1",
            TOLD,
            &long,
            &forged,
            "apu-key/SHA256:x/1",
            &format!("apu-key/{TOLD}/x"),
            &format!("apu-key/{TOLD}"),
            &format!("apu-key/{TOLD}/-1"),
        ] {
            assert_eq!(KeyFingerprint::from_peer_name(name.as_bytes()), None, "{name}");
        }
        assert_eq!(KeyFingerprint::from_peer_name(b"apu-key/\xff/1"), None);
    }
}
