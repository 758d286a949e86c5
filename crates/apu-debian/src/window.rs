//! Maintenance windows: times of the week, and days of the year, on the clock of a wall.
//!
//! A window is written as `Sat,Sun 22:00-06:00`, `Mon..Fri 20:00-06:00`, `22:00-06:00`, `Sun`, or as days: `2026-12-20..2027-01-06`. Days of
//! the week and ranges are written as in systemd.time(7). One that ends before it begins ends on the next day. What is asked is the
//! wall clock of a place, so that 22:00 stays 22:00 whatever the clocks there do.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Deserializer};

/// What a clock on the wall shows.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct WallTime {
    /// Year, month from 1, and day from 1.
    pub date: (u16, u8, u8),
    /// The day of the week: 0 is Monday, 6 is Sunday.
    pub weekday: u8,
    /// Minutes since midnight.
    pub minute: u16,
}

/// A window.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Window {
    days: Days,
    text: String,
}

#[derive(Debug, Clone, PartialEq, Eq)]
enum Days {
    /// On these days of the week, from a minute of the day up to another one, which may be one of the next day.
    Week { on: [bool; 7], from: u16, to: u16 },
    /// On these days and those between them.
    Year {
        first: (u16, u8, u8),
        last: (u16, u8, u8),
    },
}

const NAMES: [&str; 7] = ["mon", "tue", "wed", "thu", "fri", "sat", "sun"];

const DAY: u16 = 24 * 60;

/// A text that is no window.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error(
    "{0:?} is no window: write days and times such as \"Sat,Sun 22:00-06:00\" or \"Mon..Fri 20:00-06:00\", or dates such as \
     \"2026-12-20..2027-01-06\""
)]
pub struct WindowError(String);

impl FromStr for Window {
    type Err = WindowError;

    fn from_str(text: &str) -> Result<Self, WindowError> {
        let words: Vec<&str> = text.split_ascii_whitespace().collect();
        let every_day = [true; 7];
        let days = match words[..] {
            [one] => (dates(one))
                .or_else(|| {
                    hours(one).map(|(from, to)| Days::Week {
                        on: every_day,
                        from,
                        to,
                    })
                })
                .or_else(|| weekdays(one).map(|on| Days::Week { on, from: 0, to: DAY })),
            [on, times] => weekdays(on)
                .zip(hours(times))
                .map(|(on, (from, to))| Days::Week { on, from, to }),
            _ => None,
        };
        let days = days.ok_or_else(|| WindowError(text.to_owned()))?;
        let text = words.join(" ");
        Ok(Self { days, text })
    }
}

impl fmt::Display for Window {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text)
    }
}

impl<'de> Deserialize<'de> for Window {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = String::deserialize(deserializer)?;
        text.parse().map_err(serde::de::Error::custom)
    }
}

impl Window {
    /// Whether the window is open at that time.
    #[must_use]
    pub fn contains(&self, at: WallTime) -> bool {
        match &self.days {
            Days::Year { first, last } => (*first..=*last).contains(&at.date),
            Days::Week { on, from, to } => {
                let today = usize::from(at.weekday) % 7;
                let is_on = |day: usize| on[day % 7];
                if from < to {
                    return is_on(today) && (*from..*to).contains(&at.minute);
                }
                // Over midnight: it began today, or the day before.
                is_on(today) && at.minute >= *from || is_on(today + 6) && at.minute < *to
            }
        }
    }
}

/// `Mon`, `Sat,Sun`, `Mon..Fri`.
fn weekdays(text: &str) -> Option<[bool; 7]> {
    let mut on = [false; 7];
    for part in text.split(',') {
        let (first, last) = part.split_once("..").unwrap_or((part, part));
        let (first, last) = (weekday(first)?, weekday(last)?);
        let mut day = first;
        loop {
            on[day] = true;
            if day == last {
                break;
            }
            // Sat..Mon goes over the end of the week.
            day = (day + 1) % 7;
        }
    }
    Some(on)
}

/// A day by its English name, short or in full, in any case.
fn weekday(text: &str) -> Option<usize> {
    const FULL: [&str; 7] = [
        "monday",
        "tuesday",
        "wednesday",
        "thursday",
        "friday",
        "saturday",
        "sunday",
    ];
    let text = text.to_ascii_lowercase();
    (0..7).find(|day| text == NAMES[*day] || text == FULL[*day])
}

/// `22:00-06:00`.
fn hours(text: &str) -> Option<(u16, u16)> {
    let (from, to) = text.split_once('-')?;
    let (from, to) = (minute(from)?, minute(to)?);
    // Whether the whole day is meant, or nothing of it, cannot be told.
    (from != to && from < DAY).then_some((from, to))
}

/// `06:00`, up to `24:00`.
fn minute(text: &str) -> Option<u16> {
    let (hours, minutes) = text.split_once(':')?;
    let (hours, minutes) = (number(hours, 2)?, number(minutes, 2)?);
    let is_one = hours < 24 && minutes < 60 || (hours, minutes) == (24, 0);
    is_one.then_some(hours * 60 + minutes)
}

/// `2026-12-20`, or `2026-12-20..2027-01-06`.
fn dates(text: &str) -> Option<Days> {
    let (first, last) = text.split_once("..").unwrap_or((text, text));
    let (first, last) = (date(first)?, date(last)?);
    (first <= last).then_some(Days::Year { first, last })
}

fn date(text: &str) -> Option<(u16, u8, u8)> {
    let mut parts = text.split('-');
    let mut next = |digits| number(parts.next()?, digits);
    let (year, month, day) = (next(4)?, next(2)?, next(2)?);
    let is_leap = year % 4 == 0 && (year % 100 != 0 || year % 400 == 0);
    let days = match month {
        1 | 3 | 5 | 7 | 8 | 10 | 12 => 31,
        4 | 6 | 9 | 11 => 30,
        2 if is_leap => 29,
        2 => 28,
        _ => return None,
    };
    let is_one = parts.next().is_none() && (1..=days).contains(&day);
    is_one.then_some((year, u8::try_from(month).ok()?, u8::try_from(day).ok()?))
}

/// A number of exactly so many digits.
fn number(text: &str, digits: usize) -> Option<u16> {
    let is_one = text.len() == digits && text.bytes().all(|byte| byte.is_ascii_digit());
    is_one.then(|| text.parse().ok()).flatten()
}

/// When something may be done: in its windows where there are any, and never in a blackout.
#[derive(Debug, Clone, PartialEq, Eq, Default, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Windows {
    /// The windows; without one, any time is good.
    pub windows: Vec<Window>,
    /// When nothing is done, also within a window.
    pub blackouts: Vec<Window>,
    /// Whose clock is meant: a name of the time zone database, such as Europe/Berlin; without one, the machine's own.
    pub zone: Option<ZoneName>,
}

impl Windows {
    /// Whether nothing is said.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.windows.is_empty() && self.blackouts.is_empty()
    }

    /// Why nothing may be done at that time; none where it may.
    #[must_use]
    pub fn closed(&self, at: WallTime) -> Option<Closed> {
        let is_in = |window: &&Window| window.contains(at);
        if let Some(blackout) = self.blackouts.iter().find(is_in) {
            return Some(Closed::Blackout(blackout.to_string()));
        }
        let is_open = self.windows.is_empty() || self.windows.iter().any(|window| window.contains(at));
        (!is_open).then(|| Closed::Outside(self.windows.iter().map(ToString::to_string).collect()))
    }
}

/// Why something may not be done at a time.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Closed {
    /// This blackout lasts.
    Blackout(String),
    /// None of these windows is open.
    Outside(Vec<String>),
}

/// The name of a time zone, which is a path below /usr/share/zoneinfo and leads nowhere else.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ZoneName(String);

impl ZoneName {
    /// The name.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl FromStr for ZoneName {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let is_part = |part: &str| {
            let is_letter = |byte: u8| byte.is_ascii_alphanumeric() || b"_+-".contains(&byte);
            !part.is_empty() && part.bytes().all(is_letter)
        };
        if text.len() <= 64 && text.split('/').all(is_part) {
            return Ok(Self(text.to_owned()));
        }
        Err(format!(
            "{text:?} is no time zone: write a name such as Europe/Berlin"
        ))
    }
}

impl<'de> Deserialize<'de> for ZoneName {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = String::deserialize(deserializer)?;
        text.parse().map_err(serde::de::Error::custom)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A day of the week and a time; the date is one in 2026 that is in none of the windows of the tests.
    fn at(day: &str, time: &str) -> WallTime {
        WallTime {
            date: (2026, 3, 1),
            weekday: u8::try_from(weekday(day).unwrap()).unwrap(),
            minute: minute(time).unwrap(),
        }
    }

    fn is_in(window: &str, day: &str, time: &str) -> bool {
        window.parse::<Window>().unwrap().contains(at(day, time))
    }

    #[test]
    fn a_window_is_open_from_its_first_minute_to_the_one_before_its_last_also_over_midnight() {
        for (window, day, time, expected) in [
            ("Sat,Sun 22:00-06:00", "Sat", "21:59", false),
            ("Sat,Sun 22:00-06:00", "Sat", "22:00", true),
            ("Sat,Sun 22:00-06:00", "Sun", "05:59", true),
            ("Sat,Sun 22:00-06:00", "Sun", "06:00", false),
            ("Sat,Sun 22:00-06:00", "Mon", "03:00", true),
            ("Sat,Sun 22:00-06:00", "Sat", "03:00", false),
            ("Mon..Fri 20:00-24:00", "Fri", "23:59", true),
            ("Mon..Fri 20:00-24:00", "Sat", "00:00", false),
            ("Sat..Mon 01:00-02:00", "Sun", "01:30", true),
            ("Sat..Mon 01:00-02:00", "Tue", "01:30", false),
            ("08:00-18:00", "Wed", "08:00", true),
            ("08:00-18:00", "Wed", "18:00", false),
            ("sunday", "Sun", "00:00", true),
            ("sunday", "Sun", "23:59", true),
            ("sunday", "Mon", "00:00", false),
        ] {
            assert_eq!(is_in(window, day, time), expected, "{window} at {day} {time}");
        }
    }

    #[test]
    fn days_of_the_year_are_whole_days_with_the_first_and_the_last() {
        let window: Window = "2026-12-20..2027-01-06".parse().unwrap();
        let on = |date| {
            window.contains(WallTime {
                date,
                weekday: 0,
                minute: 1439,
            })
        };
        assert!(on((2026, 12, 20)) && on((2026, 12, 31)) && on((2027, 1, 6)));
        assert!(!on((2026, 12, 19)) && !on((2027, 1, 7)));
        let day: Window = "2028-02-29".parse().unwrap();
        assert_eq!(day.to_string(), "2028-02-29");
    }

    #[test]
    fn what_is_no_window_is_refused() {
        for bad in [
            "",
            "Sat Sun",
            "22:00",
            "22:00-22:00",
            "24:00-06:00",
            "22:60-23:00",
            "9:00-10:00",
            "Sat 22:00-06:00 Europe/Berlin",
            "Xat 22:00-06:00",
            "Mon-Fri 20:00-06:00",
            "2026-02-29",
            "2026-13-01",
            "2027-01-06..2026-12-20",
            "2026-1-1",
        ] {
            assert!(bad.parse::<Window>().is_err(), "{bad}");
        }
    }

    #[test]
    fn a_blackout_comes_before_a_window_and_without_a_window_any_time_is_good() {
        let windows = |windows: &[&str], blackouts: &[&str]| Windows {
            windows: windows.iter().map(|window| window.parse().unwrap()).collect(),
            blackouts: blackouts.iter().map(|window| window.parse().unwrap()).collect(),
            zone: None,
        };
        let saturday = at("Sat", "23:00");
        assert_eq!(windows(&[], &[]).closed(saturday), None);
        assert_eq!(windows(&["Sun", "Sat"], &[]).closed(saturday), None);
        let outside = Closed::Outside(vec!["Sun".into()]);
        assert_eq!(windows(&["Sun"], &[]).closed(saturday), Some(outside));
        let blackout = Closed::Blackout("22:00-24:00".into());
        assert_eq!(
            windows(&["Sat"], &["22:00-24:00"]).closed(saturday),
            Some(blackout)
        );
        assert_eq!(windows(&[], &["Sun"]).closed(saturday), None);
    }

    #[test]
    fn a_zone_is_a_name_and_no_path_to_elsewhere() {
        for good in [
            "UTC",
            "Europe/Berlin",
            "America/Argentina/Buenos_Aires",
            "Etc/GMT+3",
        ] {
            assert_eq!(good.parse::<ZoneName>().unwrap().as_str(), good);
        }
        for bad in ["", "/etc/passwd", "../x", "Europe/", "a b", "a\nb", ":/x"] {
            assert!(bad.parse::<ZoneName>().is_err(), "{bad}");
        }
    }
}
