//! Bad .debs: each ends with its reason before anything is published and before any client is asked.

use std::fs;
use std::process::Command;

use apu_tests::{Fleet, deb};

use crate::local_debs::{plain, put};

const ARCHIVE: &str = "/var/lib/apu-data/repo/local";

const CONTROL: &str =
    "Package: site-tool\nVersion: 1.0\nArchitecture: all\nMaintainer: A <a@example.org>\nDescription: x\n";

/// A .deb whose data holds `../etc/evil`, made of a good one's control.
fn escaping() -> Vec<u8> {
    let tree = tempfile::tempdir().unwrap();
    fs::write(tree.path().join("good.deb"), deb(CONTROL).unwrap()).unwrap();
    let script = "set -e
        ar x good.deb
        mkdir in && echo x >in/evil
        rm data.tar.xz
        tar -c -J -P --transform 's,^in/,../etc/,' -f data.tar.xz in/evil
        ar rc evil.deb debian-binary control.tar.xz data.tar.xz";
    let done = Command::new("sh")
        .args(["-ec", script])
        .current_dir(tree.path())
        .status();
    assert!(done.unwrap().success());
    fs::read(tree.path().join("evil.deb")).unwrap()
}

/// The bytes with one part of them replaced by another of its length.
fn with(bytes: &[u8], old: &[u8], new: &[u8]) -> Vec<u8> {
    let at = bytes
        .windows(old.len())
        .position(|window| window == old)
        .expect("the old part");
    [&bytes[..at], new, &bytes[at + old.len()..]].concat()
}

/// Under which name each comes, what it is, and what has to be said of it.
fn bad_debs() -> Vec<(&'static str, Vec<u8>, &'static str)> {
    let good = deb(CONTROL).unwrap();
    let also = |from: &str, to: &str| deb(&CONTROL.replace(from, to)).unwrap();
    vec![
        ("cut.deb", good[..good.len() - 7].to_vec(), "truncated"),
        ("empty.deb", Vec::new(), "truncated"),
        ("text.deb", b"#!/bin/sh\nid\n".to_vec(), "not a .deb"),
        (
            "member.deb",
            with(&good, b"debian-binary", b"debian-biNary"),
            "debian-binary is expected there",
        ),
        (
            "order.deb",
            with(&good, b"control.tar", b"kontrol.tar"),
            "control.tar[.gz|.xz|.zst] is expected there",
        ),
        ("escape.deb", escaping(), "does not stay below the root"),
        (
            "essential.deb",
            also("Maintainer", "Essential: yes\nMaintainer"),
            "is marked Essential",
        ),
        (
            "name.deb",
            also("Package: site-tool", "Package: site-tool-"),
            "not a package name",
        ),
        (
            "arch.deb",
            also("Architecture: all", "Architecture: vax"),
            "not an architecture",
        ),
    ]
}

#[test]
fn a_bad_deb_is_refused_with_its_reason_and_nothing_is_published_and_nobody_asked() {
    let fleet = Fleet::of(["web1"]).up();
    let (server, web1) = (fleet.server(), fleet.host("web1"));
    let archive = || {
        server
            .sh(&format!(
                "cd {ARCHIVE} && find . -type f ! -path './.apu/*' | sort | xargs sha256sum"
            ))
            .ok()
    };
    let before = archive();
    let good = put(
        &fleet,
        "site-more_1_all.deb",
        "Package: site-more\nVersion: 1\nArchitecture: all",
    );
    let watch = web1.watch().unwrap();
    let mut wrong = Vec::new();
    let mut bad = bad_debs();
    bad.push(("missing.deb", Vec::new(), "No such file"));
    for (name, bytes, reason) in bad {
        let path = format!("/root/{name}");
        server.write_bytes(&path, &bytes);
        if name == "missing.deb" {
            server.exec(&["rm", &path]).ok();
        }
        // A good one beside it does not get in either.
        let said = plain(&fleet, &format!("web1 install {good} {path} --yes"));
        let is_told = said.stderr.starts_with("error: ")
            && said.stderr.contains("\n  why: ")
            && said.stderr.contains("\n  try: ")
            && said.stderr.contains(reason);
        if said.code != 2 || !is_told {
            wrong.push(format!(
                "{name}: {} instead of 2, or no {reason:?}:\n{}",
                said.code, said.stderr
            ));
        }
        if archive() != before {
            wrong.push(format!("{name}: something was published"));
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
    assert_eq!(watch.programs().unwrap(), [""; 0], "the client was asked");
    fleet.apt_all(&format!("web1 install {good} --yes")).exited(0);
}
