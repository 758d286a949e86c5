//! How many hosts may fail before a push starts no more: a number, or a percentage of all of them.

use std::fmt;
use std::str::FromStr;

use serde::de::{Deserialize, Deserializer};

use super::number_or_text::number_or_text;

/// How many hosts of a push may fail: `3`, or `10%`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum MaxFailures {
    /// So many hosts.
    Hosts(usize),
    /// So many of a hundred hosts, rounded down.
    Percent(u8),
}

impl MaxFailures {
    /// How many of so many hosts that is.
    #[must_use]
    pub fn of(self, hosts: usize) -> usize {
        match self {
            Self::Hosts(most) => most,
            Self::Percent(percent) => {
                let most = hosts as u128 * u128::from(percent) / 100;
                usize::try_from(most).unwrap_or(hosts)
            }
        }
    }
}

impl FromStr for MaxFailures {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let wrong = || format!("{text:?} is neither a number of hosts nor a percentage such as 10%");
        let number = |digits: &str| {
            let is_number = !digits.is_empty() && digits.bytes().all(|byte| byte.is_ascii_digit());
            if is_number {
                digits.parse::<usize>().map_err(|_| wrong())
            } else {
                Err(wrong())
            }
        };
        let Some(digits) = text.strip_suffix('%') else {
            return number(text).map(Self::Hosts);
        };
        match u8::try_from(number(digits)?) {
            Ok(percent) if percent <= 100 => Ok(Self::Percent(percent)),
            _ => Err(format!("{text:?} is more than all hosts, which are 100%")),
        }
    }
}

impl fmt::Display for MaxFailures {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Hosts(most) => write!(f, "{most}"),
            Self::Percent(percent) => write!(f, "{percent}%"),
        }
    }
}

impl<'de> Deserialize<'de> for MaxFailures {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let expected = "a number of hosts, or a percentage such as \"10%\"";
        number_or_text(deserializer, expected, str::parse)
    }
}

#[cfg(test)]
mod tests {
    use super::MaxFailures;

    #[test]
    fn a_number_is_hosts_and_a_percentage_is_rounded_down() {
        for (text, hosts, expected) in [
            ("0", 50, 0),
            ("3", 50, 3),
            ("3", 1, 3),
            ("0%", 50, 0),
            ("10%", 50, 5),
            ("10%", 59, 5),
            // The tenth part of one host is none: its failure is the first, and stops.
            ("10%", 1, 0),
            ("99%", 1, 0),
            ("100%", 1, 1),
            ("100%", 50, 50),
            // In floating point, 29 % of 100 is less than 29.
            ("29%", 100, 29),
        ] {
            let most: MaxFailures = text.parse().unwrap();
            assert_eq!(most.of(hosts), expected, "{text} of {hosts}");
            assert_eq!(most.to_string(), text);
        }
    }

    #[test]
    fn what_is_neither_is_refused() {
        for text in ["x", "", "%", "-1", "+1", "1.5%", "10 %", "10%%", " 1"] {
            let error = text.parse::<MaxFailures>().unwrap_err();
            assert_eq!(
                error,
                format!("{text:?} is neither a number of hosts nor a percentage such as 10%")
            );
        }
        for text in ["101%", "256%"] {
            let error = text.parse::<MaxFailures>().unwrap_err();
            assert_eq!(error, format!("{text:?} is more than all hosts, which are 100%"));
        }
    }
}
