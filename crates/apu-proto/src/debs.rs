//! The .debs that travel between a client and the server: those that a run has kept, and those that a run is to install.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

use crate::transaction::DebSha256;

/// The most .debs that one request may be about; more take more requests.
pub const MAX_DEBS: usize = 32;

/// The largest .deb that travels, in bytes.
pub const MAX_DEB_SIZE: u64 = 4 << 30;

/// A .deb whose bytes follow.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct SentDeb {
    /// Its checksum.
    pub sha256: DebSha256,
    /// Its size in bytes.
    pub size: u64,
}

impl SentDeb {
    /// Whether it may travel.
    #[must_use]
    pub const fn is_within_bounds(&self) -> bool {
        self.size <= MAX_DEB_SIZE
    }
}

impl fmt::Display for SentDeb {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}", self.sha256, self.size)
    }
}

impl FromStr for SentDeb {
    type Err = ();

    /// Reads what was written, and no other form of the same.
    fn from_str(text: &str) -> Result<Self, ()> {
        let (sha256, size) = text.split_once(':').ok_or(())?;
        let deb = Self {
            sha256: sha256.parse().map_err(|_| ())?,
            size: size.parse().map_err(|_| ())?,
        };
        (deb.is_within_bounds() && deb.to_string() == text)
            .then_some(deb)
            .ok_or(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_deb_reads_back_as_it_was_written_and_no_other_way() {
        let sum = "ab".repeat(32);
        for size in ["0", "1", "4294967296"] {
            let text = format!("{sum}:{size}");
            assert_eq!(text.parse::<SentDeb>().unwrap().to_string(), text);
        }
        for text in [
            String::new(),
            sum.clone(),
            format!("{sum}:"),
            format!("{sum}:01"),
            format!("{sum}:+1"),
            format!("{sum}:-1"),
            format!("{sum}:4294967297"),
            format!("{}:1", sum.to_uppercase()),
            format!("{}:1", &sum[1..]),
        ] {
            assert!(text.parse::<SentDeb>().is_err(), "{text}");
        }
    }
}
