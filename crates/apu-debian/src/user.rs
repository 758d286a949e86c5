//! Names of users on a machine.

crate::text_value!(
    /// A user's name, which can never be read as an option.
    #[derive(PartialOrd, Ord)]
    UserName,
    is_user_name,
    str::to_owned,
    "a user name: 1 to 32 of A-Z a-z 0-9 _ . -, starting with a letter, a digit or _"
);

fn is_user_name(name: &str) -> bool {
    name.len() <= 32
        && name.starts_with(|first: char| first.is_ascii_alphanumeric() || first == '_')
        && name
            .bytes()
            .all(|byte| byte.is_ascii_alphanumeric() || b"-_.".contains(&byte))
}

#[cfg(test)]
mod tests {
    use super::UserName;

    #[test]
    fn a_user_name_is_never_an_option() {
        for name in ["apu", "_apt", "www-data", "j.doe", "Admin"] {
            assert_eq!(name.parse::<UserName>().unwrap().as_str(), name);
        }
        for name in ["", "-l", ".apu", "a b", "a@b", "a:b", &"a".repeat(33)] {
            let error = name.parse::<UserName>().unwrap_err();
            assert!(error.contains("is not a user name"), "{error}");
        }
    }
}
