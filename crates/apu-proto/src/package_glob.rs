//! A name of packages that stay as they are in a run: exact, or a glob as apt_preferences(5) takes it.
//!
//! It is a part of that language, written in one way: no regular expression, no source package, no architecture, no class such
//! as `[:digit:]`, and no blank. So it cannot be read as another stanza, or as more than one name.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};
use thiserror::Error;

/// The most packages that one request may leave out since they are too young. Its length is a bound as well.
pub const MAX_TOO_YOUNG: usize = 512;

/// The most bytes of a glob; the longest name in Debian has 75.
const LONGEST: usize = 100;

/// The most `*` of a glob: apt tries each split of a name, and the effort grows with each further one.
const MOST_STARS: usize = 4;

/// The name of a package, in which `*` is any text, `?` any character, and `[a-z]` or `[!a-z]` one of a set.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct PackageGlob {
    text: String,
    parts: Vec<Part>,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
enum Part {
    One(u8),
    AnyOne,
    AnyText,
    Set { is_not: bool, ranges: Vec<(u8, u8)> },
}

/// A word that is no such name.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
pub enum GlobError {
    /// Nothing, or too much.
    #[error("a package or glob has 1 to {LONGEST} characters")]
    Length,
    /// A character of no package's name.
    #[error("a package or glob has a-z, 0-9, +, - and . besides *, ? and [a-z]")]
    Character,
    /// A set that is not closed, is empty, or has something else in it.
    #[error("a set of a glob is written [a-z] or [!a-z]")]
    Set,
    /// More than a few.
    #[error("a glob has at most {MOST_STARS} *")]
    Stars,
}

const fn is_of_a_name(byte: u8) -> bool {
    matches!(byte, b'a'..=b'z' | b'0'..=b'9' | b'+' | b'-' | b'.')
}

impl PackageGlob {
    /// Every package.
    #[must_use]
    pub fn any() -> Self {
        Self {
            text: "*".to_owned(),
            parts: vec![Part::AnyText],
        }
    }

    /// Whether a package has such a name; its architecture does not matter.
    #[must_use]
    pub fn matches(&self, name: &str) -> bool {
        let (parts, name) = (self.parts.as_slice(), name.as_bytes());
        let (mut part, mut at) = (0, 0);
        // The last `*`, and up to where it reaches.
        let mut star = None;
        while at < name.len() {
            match parts.get(part) {
                Some(Part::AnyText) => {
                    star = Some((part, at));
                    part += 1;
                }
                Some(one) if one.is(name[at]) => (part, at) = (part + 1, at + 1),
                _ => match star {
                    Some((star_part, reached)) => {
                        star = Some((star_part, reached + 1));
                        (part, at) = (star_part + 1, reached + 1);
                    }
                    None => return false,
                },
            }
        }
        parts[part..].iter().all(|part| *part == Part::AnyText)
    }
}

impl Part {
    /// Whether it is this one character.
    fn is(&self, byte: u8) -> bool {
        match self {
            Self::One(own) => *own == byte,
            Self::AnyOne => true,
            Self::AnyText => false,
            Self::Set { is_not, ranges } => {
                ranges.iter().any(|(low, high)| (*low..=*high).contains(&byte)) != *is_not
            }
        }
    }

    /// Reads the set at the start of `text`, without its `[`; what follows it is left.
    fn set(text: &[u8]) -> Result<(Self, &[u8]), GlobError> {
        let (is_not, text) = match text {
            [b'!', rest @ ..] => (true, rest),
            _ => (false, text),
        };
        let end = text.iter().position(|byte| *byte == b']').ok_or(GlobError::Set)?;
        let (mut set, rest) = (&text[..end], &text[end + 1..]);
        if set.is_empty() || !set.iter().all(|byte| is_of_a_name(*byte)) {
            return Err(GlobError::Set);
        }
        let mut ranges = Vec::new();
        while let [low, others @ ..] = set {
            if let [b'-', high, others @ ..] = others {
                if low > high || !low.is_ascii_alphanumeric() || !high.is_ascii_alphanumeric() {
                    return Err(GlobError::Set);
                }
                ranges.push((*low, *high));
                set = others;
            } else {
                ranges.push((*low, *low));
                set = others;
            }
        }
        Ok((Self::Set { is_not, ranges }, rest))
    }
}

impl FromStr for PackageGlob {
    type Err = GlobError;

    fn from_str(text: &str) -> Result<Self, GlobError> {
        if text.is_empty() || text.len() > LONGEST {
            return Err(GlobError::Length);
        }
        let (mut parts, mut rest) = (Vec::new(), text.as_bytes());
        while let [byte, others @ ..] = rest {
            let part = match byte {
                b'*' => Part::AnyText,
                b'?' => Part::AnyOne,
                b'[' => {
                    let (set, after) = Part::set(others)?;
                    parts.push(set);
                    rest = after;
                    continue;
                }
                byte if is_of_a_name(*byte) => Part::One(*byte),
                _ => return Err(GlobError::Character),
            };
            parts.push(part);
            rest = others;
        }
        if parts.iter().filter(|part| **part == Part::AnyText).count() > MOST_STARS {
            return Err(GlobError::Stars);
        }
        Ok(Self {
            text: text.to_owned(),
            parts,
        })
    }
}

impl TryFrom<String> for PackageGlob {
    type Error = GlobError;

    fn try_from(text: String) -> Result<Self, GlobError> {
        text.parse()
    }
}

impl From<PackageGlob> for String {
    fn from(glob: PackageGlob) -> Self {
        glob.text
    }
}

impl fmt::Display for PackageGlob {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn glob(text: &str) -> PackageGlob {
        text.parse().expect(text)
    }

    #[test]
    fn a_glob_matches_whole_names() {
        for (text, yes, no) in [
            ("g++", "g++", "g++-12"),
            ("linux-*", "linux-image-amd64", "util-linux"),
            ("*-*", "a-b", "ab"),
            ("lib?1", "liba1", "libaa1"),
            ("lib[a-c]1", "libb1", "libd1"),
            ("lib[!a-c]1", "libd1", "libb1"),
            ("lib[a-]x", "lib-x", "libbx"),
            ("*-dev*", "a-dev-dev", "a-de"),
            ("a*b*c", "abbcc", "abb"),
        ] {
            assert!(glob(text).matches(yes), "{text} {yes}");
            assert!(!glob(text).matches(no), "{text} {no}");
        }
    }

    #[test]
    fn what_apt_reads_as_something_else_is_no_glob() {
        use GlobError::{Character, Length, Set, Stars};
        for (text, error) in [
            ("", Length),
            (&*"a".repeat(101), Length),
            ("/^lib/", Character),
            ("src:linux", Character),
            ("linux:amd64", Character),
            ("a b", Character),
            ("a,b", Character),
            ("a\nPin", Character),
            ("Linux", Character),
            ("a]", Character),
            ("a[", Set),
            ("a[]", Set),
            ("a[!]", Set),
            ("a[^b]", Set),
            ("a[z-a]", Set),
            ("a[[:digit:]]", Set),
            ("a[b*]", Set),
            ("*a*b*c*d*", Stars),
        ] {
            assert_eq!(text.parse::<PackageGlob>(), Err(error), "{text:?}");
        }
    }

    proptest! {
        #[test]
        fn a_glob_reads_back_and_a_name_matches_itself(
            text in "[a-z0-9+.*?!\\[\\]-]{0,12}",
            name in "[a-z0-9+.-]{1,12}",
        ) {
            if let Ok(read) = text.parse::<PackageGlob>() {
                prop_assert_eq!(read.to_string(), text);
                let _ = read.matches(&name);
            }
            prop_assert!(glob(&name).matches(&name));
            let stars = format!("*{}*", name);
            prop_assert!(glob(&stars).matches(&name));
        }
    }
}
