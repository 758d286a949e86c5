//! A directory of .debs that is an archive: its index, its signed Release, and the tools to change it.
//!
//! The layout is flat: `deb [signed-by=…] http://SERVER/local ./`. The .debs lie anywhere below the directory.

mod cache;
mod check;
mod generations;
mod index;
mod newest;
mod pool;
mod publish;
mod release;
mod scan;
mod trial;

use std::fmt;
use std::io;
use std::path::{Path, PathBuf};
use std::time::Duration;

use thiserror::Error;

pub use check::{Checked, Fault, check};
pub use index::Entry;
pub use newest::newest_version;
pub use publish::Published;
pub use trial::Trial;

use crate::deb::DebError;
use crate::lock::Lock;
use crate::openpgp::{ArchiveKey, KeyError};
use crate::{Failure, Settings, durable};

/// What the Release file says of the archive as a whole.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Labels {
    /// Origin
    pub origin: String,
    /// Label
    pub label: String,
    /// Suite
    pub suite: String,
    /// How long after its Date the Release is good.
    pub valid: Duration,
    /// Which packages may be marked Essential; nothing where any may.
    pub essential: Option<Vec<String>>,
}

impl Labels {
    /// As `apu.toml` has them.
    #[must_use]
    pub fn of(settings: &Settings) -> Self {
        let archive = &settings.archive;
        Self {
            origin: archive.origin.to_string(),
            label: archive.label.to_string(),
            suite: archive.suite.to_string(),
            valid: Duration::from_secs(u64::from(archive.valid_days.get()) * 24 * 60 * 60),
            essential: Some(archive.may_replace.iter().map(ToString::to_string).collect()),
        }
    }
}

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
    /// The key.
    #[error("cannot sign")]
    Sign(#[from] KeyError),
}

impl ArchiveError {
    fn io(doing: &'static str, path: &Path) -> impl FnOnce(io::Error) -> Self {
        let path = path.display().to_string();
        move |source| Self::Io { doing, path, source }
    }

    /// As the administrator sees it.
    #[must_use]
    pub fn into_failure(self, dir: &Path) -> Failure {
        let dir = dir.display();
        let what = format!("nothing was published in {dir}");
        match &self {
            Self::Io { source, .. } if source.kind() == io::ErrorKind::PermissionDenied => {
                Failure::words(what).advise("run it as root, with sudo").why(self)
            }
            Self::Io { source, path, .. } if source.kind() == io::ErrorKind::NotFound => {
                let advice = format!("look at `ls -l {path}`");
                Failure::words(what).advise(advice).why(self)
            }
            Self::Io { .. } => Failure::machine(what)
                .advise(format!("look at `df -h {dir}`"))
                .why(self),
            Self::Sign(_) => Failure::machine(what).advise("sudo apu setup").why(self),
            Self::Refused(_) => Failure::words(what)
                .advise("mend or remove these files")
                .why(self),
            Self::Ambiguous { first, .. } => {
                let advice = format!("rm {dir}/{first}, or give one of them another version");
                Failure::words(what).advise(advice).why(self)
            }
            Self::Essential { file, package } => {
                let advice = format!(
                    "rm {dir}/{file}, or write {package} into may_replace in /etc/apu-server/apu.toml"
                );
                Failure::words(what).advise(advice).why(self)
            }
            Self::Taken { .. } => Failure::words(what)
                .advise("give the changed package a higher version")
                .why(self),
            Self::NotThere(_) => Failure::words(what)
                .advise(format!("apu repo list {dir}"))
                .why(self),
        }
    }
}

/// A chain of refused .debs, so that each is shown as one reason.
#[derive(Debug)]
pub struct Refused {
    text: String,
    next: Option<Box<Refused>>,
}

impl Refused {
    fn of(refused: Vec<(PathBuf, DebError)>) -> Option<Self> {
        refused.into_iter().rev().fold(None, |next, (path, error)| {
            let mut text = format!("{}: {error}", path.display());
            // Where DebError wraps what the system said, that is the reason.
            if let DebError::Read(source) = &error {
                text = format!("{text}: {source}");
            }
            Some(Self {
                text,
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

/// An archive in a directory, held by one publisher at a time.
pub struct Archive {
    dir: PathBuf,
    labels: Labels,
    keys: Vec<ArchiveKey>,
    _lock: Lock,
}

/// What of a directory is ours and not for clients: the lock, the cache, the record of generations.
const OWN: &str = ".apu";

impl Archive {
    /// Opens the archive in `dir` to change it. `who` is told to others who wait; `waiting` hears for whom
    /// this one waits.
    pub fn open(
        dir: &Path,
        labels: Labels,
        keys: Vec<ArchiveKey>,
        who: &str,
        waiting: &dyn Fn(&str),
    ) -> Result<Self, ArchiveError> {
        let own = dir.join(OWN);
        durable::directory(&own, 0o700).map_err(ArchiveError::io("make", &own))?;
        let path = own.join("lock");
        let lock = Lock::take(&path, who, waiting).map_err(ArchiveError::io("lock", &path))?;
        Ok(Self {
            dir: dir.to_owned(),
            labels,
            keys,
            _lock: lock,
        })
    }

    /// Where it lies.
    #[must_use]
    pub fn dir(&self) -> &Path {
        &self.dir
    }

    fn own(&self, name: &str) -> PathBuf {
        self.dir.join(OWN).join(name)
    }
}
