//! How a push reaches its hosts: the sizes of its waves, and which hosts go first.

use std::fmt;
use std::num::NonZeroUsize;
use std::str::FromStr;

use serde::de::{Deserialize, Deserializer};

use super::number_or_text::number_or_text;

/// How many hosts a wave has: `5`, `10%`, or `rest` for all that are left.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum WaveSize {
    /// So many hosts.
    Hosts(NonZeroUsize),
    /// So many of a hundred hosts, rounded up: at least 1, at most 100.
    Percent(u8),
}

impl WaveSize {
    /// All hosts.
    pub const ALL: Self = Self::Percent(100);

    /// How many of so many hosts that is, at least one.
    #[must_use]
    pub fn of(self, hosts: usize) -> usize {
        match self {
            Self::Hosts(size) => size.get(),
            Self::Percent(percent) => {
                let size = (hosts as u128 * u128::from(percent)).div_ceil(100);
                usize::try_from(size).unwrap_or(hosts).max(1)
            }
        }
    }
}

impl FromStr for WaveSize {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let wrong = || {
            format!(
                "{text:?} is no size of a wave: write a number of hosts, a percentage such as 10%, or rest"
            )
        };
        if text == "rest" {
            return Ok(Self::ALL);
        }
        let number = |digits: &str| {
            let is_number = !digits.is_empty() && digits.bytes().all(|byte| byte.is_ascii_digit());
            is_number
                .then(|| digits.parse::<NonZeroUsize>().ok())
                .flatten()
                .ok_or_else(wrong)
        };
        let Some(digits) = text.strip_suffix('%') else {
            return number(text).map(Self::Hosts);
        };
        match u8::try_from(number(digits)?.get()) {
            Ok(percent) if percent <= 100 => Ok(Self::Percent(percent)),
            _ => Err(format!("{text:?} is more than all hosts, which are 100%")),
        }
    }
}

impl fmt::Display for WaveSize {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Hosts(size) => write!(f, "{size}"),
            Self::Percent(percent) => write!(f, "{percent}%"),
        }
    }
}

/// The sizes of the waves of a push, such as `1,10%`; the last one repeats.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct WaveSizes(Vec<WaveSize>);

impl WaveSizes {
    /// How many hosts each wave has where there are so many in all.
    #[must_use]
    pub fn of(&self, hosts: usize) -> Vec<usize> {
        self.0.iter().map(|size| size.of(hosts)).collect()
    }
}

impl FromStr for WaveSizes {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        text.split(',')
            .map(|size| size.trim().parse())
            .collect::<Result<_, _>>()
            .map(Self)
    }
}

impl fmt::Display for WaveSizes {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let sizes: Vec<String> = self.0.iter().map(ToString::to_string).collect();
        f.write_str(&sizes.join(","))
    }
}

/// Which hosts change first: `2` is so many, anything else the words of a target.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Canary {
    /// So many hosts.
    Number(NonZeroUsize),
    /// Hosts, ranges or classes.
    Target(String),
}

impl FromStr for Canary {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let text = text.trim();
        if text.is_empty() || !text.bytes().all(|byte| byte.is_ascii_digit()) {
            return match text {
                "" => Err("it names no host: write a number of hosts, or hosts".to_owned()),
                _ => Ok(Self::Target(text.to_owned())),
            };
        }
        text.parse().map(Self::Number).map_err(|_| {
            format!("{text:?} is no number of canaries; to change all hosts at once, write --waves 100%")
        })
    }
}

impl fmt::Display for Canary {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Number(number) => write!(f, "{number}"),
            Self::Target(target) => f.write_str(target),
        }
    }
}

impl<'de> Deserialize<'de> for WaveSizes {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        number_or_text(deserializer, "the sizes of waves such as \"1,10%\"", str::parse)
    }
}

impl<'de> Deserialize<'de> for Canary {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        number_or_text(deserializer, "a number of hosts, or hosts", str::parse)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sizes_stand_in_a_row_and_canaries_are_a_number_or_hosts() {
        let sizes: WaveSizes = "1, 10%,rest".parse().unwrap();
        assert_eq!(sizes.to_string(), "1,10%,100%");
        assert_eq!(sizes.of(25), [1, 3, 25]);
        for text in ["", "1,", ",", "1,,2", "1,x"] {
            assert!(text.parse::<WaveSizes>().is_err(), "{text:?}");
        }
        for (text, canary) in [
            ("2", Canary::Number(NonZeroUsize::new(2).unwrap())),
            ("web01,db", Canary::Target("web01,db".into())),
            ("2web", Canary::Target("2web".into())),
        ] {
            assert_eq!(text.parse::<Canary>().unwrap(), canary);
            assert_eq!(canary.to_string(), text);
        }
        for text in ["0", "", "99999999999999999999999999"] {
            assert!(text.parse::<Canary>().is_err(), "{text:?}");
        }
    }

    #[test]
    fn a_percentage_is_rounded_up_for_every_number_of_hosts() {
        for hosts in 1..=300_usize {
            for percent in 1..=100_u8 {
                let size = WaveSize::Percent(percent).of(hosts);
                // The smallest number that is no less than the percentage, in integers alone.
                assert!(
                    size * 100 >= hosts * usize::from(percent),
                    "{percent}% of {hosts}"
                );
                assert!(
                    (size - 1) * 100 < hosts * usize::from(percent),
                    "{percent}% of {hosts}"
                );
                assert!((1..=hosts).contains(&size), "{percent}% of {hosts}");
            }
        }
    }

    #[test]
    fn a_size_is_read_as_it_is_written_and_anything_else_is_refused() {
        for text in ["1", "25", "1%", "100%"] {
            assert_eq!(text.parse::<WaveSize>().unwrap().to_string(), text);
        }
        assert_eq!("rest".parse::<WaveSize>().unwrap(), WaveSize::ALL);
        for text in ["0", "0%", "", "%", "-1", "x", "1.5%", "10 %", "+1", "all"] {
            let error = text.parse::<WaveSize>().unwrap_err();
            assert!(error.contains("is no size of a wave"), "{text}: {error}");
        }
        for text in ["101%", "256%"] {
            assert!(
                text.parse::<WaveSize>()
                    .unwrap_err()
                    .contains("more than all hosts")
            );
        }
    }
}
