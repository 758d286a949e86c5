//! The example sites: their settings and classes are read by the programs, and every name in them means hosts.

#![allow(clippy::unwrap_used, reason = "a test that cannot go on fails")]

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use apu_fleet::Inventory;
use apu_site::settings::Canary;
use apu_site::{Settings, Site};

/// The directories with a site each, by name.
fn sites() -> Vec<PathBuf> {
    let examples = Path::new(env!("CARGO_MANIFEST_DIR")).join("../examples/sites");
    let entries = fs::read_dir(examples).unwrap().map(|entry| entry.unwrap().path());
    let mut sites: Vec<PathBuf> = entries.filter(|path| path.is_dir()).collect();
    sites.sort();
    assert!(sites.len() >= 3, "{sites:?}");
    sites
}

/// A site with these files in its /etc/apu-server.
fn installed(example: &Path) -> (tempfile::TempDir, Site) {
    let root = tempfile::tempdir().unwrap();
    let site = Site::below(root.path());
    fs::create_dir_all(site.clients()).unwrap();
    fs::copy(example.join("apu.toml"), site.settings()).unwrap();
    for class in fs::read_dir(example.join("clients")).unwrap() {
        let class = class.unwrap();
        fs::copy(class.path(), site.clients().join(class.file_name())).unwrap();
    }
    (root, site)
}

#[test]
fn every_class_of_an_example_site_names_hosts_and_every_rollout_a_class() {
    for example in sites() {
        let (root, site) = installed(&example);
        let settings = Settings::read(&site).unwrap();
        let inventory = Inventory::load(&site.clients()).unwrap();
        let resolves = |word: &str| {
            inventory
                .resolve(&[word.to_owned()], &[])
                .map(|hosts| hosts.len())
        };
        let classes: Vec<String> = inventory.classes().map(ToString::to_string).collect();
        assert!(!classes.is_empty());
        for class in &classes {
            let hosts = resolves(class).unwrap();
            let listed = Command::new(env!("CARGO_BIN_EXE_apt-all"))
                .args([class, "dist-upgrade", "--list-hosts", "--root"])
                .arg(root.path())
                .output()
                .unwrap();
            let listed = String::from_utf8(listed.stdout).unwrap();
            assert_eq!(listed.lines().count(), hosts, "{class} of {}", example.display());
            if let Some(Canary::Target(target)) = &settings.rollout(class).canary {
                assert!(
                    resolves(target).is_ok(),
                    "{target} of {class} in {}",
                    example.display()
                );
            }
        }
        let text = fs::read_to_string(site.settings()).unwrap();
        for line in text.lines().filter_map(|line| line.strip_prefix("[rollout.")) {
            let class = line.trim_end_matches(']');
            assert!(
                classes.iter().any(|known| known == class),
                "{class} is no class of {}",
                example.display()
            );
        }
    }
}
