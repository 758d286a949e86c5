//! The oldest Rust that Cargo.toml names is one that every crate in Cargo.lock can be built with.
//!
//! For the standard library clippy tells the same of our own code: `incompatible_msrv`.

use apu_tests::cargo;
use serde_json::Value;

/// Of `1.88` or `1.88.0`.
fn version(text: &str) -> Vec<u32> {
    let numbers = text.split('.').map(|part| part.parse().expect("a number"));
    numbers.chain(std::iter::repeat(0)).take(3).collect()
}

#[test]
fn no_crate_takes_a_newer_rust_than_cargo_toml_says() {
    let said = cargo(&[
        "metadata",
        "--format-version=1",
        "--filter-platform=x86_64-unknown-linux-gnu",
    ]);
    let metadata: Value = serde_json::from_str(&said).expect("JSON");
    let packages = metadata["packages"].as_array().expect("packages");
    let ours = version(env!("CARGO_PKG_RUST_VERSION"));

    let newer: Vec<String> = packages
        .iter()
        .filter_map(|package| Some((package, package["rust_version"].as_str()?)))
        .filter(|(_, wanted)| version(wanted) > ours)
        .map(|(package, wanted)| format!("{} takes {wanted}", package["name"]))
        .collect();

    assert!(packages.len() > 100, "{}", packages.len());
    assert_eq!(newer, Vec::<String>::new());
}
