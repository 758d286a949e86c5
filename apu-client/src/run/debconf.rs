//! Finds debconf questions that a run asked and nobody answered, so that their defaults apply.

use std::collections::BTreeMap;
use std::fs;

use crate::dpkg::paragraphs;
use crate::os::paths::ClientPaths;

/// The questions that have a value and that nobody has seen, each with its owners.
pub(crate) type Questions = BTreeMap<String, Vec<String>>;

/// Reads debconf's database; empty where there is none.
pub(crate) fn read(paths: &ClientPaths) -> Questions {
    let text = fs::read(paths.path("/var/cache/debconf/config.dat")).unwrap_or_default();
    parse(&String::from_utf8_lossy(&text))
}

/// Parses the database. A question that was never asked has no `Value`; one that was asked while nobody could answer
/// has a `Value` and no `seen` flag.
fn parse(text: &str) -> Questions {
    let mut questions = Questions::new();
    for fields in paragraphs(text) {
        let value = |name: &str| {
            fields
                .iter()
                .find(|field| field.is(name))
                .map(|field| field.value)
        };
        let seen = value("Flags").is_some_and(|flags| flags.split([',', ' ']).any(|flag| flag == "seen"));
        if let (Some(name), Some(_), false) = (value("Name"), value("Value"), seen) {
            let owners = value("Owners").unwrap_or_default().split(", ");
            questions.insert(name.to_owned(), owners.map(str::to_owned).collect());
        }
    }
    questions
}

/// Returns the questions that are new in `after` and belong to one of these packages, given by name.
pub(crate) fn answered_by_default(before: &Questions, after: &Questions, changed: &[&str]) -> Vec<String> {
    let of_changed = |owners: &Vec<String>| owners.iter().any(|owner| changed.contains(&owner.as_str()));
    (after.iter())
        .filter(|(name, owners)| !before.contains_key(*name) && of_changed(owners))
        .map(|(name, _)| name.clone())
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    const TEXT: &str = "\
Name: lab/asked
Template: lab/asked
Value: yes
Owners: lab-debconf

Name: lab/answered
Template: lab/answered
Value: no
Owners: lab-debconf
Flags: seen

Name: lab/known
Template: lab/known
Owners: lab-debconf

Name: other/asked
Template: other/asked
Value:
Owners: other, another
";

    #[test]
    fn a_question_counts_that_has_a_value_which_nobody_saw() {
        let questions = parse(TEXT);
        assert_eq!(questions.keys().collect::<Vec<_>>(), ["lab/asked", "other/asked"]);
        let none = Questions::new();
        assert_eq!(
            answered_by_default(&none, &questions, &["lab-debconf"]),
            ["lab/asked"]
        );
        assert_eq!(
            answered_by_default(&none, &questions, &["another"]),
            ["other/asked"]
        );
        assert!(answered_by_default(&questions, &questions, &["another"]).is_empty());
    }
}
