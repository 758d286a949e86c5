//! Why an archive could not be changed, and what to do then.

use std::fmt;
use std::io;
use std::path::{Path, PathBuf};

use thiserror::Error;

use super::{FLAT, other_tool};
use crate::deb::DebError;
use crate::failure::{Failure, FailureKind};
use crate::io_advice::io_advice;
use crate::openpgp::KeyError;
use crate::trusted::Untrusted;

/// Why an archive could not be changed. Whatever it was, clients still see the archive as it was before.
#[derive(Debug, Error)]
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
    #[error("it is {there} already, and cannot be {wanted} too")]
    OtherLayout {
        /// What it is.
        there: &'static str,
        /// What it was to become.
        wanted: &'static str,
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
    /// The keys could not be read.
    #[error(transparent)]
    Keys(#[from] Failure),
}

impl ArchiveError {
    pub(super) fn io(doing: &'static str, path: &Path) -> impl FnOnce(io::Error) -> Self {
        move |source| Self::Io {
            doing,
            path: path.display().to_string(),
            source,
        }
    }

    /// As the administrator sees it.
    #[must_use]
    pub fn into_failure(self, dir: &Path) -> Failure {
        if let Self::Keys(failure) = self {
            return failure;
        }
        let path = dir;
        let dir = dir.display();
        let what = format!("nothing was published in {dir}");
        match &self {
            Self::Io { source, path, .. } => {
                let failure = match io_advice(source, Path::new(path)) {
                    (FailureKind::Words, advice) => Failure::words(what).advise(advice),
                    (FailureKind::Machine, advice) => Failure::machine(what).advise(advice),
                };
                failure.why(self)
            }
            Self::Sign(_) | Self::Keys(_) => Failure::machine(what).advise("sudo apu setup").why(self),
            Self::Refused(_) => Failure::words(what)
                .advise("mend or remove these files")
                .why(self),
            Self::Ambiguous { first, .. } => {
                // One of them may be on its way in, from somewhere else.
                let file = format!("{dir}/{first}");
                let advice = if Path::new(&file).is_file() {
                    format!("rm {file}, or give one of them another version")
                } else {
                    "give one of them another version".to_owned()
                };
                Failure::words(what).advise(advice).why(self)
            }
            Self::Essential { file, package } => {
                let path = format!("{dir}/{file}");
                let allow = format!("write {package} into may_replace in /etc/apu-server/apu.toml");
                let advice = if Path::new(&path).is_file() {
                    format!("rm {path}, or {allow}")
                } else {
                    allow
                };
                Failure::words(what).advise(advice).why(self)
            }
            Self::Taken { .. } => Failure::words(what)
                .advise("give the changed package a higher version")
                .why(self),
            Self::OtherLayout { there, .. } => {
                let advice = if *there == FLAT {
                    format!("another directory, or rm {dir}/InRelease {dir}/Release* {dir}/Packages*")
                } else {
                    format!("another directory, or rm -r {dir}/dists")
                };
                Failure::words(what).advise(advice).why(self)
            }
            Self::OtherTool { suite, .. } => Failure::words(what)
                .advise(other_tool::advice(path, suite.as_deref()))
                .why(self),
            Self::Untrusted(why) => {
                let advice = why.advice().to_owned();
                Failure::words(what).advise(advice).why(self)
            }
            Self::NotThere(_) => Failure::words(what)
                .advise(format!("apu repo list {dir}"))
                .why(self),
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

/// A chain of refused .debs, so that each is shown as one reason.
#[derive(Debug)]
pub struct Refused {
    text: String,
    next: Option<Box<Refused>>,
}

impl Refused {
    pub(super) fn of(refused: Vec<(PathBuf, DebError)>) -> Option<Self> {
        refused.into_iter().rev().fold(None, |next, (path, error)| {
            Some(Self {
                text: reason(&path, &error),
                next: next.map(Box::new),
            })
        })
    }

    fn count(&self) -> usize {
        1 + self.next.as_ref().map_or(0, |next| next.count())
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
