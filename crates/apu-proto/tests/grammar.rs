//! The grammar against what attackers write and against what Debian has.

use apu_proto::{PackageArg, Request, VERSION_WORD};

const HOSTILE: &str = include_str!("../../../tests/data/hostile_requests.tsv");

/// Decodes the escapes of the corpus: `\n \r \t \\ \xHH`.
fn decode(text: &str) -> Vec<u8> {
    let mut bytes = Vec::new();
    let mut rest = text.bytes();
    while let Some(byte) = rest.next() {
        if byte != b'\\' {
            bytes.push(byte);
            continue;
        }
        match rest.next() {
            Some(b'n') => bytes.push(b'\n'),
            Some(b'r') => bytes.push(b'\r'),
            Some(b't') => bytes.push(b'\t'),
            Some(b'\\') => bytes.push(b'\\'),
            Some(b'x') => {
                let digits = [rest.next().unwrap(), rest.next().unwrap()];
                bytes.push(u8::from_str_radix(std::str::from_utf8(&digits).unwrap(), 16).unwrap());
            }
            other => panic!("unknown escape {other:?} in {text}"),
        }
    }
    bytes
}

#[test]
fn every_hostile_line_is_refused_unless_only_the_client_can_tell() {
    let mut tried = 0;
    for line in HOSTILE.lines() {
        let (text, why) = line.split_once('\t').expect("TAB");
        let hostile = decode(text);
        assert!(
            Request::parse(&hostile).is_err(),
            "accepted as it stands: {text} ({why})"
        );
        let mut versioned = format!("{VERSION_WORD} ").into_bytes();
        versioned.extend(&hostile);
        // Legal words that name no package: the exact look-up refuses them.
        let legal = text == "install lab.b:amd64";
        let judged_later =
            legal || why.starts_with("[resolve]") || why.starts_with("[verb]") || why.starts_with("[policy]");
        assert!(
            Request::parse(&versioned).is_err() || judged_later,
            "accepted with a version: {text} ({why})"
        );
        tried += 1;
    }
    assert!(tried > 150, "the corpus has shrunk to {tried} lines");
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
