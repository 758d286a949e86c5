//! What a request may say of packages: a grammar stricter than Debian policy's, because apt reads names as a language.
//!
//! Policy 5.6.7 and 5.6.12 say what Debian allows. Here a name may not end in `-` or `.`, a version may not end in
//! `-` (which apt takes for a verb), and nothing else is read at all: no `/suite`, no pattern, no glob, no file.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};
use thiserror::Error;

/// Why a word does not name a package.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum PackageError {
    /// The part before `:` and `=`.
    #[error(
        "not a package name: 2 to 128 of a-z 0-9 + . -, starting with a letter or digit, not ending in - or ."
    )]
    Name,
    /// The part after `:`.
    #[error(
        "not an architecture: 2 to 32 of a-z 0-9 -, starting and ending with a letter or digit; nor any, native or all"
    )]
    Architecture,
    /// The part after `=`.
    #[error(
        "not a version: [epoch:]upstream[-revision] of A-Z a-z 0-9 + . ~ -, starting with a digit, not ending in + or -"
    )]
    Version,
}

macro_rules! checked_word {
    ($(#[$doc:meta])* $name:ident, $check:ident, $error:expr) => {
        $(#[$doc])*
        #[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
        #[serde(try_from = "String", into = "String")]
        pub struct $name(String);

        impl $name {
            /// The text, which keeps to this type's grammar.
            #[must_use]
            pub fn as_str(&self) -> &str {
                &self.0
            }
        }

        impl FromStr for $name {
            type Err = PackageError;

            fn from_str(text: &str) -> Result<Self, PackageError> {
                if $check(text.as_bytes()) { Ok(Self(text.to_owned())) } else { Err($error) }
            }
        }

        impl TryFrom<String> for $name {
            type Error = PackageError;

            fn try_from(text: String) -> Result<Self, PackageError> {
                text.parse()
            }
        }

        impl From<$name> for String {
            fn from(word: $name) -> Self {
                word.0
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(&self.0)
            }
        }
    };
}

checked_word!(
    /// A binary package's name, 2 to 128 bytes of `[a-z0-9+.-]`.
    PackageName,
    is_name,
    PackageError::Name
);
checked_word!(
    /// One Debian architecture such as `amd64` or `kfreebsd-amd64`.
    Architecture,
    is_architecture,
    PackageError::Architecture
);
checked_word!(
    /// A Debian version as a request may name it: to be compared with the candidate, never to be handed to apt, which
    /// reads a `+` at its end (bookworm has one such version) as a verb.
    Version,
    is_version,
    PackageError::Version
);

fn is_name(name: &[u8]) -> bool {
    let lower = |byte: &u8| byte.is_ascii_lowercase() || byte.is_ascii_digit();
    matches!(name, [first, .., last] if lower(first) && (lower(last) || *last == b'+'))
        && name.len() <= 128
        && name.iter().all(|byte| lower(byte) || b"+.-".contains(byte))
}

/// Debian's release architectures and ports, and Ubuntu's. Closed, since apt gives other words in this place a meaning of
/// their own (`any`, `native`; `src:` before a name).
const ARCHITECTURES: [&str; 24] = [
    "alpha",
    "amd64",
    "arc",
    "arm64",
    "armel",
    "armhf",
    "hppa",
    "hurd-amd64",
    "hurd-i386",
    "i386",
    "ia64",
    "kfreebsd-amd64",
    "loong64",
    "m68k",
    "mips64el",
    "mipsel",
    "powerpc",
    "ppc64",
    "ppc64el",
    "riscv64",
    "s390x",
    "sh4",
    "sparc64",
    "x32",
];

fn is_architecture(name: &[u8]) -> bool {
    ARCHITECTURES
        .iter()
        .any(|architecture| architecture.as_bytes() == name)
}

fn is_version(version: &[u8]) -> bool {
    let upstream = match version.iter().position(|&byte| byte == b':') {
        Some(colon) if (1..=9).contains(&colon) && version[..colon].iter().all(u8::is_ascii_digit) => {
            &version[colon + 1..]
        }
        Some(_) => return false,
        None => version,
    };
    upstream.len() <= 128
        && upstream.first().is_some_and(u8::is_ascii_digit)
        && !upstream.ends_with(b"-")
        && upstream
            .iter()
            .all(|byte| byte.is_ascii_alphanumeric() || b"+.~-".contains(byte))
}

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
