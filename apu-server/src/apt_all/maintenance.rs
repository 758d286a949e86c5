//! The maintenance windows of apu.toml: until when each host may begin to change packages.

use std::collections::{HashMap, HashSet};
use std::path::Path;
use std::time::Duration;

use apu_debian::{Closed, WallTime, Windows};
use apu_fleet::{Closing, Host, HostName, ServerCause};
use apu_site::Failure;
use jiff::tz::TimeZone;
use jiff::{SignedDuration, Timestamp};

use super::class_key::{members, wrong};
use crate::context::Context;

/// How far it is looked ahead. No push takes as long.
const AHEAD: i64 = 7 * 24 * 60;

/// When these hosts may begin no more, as of `now`: those of a class by `[maintenance.CLASS]`, and all by `[maintenance.all]`. Hosts that
/// may begin at any time are left out.
///
/// # Errors
/// Where there is no such class or time zone: it cannot be told then who may begin.
pub(super) fn closings(
    context: &Context,
    hosts: &[Host],
    now: Timestamp,
) -> Result<HashMap<HostName, Closing>, Failure> {
    let mut closings: HashMap<HostName, Closing> = HashMap::new();
    for (class, windows) in &context.settings.maintenance {
        let key = format!("[maintenance.{class}]");
        let members = members(context, &key, class, hosts)?;
        let zone = zone(context, &key, windows)?;
        let Some((at, closed)) = first_closed(windows, &zone, now) else {
            continue;
        };
        let class = class.clone();
        let cause = match closed {
            Closed::Blackout(blackout) => ServerCause::InBlackout { class, blackout },
            Closed::Outside(windows) => ServerCause::OutsideWindows { class, windows },
        };
        for host in members {
            let why = cause.clone().into();
            let closing = Closing { at, why };
            match closings.get_mut(&host) {
                Some(other) if other.at <= at => {}
                Some(other) => *other = closing,
                None => _ = closings.insert(host, closing),
            }
        }
    }
    Ok(closings)
}

/// The hosts that may not begin to change packages now.
///
/// # Errors
/// As [`closings`].
pub(crate) fn closed_now(
    context: &Context,
    hosts: &[Host],
    now: Timestamp,
) -> Result<HashSet<HostName>, Failure> {
    let closings = closings(context, hosts, now)?.into_iter();
    let closed = closings.filter(|(_, closing)| closing.at.is_zero());
    Ok(closed.map(|(host, _)| host).collect())
}

fn zone(context: &Context, key: &str, windows: &Windows) -> Result<TimeZone, Failure> {
    match &windows.zone {
        None => match TimeZone::try_system() {
            Ok(zone) => Ok(zone),
            // Then every program here has UTC.
            Err(_) if !Path::new("/etc/localtime").exists() => Ok(TimeZone::UTC),
            Err(error) => Err(wrong(context, key, &error.to_string())),
        },
        Some(zone) => TimeZone::get(zone.as_str()).map_err(|error| wrong(context, key, &error.to_string())),
    }
}

/// After how long, and why, nothing may begin; none where that is farther away than anybody looks.
fn first_closed(windows: &Windows, zone: &TimeZone, now: Timestamp) -> Option<(Duration, Closed)> {
    if windows.is_empty() {
        return None;
    }
    let second = now.as_second();
    let minutes = (0..AHEAD).map(|minute| match minute {
        0 => now,
        // Windows begin and end with a minute.
        later => Timestamp::from_second((second.div_euclid(60) + later) * 60).unwrap_or(now),
    });
    for at in minutes {
        if let Some(closed) = windows.closed(wall_time(at, zone)) {
            let after = at.duration_since(now).max(SignedDuration::ZERO).unsigned_abs();
            return Some((after, closed));
        }
    }
    None
}

fn wall_time(at: Timestamp, zone: &TimeZone) -> WallTime {
    let at = zone.to_datetime(at);
    let part = |number: i8| u8::try_from(number).unwrap_or_default();
    WallTime {
        date: (
            u16::try_from(at.year()).unwrap_or_default(),
            part(at.month()),
            part(at.day()),
        ),
        weekday: part(at.weekday().to_monday_zero_offset()),
        minute: u16::from(part(at.hour())) * 60 + u16::from(part(at.minute())),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn windows(windows: &[&str], blackouts: &[&str]) -> Windows {
        let parse = |texts: &[&str]| texts.iter().map(|text| text.parse().unwrap()).collect();
        Windows {
            windows: parse(windows),
            blackouts: parse(blackouts),
            zone: None,
        }
    }

    /// Minutes until it is closed.
    fn closes(windows: &Windows, now: &str) -> Option<u64> {
        let zone = TimeZone::get("Europe/Berlin").unwrap();
        let (after, _) = first_closed(windows, &zone, now.parse().unwrap())?;
        Some(after.as_secs() / 60)
    }

    #[test]
    fn a_window_closes_by_the_clock_on_the_wall_also_in_the_nights_in_which_the_clocks_change() {
        let night = windows(&["Sat 22:00-06:00"], &[]);
        // 28 November 2026 is a Saturday; Berlin is an hour ahead.
        assert_eq!(closes(&night, "2026-11-28T20:59:30Z"), Some(0));
        assert_eq!(closes(&night, "2026-11-28T21:00:00Z"), Some(8 * 60));
        assert_eq!(closes(&night, "2026-11-28T23:30:30Z"), Some(5 * 60 + 29));
        // The night is an hour longer on 25 October, and an hour shorter on 28 March 2027.
        assert_eq!(closes(&night, "2026-10-24T20:00:00Z"), Some(9 * 60));
        assert_eq!(closes(&night, "2027-03-27T21:00:00Z"), Some(7 * 60));
    }

    #[test]
    fn a_blackout_closes_what_is_open_and_without_either_nothing_closes() {
        let holidays = windows(&[], &["2026-12-20..2027-01-06"]);
        assert_eq!(closes(&holidays, "2026-12-19T22:30:00Z"), Some(30));
        assert_eq!(closes(&holidays, "2027-01-06T12:00:00Z"), Some(0));
        assert_eq!(closes(&holidays, "2027-01-06T23:00:00Z"), None);
        assert_eq!(closes(&windows(&[], &[]), "2027-01-06T23:00:00Z"), None);
    }
}
