//! Relations to other packages (`Depends` and its like), as dpkg and apt both parse them.
//!
//! The two readers differ; what one of them refuses would break every client. The grammar here is what both take.

use apu_debian::{is_dpkg_name, is_version};

/// What can stand in a field with relations.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Kind {
    Alternatives,
    OneEach,
    /// One each, and of a version no other than one exactly.
    Exact,
}

/// Fields with relations.
const FIELDS: &[(&str, Kind)] = &[
    ("Depends", Kind::Alternatives),
    ("Pre-Depends", Kind::Alternatives),
    ("Recommends", Kind::Alternatives),
    ("Suggests", Kind::Alternatives),
    ("Enhances", Kind::Alternatives),
    ("Conflicts", Kind::OneEach),
    ("Breaks", Kind::OneEach),
    ("Replaces", Kind::OneEach),
    ("Provides", Kind::Exact),
];

/// Checks the value of a field; fine if it is none with relations.
pub(super) fn check(field: &str, value: &str) -> Result<(), String> {
    let found = FIELDS.iter().find(|(name, _)| name.eq_ignore_ascii_case(field));
    let Some(&(_, kind)) = found else {
        return Ok(());
    };
    // dpkg and apt take an empty value as none.
    if value.bytes().all(|byte| byte.is_ascii_whitespace()) {
        return Ok(());
    }
    if value.starts_with('\n') {
        return Err("dpkg wants the first package on the line of the field's name".into());
    }
    value.split(',').try_for_each(|group| {
        let mut alternatives = group.split('|');
        let one = alternatives.next().unwrap_or_default();
        relation(one, kind)?;
        alternatives.try_for_each(|one| match kind {
            Kind::Alternatives => relation(one, kind),
            Kind::OneEach | Kind::Exact => Err(format!("alternatives (`|`) cannot stand in {field}")),
        })
    })
}

fn relation(text: &str, kind: Kind) -> Result<(), String> {
    let text = text.trim_matches(is_blank);
    let end = text
        .find(|letter: char| is_blank(letter) || letter == '(')
        .unwrap_or(text.len());
    let (name, rest) = text.split_at(end);
    let (package, architecture) = match name.split_once(':') {
        Some((package, architecture)) => (package, Some(architecture)),
        None => (name, None),
    };
    if package.is_empty() {
        return Err(match text {
            "" => "a package's name is missing".into(),
            _ => format!("{text:?} starts with no package's name"),
        });
    }
    if !is_dpkg_name(package) {
        return Err(format!("{package:?} is no package's name"));
    }
    if architecture.is_some_and(|name| !is_architecture_qualifier(name)) {
        return Err(format!("{name:?} names no architecture"));
    }
    let rest = rest.trim_start_matches(is_blank);
    if rest.is_empty() {
        return Ok(());
    }
    let version = rest
        .strip_prefix('(')
        .and_then(|rest| rest.strip_suffix(')'))
        .ok_or_else(|| format!("after {name}, {rest:?} is no version in brackets"))?
        .trim_matches(is_blank);
    let operators = ["<<", ">>", "<=", ">=", "=", "<", ">"];
    // Without one, both take it for =.
    let operator = operators.iter().find(|operator| version.starts_with(**operator));
    if kind == Kind::Exact && operator.is_some_and(|operator| *operator != "=") {
        return Err(
            "only exact versions (=) can be provided: dpkg of Debian 13 and later refuses others".into(),
        );
    }
    let version = version[operator.map_or(0, |operator| operator.len())..].trim_start_matches(is_blank);
    match is_version(version) {
        true => Ok(()),
        false => Err(format!("{version:?} is no version")),
    }
}

fn is_blank(letter: char) -> bool {
    matches!(letter, ' ' | '\t' | '\n')
}

/// What dpkg takes after a name's colon, `any` and `native` included.
fn is_architecture_qualifier(name: &str) -> bool {
    name.starts_with(|first: char| first.is_ascii_alphanumeric())
        && name
            .bytes()
            .all(|byte| byte.is_ascii_alphanumeric() || byte == b'-')
}

#[cfg(test)]
mod tests {
    use super::check;

    #[test]
    fn what_dpkg_and_apt_take_is_taken() {
        for (field, value) in [
            ("Depends", "libc6 (>= 2.34), foo:any | bar (<< 1:2.0~), baz(=1-1)"),
            ("depends", "foo,\n bar |\n baz\n"),
            ("Conflicts", "foo (< 1), bar"),
            ("Provides", "foo (= 1), bar (1), baz"),
            ("Depends", "foo (1.0)"),
            ("Depends", ""),
            ("X-Depends", "( ("),
        ] {
            assert_eq!(check(field, value), Ok(()), "{field}: {value}");
        }
    }

    #[test]
    fn what_one_of_them_refuses_is_refused() {
        for (field, value, why) in [
            (
                "Depends",
                "foo bar",
                "after foo, \"bar\" is no version in brackets",
            ),
            ("Depends", "foo (>= 1) bar", "is no version in brackets"),
            ("Depends", "foo,", "a package's name is missing"),
            ("Depends", "foo,, bar", "a package's name is missing"),
            ("Depends", "foo |", "a package's name is missing"),
            ("Depends", "(>= 1)", "starts with no package's name"),
            ("Depends", "foo (>= )", "\"\" is no version"),
            ("Depends", "foo (>= 1 2)", "\"1 2\" is no version"),
            ("Depends", "foo (>= ${binary:Version})", "is no version"),
            ("Depends", "${shlibs:Depends}", "is no package's name"),
            ("Pre-Depends", "foo [amd64]", "is no version in brackets"),
            ("Suggests", "foo:", "names no architecture"),
            ("Depends", "\n foo,\n bar", "on the line of the field's name"),
            (
                "Provides",
                "foo (>= 1)",
                "only exact versions (=) can be provided",
            ),
            (
                "Conflicts",
                "foo | bar",
                "alternatives (`|`) cannot stand in Conflicts",
            ),
        ] {
            let error = check(field, value).unwrap_err();
            assert!(error.contains(why), "{field}: {value}: {error}");
        }
    }
}
