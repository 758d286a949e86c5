//! Package names and architectures: Debian policy's grammar, dpkg's, and the stricter one of a request.

use std::borrow::Borrow;

use thiserror::Error;

use crate::text_value;

/// Why a text is not a package name, an architecture or a version that a request may hold.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum PackageError {
    /// Not a [`PackageName`].
    #[error(
        "not a package name: 2 to 128 of a-z 0-9 + . -, starting with a letter or digit, not ending in - or ."
    )]
    Name,
    /// Not an [`Architecture`].
    #[error(
        "not an architecture: 2 to 32 of a-z 0-9 -, starting and ending with a letter or digit; nor any, native or all"
    )]
    Architecture,
    /// Not a [`Version`](crate::Version).
    #[error(
        "not a version: [epoch:]upstream[-revision] of A-Z a-z 0-9 + . ~ -, starting with a digit, not ending in + or -"
    )]
    Version,
    /// Not a [`PackageKey`].
    #[error("not a package and its architecture, as in libc6:amd64")]
    Key,
}

text_value!(
    /// A binary package's name in a request, 2 to 128 bytes of `[a-z0-9+.-]`: as policy 5.6.7, and not ending in `-` or `.`,
    /// which apt reads as a verb or as the start of a pattern.
    #[derive(PartialOrd, Ord)]
    PackageName,
    is_name_in_request,
    PackageError,
    |_| PackageError::Name
);
text_value!(
    /// One Debian architecture such as `amd64` or `kfreebsd-amd64`, out of a closed list.
    #[derive(PartialOrd, Ord)]
    Architecture,
    is_known_architecture,
    PackageError,
    |_| PackageError::Architecture
);
text_value!(
    /// A package on one machine, as `name:architecture`: what dpkg's database has one entry for.
    ///
    /// The name is any that dpkg takes, the architecture any word that its database may have; where a package is for all architectures, the
    /// machine's own stands here, as apt counts it.
    #[derive(PartialOrd, Ord)]
    PackageKey,
    is_package_key,
    PackageError,
    |_| PackageError::Key
);

impl PackageKey {
    /// The key of a package of this name and architecture.
    ///
    /// # Errors
    /// Where dpkg has no such name or architecture.
    pub fn new(name: &str, architecture: &str) -> Result<Self, PackageError> {
        format!("{name}:{architecture}").parse()
    }

    /// The package's name.
    #[must_use]
    pub fn name(&self) -> &str {
        self.as_str().split_once(':').map_or("", |(name, _)| name)
    }

    /// The package's architecture; the machine's own for a package for all architectures.
    #[must_use]
    pub fn architecture(&self) -> &str {
        self.as_str()
            .split_once(':')
            .map_or("", |(_, architecture)| architecture)
    }
}

/// Its order, equality and hash are those of its text.
impl Borrow<str> for PackageKey {
    fn borrow(&self) -> &str {
        self.as_str()
    }
}

impl PartialEq<str> for PackageKey {
    fn eq(&self, text: &str) -> bool {
        self.as_str() == text
    }
}

impl PartialEq<&str> for PackageKey {
    fn eq(&self, text: &&str) -> bool {
        self.as_str() == *text
    }
}

fn is_package_key(key: &str) -> bool {
    // dpkg keeps in its database whatever architecture was installed with --force-architecture.
    let is_word = |word: &str| {
        (1..=64).contains(&word.len())
            && word
                .bytes()
                .all(|byte| byte.is_ascii_alphanumeric() || b"-+._~".contains(&byte))
    };
    key.split_once(':')
        .is_some_and(|(name, architecture)| is_dpkg_name(name) && is_word(architecture))
}

/// Whether Debian policy 5.6.7 allows the name of a binary package, of at most 128 bytes.
#[must_use]
pub fn is_package_name(name: &str) -> bool {
    let lower = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit();
    (2..=128).contains(&name.len())
        && name.bytes().next().is_some_and(lower)
        && name.bytes().all(|byte| lower(byte) || b"+.-".contains(&byte))
}

/// Whether dpkg takes the name in its database and in relations to other packages; of at most 128 bytes.
#[must_use]
pub fn is_dpkg_name(name: &str) -> bool {
    name.len() <= 128
        && name.starts_with(|first: char| first.is_ascii_alphanumeric())
        && name
            .bytes()
            .all(|byte| byte.is_ascii_alphanumeric() || b"-+._".contains(&byte))
}

fn is_name_in_request(name: &str) -> bool {
    is_package_name(name) && !name.ends_with(['-', '.'])
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

fn is_known_architecture(name: &str) -> bool {
    ARCHITECTURES.contains(&name)
}

/// Whether a package's `Architecture` may be this: `all`, or the name of a machine's. Open, since derivatives have their own.
#[must_use]
pub fn is_architecture(name: &str) -> bool {
    name.len() <= 32
        && !["any", "source", "native"].contains(&name)
        && name.starts_with(|first: char| first.is_ascii_lowercase())
        && name
            .bytes()
            .all(|byte| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'-')
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn policy_dpkg_and_a_request_take_different_names() {
        for (name, policy, dpkg, request) in [
            ("g++", true, true, true),
            ("memtest86+", true, true, true),
            ("foo.", true, true, false),
            ("foo-", true, true, false),
            ("a", false, true, false),
            ("Foo_bar", false, true, false),
            ("", false, false, false),
            ("-y", false, false, false),
            ("../foo", false, false, false),
            ("fo\u{e9}", false, false, false),
        ] {
            assert_eq!(is_package_name(name), policy, "policy: {name}");
            assert_eq!(is_dpkg_name(name), dpkg, "dpkg: {name}");
            assert_eq!(name.parse::<PackageName>().is_ok(), request, "request: {name}");
        }
    }

    #[test]
    fn a_key_is_a_name_and_an_architecture_and_nothing_else() {
        let key = PackageKey::new("libstdc++6", "i386").unwrap();
        assert_eq!((key.name(), key.architecture()), ("libstdc++6", "i386"));
        assert_eq!(key, "libstdc++6:i386");
        assert!(PackageKey::new("vendor", "x86_64").is_ok());
        for text in [
            "libc6",
            "libc6:",
            ":amd64",
            "a b:amd64",
            "libc6:amd64:i386",
            "try: reboot #",
        ] {
            assert!(text.parse::<PackageKey>().is_err(), "{text}");
        }
    }

    #[test]
    fn every_known_architecture_is_one_by_the_open_rule() {
        assert!(ARCHITECTURES.into_iter().all(is_architecture));
        assert!(is_architecture("all") && is_architecture("riscv32"));
        for name in ["any", "native", "source", "", "64", "AMD64", "a/b"] {
            assert!(!is_architecture(name), "{name}");
        }
    }
}
