//! The rules of policy.toml about configuration files that were changed both on the machine and in a package: one for all, and others
//! for some paths.

use std::fmt;

use apu_debian::PathGlob;
pub(crate) use apu_proto::ConffileRule as Rule;
use apu_proto::ConffileRuleFor;
use serde::Deserialize;
use serde::de::value::{MapAccessDeserializer, StrDeserializer};
use serde::de::{self, Deserializer, MapAccess, Visitor};

use crate::dpkg::Conffiles;

/// All rules. `conffiles = "keep"` is one for all; a table has others for some paths.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct ConffileRules {
    own: Table,
    /// Those of a request that count here.
    of_request: Vec<ConffileRuleFor>,
}

#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(default, deny_unknown_fields, rename_all = "kebab-case")]
struct Table {
    default: Rule,
    new: Vec<PathGlob>,
    keep: Vec<PathGlob>,
    hold_back: Vec<PathGlob>,
}

impl From<Table> for ConffileRules {
    fn from(own: Table) -> Self {
        Self {
            own,
            of_request: Vec::new(),
        }
    }
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
        Ok(ConffileRules::from(Table {
            default,
            ..Table::default()
        }))
    }

    fn visit_map<A: MapAccess<'de>>(self, map: A) -> Result<ConffileRules, A::Error> {
        Table::deserialize(MapAccessDeserializer::new(map)).map(ConffileRules::from)
    }
}

impl ConffileRules {
    /// The same with the rules of a request, which are never weaker for a path that this machine's own rules name; `may_replace` says
    /// whether the server may have files of this machine replaced at all.
    pub(crate) fn with(&self, of_request: &[ConffileRuleFor], may_replace: bool) -> Self {
        let counts = |rule: &&ConffileRuleFor| may_replace || rule.rule != Rule::New;
        Self {
            own: self.own.clone(),
            of_request: of_request.iter().filter(counts).cloned().collect(),
        }
    }

    /// The rule for a file: the strictest of those whose patterns it matches, else the one for all.
    pub(crate) fn of(&self, path: &str) -> Rule {
        let of_request = self.of_request.iter().filter(|rule| rule.paths.matches(path));
        let strictest = of_request.map(|rule| rule.rule).chain(self.named(path)).max();
        strictest.unwrap_or(self.own.default)
    }

    /// The strictest rule of this machine's own whose patterns it matches.
    fn named(&self, path: &str) -> Option<Rule> {
        let Table {
            new, keep, hold_back, ..
        } = &self.own;
        let lists = [(hold_back, Rule::HoldBack), (keep, Rule::Keep), (new, Rule::New)];
        let matches = |globs: &[PathGlob]| globs.iter().any(|glob| glob.matches(path));
        let mut matching = lists.into_iter().filter(|(globs, _)| matches(globs));
        matching.next().map(|(_, rule)| rule)
    }

    /// Whether a decision of the server may put the package's version in the place of a file.
    pub(super) fn allow_new(&self, path: &str) -> bool {
        self.named(path).is_none_or(|rule| rule == Rule::New)
    }

    /// Whether any package stays at its version for its configuration files.
    pub(super) fn hold_back(&self) -> bool {
        let of_request = self.of_request.iter().any(|rule| rule.rule == Rule::HoldBack);
        self.own.default == Rule::HoldBack || !self.own.hold_back.is_empty() || of_request
    }

    /// What dpkg and ucf do. They know one rule for all: where the package's version comes in some places alone, the machine's stays first.
    /// A package is held back for dpkg's files alone, so a file of ucf with that rule has to stay as well.
    pub(crate) fn for_dpkg(&self) -> Conffiles {
        let Table { keep, hold_back, .. } = &self.own;
        let is_some_kept = !keep.is_empty()
            || !hold_back.is_empty()
            || self.of_request.iter().any(|rule| rule.rule != Rule::New);
        if self.own.default == Rule::New && !is_some_kept {
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
    fn the_rules_of_a_request_are_never_weaker_than_those_of_the_machine_for_a_path() {
        let own =
            rules("[conffiles]\nkeep = [\"/etc/k*\"]\nnew = [\"/etc/n*\"]\nhold-back = [\"/etc/h*\"]\n");
        let of_request: Vec<ConffileRuleFor> = ["new:/etc/*", "hold-back:/etc/?/x"]
            .iter()
            .map(|word| word.parse().unwrap())
            .collect();
        let both = own.with(&of_request, true);
        for (path, rule) in [
            ("/etc/k", Rule::Keep),
            ("/etc/n", Rule::New),
            ("/etc/h", Rule::HoldBack),
            ("/etc/other", Rule::New),
            ("/etc/n/x", Rule::HoldBack),
            ("/usr/x", Rule::Keep),
        ] {
            assert_eq!(both.of(path), rule, "{path}");
        }
        // Where the server may have nothing replaced, it may still be stricter.
        let strict = own.with(&of_request, false);
        assert_eq!(strict.of("/etc/other"), Rule::Keep);
        assert_eq!(strict.of("/etc/n/x"), Rule::HoldBack);
        // A decision of the server is about this machine's own rules.
        assert!(both.allow_new("/etc/n/x") && !both.allow_new("/etc/k"));
        let all_new = rules("conffiles = \"new\"");
        assert_eq!(all_new.with(&of_request[..1], true).for_dpkg(), Conffiles::New);
        // Where some file stays, dpkg and ucf keep all of them first.
        for rule in ["keep:/etc/x", "hold-back:/etc/x"] {
            let rule = rule.parse().unwrap();
            assert_eq!(all_new.with(&[rule], true).for_dpkg(), Conffiles::Keep);
        }
        let own = rules("[conffiles]\ndefault = \"new\"\nhold-back = [\"/etc/x\"]\n");
        assert_eq!(own.for_dpkg(), Conffiles::Keep);
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
