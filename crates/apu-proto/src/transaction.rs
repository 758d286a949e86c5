//! What a run would change, in a form that two machines can compare: sorted lines, and their SHA-256.

use std::fmt;
use std::str::FromStr;

use apu_debian::PackageKey;
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};
use thiserror::Error;

/// One package's change, before it is made.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(tag = "action", rename_all = "kebab-case")]
pub enum Step {
    /// Installs, upgrades or re-installs.
    Install {
        /// The package.
        package: PackageKey,
        /// The installed version, where there is one.
        old: Option<String>,
        /// The version to come.
        new: String,
        /// Where apt would fetch it from, such as `Debian:12.11/stable, Debian-Security:12/stable-security`.
        origin: String,
    },
    /// Removes; configuration files stay.
    Remove {
        /// The package.
        package: PackageKey,
        /// The installed version.
        old: String,
    },
}

impl fmt::Display for Step {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Install {
                package,
                old,
                new,
                origin,
            } => {
                write!(
                    f,
                    "install {package} {} {new} {origin}",
                    old.as_deref().unwrap_or("-")
                )
            }
            Self::Remove { package, old } => write!(f, "remove {package} {old}"),
        }
    }
}

/// All changes of a run, sorted, and what apt would leave as it is.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Transaction {
    steps: Vec<Step>,
    /// Packages with a newer version that this run would not install, by name.
    #[serde(default)]
    pub kept_back: Vec<String>,
    /// What it fetches and needs on disk, where the client could say. It is no part of the identity.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub sizes: Option<Sizes>,
}

/// Sizes in apt's own figures, such as `5396 kB`.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct Sizes {
    /// What all of it fetches, whatever is in the cache.
    pub download: String,
    /// `20.0 MB more`, or `36.9 kB less`.
    pub disk: String,
}

impl Transaction {
    /// Sorts the steps, so that equal transactions are equal texts.
    #[must_use]
    pub fn new(mut steps: Vec<Step>, mut kept_back: Vec<String>) -> Self {
        steps.sort();
        steps.dedup();
        kept_back.sort();
        Self {
            steps,
            kept_back,
            sizes: None,
        }
    }

    /// The changes in their order.
    #[must_use]
    pub fn steps(&self) -> &[Step] {
        &self.steps
    }

    /// The identity: SHA-256 of the steps, a line each.
    #[must_use]
    pub fn id(&self) -> TransactionId {
        let mut hash = Sha256::new();
        for step in &self.steps {
            hash.update(step.to_string());
            hash.update("\n");
        }
        TransactionId(hash.finalize().into())
    }
}

/// A transaction's identity, written as 64 lower-case hexadecimal digits.
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct TransactionId([u8; 32]);

/// A text that is not a transaction's identity.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
#[error("a transaction's identity is 64 lower-case hexadecimal digits")]
pub struct TransactionIdError;

impl fmt::Display for TransactionId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        apu_debian::hex::write(&self.0, f)
    }
}

impl fmt::Debug for TransactionId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "TransactionId({self})")
    }
}

impl FromStr for TransactionId {
    type Err = TransactionIdError;

    fn from_str(text: &str) -> Result<Self, TransactionIdError> {
        apu_debian::hex::decode(text).map(Self).ok_or(TransactionIdError)
    }
}

impl TryFrom<String> for TransactionId {
    type Error = TransactionIdError;

    fn try_from(text: String) -> Result<Self, TransactionIdError> {
        text.parse()
    }
}

impl From<TransactionId> for String {
    fn from(id: TransactionId) -> Self {
        id.to_string()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn install(package: &str, new: &str) -> Step {
        Step::Install {
            package: package.parse().unwrap(),
            old: None,
            new: new.into(),
            origin: "Site:local".into(),
        }
    }

    #[test]
    fn the_order_in_which_apt_lists_steps_does_not_matter() {
        let one = Transaction::new(vec![install("a:amd64", "1"), install("b:amd64", "2")], vec![]);
        let two = Transaction::new(
            vec![install("b:amd64", "2"), install("a:amd64", "1")],
            vec!["x".into()],
        );
        assert_eq!(one.id(), two.id());
    }

    #[test]
    fn another_version_is_another_transaction() {
        let one = Transaction::new(vec![install("a:amd64", "1")], vec![]);
        let two = Transaction::new(vec![install("a:amd64", "2")], vec![]);
        assert_ne!(one.id(), two.id());
    }

    #[test]
    fn an_identity_reads_back_as_it_was_written() {
        let id = Transaction::default().id();
        assert_eq!(
            id.to_string(),
            "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"
        );
        assert_eq!(id.to_string().parse(), Ok(id));
    }
}
