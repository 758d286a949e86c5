//! The packages and the tests want the same features of every crate, so that `make check` compiles each crate once; and it
//! runs every test once.

use std::collections::{BTreeMap, BTreeSet};

use apu_tests::cargo;

/// The variants (features) of each crate (name and version) that `cargo tree` with these arguments names.
fn crates(arguments: &[&str]) -> BTreeMap<String, BTreeSet<String>> {
    let said = cargo(&[&["tree", "--prefix=none", "--format={p}|{f}"], arguments].concat());
    let mut crates = BTreeMap::<String, BTreeSet<String>>::new();
    for line in said.lines() {
        // `-e all` also names the features, on lines of another form.
        if let Some((name, features)) = line.trim_end_matches(" (*)").split_once('|') {
            let variants = crates.entry(name.to_owned()).or_default();
            variants.insert(features.to_owned());
        }
    }
    crates
}

#[test]
fn a_crate_of_the_servers_packages_has_the_same_features_in_the_tests() {
    let packages = crates(&["-e=normal,build", "-p=apu-server", "-p=gen-apu-data-pkg"]);
    let tests = crates(&["-e=normal,build,dev", "--workspace"]);

    assert!(packages.len() > 100, "{}", packages.len());
    for (name, variants) in packages {
        assert_eq!(
            tests.get(&name),
            Some(&variants),
            "{name}: name the features once, in the workspace's Cargo.toml"
        );
    }
}

/// `scripts/check` runs the fleet's tests, and beside them what `--test '[!f]*'` names.
#[test]
fn of_the_files_of_tests_the_fleet_alone_begins_with_that_letter() {
    let said = cargo(&["metadata", "--no-deps", "--format-version=1"]);
    let metadata: serde_json::Value = serde_json::from_str(&said).unwrap();
    let packages = metadata["packages"].as_array().unwrap().iter();
    let mut targets: Vec<&str> = packages
        .flat_map(|package| package["targets"].as_array().unwrap())
        .filter(|target| target["kind"][0] == "test")
        .filter_map(|target| target["name"].as_str())
        .collect();
    assert!(targets.len() > 20, "{targets:?}");
    targets.retain(|name| name.starts_with('f'));
    assert_eq!(targets, ["fleet"]);
}
