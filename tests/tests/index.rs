//! The index says what Debian's own indexers say of the same .debs; every difference is listed with its reason. That is
//! asked here of the test packages and of control files as nobody writes them; `make bench-index` asks it of a thousand
//! packages of Debian's.

#![allow(clippy::unwrap_used, reason = "a test that cannot go on fails")]

use std::fs;
use std::path::Path;
use std::process::Command;

use apu_tests::index::{Comparison, Peer};
use apu_tests::{Publisher, build_test_packages};

/// Each is a control file that dpkg-deb takes, for a package of its own.
const ODD: &[&str] = &[
    "Package: odd-least\nVersion: 0\nArchitecture: all\nMaintainer: A <a@example.org>\nDescription: least\n",
    "Package: odd-order\nDescription: first\n and its text\n .\n   indented\nArchitecture: all\nVersion: 1:2.0~rc1+b1-3\n\
     Maintainer: Zoë Ångström <z@example.org>\nSection: misc\nPriority: optional\nInstalled-Size: 17\n",
    "Package: odd-lists\nVersion: 1\nArchitecture: amd64\nMulti-Arch: same\nMaintainer: A <a@example.org>\nDepends: aa,\n \
     bb (>= 1)\nTag:\n x::y,\n z\nHomepage: https://example.org/?a=b:c\nDescription: lists\n",
    "Package: odd-own\nVersion: 1.0+really0.9\nArchitecture: all\nSource: other (0.9)\nMaintainer: A <a@example.org>\n\
     Built-Using: x (= 1)\nX-Own: value\nOriginal-Maintainer: B <b@example.org>\nAuto-Built-Package: debug-symbols\n\
     Description: own fields\n",
    "Package: odd-blanks\nversion: 1\nArchitecture:  all \nMaintainer: A <a@example.org>\nDescription: blanks  \n\ttab\n  \
     two  \n",
];

fn build(control: &str, folder: &Path) {
    let name = control.lines().next().unwrap().trim_start_matches("Package: ");
    let tree = folder.join("tree");
    fs::create_dir_all(tree.join("DEBIAN")).unwrap();
    fs::write(tree.join("DEBIAN/control"), control).unwrap();
    let built = Command::new("dpkg-deb")
        .args(["--root-owner-group", "--build"])
        .arg(&tree)
        .arg(folder.join(format!("debs/{name}.deb")))
        .output()
        .unwrap();
    assert!(
        built.status.success(),
        "{name}: {}",
        String::from_utf8_lossy(&built.stderr)
    );
    fs::remove_dir_all(tree).unwrap();
}

#[test]
fn the_index_says_what_debians_own_tools_say() {
    let folder = tempfile::tempdir().unwrap();
    let debs = folder.path().join("debs");
    fs::create_dir(&debs).unwrap();
    build_test_packages(&debs).unwrap();
    // apu refuses to publish it without being told to.
    for entry in fs::read_dir(&debs).unwrap().map(Result::unwrap) {
        if entry.file_name().to_string_lossy().starts_with("essential_") {
            fs::remove_file(entry.path()).unwrap();
        }
    }
    for control in ODD {
        build(control, folder.path());
    }
    let ours = Publisher::in_folder(folder.path()).unwrap().index(&debs).unwrap();
    assert!(ours.contains("Package: odd-least\n") && ours.contains("Package: pkg-a\n"));
    for peer in Peer::ALL {
        let comparison = Comparison::of(&ours, &peer.index(&debs).unwrap(), peer);
        let unlisted = comparison.unlisted();
        assert!(unlisted.is_empty(), "{comparison}{}", unlisted.join("\n"));
    }
}
