//! The other side of strictness: every name and version that Debian has is a legal request.

use std::collections::BTreeSet;
use std::process::{Command, Stdio};

use apu_proto::Request;

/// What a tool of this machine printed.
fn printed(program: &str, words: &[&str]) -> String {
    let output = Command::new(program).args(words).stdin(Stdio::null()).output();
    let output = output.unwrap_or_else(|error| panic!("{program}: {error}"));
    assert!(
        output.status.success(),
        "{program}: {}",
        String::from_utf8_lossy(&output.stderr)
    );
    String::from_utf8(output.stdout).expect("UTF-8")
}

/// The Packages files of `main` that this machine's own apt has fetched.
fn fetched() -> Vec<String> {
    let words = [
        "indextargets",
        "--format",
        "$(FILENAME)",
        "Created-By: Packages",
        "Component: main",
    ];
    printed("apt-get", &words)
        .lines()
        .filter(|file| std::path::Path::new(file).exists())
        .map(str::to_owned)
        .collect()
}

/// Every name and version in them.
fn packages() -> BTreeSet<(String, String)> {
    let mut packages = BTreeSet::new();
    for file in fetched() {
        let text = printed("/usr/lib/apt/apt-helper", &["cat-file", &file]);
        let mut name = "";
        for line in text.lines() {
            if let Some(package) = line.strip_prefix("Package: ") {
                name = package;
            } else if let Some(version) = line.strip_prefix("Version: ") {
                packages.insert((name.to_owned(), version.to_owned()));
            }
        }
    }
    packages
}

#[test]
fn every_name_and_version_of_debian_is_accepted() {
    const WHOLE: usize = 60_000;
    let mut packages = packages();
    if packages.len() < WHOLE {
        printed("apt-get", &["-q", "update"]);
        packages = self::packages();
    }
    // One version among them ends with a `+`: gcc-bpf's.
    assert!(
        packages.len() > WHOLE,
        "only {} packages in this machine's lists",
        packages.len()
    );
    let refused: Vec<_> = packages
        .iter()
        .flat_map(|(name, version)| {
            [
                format!("apu/1 install {name}"),
                format!("apu/1 install {name}={version}"),
            ]
        })
        .filter(|request| {
            let read = Request::parse(request.as_bytes());
            read.is_err() || read.is_ok_and(|read| read.to_string() != *request)
        })
        .collect();
    assert!(refused.is_empty(), "{} refused: {refused:?}", refused.len());
}
