//! Which crate may use which: ARCHITECTURE.md's table as a test, and the full list of what runs as root on a client.

use std::collections::BTreeSet;

use apu_tests::cargo;

/// Every crate of ours, with those of ours that it may use. Arrows run only downwards.
const ARROWS: &[(&str, &[&str])] = &[
    ("apu-debian", &[]),
    ("apu-proto", &["apu-debian"]),
    ("apu-fleet", &["apu-debian", "apu-proto"]),
    ("apu-ledger", &["apu-fleet", "apu-proto"]),
    ("apu-archive", &["apu-debian"]),
    ("apu-site", &["apu-archive", "apu-debian"]),
    (
        "apu-server",
        &[
            "apu-archive",
            "apu-debian",
            "apu-fleet",
            "apu-ledger",
            "apu-proto",
            "apu-site",
            "gen-apu-data-pkg",
        ],
    ),
    ("apu-client", &["apu-debian", "apu-proto"]),
    ("apu-wrapper", &["apu-proto"]),
    ("gen-apu-data-pkg", &["apu-archive", "apu-debian", "apu-site"]),
];

/// What is linked into a program that runs as root on every client, whoever it comes through.
const ROOT_SIDE: &[&str] = &[
    "apu-client apu-debian apu-proto",
    "bitflags cfg-if libc memoffset nix",           // the system's calls
    "itoa memchr serde serde_core serde_json zmij", // JSON
    "serde_spanned toml toml_datetime toml_parser winnow", // policy.toml
    "block-buffer const-oid cpufeatures crypto-common digest hybrid-array sha2 typenum", // SHA-256
    "thiserror",
];

/// What is linked into the forced command.
const COURIER: &[&str] = &[
    "apu-wrapper apu-debian apu-proto",
    "bitflags cfg-if libc memoffset nix", // a socket with a name
    "itoa memchr serde serde_core serde_json zmij",
    "block-buffer const-oid cpufeatures crypto-common digest hybrid-array sha2 typenum",
    "thiserror",
];

/// The names of what cargo links into a package, down to `depth`; crates that run in the compiler only do not count.
fn linked_into(package: &str, depth: &str) -> BTreeSet<String> {
    let names = cargo(&[
        "tree",
        "--edges=normal,no-proc-macro",
        "--prefix=none",
        "--format={p}",
        "--package",
        package,
        "--depth",
        depth,
    ]);
    names
        .lines()
        .filter_map(|line| line.split(' ').next())
        .map(str::to_owned)
        .collect()
}

#[test]
fn arrows_between_our_crates_run_only_downwards() {
    for (package, allowed) in ARROWS {
        let ours = |name: &String| ARROWS.iter().any(|(other, _)| other == name) && name != package;
        let used: Vec<_> = linked_into(package, "1").into_iter().filter(ours).collect();
        assert_eq!(
            used, *allowed,
            "{package} uses other crates of ours than ARCHITECTURE.md says"
        );
    }
}

#[test]
fn what_runs_as_root_on_a_client_is_a_list_that_anyone_can_read() {
    for (package, allowed) in [("apu-client", ROOT_SIDE), ("apu-wrapper", COURIER)] {
        let allowed: BTreeSet<_> = allowed
            .iter()
            .flat_map(|names| names.split(' '))
            .map(str::to_owned)
            .collect();
        let extra: Vec<_> = linked_into(package, "99").difference(&allowed).cloned().collect();
        assert!(
            extra.is_empty(),
            "{package} is linked with {extra:?}: add it here only after having read it"
        );
    }
}
