//! Configuration files of a machine that exist in two versions, or are missing, as `conffiles` tells them.

use serde::{Deserialize, Serialize};

/// The most configuration files that an answer has.
pub const MAX_CONFFILES: usize = 1000;

/// A configuration file that an administrator may want to look at.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
pub struct Conffile {
    /// Its path; not to be trusted.
    pub path: String,
    /// What is the matter.
    pub state: ConffileState,
    /// The suffix of the other version, which lies beside it, such as `.dpkg-dist`; empty where there is none.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub beside: String,
    /// The beginning of the SHA-256 of the file, 8 hexadecimal digits: enough to tell whether machines have the same, and too little to
    /// guess what it is by. None where it is missing, is no regular file, or is too long.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub sha256: Option<String>,
    /// The same of the other version.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub other_sha256: Option<String>,
}

/// What is the matter with a configuration file.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum ConffileState {
    /// The machine's version was kept; the package's lies beside it.
    Kept,
    /// The package's version replaced the machine's, which lies beside it.
    Replaced,
    /// It is a package's, and is not there.
    Missing,
    /// One that a later version knows.
    #[serde(other)]
    Unknown,
}
