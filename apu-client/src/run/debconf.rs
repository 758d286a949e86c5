//! Finds debconf questions that a run asked and nobody answered, so that their defaults apply, and those that a package brings.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::io;

use crate::dpkg::{Field, paragraphs};
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

/// The types of templates that are questions, by debconf-devel(7).
const QUESTION_TYPES: [&str; 5] = ["string", "boolean", "select", "multiselect", "password"];

/// Returns the names of the questions among a package's templates.
pub(crate) fn questions(templates: &str) -> Vec<String> {
    let name = |fields: Vec<Field<'_>>| {
        let value = |name: &str| {
            let field = fields.iter().find(|field| field.is(name));
            field.map(|field| field.value)
        };
        let is_question = value("Type").is_some_and(|kind| QUESTION_TYPES.contains(&kind));
        value("Template").filter(|_| is_question).map(str::to_owned)
    };
    paragraphs(templates).filter_map(name).collect()
}

/// Returns the questions that debconf has a value of or has shown; none of them where there is no database.
///
/// # Errors
/// Where there is one that cannot be read.
pub(crate) fn known(paths: &ClientPaths) -> io::Result<BTreeSet<String>> {
    let mut known = BTreeSet::new();
    for file in ["config.dat", "passwords.dat"] {
        let text = match fs::read(paths.path("/var/cache/debconf").join(file)) {
            Ok(text) => text,
            Err(error) if error.kind() == io::ErrorKind::NotFound => continue,
            Err(error) => return Err(error),
        };
        for fields in paragraphs(&String::from_utf8_lossy(&text)) {
            let is = |name: &str| fields.iter().any(|field| field.is(name));
            let name = fields.iter().find(|field| field.is("Name"));
            known.extend(
                name.filter(|_| is("Value") || is("Flags"))
                    .map(|name| name.value.to_owned()),
            );
        }
    }
    Ok(known)
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
