//! Asks systemd when a calendar expression comes next: it is the reader of its own language.

use std::io;
use std::time::Duration;

use apu_site::Failure;
use apu_site::settings::Calendar;
use jiff::civil::DateTime;
use jiff::tz::TimeZone;
use tokio::process::Command;

use crate::child;
use crate::view::clean::clean;

const SYSTEMD_ANALYZE: &str = "/usr/bin/systemd-analyze";

/// How long an answer is waited for.
const PATIENCE: Duration = Duration::from_secs(10);

/// The next times of an expression after one, at most `most`, in seconds since 1970. Fewer where it ends.
///
/// # Errors
/// Where systemd does not take the expression, with its own words, and where it cannot be asked.
pub(crate) fn times_after(expression: &Calendar, after: i64, most: u32) -> Result<Vec<i64>, Failure> {
    let mut command = Command::new(SYSTEMD_ANALYZE);
    command
        .arg("calendar")
        .arg(format!("--iterations={most}"))
        .arg(format!("--base-time=@{after}"))
        .args(["--", expression.as_str()])
        .env("LC_ALL", "C")
        .env("SYSTEMD_COLORS", "0");
    let cannot_ask = |why: String| {
        Failure::machine("cannot ask systemd for the times of a slot")
            .why(why)
            .advise(format!("{SYSTEMD_ANALYZE} calendar '{expression}'"))
    };
    let said = child::run(&mut command, b"", PATIENCE).map_err(|error| match error.kind() {
        io::ErrorKind::NotFound => {
            cannot_ask(format!("{SYSTEMD_ANALYZE} is not there")).advise("apt install systemd")
        }
        _ => cannot_ask(error.to_string()),
    })?;
    if !said.status.success() {
        let words = said
            .errors
            .lines()
            .next()
            .unwrap_or("systemd-analyze said nothing");
        return Err(
            Failure::words(format!("\"{expression}\" is no calendar expression"))
                .why(clean(words))
                .advise("see systemd.time(7), CALENDAR EVENTS"),
        );
    }
    read(&said.out).ok_or_else(|| cannot_ask("its answer is not understood".to_owned()))
}

/// Reads the times of an answer; none where it is not understood.
fn read(answer: &str) -> Option<Vec<i64>> {
    let mut times = Vec::new();
    let mut is_known = false;
    // A time is in the zone of this machine, and where that is not UTC, in UTC on the next line.
    let mut local: Option<&str> = None;
    for line in answer.lines() {
        let Some((label, value)) = line.split_once(": ") else {
            continue;
        };
        let (label, value) = (label.trim(), value.trim());
        match label {
            "Original form" | "Normalized form" | "From now" => {}
            "(in UTC)" => {
                local = None;
                times.push(seconds(value)?);
            }
            _ if is_time(label) => {
                if let Some(before) = local.take() {
                    times.push(seconds(before)?);
                }
                is_known = true;
                if value != "never" {
                    local = Some(value);
                }
            }
            // It may be a time under another name.
            _ => return None,
        }
    }
    if let Some(last) = local {
        times.push(seconds(last)?);
    }
    // Each is after the one before, or it is something else that was read.
    (is_known && times.windows(2).all(|pair| pair[0] < pair[1])).then_some(times)
}

/// Whether a time stands behind this label: systemd 256 and later write `Iteration #2`, those before `Iter. #2`.
fn is_time(label: &str) -> bool {
    label == "Next elapse"
        || ["Iter. #", "Iteration #"]
            .iter()
            .any(|start| label.starts_with(start))
}

/// `Thu 2026-11-05 21:00:00 UTC` in seconds since 1970. What is below a second is left out.
fn seconds(text: &str) -> Option<i64> {
    let words: Vec<&str> = text.split(' ').collect();
    let [_, date, time, "UTC"] = words[..] else {
        return None;
    };
    let at: DateTime = format!("{date}T{time}").parse().ok()?;
    let at = at.to_zoned(TimeZone::UTC).ok()?;
    Some(at.timestamp().as_second())
}

#[cfg(test)]
mod tests {
    use jiff::civil::Weekday;
    use jiff::{Timestamp, ToSpan};

    use super::*;

    fn times(expression: &str, after: &str, most: u32) -> Result<Vec<String>, Failure> {
        let after: Timestamp = after.parse().unwrap();
        let times = times_after(&expression.parse().unwrap(), after.as_second(), most)?;
        let shown = |at: i64| Timestamp::from_second(at).unwrap().to_string();
        Ok(times.into_iter().map(shown).collect())
    }

    #[test]
    fn the_times_are_those_of_the_wall_clock_in_the_zone_of_the_expression() {
        // Berlin changes its clocks on 29 March 2026.
        assert_eq!(
            times("Thu 22:00 Europe/Berlin", "2026-03-20T00:00:00Z", 2).unwrap(),
            ["2026-03-26T21:00:00Z", "2026-04-02T20:00:00Z"]
        );
        // A time is not after itself.
        assert_eq!(
            times("Thu 22:00 Europe/Berlin", "2026-03-26T21:00:00Z", 1).unwrap(),
            ["2026-04-02T20:00:00Z"]
        );
        assert_eq!(
            times("2026-04-01 12:00 UTC", "2026-03-20T00:00:00Z", 5).unwrap(),
            ["2026-04-01T12:00:00Z"]
        );
        assert!(
            times("2020-01-01 UTC", "2026-03-20T00:00:00Z", 5)
                .unwrap()
                .is_empty()
        );
    }

    #[test]
    fn systemd_and_another_reader_of_calendars_agree() {
        for (zone, hour, day, weekday) in [
            ("Europe/Berlin", 22, "Thu", Weekday::Thursday),
            ("America/New_York", 4, "Sun", Weekday::Sunday),
            ("Australia/Lord_Howe", 20, "Sat", Weekday::Saturday),
            ("Asia/Kathmandu", 0, "Mon", Weekday::Monday),
            ("Africa/Casablanca", 12, "Wed", Weekday::Wednesday),
        ] {
            let mut at = jiff::civil::date(2026, 1, 1).at(hour, 30, 0, 0);
            while at.weekday() != weekday {
                at += 1.day();
            }
            let expected: Vec<String> = (0..53)
                .map(|week| (at + week.weeks()).in_tz(zone).unwrap().timestamp().to_string())
                .collect();
            let said = times(&format!("{day} {hour}:30 {zone}"), "2026-01-01T00:00:00Z", 53).unwrap();
            assert_eq!(said, expected, "{zone}");
        }
    }

    #[test]
    fn what_systemd_refuses_is_refused_with_its_words() {
        let failure = times("Thursdays 22:00", "2026-03-20T00:00:00Z", 1).unwrap_err();
        let (text, status) = apu_site::report(&failure);
        assert_eq!(status, 2);
        assert!(
            text.starts_with(
                "error: \"Thursdays 22:00\" is no calendar expression\n  why: Failed to parse calendar"
            ) && text.contains("\n  try: see systemd.time(7)"),
            "{text}"
        );
    }

    #[test]
    fn an_answer_is_read_in_every_zone_of_the_server_and_what_is_something_else_is_none() {
        let berlin = "  Original form: Thu 22:00\nNormalized form: Thu *-*-* 22:00:00\n    \
            Next elapse: Thu 2026-11-05 22:00:00 CET\n       (in UTC): Thu 2026-11-05 21:00:00 UTC\n       From now: 3 weeks ago\n       \
            Iter. #2: Thu 2026-11-12 22:00:00 CET\n       (in UTC): Thu 2026-11-12 21:00:00 UTC\n       From now: 2 weeks ago\n";
        let utc = "    Next elapse: Thu 2026-11-05 21:00:00 UTC\n       From now: 3 weeks ago\n       \
            Iter. #2: Thu 2026-11-12 21:00:00 UTC\n";
        let expected = Some(vec![1_793_912_400, 1_794_517_200]);
        assert_eq!(read(berlin), expected);
        assert_eq!(read(utc), expected);
        assert_eq!(read(&berlin.replace("Iter. #", "Iteration #")), expected);
        assert_eq!(read("    Next elapse: never\n"), Some(Vec::new()));
        for bad in [
            "",
            "Next elapse: soon\n",
            "Next elapse: Thu 2026-11-05 21:00:00 UTC\nSecond time: Thu 2026-11-12 21:00:00 UTC\n",
            "Next elapse: Thu 2026-11-05 22:00:00 CET\n",
            "Next elapse: Thu 2026-13-05 22:00:00 UTC\n",
            "Next elapse: Thu 2026-11-12 21:00:00 UTC\nIter. #2: Thu 2026-11-05 21:00:00 UTC\n",
        ] {
            assert_eq!(read(bad), None, "{bad}");
        }
    }
}
