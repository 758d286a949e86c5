//! The rules of policy.toml about configuration files that were changed both on the machine and in a package: one for all, and others
//! for some paths.

use std::fmt;

use serde::Deserialize;
use serde::de::value::{MapAccessDeserializer, StrDeserializer};
use serde::de::{self, Deserializer, MapAccess, Visitor};

use super::glob::matches_glob;
use crate::dpkg::Conffiles;

/// What becomes of such a file. The last one is the strictest.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub(crate) enum Rule {
    /// The package's takes its place.
    New,
    /// The machine's stays.
    Keep,
    /// The package stays at its version.
    HoldBack,
}

/// All rules. `conffiles = "keep"` is one for all; a table has others for some paths.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct ConffileRules(Table);

#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(default, deny_unknown_fields, rename_all = "kebab-case")]
struct Table {
    default: Rule,
    new: Vec<PathGlob>,
    keep: Vec<PathGlob>,
    hold_back: Vec<PathGlob>,
}

impl Default for Table {
    fn default() -> Self {
        Self {
            default: Rule::Keep,
            new: Vec::new(),
            keep: Vec::new(),
            hold_back: Vec::new(),
        }
    }
}

/// A pattern of absolute paths.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(try_from = "String")]
struct PathGlob(String);

impl TryFrom<String> for PathGlob {
    type Error = String;

    fn try_from(glob: String) -> Result<Self, String> {
        if glob.starts_with('/') {
            Ok(Self(glob))
        } else {
            // It would match nothing, and what it was meant to keep would not be kept.
            Err(format!("{glob:?} does not begin with /"))
        }
    }
}

impl<'de> Deserialize<'de> for ConffileRules {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(WordOrTable)
    }
}

struct WordOrTable;

impl<'de> Visitor<'de> for WordOrTable {
    type Value = ConffileRules;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("\"keep\", \"new\" or \"hold-back\", or a table with default, keep, new and hold-back")
    }

    fn visit_str<E: de::Error>(self, word: &str) -> Result<ConffileRules, E> {
        let default = Rule::deserialize(StrDeserializer::new(word))?;
        Ok(ConffileRules(Table {
            default,
            ..Table::default()
        }))
    }

    fn visit_map<A: MapAccess<'de>>(self, map: A) -> Result<ConffileRules, A::Error> {
        Table::deserialize(MapAccessDeserializer::new(map)).map(ConffileRules)
    }
}

impl ConffileRules {
    /// The rule for a file: the strictest of those whose patterns it matches, else the one for all.
    pub(crate) fn of(&self, path: &str) -> Rule {
        self.named(path).unwrap_or(self.0.default)
    }

    /// The strictest rule whose patterns it matches.
    fn named(&self, path: &str) -> Option<Rule> {
        let Table {
            new, keep, hold_back, ..
        } = &self.0;
        let lists = [(hold_back, Rule::HoldBack), (keep, Rule::Keep), (new, Rule::New)];
        let matches = |globs: &[PathGlob]| globs.iter().any(|glob| matches_glob(&glob.0, path));
        let mut matching = lists.into_iter().filter(|(globs, _)| matches(globs));
        matching.next().map(|(_, rule)| rule)
    }

    /// Whether a decision of the server may put the package's version in the place of a file.
    pub(super) fn allow_new(&self, path: &str) -> bool {
        self.named(path).is_none_or(|rule| rule == Rule::New)
    }

    /// Whether any package stays at its version for its configuration files.
    pub(super) fn hold_back(&self) -> bool {
        self.0.default == Rule::HoldBack || !self.0.hold_back.is_empty()
    }

    /// What dpkg and ucf do. They know one rule for all: where the package's version comes in some places alone, the machine's stays first.
    pub(crate) fn for_dpkg(&self) -> Conffiles {
        if self.0.default == Rule::New && self.0.keep.is_empty() {
            Conffiles::New
        } else {
            Conffiles::Keep
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[derive(Debug, Deserialize)]
    struct File {
        conffiles: ConffileRules,
    }

    fn rules(text: &str) -> ConffileRules {
        toml::from_str::<File>(text).unwrap().conffiles
    }

    #[test]
    fn a_word_is_the_rule_for_all_and_a_table_has_others_for_some_paths() {
        for (word, rule, of_dpkg) in [
            ("keep", Rule::Keep, Conffiles::Keep),
            ("new", Rule::New, Conffiles::New),
            ("hold-back", Rule::HoldBack, Conffiles::Keep),
        ] {
            let rules = rules(&format!("conffiles = \"{word}\""));
            assert_eq!((rules.of("/etc/x"), rules.for_dpkg()), (rule, of_dpkg));
        }
        let some = rules(
            "[conffiles]\ndefault = \"new\"\nkeep = [\"/etc/ssh/*\"]\nnew = [\"/etc/ssh/moduli\", \"/etc/a\"]\n\
             hold-back = [\"/etc/nginx/*.conf\", \"/etc/ssh/ssh_*\"]\n",
        );
        for (path, rule) in [
            ("/etc/other", Rule::New),
            ("/etc/ssh/sshd_config", Rule::Keep),
            // The strictest counts, wherever it stands.
            ("/etc/ssh/moduli", Rule::Keep),
            ("/etc/ssh/ssh_config", Rule::HoldBack),
            ("/etc/nginx/nginx.conf", Rule::HoldBack),
            ("/etc/a", Rule::New),
        ] {
            assert_eq!(some.of(path), rule, "{path}");
        }
        assert_eq!(some.for_dpkg(), Conffiles::Keep);
        assert!(some.hold_back() && !rules("conffiles = \"new\"").hold_back());
        assert_eq!(rules("[conffiles]\n"), ConffileRules::default());
    }

    #[test]
    fn a_decision_replaces_nothing_that_the_machine_names_to_be_kept() {
        let some =
            rules("[conffiles]\nkeep = [\"/etc/ssh/*\"]\nnew = [\"/etc/a\"]\nhold-back = [\"/etc/b\"]\n");
        let allowed = ["/etc/ssh/x", "/etc/a", "/etc/b", "/etc/other"].map(|path| some.allow_new(path));
        assert_eq!(allowed, [false, true, false, true]);
        // The rule for all is about what nobody decides.
        assert!(ConffileRules::default().allow_new("/etc/x"));
    }

    #[test]
    fn a_mistake_is_an_error_and_never_a_default() {
        for text in [
            "conffiles = \"old\"",
            "conffiles = 1",
            "conffiles = []",
            "[conffiles]\nhold_back = []",
            "[conffiles]\ndefault = \"ask\"",
            "[conffiles]\nkeep = \"/etc/x\"",
            "[conffiles]\nkeep = [\"etc/x\"]",
            "[conffiles]\nkeep = [\"*\"]",
        ] {
            assert!(toml::from_str::<File>(text).is_err(), "{text}");
        }
    }
}
