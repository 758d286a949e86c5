//! Release files of the fetched lists: until when they are valid. apt asks that only when it fetches, never when it installs.

use std::fs::{self, File};
use std::io::Read;
use std::path::Path;
use std::time::{SystemTime, UNIX_EPOCH};

/// The first list whose validity is over: its file name, and until when it was valid.
pub(crate) fn expired(lists: &Path, now: SystemTime) -> Option<(String, String)> {
    let now = now.duration_since(UNIX_EPOCH).ok()?.as_secs();
    let mut names: Vec<String> = (fs::read_dir(lists).into_iter().flatten().flatten())
        .map(|entry| entry.file_name().to_string_lossy().into_owned())
        .filter(|name| name.ends_with("Release"))
        .collect();
    names.sort();
    names.into_iter().find_map(|name| {
        // The fields that matter stand before the long lists of hashes.
        let mut start = String::new();
        File::open(lists.join(&name))
            .ok()?
            .take(8192)
            .read_to_string(&mut start)
            .ok()?;
        let until = start
            .lines()
            .find_map(|line| line.strip_prefix("Valid-Until:"))?
            .trim();
        (seconds(until)? < now).then(|| (name, until.to_owned()))
    })
}

/// A date as archives write it, `Sat, 29 Nov 2026 02:10:04 UTC`, in seconds since 1970.
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
    use std::time::Duration;

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
    fn a_list_whose_time_is_over_is_found_and_one_without_a_time_is_not() {
        let directory = tempfile::tempdir().unwrap();
        let write = |name: &str, text: &str| fs::write(directory.path().join(name), text).unwrap();
        write(
            "a_InRelease",
            "-----BEGIN PGP SIGNED MESSAGE-----\nHash: SHA512\n\nSuite: a\n",
        );
        write(
            "b_InRelease",
            "Suite: b\nValid-Until: Thu, 01 Jan 1970 00:01:00 UTC\n",
        );
        write("b_Packages", "Valid-Until: Thu, 01 Jan 1970 00:00:00 UTC\n");
        let at = |second| expired(directory.path(), UNIX_EPOCH + Duration::from_secs(second));
        assert_eq!(at(60), None);
        assert_eq!(at(61).unwrap().0, "b_InRelease");
    }
}
