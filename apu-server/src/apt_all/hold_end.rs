//! The end of a hold, as people give it: a day, or how long.

use apu_proto::MAX_HOLD_END;
use jiff::civil::Date;
use jiff::{Timestamp, Zoned};

/// Reads the end of a hold: the start of a day by the clock of `now`, or a time from now, in whole seconds.
///
/// # Errors
/// What is wrong with it.
pub(super) fn hold_end_at(text: &str, now: &Zoned) -> Result<Timestamp, String> {
    let is_date = text.len() == 10 && text.bytes().filter(|byte| *byte == b'-').count() == 2;
    let end = if is_date {
        let date: Date = text
            .parse()
            .map_err(|_| format!("{text:?} is no day of the calendar, as in 2026-12-24"))?;
        let start = date.to_zoned(now.time_zone().clone());
        start
            .map_err(|_| format!("{text:?} is too far away"))?
            .timestamp()
            .as_second()
    } else {
        let duration = apu_site::settings::duration(text).map_err(|_| {
            format!("{text:?} is neither a date such as 2026-12-24 nor a duration such as 14d or 12h")
        })?;
        let seconds = i64::try_from(duration.as_secs()).unwrap_or(i64::MAX);
        now.timestamp().as_second().saturating_add(seconds)
    };
    if end <= now.timestamp().as_second() {
        return Err(format!("{text:?} is over already"));
    }
    u64::try_from(end)
        .ok()
        .and_then(timestamp)
        .ok_or_else(|| format!("{text:?} is too far away"))
}

/// Seconds since 1970 as a time; none where no hold ends so late.
pub(super) fn timestamp(seconds: u64) -> Option<Timestamp> {
    let seconds = Some(seconds).filter(|seconds| *seconds <= MAX_HOLD_END)?;
    Timestamp::from_second(i64::try_from(seconds).ok()?).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn end(text: &str, now: &str) -> Result<String, String> {
        let now: Zoned = now.parse().unwrap();
        hold_end_at(text, &now).map(|end| end.to_string())
    }

    const NOON: &str = "2026-11-30T12:00:00.75+01:00[Europe/Berlin]";

    #[test]
    fn a_day_begins_by_the_clock_of_this_machine() {
        assert_eq!(end("2026-12-24", NOON).as_deref(), Ok("2026-12-23T23:00:00Z"));
        let in_tokyo = "2026-11-30T12:00:00+09:00[Asia/Tokyo]";
        assert_eq!(end("2026-12-24", in_tokyo).as_deref(), Ok("2026-12-23T15:00:00Z"));
        // The clocks are set forward at midnight there.
        let in_beirut = "2026-03-01T12:00:00+02:00[Asia/Beirut]";
        assert_eq!(
            end("2026-03-29", in_beirut).as_deref(),
            Ok("2026-03-28T22:00:00Z")
        );
    }

    #[test]
    fn a_duration_begins_now_and_ends_at_a_whole_second() {
        assert_eq!(end("14d", NOON).as_deref(), Ok("2026-12-14T11:00:00Z"));
        assert_eq!(end("90", NOON).as_deref(), Ok("2026-11-30T11:01:30Z"));
    }

    #[test]
    fn what_is_over_or_no_time_at_all_is_refused() {
        for (text, why) in [
            ("2026-11-30", "over already"),
            ("2020-01-01", "over already"),
            ("0", "over already"),
            ("2026-02-30", "no day of the calendar"),
            ("2026-13-01", "no day of the calendar"),
            ("christmas", "neither a date"),
            ("24.12.2026", "neither a date"),
            ("", "neither a date"),
        ] {
            let error = end(text, NOON).unwrap_err();
            assert!(error.contains(why), "{text}: {error}");
        }
        let error = end("9999-12-31", "2026-11-30T12:00:00-05:00[America/New_York]").unwrap_err();
        assert!(error.contains("too far away"), "{error}");
    }
}
