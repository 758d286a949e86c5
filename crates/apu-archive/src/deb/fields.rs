//! Values of a control file's fields that dpkg or apt would trip over.

use super::relation;

/// dpkg keeps these itself and takes none from a package, or has given them up.
const NOT_IN_A_PACKAGE: &[&str] = &[
    "Status",
    "Config-Version",
    "Conffiles",
    "Triggers-Pending",
    "Triggers-Awaited",
];

/// Checks one field's value; a value of several lines has their breaks and indents.
pub(super) fn check(field: &str, value: &str) -> Result<(), String> {
    let is = |name: &&str| field.eq_ignore_ascii_case(name);
    let one_of = |words: &[&str]| {
        // An empty value is none.
        let found = value.is_empty() || words.iter().any(|word| word.eq_ignore_ascii_case(value));
        let expected = words.join(" or ");
        found
            .then_some(())
            .ok_or_else(|| format!("{:?} is not {expected}", shown(value)))
    };
    if is(&"Essential") || is(&"Protected") {
        return one_of(&["yes", "no"]);
    }
    if is(&"Multi-Arch") {
        return one_of(&["no", "same", "foreign", "allowed"]);
    }
    if NOT_IN_A_PACKAGE.iter().any(is) {
        return Err("this field cannot stand in a package".into());
    }
    if is(&"Description-md5") && !(value.len() == 32 && value.bytes().all(|byte| byte.is_ascii_hexdigit())) {
        return Err(format!(
            "{:?} is no MD5 sum, and apt before Debian 13 stops there",
            shown(value)
        ));
    }
    relation::check(field, value)
}

/// The start of a value, for people.
fn shown(value: &str) -> String {
    value.chars().take(80).collect()
}

#[cfg(test)]
mod tests {
    use super::check;

    #[test]
    fn values_are_those_that_dpkg_takes() {
        for (field, value) in [
            ("Essential", "yes"),
            ("essential", "NO"),
            ("Essential", ""),
            ("Multi-Arch", "Same"),
            ("Section", "whatever"),
        ] {
            assert_eq!(check(field, value), Ok(()), "{field}: {value}");
        }
        for (field, value) in [
            ("Essential", "true"),
            ("Essential", "1"),
            ("Protected", "on"),
            ("Multi-Arch", "yes"),
            ("Status", "install ok installed"),
            ("Conffiles", "x"),
            ("Description-md5", "x"),
        ] {
            assert!(check(field, value).is_err(), "{field}: {value}");
        }
    }
}
