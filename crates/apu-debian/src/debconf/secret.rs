//! Texts that may be passwords: no output has them, and their memory is overwritten when they are dropped.

use std::fmt;
use std::hint::black_box;
use std::mem::take;

use serde::{Deserialize, Serialize};

/// A text that may be a password. It has no `Display`, and its `Debug` has nothing of it.
#[derive(Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Secret(String);

impl Secret {
    /// The text, for the one place that uses it.
    #[must_use]
    pub fn expose(&self) -> &str {
        &self.0
    }
}

impl From<String> for Secret {
    fn from(text: String) -> Self {
        Self(text)
    }
}

impl From<&str> for Secret {
    fn from(text: &str) -> Self {
        Self(text.to_owned())
    }
}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("…")
    }
}

impl Drop for Secret {
    fn drop(&mut self) {
        let mut bytes = take(&mut self.0).into_bytes();
        bytes.fill(0);
        // Without this the compiler may leave the writes out, since nothing reads the bytes afterwards.
        black_box(&bytes);
    }
}

#[cfg(test)]
mod tests {
    use serde::de::IntoDeserializer;
    use serde::de::value::{Error, StrDeserializer};

    use super::*;

    #[test]
    fn nothing_of_a_secret_is_printed_and_it_reads_back() {
        let secret = Secret::from("hunter2");
        assert_eq!(format!("{secret:?} {:?}", Some(&secret)), "… Some(…)");
        assert_eq!(format!("{:#?}", Some(&secret)), "Some(\n    …,\n)");
        let text: StrDeserializer<'_, Error> = secret.expose().into_deserializer();
        assert_eq!(Secret::deserialize(text).as_ref(), Ok(&secret));
    }
}
