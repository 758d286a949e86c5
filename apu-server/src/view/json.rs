//! Lines of JSON in plain ASCII: what a host printed may hold whatever a terminal obeys or hides.

use apu_fleet::json_in_ascii;
use jiff::Timestamp;
use serde::Serialize;

/// A value as one line, with everything but printable ASCII as `\uXXXX`. Outside of strings JSON has nothing else.
///
/// # Errors
/// Where the value has no form in JSON.
pub fn json_line(value: &impl Serialize) -> serde_json::Result<String> {
    let mut line = json_in_ascii(&serde_json::to_string(value)?);
    line.push('\n');
    Ok(line)
}

/// A time as lines of JSON have it: in UTC, as RFC 3339 has it, with milliseconds.
#[must_use]
pub fn json_time(at: Timestamp) -> String {
    format!("{at:.3}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_has_nothing_that_a_terminal_obeys_and_reads_back() {
        let text = "größer \u{1b}[2J\u{202e}\u{1f600}\n";
        let line = json_line(&text).unwrap();
        assert!(
            line.trim_end().bytes().all(|byte| matches!(byte, b' '..=b'~')),
            "{line}"
        );
        assert_eq!(serde_json::from_str::<String>(&line).unwrap(), text);
    }

    #[test]
    fn a_time_is_that_of_the_events() {
        let at = Timestamp::from_millisecond(1_500).unwrap();
        assert_eq!(json_time(at), "1970-01-01T00:00:01.500Z");
    }
}
