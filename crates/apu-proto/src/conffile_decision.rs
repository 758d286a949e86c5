//! Decisions about a configuration file that exists in two versions: which file, what becomes of it, and of which versions of it.

use std::fmt;
use std::str::FromStr;

use apu_debian::{hex, text_value};
use serde::{Deserialize, Serialize};

use crate::conffile::{Conffile, ConffileState};
use crate::encoded::{decoded, encoded};
use crate::printable::is_invisible;

/// The longest path of a configuration file in a request, in bytes.
pub const MAX_CONFFILE_PATH: usize = 512;

/// The most pairs of versions that one decision is about.
pub const MAX_CONFFILE_VERSIONS: usize = 64;

text_value!(
    /// The absolute path of a configuration file, in its one spelling: no empty part, no `.` and no `..`.
    ConffilePath,
    is_path,
    String,
    |_: &str| format!(
        "not a path of a configuration file: at most {MAX_CONFFILE_PATH} bytes of printable text that begin with /, in the shortest spelling"
    )
);

fn is_path(text: &str) -> bool {
    let is_printable = |character: char| !(character.is_control() || is_invisible(character));
    let is_part = |part: &str| !matches!(part, "" | "." | "..");
    text.len() <= MAX_CONFFILE_PATH
        && text.chars().all(is_printable)
        && text
            .strip_prefix('/')
            .is_some_and(|rest| rest.split('/').all(is_part))
}

impl ConffilePath {
    /// The path as a word of a request line.
    pub(crate) fn encoded(&self) -> String {
        encoded(self.as_str())
    }

    /// Reads such a word. Each path has one word only.
    pub(crate) fn decode(word: &str) -> Option<Self> {
        decoded(word)?.parse().ok()
    }
}

/// What becomes of a configuration file.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum ConffileDecision {
    /// What is in place stays, and what lies beside it is put away.
    Keep,
    /// The package's version is in place afterwards, and the machine's is put away.
    New,
    /// What the last decision put away is put back.
    Undo,
}

impl ConffileDecision {
    /// Every decision.
    pub const ALL: [Self; 3] = [Self::Keep, Self::New, Self::Undo];

    /// The word in a request.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Keep => "keep",
            Self::New => "new",
            Self::Undo => "undo",
        }
    }
}

impl fmt::Display for ConffileDecision {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

impl FromStr for ConffileDecision {
    type Err = ();

    fn from_str(word: &str) -> Result<Self, ()> {
        (Self::ALL.into_iter())
            .find(|decision| decision.as_str() == word)
            .ok_or(())
    }
}

/// The suffix of a version that lies beside a configuration file.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
pub enum Beside {
    /// The package's, where dpkg kept the machine's.
    #[serde(rename = ".dpkg-dist")]
    DpkgDist,
    /// The package's, where dpkg did not come to its end.
    #[serde(rename = ".dpkg-new")]
    DpkgNew,
    /// The machine's, where dpkg put the package's in its place.
    #[serde(rename = ".dpkg-old")]
    DpkgOld,
    /// The package's, where ucf kept the machine's.
    #[serde(rename = ".ucf-dist")]
    UcfDist,
    /// The machine's, where ucf put the package's in its place.
    #[serde(rename = ".ucf-old")]
    UcfOld,
}

impl Beside {
    /// Every suffix.
    pub const ALL: [Self; 5] = [
        Self::DpkgDist,
        Self::DpkgNew,
        Self::DpkgOld,
        Self::UcfDist,
        Self::UcfOld,
    ];

    /// The suffix with its dot.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::DpkgDist => ".dpkg-dist",
            Self::DpkgNew => ".dpkg-new",
            Self::DpkgOld => ".dpkg-old",
            Self::UcfDist => ".ucf-dist",
            Self::UcfOld => ".ucf-old",
        }
    }

    /// Whether it is the package's version; else the package's is in place, and this is the machine's from before.
    #[must_use]
    pub const fn is_packages(self) -> bool {
        matches!(self, Self::DpkgDist | Self::DpkgNew | Self::UcfDist)
    }
}

impl fmt::Display for Beside {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

impl FromStr for Beside {
    type Err = ();

    fn from_str(suffix: &str) -> Result<Self, ()> {
        (Self::ALL.into_iter())
            .find(|beside| beside.as_str() == suffix)
            .ok_or(())
    }
}

/// The beginning of a file's SHA-256, as `conffiles` tells it: 8 hexadecimal digits.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct ShortSum([u8; 4]);

impl ShortSum {
    /// That of a file with this SHA-256.
    #[must_use]
    pub fn of(sha256: &[u8; 32]) -> Self {
        let [a, b, c, d, ..] = *sha256;
        Self([a, b, c, d])
    }
}

impl fmt::Display for ShortSum {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        hex::write(&self.0, f)
    }
}

impl FromStr for ShortSum {
    type Err = ();

    fn from_str(word: &str) -> Result<Self, ()> {
        hex::decode(word).map(Self).ok_or(())
    }
}

/// Two versions of a configuration file, `.dpkg-dist:fcbc800d:ed9c86a6` in a request: what lies beside it, what is in place, and what
/// lies there.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct ConffileVersions {
    /// Where the other one lies.
    pub beside: Beside,
    /// What is in place.
    pub place: ShortSum,
    /// What lies beside it.
    pub other: ShortSum,
}

impl ConffileVersions {
    /// The versions that a client tells; none where it does not know both, or means none that can be decided on.
    #[must_use]
    pub fn of(file: &Conffile) -> Option<Self> {
        let beside: Beside = file.beside.parse().ok()?;
        let state = if beside.is_packages() {
            ConffileState::Kept
        } else {
            ConffileState::Replaced
        };
        let sum = |sum: &Option<String>| sum.as_ref()?.parse().ok();
        (file.state == state).then_some(())?;
        Some(Self {
            beside,
            place: sum(&file.sha256)?,
            other: sum(&file.other_sha256)?,
        })
    }
}

impl fmt::Display for ConffileVersions {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}:{}", self.beside, self.place, self.other)
    }
}

impl FromStr for ConffileVersions {
    type Err = ();

    fn from_str(word: &str) -> Result<Self, ()> {
        let mut parts = word.split(':');
        let mut part = || parts.next().ok_or(());
        let read = Self {
            beside: part()?.parse()?,
            place: part()?.parse()?,
            other: part()?.parse()?,
        };
        parts.next().is_none().then_some(read).ok_or(())
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn a_path_has_one_spelling_and_leads_nowhere_else() {
        for text in ["/etc/app.conf", "/etc/a b/Grüße%.conf", "/x"] {
            let path: ConffilePath = text.parse().unwrap();
            assert!(path.encoded().bytes().all(|byte| byte.is_ascii_graphic()));
            assert_eq!(ConffilePath::decode(&path.encoded()), Some(path));
        }
        let long = format!("/{}", "x".repeat(MAX_CONFFILE_PATH));
        for text in [
            "",
            "/",
            "etc/app.conf",
            "/etc/../root/.ssh/authorized_keys",
            "/etc/./app.conf",
            "/etc//app.conf",
            "/etc/app.conf/",
            "/etc/a\nb",
            "/etc/a\u{202e}b",
            "/etc/a\0b",
            &long,
        ] {
            assert!(text.parse::<ConffilePath>().is_err(), "{text:?}");
        }
        assert_eq!(ConffilePath::decode("/etc/%61"), None);
    }

    #[test]
    fn versions_are_written_in_one_way() {
        let word = ".dpkg-dist:fcbc800d:0d9c86a6";
        let versions: ConffileVersions = word.parse().unwrap();
        assert_eq!(
            (versions.to_string().as_str(), versions.beside),
            (word, Beside::DpkgDist)
        );
        for word in [
            "",
            ".dpkg-dist",
            ".dpkg-dist:fcbc800d",
            ".dpkg-dist:fcbc800d:0d9c86a6:",
            "dpkg-dist:fcbc800d:0d9c86a6",
            ".dpkg-tmp:fcbc800d:0d9c86a6",
            ".dpkg-dist:FCBC800D:0d9c86a6",
            ".dpkg-dist:+cbc800d:0d9c86a6",
            ".dpkg-dist:cbc800d:0d9c86a6",
        ] {
            assert_eq!(word.parse::<ConffileVersions>(), Err(()), "{word}");
        }
    }

    #[test]
    fn what_a_client_does_not_know_or_says_wrongly_is_not_decided_on() {
        let file = |state, beside: &str, sums: [Option<&str>; 2]| Conffile {
            path: "/etc/app.conf".into(),
            state,
            beside: beside.into(),
            sha256: sums[0].map(str::to_owned),
            other_sha256: sums[1].map(str::to_owned),
            diff: None,
        };
        let both = [Some("fcbc800d"), Some("0d9c86a6")];
        let kept = ConffileVersions::of(&file(ConffileState::Kept, ".ucf-dist", both));
        assert_eq!(kept.unwrap().to_string(), ".ucf-dist:fcbc800d:0d9c86a6");
        assert!(ConffileVersions::of(&file(ConffileState::Replaced, ".dpkg-old", both)).is_some());
        for other in [
            file(ConffileState::Replaced, ".dpkg-dist", both),
            file(ConffileState::Missing, "", [None, None]),
            file(ConffileState::Kept, ".dpkg-dist", [None, Some("0d9c86a6")]),
            file(ConffileState::Kept, ".dpkg-dist", [Some("fcbc800d"), None]),
            file(ConffileState::Kept, ".dpkg-dist", [Some("fcbc"), Some("x,y=z")]),
        ] {
            assert_eq!(ConffileVersions::of(&other), None, "{other:?}");
        }
    }

    #[test]
    fn a_suffix_is_the_same_in_a_request_and_in_json() {
        for beside in Beside::ALL {
            assert_eq!(beside.as_str().parse(), Ok(beside));
            assert_eq!(serde_json::to_string(&beside).unwrap(), format!("\"{beside}\""));
        }
        for decision in ConffileDecision::ALL {
            assert_eq!(decision.as_str().parse(), Ok(decision));
        }
    }

    proptest! {
        #[test]
        fn every_path_reads_back(text in "/[ -~é]{0,20}(/[ -~]{0,20}){0,3}") {
            if let Ok(path) = text.parse::<ConffilePath>() {
                prop_assert_eq!(ConffilePath::decode(&path.encoded()), Some(path));
            }
        }
    }
}
