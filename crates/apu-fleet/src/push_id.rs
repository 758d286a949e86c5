//! The identity of a push: 128 random bits that all of its events carry.

use std::fmt;
use std::fs::File;
use std::io::{self, Read};
use std::str::FromStr;

use apu_proto::{RunId, RunIdError};
use serde::{Deserialize, Serialize};

/// A push's identity, written as a run's: 32 lower-case hexadecimal digits.
///
/// It is none of its runs' identities: a push may ask for several runs, one after the other.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct PushId(RunId);

impl PushId {
    /// The identity made of these 128 random bits.
    #[must_use]
    pub const fn from_bytes(bytes: [u8; 16]) -> Self {
        Self(RunId::from_bytes(bytes))
    }

    /// A new one.
    ///
    /// # Errors
    /// Where the kernel gives no random bits.
    pub fn random() -> io::Result<Self> {
        random_bits().map(Self::from_bytes)
    }
}

/// 128 random bits, for an identity that nobody else has.
///
/// # Errors
/// Where the kernel gives none.
pub fn random_bits() -> io::Result<[u8; 16]> {
    let mut bits = [0; 16];
    File::open("/dev/urandom").and_then(|mut random| random.read_exact(&mut bits))?;
    Ok(bits)
}

impl fmt::Display for PushId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

impl fmt::Debug for PushId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "PushId({self})")
    }
}

impl FromStr for PushId {
    type Err = RunIdError;

    fn from_str(text: &str) -> Result<Self, RunIdError> {
        text.parse().map(Self)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_id_reads_back_and_no_two_are_equal() {
        let id = PushId::random().unwrap();
        assert_eq!(id.to_string().parse(), Ok(id));
        assert_ne!(id, PushId::random().unwrap());
        assert_eq!(serde_json::to_string(&id).unwrap(), format!("\"{id}\""));
    }
}
