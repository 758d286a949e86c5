//! Finds debconf questions that a run asked and nobody answered, so that their defaults apply, and those that a package brings.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::io;

use apu_debian::debconf::Template;

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

/// A file of debconf's database; empty where there is none.
fn database_file(paths: &ClientPaths, file: &str) -> io::Result<String> {
    match fs::read(paths.path("/var/cache/debconf").join(file)) {
        Ok(text) => Ok(String::from_utf8_lossy(&text).into_owned()),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(String::new()),
        Err(error) => Err(error),
    }
}

/// Returns the templates that debconf knows of questions of these packages, by the questions' names.
pub(super) fn known_templates(paths: &ClientPaths, packages: &BTreeSet<&str>) -> io::Result<Vec<Template>> {
    let templates = database_file(paths, "templates.dat")?;
    let templates: BTreeMap<String, Template> = (Template::read_all(&templates, "Name").into_iter())
        .map(|template| (template.name.clone(), template))
        .collect();
    let mut known = Vec::new();
    for file in ["config.dat", "passwords.dat"] {
        for fields in paragraphs(&database_file(paths, file)?) {
            let value = |name: &str| {
                let field = fields.iter().find(|field| field.is(name));
                field.map(|field| field.value)
            };
            let mut owners = value("Owners").unwrap_or_default().split(", ");
            let template = value("Template").and_then(|name| templates.get(name));
            if let (Some(name), Some(template), true) = (
                value("Name"),
                template,
                owners.any(|owner| packages.contains(owner)),
            ) {
                let name = name.to_owned();
                known.push(Template {
                    name,
                    ..template.clone()
                });
            }
        }
    }
    Ok(known)
}

/// Returns the answers that somebody has given, but for passwords; none where they cannot be read.
pub(super) fn seen_values(paths: &ClientPaths) -> BTreeMap<String, String> {
    let text = database_file(paths, "config.dat").unwrap_or_default();
    let mut values = BTreeMap::new();
    for fields in paragraphs(&text) {
        let value = |name: &str| {
            let field = fields.iter().find(|field| field.is(name));
            field.map(|field| field.value)
        };
        let seen = value("Flags").is_some_and(|flags| flags.split([',', ' ']).any(|flag| flag == "seen"));
        if let (Some(name), Some(answer), true) = (value("Name"), value("Value"), seen) {
            values.insert(name.to_owned(), answer.to_owned());
        }
    }
    values
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
    #[test]
    fn a_template_is_known_by_the_questions_of_a_package_that_have_it() {
        let root = tempfile::tempdir().unwrap();
        let paths = ClientPaths::below(root.path());
        assert!(known_templates(&paths, &["lab"].into()).unwrap().is_empty());
        let database = paths.path("/var/cache/debconf");
        fs::create_dir_all(&database).unwrap();
        let templates = "Name: shared/colour\nType: select\nChoices: red, green\nOwners: other/colour\n";
        fs::write(database.join("templates.dat"), templates).unwrap();
        let config = "Name: lab/colour\nTemplate: shared/colour\nOwners: lab, more\n\n\
                      Name: lab/lost\nTemplate: lab/lost\nOwners: lab\n";
        fs::write(database.join("config.dat"), config).unwrap();
        let known = known_templates(&paths, &["lab"].into()).unwrap();
        assert_eq!((known.len(), known[0].name.as_str()), (1, "lab/colour"));
        assert_eq!(known[0].choices.as_ref().unwrap().len(), 2);
        assert!(known_templates(&paths, &["la"].into()).unwrap().is_empty());
    }
}
