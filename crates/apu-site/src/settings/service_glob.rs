//! The name of services in `apu.toml` and on the command line: exact, or with `*` and `?`.

use std::fmt;
use std::str::FromStr;

use apu_debian::matches_glob;
use serde::Deserialize;

/// The most bytes of a unit's name, by systemd.unit(5).
const LONGEST: usize = 255;

/// The name of services of systemd, without `.service`.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(try_from = "String")]
pub struct ServiceGlob(String);

impl ServiceGlob {
    /// Whether it means this service, named without `.service`.
    #[must_use]
    pub fn matches(&self, service: &str) -> bool {
        matches_glob(&self.0, service)
    }
}

impl FromStr for ServiceGlob {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let name = text.strip_suffix(".service").unwrap_or(text);
        let is_of_a_name =
            |byte: u8| byte.is_ascii_alphanumeric() || b":-_.\\@".contains(&byte) || b"*?".contains(&byte);
        if name.is_empty() || name.len() > LONGEST || !name.bytes().all(is_of_a_name) {
            return Err(format!(
                "{text:?} is no service: write its name as systemctl has it, or with * and ?, such as postgresql@*"
            ));
        }
        Ok(Self(name.to_owned()))
    }
}

impl TryFrom<String> for ServiceGlob {
    type Error = String;

    fn try_from(text: String) -> Result<Self, String> {
        text.parse()
    }
}

impl fmt::Display for ServiceGlob {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_service_is_named_with_or_without_its_suffix_and_nothing_else_is_a_service() {
        let glob: ServiceGlob = "postgresql@*.service".parse().unwrap();
        assert_eq!(glob.to_string(), "postgresql@*");
        assert!(glob.matches("postgresql@15-main") && !glob.matches("postgresql"));
        for text in ["", ".service", "a b", "a/b", "a[bc]", "ä"] {
            assert!(text.parse::<ServiceGlob>().is_err(), "{text}");
        }
    }
}
