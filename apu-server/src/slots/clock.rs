//! The time as slots have it: whole seconds, and a text for people.

use jiff::Timestamp;
use jiff::tz::TimeZone;

/// Now, in seconds since 1970.
pub(crate) fn now() -> i64 {
    Timestamp::now().as_second()
}

/// A time by the clock on the server's wall, with its zone.
pub(crate) fn time(at: i64) -> String {
    let at = Timestamp::from_second(at).unwrap_or_default();
    // Without a zone of its own, a machine has UTC.
    let zone = TimeZone::try_system().unwrap_or(TimeZone::UTC);
    at.to_zoned(zone).strftime("%a %F %H:%M %Z").to_string()
}
