//! What clients get word for word: `--help`, and the maintainer scripts of apu-data.
//!
//! The texts are in `snapshots/`, a file each. CONTRIBUTING.md tells how a new one is accepted.

#![allow(clippy::unwrap_used, reason = "a test that cannot go on fails")]

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use apu_site::{Site, setup};

const PROGRAM: &str = env!("CARGO_BIN_EXE_gen-apu-data-pkg");

fn snapshots() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/snapshots")
}

/// The maintainer scripts of the apu-data that a site with these settings makes, by name.
fn scripts(settings: &str) -> Vec<(String, String)> {
    let dir = tempfile::tempdir().unwrap();
    fs::create_dir_all(dir.path().join("etc")).unwrap();
    fs::write(dir.path().join("etc/hostname"), "apu.example.org\n").unwrap();
    let site = Site::below(dir.path());
    setup(&site).unwrap();
    fs::write(site.etc().join("apu.toml"), settings).unwrap();
    let made = Command::new(PROGRAM)
        .arg("--root")
        .arg(dir.path())
        .output()
        .unwrap();
    assert!(made.status.success(), "{}", String::from_utf8_lossy(&made.stderr));
    let control = dir.path().join("control");
    let unpacked = Command::new("dpkg-deb")
        .arg("--control")
        .arg(site.archive().join("apu-data_1_all.deb"))
        .arg(&control)
        .status();
    assert!(unpacked.unwrap().success());
    let names = ["preinst", "postinst", "prerm", "postrm"];
    let texts = names.map(|name| (name.to_owned(), fs::read_to_string(control.join(name))));
    texts
        .into_iter()
        .filter_map(|(name, text)| Some((name, text.ok()?)))
        .collect()
}

#[test]
fn the_help_and_the_scripts_are_as_they_were_read() {
    let help = Command::new(PROGRAM)
        .arg("--help")
        .env("COLUMNS", "100")
        .output()
        .unwrap();
    let help = String::from_utf8(help.stdout).unwrap();
    let mut texts = vec![("help".to_owned(), help)];
    for (case, settings) in [
        ("plain", ""),
        ("proxy", "[client]\nproxy = 'http://proxy.example.org:3128'\n"),
    ] {
        let scripts = scripts(settings);
        texts.extend(
            scripts
                .into_iter()
                .map(|(name, text)| (format!("{case}-{name}"), text)),
        );
    }
    // Without a proxy, what an earlier version brought is taken away before the new one is unpacked: a preinst more.
    assert_eq!(texts.len(), 1 + 4 + 3);

    let mut insta = insta::Settings::clone_current();
    insta.set_snapshot_path(snapshots());
    insta.set_prepend_module_to_snapshot(false);
    insta.set_omit_expression(true);
    let names: BTreeSet<String> = texts.iter().map(|(name, _)| format!("{name}.snap")).collect();
    insta.bind(|| {
        for (name, text) in texts {
            insta::assert_snapshot!(name, text);
        }
    });
    let files = fs::read_dir(snapshots()).unwrap().map(Result::unwrap);
    let files: BTreeSet<String> = files
        .map(|file| file.file_name().into_string().unwrap())
        .collect();
    assert_eq!(
        files,
        names,
        "a file of {} is of no text, or is pending",
        snapshots().display()
    );
}
