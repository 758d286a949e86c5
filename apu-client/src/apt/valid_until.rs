//! Reads Release files: when they were made, until when they are valid, and whether they are of a security archive. apt checks
//! these dates when it fetches, never when it installs.

use std::fs::File;
use std::io::{self, Read};
use std::path::Path;

use super::plan::is_security;

/// Bytes that are read of a Release file; apt's own limit.
const MAX_SIZE: u64 = 10_000_000;

/// What one Release file says.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct ReleaseFile {
    /// The field Date in seconds since 1970; none where it is missing or not understood.
    pub(crate) date: Option<u64>,
    /// The field Valid-Until as written; none where it is missing.
    pub(crate) valid_until: Option<String>,
    /// Whether its label or suite is that of a security archive.
    pub(crate) is_security: bool,
}

impl ReleaseFile {
    /// Reads the file `prefix` + `InRelease` or `prefix` + `Release`; none where neither exists.
    pub(crate) fn read(lists: &Path, prefix: &str) -> io::Result<Option<Self>> {
        for ending in ["InRelease", "Release"] {
            match File::open(lists.join(format!("{prefix}{ending}"))) {
                Ok(file) => {
                    let mut bytes = Vec::new();
                    file.take(MAX_SIZE).read_to_end(&mut bytes)?;
                    return Ok(Some(Self::parse(&String::from_utf8_lossy(&bytes))));
                }
                Err(error) if error.kind() == io::ErrorKind::NotFound => {}
                Err(error) => return Err(error),
            }
        }
        Ok(None)
    }

    /// Parses the fields, which may be in any order and any case.
    fn parse(text: &str) -> Self {
        let field = |name: &str| {
            text.lines().find_map(|line| {
                let (found, value) = line.split_once(':')?;
                found.eq_ignore_ascii_case(name).then(|| value.trim())
            })
        };
        Self {
            date: field("Date").and_then(seconds),
            valid_until: field("Valid-Until").map(str::to_owned),
            is_security: is_security(&format!(
                "{}:{}",
                field("Label").unwrap_or_default(),
                field("Suite").unwrap_or_default()
            )),
        }
    }

    /// Returns Valid-Until if it has passed at `now`, in seconds since 1970. A date that is not understood counts as
    /// passed.
    pub(crate) fn expired(&self, now: u64) -> Option<&str> {
        let until = self.valid_until.as_deref()?;
        seconds(until).is_none_or(|until| until < now).then_some(until)
    }
}

/// Parses a date such as `Sat, 29 Nov 2026 02:10:04 UTC` into seconds since 1970.
fn seconds(date: &str) -> Option<u64> {
    let date = date.split_once(", ").map_or(date, |(_, date)| date);
    let words: Vec<&str> = date.split_whitespace().collect();
    let [day, month, year, time, zone] = words.as_slice() else {
        return None;
    };
    if !matches!(*zone, "UTC" | "GMT" | "Z" | "+0000") {
        return None;
    }
    let months = [
        "Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec",
    ];
    let month = months.iter().position(|name| name == month)? as u64 + 1;
    let (day, year): (u64, u64) = (day.parse().ok()?, year.parse().ok()?);
    let time: Vec<u64> = time
        .split(':')
        .map(|part| part.parse().ok())
        .collect::<Option<_>>()?;
    let [hours, minutes, seconds] = time.as_slice() else {
        return None;
    };
    if !(1970..10_000).contains(&year) || !(1..=31).contains(&day) {
        return None;
    }
    // Days since 1970-01-01 in the Gregorian calendar, counted in years that start in March.
    let (year, month) = if month > 2 {
        (year, month - 3)
    } else {
        (year - 1, month + 9)
    };
    let days = 365 * year + year / 4 - year / 100 + year / 400 + (153 * month + 2) / 5 + day - 1;
    Some((days - 719_468) * 86_400 + hours * 3600 + minutes * 60 + seconds)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn dates_are_read_as_date_reads_them() {
        for (date, expected) in [
            ("Thu, 01 Jan 1970 00:00:00 UTC", 0),
            ("Tue, 29 Feb 2000 12:00:00 UTC", 951_825_600),
            ("Sun, 22 Nov 2026 22:17:02 +0000", 1_795_385_822),
            ("Sun,  1 Mar 2026 00:00:01 UTC", 1_772_323_201),
        ] {
            assert_eq!(seconds(date), Some(expected), "{date}");
        }
        for date in [
            "",
            "tomorrow",
            "Sun, 22 Nov 2026 22:17:02 PST",
            "Sun, 22 Foo 2026 22:17:02 UTC",
        ] {
            assert_eq!(seconds(date), None, "{date}");
        }
    }

    #[test]
    fn a_release_whose_time_is_over_or_not_understood_is_expired() {
        let until = |text: &str| ReleaseFile::parse(&format!("Suite: b\n{text}\n"));
        let minute = "Valid-Until: Thu, 01 Jan 1970 00:01:00 UTC";
        assert_eq!(until(minute).expired(60), None);
        assert_eq!(until(minute).expired(61), Some("Thu, 01 Jan 1970 00:01:00 UTC"));
        assert_eq!(
            until(&minute.to_uppercase()).expired(61),
            Some("THU, 01 JAN 1970 00:01:00 UTC")
        );
        assert_eq!(until("Date: x").expired(61), None);
        for text in [
            "Valid-Until:",
            "Valid-Until: tomorrow",
            "valid-until: Thu, 01 Jan 2100 00:00:00 PST",
        ] {
            assert!(until(text).expired(0).is_some(), "{text}");
        }
        let hashes = " 00 1 x\n".repeat(5000);
        assert!(until(&format!("SHA256:\n{hashes}{minute}")).expired(61).is_some());
    }

    #[test]
    fn a_release_is_read_whatever_bytes_are_in_it() {
        let directory = tempfile::tempdir().unwrap();
        let text =
            b"Label: \xff\nDate: Thu, 01 Jan 1970 00:01:00 UTC\nValid-Until: Thu, 01 Jan 1970 00:01:00 UTC\n";
        std::fs::write(directory.path().join("b_InRelease"), text).unwrap();
        let release = ReleaseFile::read(directory.path(), "b_").unwrap().unwrap();
        assert_eq!(release.date, Some(60));
        assert!(release.expired(61).is_some());
        assert_eq!(ReleaseFile::read(directory.path(), "c_").unwrap(), None);
    }
}
