//! Asks date(1) what a clock on the wall shows: it knows the time zones, and nothing on the root side has to read them.

use std::fs;
use std::io;
use std::path::Path;
use std::time::Duration;

use apu_debian::{WallTime, ZoneName};

use super::limited::{self, End, Limits};
use super::spawn::Exit;

const ZONES: &str = "/usr/share/zoneinfo";

const LIMITS: Limits = Limits {
    time: Duration::from_secs(10),
    output: 1024,
};

/// What the clock shows now, in a zone or in the machine's own.
///
/// # Errors
/// Where the zone is not known here, and where date does not tell.
pub(crate) fn now(zone: Option<&ZoneName>) -> io::Result<WallTime> {
    let mut environment = vec!["PATH=/usr/bin:/bin".to_owned(), "LC_ALL=C".to_owned()];
    if let Some(zone) = zone {
        let zone = zone.as_str();
        // date takes one that it does not know for UTC.
        let is_known = fs::metadata(Path::new(ZONES).join(zone)).is_ok_and(|file| file.is_file());
        if zone != "UTC" && !is_known {
            return Err(io::Error::other(format!(
                "the time zone {zone} is not in {ZONES}; is tzdata installed?"
            )));
        }
        environment.push(format!("TZ={zone}"));
    }
    let environment: Vec<&str> = environment.iter().map(String::as_str).collect();
    let arguments = ["+%Y %m %d %u %H %M"];
    let ended = limited::run("/bin/date", &arguments, &environment, LIMITS, &mut || false)?;
    let told = (ended.end == End::Exited(Exit::Code(0))).then(|| read(&ended.output));
    told.flatten()
        .ok_or_else(|| io::Error::other(format!("date printed {:?}", ended.output)))
}

/// Reads year, month, day, day of the week from 1 for Monday, hours and minutes.
fn read(text: &str) -> Option<WallTime> {
    let numbers: Option<Vec<u16>> = text.split_whitespace().map(|word| word.parse().ok()).collect();
    let [year, month, day, weekday, hours, minutes] = numbers?[..] else {
        return None;
    };
    if !(1..=7).contains(&weekday) || hours > 23 || minutes > 59 {
        return None;
    }
    Some(WallTime {
        date: (year, u8::try_from(month).ok()?, u8::try_from(day).ok()?),
        weekday: u8::try_from(weekday - 1).ok()?,
        minute: hours * 60 + minutes,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_date_prints_is_read_and_nothing_else() {
        let time = WallTime {
            date: (2026, 11, 29),
            weekday: 6,
            minute: 22 * 60 + 5,
        };
        assert_eq!(read("2026 11 29 7 22 05\n"), Some(time));
        for bad in [
            "",
            "2026 11 29 7 22",
            "2026 11 29 0 22 05",
            "2026 11 29 8 22 05",
            "2026 11 29 7 24 00",
            "x",
        ] {
            assert_eq!(read(bad), None, "{bad}");
        }
    }

    #[test]
    fn a_zone_has_its_own_clock_and_one_that_is_not_known_is_an_error() {
        let in_zone = |zone: &str| now(Some(&zone.parse().unwrap()));
        assert!(now(None).is_ok());
        let error = in_zone("Europe/Nowhere").unwrap_err().to_string();
        assert!(error.contains("Europe/Nowhere"), "{error}");
        assert!(in_zone("UTC").is_ok());
        // Fourteen hours before and twelve behind: never the same day there.
        if let (Ok(first), Ok(last)) = (in_zone("Etc/GMT-14"), in_zone("Etc/GMT+12")) {
            assert_ne!(first.date, last.date);
        }
    }
}
