//! Parses which packages provide a virtual package: the output of `apt-cache showpkg NAME`.

/// Returns the names of the packages that provide `name`, each once.
pub(crate) fn providers(text: &str, name: &str) -> Vec<String> {
    let lines = text
        .lines()
        .skip_while(|line| line.strip_prefix("Package: ") != Some(name));
    let lines = lines
        .skip_while(|line| !line.starts_with("Reverse Provides:"))
        .skip(1);
    let lines = lines.take_while(|line| !line.is_empty() && !line.starts_with("Package: "));
    let mut names: Vec<String> = lines
        .filter_map(|line| line.split(' ').next())
        .map(str::to_owned)
        .collect();
    names.sort();
    names.dedup();
    names
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_the_providers_of_that_very_name_count() {
        let text = "Package: mail\nVersions: \n\nReverse Depends: \nDependencies: \nProvides: \nReverse Provides: \n\
                    postfix 3.7 (= )\nexim4 4.96 (= )\npostfix 3.6 (= )\nPackage: mail-x\nReverse Provides: \nother 1 (= )\n";
        assert_eq!(providers(text, "mail"), ["exim4", "postfix"]);
        assert_eq!(providers(text, "mail-x"), ["other"]);
        assert!(providers(text, "mai").is_empty());
    }
}
