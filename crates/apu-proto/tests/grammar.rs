//! The grammar against what attackers write and against what Debian has.

use apu_proto::{PackageArg, Request, VERSION_WORD};

#[path = "../../../tests/data/corpus.rs"]
mod corpus;

#[test]
fn every_hostile_line_is_refused_unless_only_the_client_can_tell() {
    let corpus = corpus::hostile_requests();
    assert!(
        corpus.len() >= 175,
        "the corpus has shrunk to {} lines",
        corpus.len()
    );
    for hostile in corpus {
        assert!(
            Request::parse(&hostile.bytes).is_err(),
            "accepted as it stands: {hostile}"
        );
        let versioned = [VERSION_WORD.as_bytes(), b" ", &hostile.bytes].concat();
        let judged_later = hostile.judge != corpus::Judge::Grammar;
        assert!(
            Request::parse(&versioned).is_err() || judged_later,
            "accepted with a version: {hostile}"
        );
    }
}

/// `DEBIAN_PACKAGES` names a decompressed Packages file; the whole-program suites run this over all of bookworm main.
#[test]
fn every_name_and_version_that_debian_has_is_accepted() {
    let sample = "Package: g++\nVersion: 4:12.2.0-3\n\nPackage: 0ad\nVersion: 0.0.26-3\n".to_owned();
    let packages = std::env::var_os("DEBIAN_PACKAGES")
        .map_or(sample, |path| std::fs::read_to_string(path).expect("Packages"));
    let mut name = "";
    let mut accepted = 0;
    for line in packages.lines() {
        if let Some(package) = line.strip_prefix("Package: ") {
            name = package;
        }
        if let Some(version) = line.strip_prefix("Version: ") {
            let word = format!("{name}={version}");
            assert!(name.parse::<PackageArg>().is_ok(), "{name}");
            assert!(word.parse::<PackageArg>().is_ok(), "{word}");
            accepted += 1;
        }
    }
    assert!(accepted >= 2);
}
