//! Asks archives whether they have a suite, with apt's own means of download: its proxies, its credentials, its certificates.

use std::collections::BTreeSet;
use std::io;
use std::path::Path;
use std::time::Duration;

use serde::Serialize;
use tokio::process::Command;

use crate::child;

/// apt's own helper; a part of the package apt.
const HELPER: &str = "usr/lib/apt/apt-helper";

/// From util-linux: no file of what it starts becomes longer than this. apt fetches a file to its end, however long, and a client has told the
/// address; a Release file of Debian has 0.2 MB.
const BOUNDED: &str = "usr/bin/prlimit";
const LONGEST: &str = "--fsize=16000000";

/// How long one question may take.
const LIMIT: Duration = Duration::from_secs(60);

/// The most archives that are asked.
pub(crate) const MAX_ASKED: usize = 200;

/// A suite of an archive, as a source names both.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
pub(crate) struct Suite {
    /// The address of the archive, without a slash at its end.
    pub(crate) uri: String,
    /// The suite, such as `trixie-security`.
    pub(crate) suite: String,
}

/// Whether an archive has a suite.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize)]
#[serde(tag = "answer", rename_all = "kebab-case")]
pub(crate) enum Had {
    /// It has.
    Yes,
    /// It has not.
    No,
    /// That could not be found out, and why.
    Unknown {
        /// Why.
        why: String,
    },
}

/// The same archive's suite for another release; none where the suite is not bound to the release, as `stable` or `./`.
pub(crate) fn for_release(suite: &Suite, from: &str, to: &str) -> Option<Suite> {
    let rest = suite.suite.strip_prefix(from)?;
    // `bookworm-security` and `bookworm/updates`, and not `bookworms`.
    let is_bound = rest.is_empty() || rest.starts_with(['-', '/']);
    is_bound.then(|| Suite {
        uri: suite.uri.clone(),
        suite: format!("{to}{rest}"),
    })
}

/// Asks an archive for the Release file of a suite.
pub(crate) fn ask(root: &Path, suite: &Suite) -> Had {
    if !is_askable(suite) {
        let why = "its address is not one of http, https or file".to_owned();
        return Had::Unknown { why };
    }
    match fetched(root, suite) {
        Ok(had) => had,
        Err(error) => Had::Unknown {
            why: error.to_string(),
        },
    }
}

/// Whether the address may be given to apt: clients tell it, and apt has methods that run programs.
fn is_askable(suite: &Suite) -> bool {
    let is_plain = |text: &str| {
        text.bytes().all(|byte| byte.is_ascii_graphic()) && !text.contains("..") && !text.is_empty()
    };
    ["http://", "https://"]
        .iter()
        .any(|scheme| suite.uri.starts_with(scheme))
        && is_plain(&suite.uri)
        && is_plain(&suite.suite)
}

fn fetched(root: &Path, suite: &Suite) -> io::Result<Had> {
    let directory = tempfile::tempdir()?;
    let mut why = String::new();
    for file in ["InRelease", "Release"] {
        let uri = format!("{}/dists/{}/{file}", suite.uri.trim_end_matches('/'), suite.suite);
        let mut helper = Command::new(root.join(BOUNDED));
        helper
            .arg(LONGEST)
            .arg(root.join(HELPER))
            .env("LC_ALL", "C.UTF-8")
            .args(["-o", "Acquire::Retries=1"])
            .args(["-o", "Acquire::http::Timeout=20"])
            .args(["-o", "Acquire::https::Timeout=20"])
            .arg("download-file")
            .arg(uri)
            .arg(directory.path().join(file));
        let ended = child::run(&mut helper, b"", LIMIT)?;
        if ended.status.success() {
            return Ok(Had::Yes);
        }
        let said = format!("{}{}", ended.out, ended.errors);
        if !is_not_found(&said) {
            why = said
                .lines()
                .find(|line| line.starts_with("E: "))
                .unwrap_or("apt-helper says nothing")
                .trim_start_matches("E: ")
                .to_owned();
        }
    }
    Ok(if why.is_empty() {
        Had::No
    } else {
        Had::Unknown { why }
    })
}

/// Whether apt says that the server has no such file: `E: Failed to fetch URI  404  Not Found [IP: …]`.
fn is_not_found(said: &str) -> bool {
    let mut lines = said.lines().filter(|line| line.starts_with("E: "));
    lines.any(|line| line.contains("  404  ") || line.contains("  410  "))
}

/// The suites that are asked, each once, and how many are not.
pub(crate) fn bounded(suites: BTreeSet<Suite>) -> (Vec<Suite>, usize) {
    let more = suites.len().saturating_sub(MAX_ASKED);
    (suites.into_iter().take(MAX_ASKED).collect(), more)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn suite(uri: &str, suite: &str) -> Suite {
        Suite {
            uri: uri.into(),
            suite: suite.into(),
        }
    }

    #[test]
    fn a_suite_that_is_bound_to_a_release_has_one_of_another() {
        let moved =
            |name: &str| for_release(&suite("http://a", name), "bookworm", "trixie").map(|suite| suite.suite);
        assert_eq!(moved("bookworm").as_deref(), Some("trixie"));
        assert_eq!(moved("bookworm-security").as_deref(), Some("trixie-security"));
        assert_eq!(moved("bookworm/updates").as_deref(), Some("trixie/updates"));
        for name in ["stable", "./", "bookworms", "12", "bullseye"] {
            assert_eq!(moved(name), None, "{name}");
        }
    }

    #[test]
    fn no_method_of_apt_that_runs_a_program_or_reads_a_file_is_asked_for_a_client() {
        for uri in [
            "ssh://a",
            "copy:/etc",
            "file:/etc",
            "cdrom:[x]",
            "http://a b",
            "http://a/../b",
            "",
        ] {
            assert!(!is_askable(&suite(uri, "trixie")), "{uri}");
        }
        assert!(!is_askable(&suite("http://a", "../../x")));
        assert!(!is_askable(&suite("http://a", "")));
        assert!(is_askable(&suite(
            "https://a.example.org/debian",
            "trixie/updates"
        )));
        let had = ask(Path::new("/"), &suite("ssh://a", "trixie"));
        assert!(matches!(had, Had::Unknown { .. }), "{had:?}");
    }

    #[test]
    fn a_missing_file_is_told_from_a_server_that_does_not_answer() {
        let missing = "Err:1 http://a/dists/x/InRelease\n  404  Not Found [IP: 127.0.0.1 80]\n\
                       E: Failed to fetch http://a/dists/x/InRelease  404  Not Found [IP: 127.0.0.1 80]\nE: Download Failed\n";
        assert!(is_not_found(missing));
        let down = "E: Failed to fetch http://a/dists/404/InRelease  Could not connect to a:80\nE: Download Failed\n";
        assert!(!is_not_found(down));
    }

    #[test]
    fn the_archives_that_are_asked_are_bounded() {
        let many = (0..MAX_ASKED + 3).map(|n| suite(&format!("http://a{n:04}"), "x"));
        let (asked, more) = bounded(many.collect());
        assert_eq!((asked.len(), more), (MAX_ASKED, 3));
    }
}
