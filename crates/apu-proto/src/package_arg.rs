//! One package of a request: a grammar stricter than Debian policy's, because apt reads names as a language.
//!
//! Nothing else is read: no `/suite`, no pattern, no glob, no file.

use std::fmt;
use std::str::FromStr;

use apu_debian::{Architecture, PackageError, PackageName, Version};

/// One package of a request: `name[:architecture][=version]`.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct PackageArg {
    /// The exact name, never a pattern.
    pub name: PackageName,
    /// The architecture, or the client's own.
    pub architecture: Option<Architecture>,
    /// The exact version, or the client's candidate.
    pub version: Option<Version>,
}

impl FromStr for PackageArg {
    type Err = PackageError;

    fn from_str(word: &str) -> Result<Self, PackageError> {
        let (package, version) = match word.split_once('=') {
            Some((package, version)) => (package, Some(version.parse()?)),
            None => (word, None),
        };
        let (name, architecture) = match package.split_once(':') {
            Some((name, architecture)) => (name, Some(architecture.parse()?)),
            None => (package, None),
        };
        Ok(Self {
            name: name.parse()?,
            architecture,
            version,
        })
    }
}

impl fmt::Display for PackageArg {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.name)?;
        if let Some(architecture) = &self.architecture {
            write!(f, ":{architecture}")?;
        }
        if let Some(version) = &self.version {
            write!(f, "={version}")?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_debian_has_is_accepted() {
        for word in [
            "0ad",
            "g++",
            "memtest86+",
            "libstdc++6:i386",
            "r-cran-vctrs=0.5.2-1",
            "vim=2:9.0.1378-2+deb12u2",
        ] {
            assert_eq!(word.parse::<PackageArg>().expect(word).to_string(), word);
        }
    }

    #[test]
    fn what_apt_reads_as_a_verb_a_pattern_or_a_file_is_not() {
        for word in [
            "",
            "a",
            "-y",
            "tmux-",
            "tmux.",
            "r.*",
            "foo/bookworm",
            "./x.deb",
            "~nfoo",
            "?essential",
            "task^",
            "foo=*",
            "foo=1.0-",
            "foo=",
            "foo:",
            ":amd64",
            "Foo",
            "foo_bar",
            "foo=1=2",
            "foo=-1",
            "foo=a:1",
            "foo=1:",
            "foo:any:any",
            "foo*",
            "foo,bar",
            "fo\u{e9}",
            "foo:-",
            "a b",
        ] {
            assert!(word.parse::<PackageArg>().is_err(), "{word:?}");
        }
    }
}
