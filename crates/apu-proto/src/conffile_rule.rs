//! Rules of a request for configuration files that were changed both on a machine and in a package.

use std::fmt;
use std::str::FromStr;

use apu_debian::PathGlob;
use serde::{Deserialize, Serialize};

/// The most rules of a request.
pub const MAX_CONFFILE_RULES: usize = 32;

/// What becomes of such a file. The last one is the strictest.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum ConffileRule {
    /// The package's takes its place.
    New,
    /// The machine's stays.
    Keep,
    /// The package stays at its version.
    HoldBack,
}

impl ConffileRule {
    /// Every rule.
    pub const ALL: [Self; 3] = [Self::New, Self::Keep, Self::HoldBack];

    /// The word in a request.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::New => "new",
            Self::Keep => "keep",
            Self::HoldBack => "hold-back",
        }
    }
}

/// The rule for the files that match a pattern, `hold-back:/etc/nginx/*` in a request.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct ConffileRuleFor {
    /// What becomes of them.
    pub rule: ConffileRule,
    /// Their paths.
    pub paths: PathGlob,
}

impl fmt::Display for ConffileRuleFor {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}", self.rule.as_str(), self.paths)
    }
}

impl FromStr for ConffileRuleFor {
    type Err = String;

    fn from_str(word: &str) -> Result<Self, String> {
        let (rule, paths) = word.split_once(':').ok_or("no rule")?;
        let rule = (ConffileRule::ALL.into_iter())
            .find(|known| known.as_str() == rule)
            .ok_or("no rule")?;
        let paths = paths.parse()?;
        Ok(Self { rule, paths })
    }
}

impl TryFrom<String> for ConffileRuleFor {
    type Error = String;

    fn try_from(word: String) -> Result<Self, String> {
        word.parse()
    }
}

impl From<ConffileRuleFor> for String {
    fn from(rule: ConffileRuleFor) -> Self {
        rule.to_string()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_rule_is_written_in_one_way() {
        for rule in ConffileRule::ALL {
            let word = format!("{}:/etc/a:b*", rule.as_str());
            let read: ConffileRuleFor = word.parse().unwrap();
            assert_eq!((read.rule, read.to_string()), (rule, word.clone()));
            assert_eq!(serde_json::to_string(&read).unwrap(), format!("{word:?}"));
            assert_eq!(
                serde_json::to_string(&rule).unwrap(),
                format!("{:?}", rule.as_str())
            );
        }
        for word in [
            "",
            "keep",
            "keep:",
            "keep:etc",
            "old:/etc/x",
            ":/etc/x",
            "keep :/x",
            "KEEP:/x",
        ] {
            assert!(word.parse::<ConffileRuleFor>().is_err(), "{word}");
        }
    }
}
