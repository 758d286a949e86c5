//! The Release file: what the archive is, how long that is true, and the hashes of its indexes.

use std::collections::BTreeMap;
use std::io::ErrorKind;
use std::path::{Path, PathBuf};
use std::time::Duration;

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use super::layout::{self, Layout};
use super::shape::Shape;
use super::{ArchiveError, Labels};
use crate::folder::Folder;

/// One index file as Release names it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct IndexFile {
    /// From the folder of Release.
    pub(super) name: String,
    pub(super) size: u64,
    pub(super) sha256: String,
}

impl IndexFile {
    /// Where clients find it by its hash, from the folder of Release.
    pub(super) fn by_hash(&self) -> PathBuf {
        Path::new(&self.name)
            .with_file_name("by-hash/SHA256")
            .join(&self.sha256)
    }
}

/// A Release file that was read back.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Release {
    pub(super) date: Timestamp,
    pub(super) valid_until: Option<Timestamp>,
    pub(super) suite: String,
    /// Nothing where it does not say.
    pub(super) components: Vec<String>,
    /// Nothing where it does not say.
    pub(super) architectures: Vec<String>,
    pub(super) files: Vec<IndexFile>,
}

impl Release {
    /// The file of that name.
    pub(super) fn file(&self, name: &str) -> Option<&IndexFile> {
        self.files.iter().find(|file| file.name == name)
    }

    /// Whether clients can ask it which file is in which package.
    pub(super) fn has_contents(&self) -> bool {
        self.files.iter().any(|file| is_contents(&file.name))
    }
}

/// Whether an index of that name says which file is in which package.
pub(super) fn is_contents(name: &str) -> bool {
    name.rsplit('/')
        .next()
        .is_some_and(|file| file.starts_with("Contents-"))
}

const DATE: &str = "%a, %d %b %Y %H:%M:%S UTC";

/// The text of a Release. Its lines have no trailing blank and no leading dash, since a cleartext signature
/// would change both.
pub(super) fn text(labels: &Labels, shape: &Shape, date: Timestamp, files: &[IndexFile]) -> String {
    let until = date.saturating_add(jiff::SignedDuration::from_secs(
        i64::try_from(labels.valid.as_secs()).unwrap_or(i64::MAX),
    ));
    let until = until.unwrap_or(Timestamp::MAX);
    let mut text = format!(
        "Origin: {}\nLabel: {}\nSuite: {}\n",
        labels.origin, labels.label, labels.suite
    );
    if let Layout::Suite(suite) = &labels.layout {
        // As Debian's: there are packages for all architectures, and each architecture's index names them itself.
        text.push_str(&format!(
            "Codename: {}\nArchitectures: all {}\nNo-Support-for-Architecture-all: Packages\nComponents: {}\n",
            suite.name,
            shape.architectures.join(" "),
            shape.components.join(" "),
        ));
    }
    text.push_str(&format!(
        "Date: {}\nValid-Until: {}\nAcquire-By-Hash: yes\nSHA256:\n",
        date.strftime(DATE),
        until.strftime(DATE),
    ));
    for file in files {
        text.push_str(&format!(" {} {} {}\n", file.sha256, file.size, file.name));
    }
    text
}

/// Reads the text of a Release; nothing if it is none of ours.
pub(super) fn parse(text: &str) -> Option<Release> {
    let mut fields = BTreeMap::new();
    let mut files = Vec::new();
    let mut in_hashes = false;
    for line in text.lines() {
        if let Some(line) = line.strip_prefix(' ') {
            let mut words = line.split_whitespace();
            if in_hashes {
                let (sha256, size, name) = (words.next()?, words.next()?, words.next()?);
                files.push(IndexFile {
                    name: name.to_owned(),
                    size: size.parse().ok()?,
                    sha256: sha256.to_owned(),
                });
            }
        } else {
            let (name, value) = line.split_once(':')?;
            in_hashes = name == "SHA256";
            fields.insert(name, value.trim());
        }
    }
    let date = |field| {
        let text: &str = fields.get(field)?;
        jiff::fmt::strtime::parse(DATE, text)
            .ok()?
            .to_datetime()
            .ok()?
            .to_zoned(jiff::tz::TimeZone::UTC)
            .ok()
    };
    let words = |field| {
        let words = fields.get(field).unwrap_or(&"").split_whitespace();
        words.map(str::to_owned).collect()
    };
    Some(Release {
        date: date("Date")?.timestamp(),
        valid_until: date("Valid-Until").map(|zoned| zoned.timestamp()),
        suite: fields.get("Suite").map_or("", |suite| *suite).to_owned(),
        components: words("Components"),
        architectures: words("Architectures"),
        files,
    })
}

/// When the archive in `dir` was published last, in seconds since 1970: `Date` of its Release, or of that of one suite.
/// None where it never was.
///
/// # Errors
/// A Release file that cannot be read, or does not say it.
pub fn release_date(dir: &Path, suite: Option<&str>) -> Result<Option<u64>, ArchiveError> {
    let below = layout::release_dir(suite).join("Release");
    let path = dir.join(&below);
    let no_date = || ArchiveError::unreadable(&path, "it has no Date that apu writes");
    let text = match Folder::open(dir).and_then(|root| root.read_text(&below)) {
        Ok(text) => text,
        Err(error) if error.kind() == ErrorKind::NotFound => return Ok(None),
        Err(error) => return Err(ArchiveError::unreadable(&path, error)),
    };
    let release = parse(&text).ok_or_else(no_date)?;
    let seconds = u64::try_from(release.date.as_second()).map_err(|_| no_date())?;
    Ok(Some(seconds))
}

/// The date of a new Release: now, but never before the last one, which clients hold on to. (A last one far in
/// the future came from a wrong clock, and no client took it.)
pub(super) fn next_date(now: Timestamp, last: Option<Timestamp>) -> Timestamp {
    const SKEW: Duration = Duration::from_secs(60 * 60);
    match last {
        Some(last) if last > now && last.duration_since(now).unsigned_abs() <= SKEW => last,
        _ => now,
    }
}

#[cfg(test)]
mod tests {
    use std::path::Path;
    use std::time::Duration;

    use super::{IndexFile, Labels, Layout, Shape, next_date, parse, text};
    use crate::archive::Suite;

    fn labels(layout: Layout) -> Labels {
        Labels {
            origin: "apu".into(),
            label: "apu".into(),
            suite: layout.suite().unwrap_or("local").to_owned(),
            valid: Duration::from_secs(30 * 86400),
            essential: None,
            layout,
            contents: None,
        }
    }

    fn shape(components: &[&str], architectures: &[&str]) -> Shape {
        let words = |words: &[&str]| words.iter().map(|&word| word.to_owned()).collect();
        Shape {
            components: words(components),
            architectures: words(architectures),
        }
    }

    #[test]
    fn a_suite_says_its_components_and_architectures() {
        let labels = labels(Layout::Suite(Suite {
            name: "stable".parse().unwrap(),
            components: Vec::new(),
            architectures: Vec::new(),
        }));
        let shape = shape(&["main", "extra"], &["amd64", "arm64"]);
        let date = "2026-11-22T21:47:16Z".parse().unwrap();
        let text = text(&labels, &shape, date, &[]);
        assert!(
            text.starts_with("Origin: apu\nLabel: apu\nSuite: stable\nCodename: stable\n"),
            "{text}"
        );
        let release = parse(&text).unwrap();
        assert_eq!(release.components, shape.components);
        assert_eq!(release.architectures, ["all", "amd64", "arm64"]);
    }

    #[test]
    fn the_place_by_hash_is_beside_the_file() {
        let file = |name: &str| IndexFile {
            name: name.into(),
            size: 1,
            sha256: "ab".into(),
        };
        assert_eq!(file("Packages").by_hash(), Path::new("by-hash/SHA256/ab"));
        assert_eq!(
            file("main/binary-amd64/Packages.gz").by_hash(),
            Path::new("main/binary-amd64/by-hash/SHA256/ab")
        );
    }

    #[test]
    fn a_release_is_read_back_as_it_was_written() {
        let labels = labels(Layout::Flat);
        let shape = shape(&[""], &["amd64"]);
        let file = IndexFile {
            name: "Packages.xz".into(),
            size: 32,
            sha256: "ab".repeat(32),
        };
        let date = "2026-11-22T21:47:16Z".parse().unwrap();
        let text = text(&labels, &shape, date, std::slice::from_ref(&file));
        assert!(!text.contains("Architectures"), "{text}");
        assert!(
            text.contains(
                "Date: Sun, 22 Nov 2026 21:47:16 UTC\nValid-Until: Tue, 22 Dec 2026 21:47:16 UTC\n"
            )
        );
        let release = parse(&text).unwrap();
        assert_eq!(release.date, date);
        assert_eq!(
            release.valid_until.unwrap(),
            "2026-12-22T21:47:16Z".parse().unwrap()
        );
        assert_eq!(release.files, [file]);
    }

    #[test]
    fn the_date_never_goes_back_unless_the_clock_was_wrong() {
        let at = |text: &str| text.parse::<jiff::Timestamp>().unwrap();
        let now = at("2026-11-22T12:00:00Z");
        assert_eq!(
            next_date(now, Some(at("2026-11-22T12:00:30Z"))),
            at("2026-11-22T12:00:30Z")
        );
        assert_eq!(next_date(now, Some(at("2026-11-22T11:00:00Z"))), now);
        assert_eq!(next_date(now, Some(at("2036-11-22T12:00:00Z"))), now);
        assert_eq!(next_date(now, None), now);
    }
}
