//! Where an archive has its indexes and its .debs: all in one directory, or in suites and components as Debian has
//! them. Several suites may share one directory.

use std::path::{Path, PathBuf};

use super::OWN;
use crate::words::{MachineArchitecture, Word};

/// How an archive is laid out below its directory.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Layout {
    /// `deb URL ./`: the indexes lie in the directory itself, the .debs anywhere below it.
    Flat,
    /// `deb URL SUITE COMPONENT…`
    Suite(Suite),
}

/// A suite: its indexes lie in `dists/SUITE`, its .debs in and below `pool/SUITE/COMPONENT`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Suite {
    /// Its name.
    pub name: Word,
    /// Components that it has also without a .deb. Every directory of its pool is one too.
    pub components: Vec<Word>,
    /// Architectures that it has also without a .deb for them.
    pub architectures: Vec<MachineArchitecture>,
}

/// The folder that Release lies in, below the archive's directory.
pub(super) fn release_dir(suite: Option<&str>) -> PathBuf {
    suite.map_or_else(PathBuf::new, |suite| Path::new("dists").join(suite))
}

impl Layout {
    /// The name of the suite.
    #[must_use]
    pub fn suite(&self) -> Option<&str> {
        match self {
            Self::Flat => None,
            Self::Suite(suite) => Some(suite.name.as_str()),
        }
    }

    /// What is ours and not for clients.
    pub(super) fn own_dir(&self) -> PathBuf {
        Path::new(OWN).join(release_dir(self.suite()))
    }

    /// What its .debs lie in and below; nothing of it is the directory itself.
    pub(super) fn pool(&self) -> PathBuf {
        match self {
            Self::Flat => PathBuf::new(),
            Self::Suite(suite) => Path::new("pool").join(suite.name.as_str()),
        }
    }

    /// The component of the .deb at `path`; of a flat archive it is empty. Nothing for a .deb that lies in none.
    pub(super) fn component<'a>(&self, path: &'a str) -> Option<&'a str> {
        match self {
            Self::Flat => Some(""),
            Self::Suite(suite) => {
                let below = path
                    .strip_prefix("pool/")?
                    .strip_prefix(suite.name.as_str())?
                    .strip_prefix('/')?;
                Some(below.split_once('/')?.0)
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use super::{Layout, Suite};

    #[test]
    fn a_deb_belongs_to_the_component_whose_folder_it_lies_below() {
        let suite = Layout::Suite(Suite {
            name: "stable".parse().unwrap(),
            components: Vec::new(),
            architectures: Vec::new(),
        });
        assert_eq!(suite.component("pool/stable/main/a/a.deb"), Some("main"));
        assert_eq!(suite.component("pool/stable/extra/a.deb"), Some("extra"));
        for elsewhere in ["pool/stable/a.deb", "pool/stable2/main/a.deb", "main/a.deb"] {
            assert_eq!(suite.component(elsewhere), None, "{elsewhere}");
        }
        assert_eq!(suite.own_dir(), Path::new(".apu/dists/stable"));
        assert_eq!(Layout::Flat.component("any/where/a.deb"), Some(""));
        assert_eq!(Layout::Flat.own_dir(), Path::new(".apu"));
    }
}
