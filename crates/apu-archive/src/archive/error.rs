//! Why an archive could not be changed.

use std::error::Error;
use std::fmt;
use std::io;
use std::path::{Path, PathBuf};

use crate::deb::DebError;
use crate::openpgp::KeyError;
use crate::trusted::Untrusted;

/// Why an archive could not be changed. Whatever it was, clients still see the archive as it was before.
#[derive(Debug, thiserror::Error)]
pub enum ArchiveError {
    /// Reading or writing.
    #[error("cannot {doing} {path}")]
    Io {
        /// What was tried.
        doing: &'static str,
        /// With which file.
        path: String,
        /// Why it failed.
        source: io::Error,
    },
    /// At least one .deb may not be published.
    #[error("{} of the .debs cannot be published", .0.count())]
    Refused(#[source] Refused),
    /// Two files claim to be the same version of the same package.
    #[error("{first} and {second} are both {name}, with different content")]
    Ambiguous {
        /// NAME VERSION ARCHITECTURE
        name: String,
        /// One file.
        first: String,
        /// The other.
        second: String,
    },
    /// apt installs an essential package on every client that has not got it, whether anyone asked or not.
    #[error("{file} is marked Essential: a dist-upgrade would install it on every client")]
    Essential {
        /// The file.
        file: String,
        /// The package.
        package: String,
    },
    /// The name is taken by other content, which clients may hold already.
    #[error("{name} is in the archive already, with different content")]
    Taken {
        /// NAME VERSION ARCHITECTURE
        name: String,
    },
    /// Nothing in the archive is called that.
    #[error("{0} is not in the archive")]
    NotThere(String),
    /// A suite where a flat archive is, or the other way round: each would publish, and remove, what is the other's.
    #[error("it is {} already, and cannot be {} too", named(*.is_flat), named(!.is_flat))]
    OtherLayout {
        /// Whether it is a flat archive; otherwise it has suites.
        is_flat: bool,
    },
    /// An archive that apu did not make.
    #[error("{path} was not written by apu: the archive there is another tool's")]
    OtherTool {
        /// What shows it.
        path: String,
        /// The suite that was to be published.
        suite: Option<String>,
    },
    /// Somebody else could change what is signed, or lead root elsewhere.
    #[error(transparent)]
    Untrusted(#[from] Untrusted),
    /// The key.
    #[error("cannot sign")]
    Sign(#[from] KeyError),
    /// The keys could not be read, for the caller's own reason.
    #[error("cannot read the keys")]
    Keys(#[source] Box<dyn Error + Send + Sync>),
    /// What is published cannot be read, or is not what apu writes.
    #[error("cannot read {path}")]
    Unreadable {
        /// The published file.
        path: String,
        /// Why.
        source: Box<dyn Error + Send + Sync>,
    },
}

/// The kind of an archive, for people.
const fn named(is_flat: bool) -> &'static str {
    if is_flat {
        "a flat archive"
    } else {
        "an archive of suites"
    }
}

impl ArchiveError {
    pub(super) fn io(doing: &'static str, path: &Path) -> impl FnOnce(io::Error) -> Self {
        move |source| Self::Io {
            doing,
            path: path.display().to_string(),
            source,
        }
    }

    pub(super) fn unreadable(path: &Path, source: impl Into<Box<dyn Error + Send + Sync>>) -> Self {
        Self::Unreadable {
            path: path.display().to_string(),
            source: source.into(),
        }
    }
}

/// A .deb and why it is not published.
pub(super) fn reason(path: &Path, error: &DebError) -> String {
    let path = path.display();
    match error {
        // Where DebError wraps what the system said, that is the reason.
        DebError::Read(source) | DebError::NoReader(source) => format!("{path}: {error}: {source}"),
        _ => format!("{path}: {error}"),
    }
}

/// What would let a .deb into the archive that is refused as it is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Remedy {
    /// This package is one of [`Labels::essential`](crate::Labels).
    AllowEssential(String),
    /// The archive takes apu-data of another server: [`Archive::with_apu_data`](crate::Archive::with_apu_data).
    AllowApuData,
}

impl Remedy {
    pub(super) fn of(error: &DebError) -> Option<Self> {
        match error {
            DebError::Essential { package } => Some(Self::AllowEssential(package.clone())),
            DebError::StrangeApuData => Some(Self::AllowApuData),
            _ => None,
        }
    }
}

/// A chain of refused .debs, so that each is shown as one reason.
#[derive(Debug)]
pub struct Refused {
    text: String,
    remedy: Option<Remedy>,
    next: Option<Box<Refused>>,
}

impl Refused {
    pub(super) fn of(refused: Vec<(PathBuf, DebError)>) -> Option<Self> {
        refused.into_iter().rev().fold(None, |next, (path, error)| {
            Some(Self {
                text: reason(&path, &error),
                remedy: Remedy::of(&error),
                next: next.map(Box::new),
            })
        })
    }

    fn chain(&self) -> impl Iterator<Item = &Self> {
        std::iter::successors(Some(self), |refused| refused.next.as_deref())
    }

    fn count(&self) -> usize {
        self.chain().count()
    }

    /// What would let some of them in, in their order.
    pub fn remedies(&self) -> impl Iterator<Item = &Remedy> {
        self.chain().filter_map(|refused| refused.remedy.as_ref())
    }
}

impl fmt::Display for Refused {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text)
    }
}

impl std::error::Error for Refused {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        self.next
            .as_deref()
            .map(|next| next as &(dyn std::error::Error + 'static))
    }
}
