//! Durations as people write them: `90`, `90s`, `5m`, `1h30m`, `2d`.

use std::time::Duration;

use serde::de::{Deserializer, Error};

use super::number_or_text::number_or_text;

/// About three years.
const MOST: u64 = 100_000_000;

/// Reads a duration; a number alone is seconds.
///
/// # Errors
/// What is wrong with it, and how it is to be written.
pub fn duration(text: &str) -> Result<Duration, String> {
    let wrong = || format!("{text:?} is not a duration such as 90, 90s, 5m, 1h30m or 2d");
    let mut seconds: u64 = 0;
    let mut last = u64::MAX;
    let mut rest = text.trim();
    if rest.is_empty() {
        return Err(wrong());
    }
    while !rest.is_empty() {
        let digits = rest.bytes().take_while(u8::is_ascii_digit).count();
        let (number, after) = rest.split_at(digits);
        let number: u64 = number.parse().map_err(|_| wrong())?;
        let letters = after.bytes().take_while(u8::is_ascii_alphabetic).count();
        let (unit, after) = after.split_at(letters);
        let unit = match unit {
            "" if after.is_empty() && last == u64::MAX => 1,
            "s" | "sec" => 1,
            "m" | "min" => 60,
            "h" => 3_600,
            "d" => 86_400,
            _ => return Err(wrong()),
        };
        // 30m1h and 5m5m are slips.
        if unit >= last {
            return Err(wrong());
        }
        last = unit;
        seconds = number
            .checked_mul(unit)
            .and_then(|part| seconds.checked_add(part))
            .ok_or_else(wrong)?;
        rest = after;
    }
    if seconds > MOST {
        return Err(format!("{text:?} is more than {MOST} seconds"));
    }
    Ok(Duration::from_secs(seconds))
}

/// A number of seconds, or a duration as text.
pub(super) fn seconds_or_off<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Duration, D::Error> {
    number_or_text(deserializer, "seconds, or a duration such as \"5m\"", duration)
}

/// The same, where it is given.
pub(super) fn some_seconds_or_off<'de, D: Deserializer<'de>>(
    deserializer: D,
) -> Result<Option<Duration>, D::Error> {
    seconds_or_off(deserializer).map(Some)
}

/// The same, and at least one second.
pub(super) fn seconds<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Duration, D::Error> {
    let duration = seconds_or_off(deserializer)?;
    if duration.is_zero() {
        return Err(D::Error::custom("at least 1 second is needed"));
    }
    Ok(duration)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_duration_is_written_as_people_write_it() {
        for (text, seconds) in [
            ("0", 0),
            ("90", 90),
            ("90s", 90),
            ("5m", 300),
            ("5min", 300),
            ("1h30m", 5_400),
            ("2d", 172_800),
            ("1d1h1m1s", 90_061),
        ] {
            assert_eq!(duration(text), Ok(Duration::from_secs(seconds)), "{text}");
        }
    }

    #[test]
    fn what_may_mean_something_else_is_no_duration() {
        for text in [
            "",
            "m",
            "5 m",
            "5x",
            "-5",
            "1.5h",
            "5m5m",
            "30m1h",
            "1h30",
            "5M",
            "99999999999999999999",
            "5\u{b5}s",
        ] {
            assert!(duration(text).is_err(), "{text:?}");
        }
        assert_eq!(
            duration("4000d").unwrap_err(),
            "\"4000d\" is more than 100000000 seconds"
        );
    }
}
