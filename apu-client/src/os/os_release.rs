//! Reads os-release(5): which distribution this is.

use std::collections::BTreeMap;
use std::fs;

use super::paths::ClientPaths;

/// The assignments of `/etc/os-release`; none where it cannot be read.
#[derive(Debug)]
pub(crate) struct OsRelease(BTreeMap<String, String>);

impl OsRelease {
    pub(crate) fn read(paths: &ClientPaths) -> Self {
        let text = fs::read_to_string(paths.path("/etc/os-release"));
        Self::parse(&text.unwrap_or_default())
    }

    /// `NAME=value` lines, the value optionally in quotes.
    fn parse(text: &str) -> Self {
        let assignment = |line: &str| {
            let (name, value) = line.trim().split_once('=')?;
            Some((name.to_owned(), value.trim_matches(['"', '\'']).to_owned()))
        };
        Self(text.lines().filter_map(assignment).collect())
    }

    /// A value; empty where there is none.
    pub(crate) fn word(&self, name: &str) -> String {
        self.0.get(name).cloned().unwrap_or_default()
    }

    /// Distribution, version and codename, such as `debian 12 bookworm`.
    pub(crate) fn release(&self) -> String {
        let words = ["ID", "VERSION_ID", "VERSION_CODENAME"].map(|name| self.word(name));
        let words: Vec<String> = words.into_iter().filter(|word| !word.is_empty()).collect();
        words.join(" ")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn os_release_is_read_with_and_without_quotes() {
        let release = OsRelease::parse("ID=debian\nVERSION_ID=\"12\"\n# no\nVERSION_CODENAME='bookworm'\n");
        assert_eq!(release.word("ID"), "debian");
        assert_eq!(release.release(), "debian 12 bookworm");
        assert_eq!(
            OsRelease::parse("ID=debian\nVERSION_CODENAME=sid\n").release(),
            "debian sid"
        );
        assert_eq!(OsRelease::parse("").release(), "");
    }
}
