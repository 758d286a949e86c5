//! Contents: which file is in which package.

use std::collections::BTreeMap;
use std::fs;
use std::io::Read;
use std::process::Command;

use super::place::{Place, deb_with, suite};

/// Each file with its packages, however the columns are filled.
fn parsed(text: &str) -> BTreeMap<String, Vec<String>> {
    let line = |line: &str| {
        let (file, packages) = line.rsplit_once([' ', '\t']).unwrap();
        let mut packages: Vec<String> = packages.split(',').map(str::to_owned).collect();
        packages.sort();
        (file.trim_end().to_owned(), packages)
    };
    text.lines().map(line).collect()
}

fn unpacked(place: &Place, name: &str) -> String {
    let mut text = String::new();
    let bytes = fs::read(place.path(name)).unwrap();
    flate2::read::GzDecoder::new(&bytes[..])
        .read_to_string(&mut text)
        .unwrap();
    text
}

fn fill(place: &Place, folder: &str) {
    for (package, version, architecture, files) in [
        (
            "aa",
            "1",
            "amd64",
            vec!["usr/bin/aa", "usr/share/doc/aa/changelog"],
        ),
        ("aa", "2", "amd64", vec!["usr/bin/aa", "usr/share/doc/aa/news"]),
        ("bb", "1", "all", vec!["usr/share/bb/both", "etc/bb.conf"]),
        ("cc", "1", "all", vec!["usr/share/bb/both"]),
        ("dd", "1", "arm64", vec!["usr/bin/dd"]),
    ] {
        let name = format!("{folder}{package}_{version}_{architecture}.deb");
        place.put_bytes(&name, &deb_with(package, version, architecture, &files));
    }
}

/// Contents of a folder of .debs as apt-ftparchive makes them for Debian.
fn apt_ftparchive(place: &Place, folder: &str) -> [String; 2] {
    fs::create_dir_all(place.path("theirs")).unwrap();
    let folder = if folder.is_empty() { "." } else { folder };
    let settings = format!(
        "Dir {{ ArchiveDir \".\"; CacheDir \"theirs\"; }};\nDefault {{ Packages::Compress \".\"; Contents::Compress \".\"; }};\n\
         Tree \"theirs\" {{ Sections \"all\"; Architectures \"amd64 arm64\"; Directory \"{folder}\";\n\
         Contents \"theirs/Contents-$(ARCH)\"; Packages \"theirs/Packages-$(ARCH)\"; }};\n"
    );
    fs::write(place.path("theirs/settings"), settings).unwrap();
    let output = Command::new("apt-ftparchive")
        .args(["generate", "theirs/settings"])
        .current_dir(place.path(""))
        .output()
        .expect("apt-ftparchive is in apt-utils");
    assert!(
        output.status.success(),
        "{}",
        String::from_utf8_lossy(&output.stderr)
    );
    ["amd64", "arm64"].map(|architecture| place.read(&format!("theirs/Contents-{architecture}")))
}

#[test]
fn contents_are_what_apt_ftparchive_says_they_are() {
    for (mut place, folder, prefix) in [
        (Place::new(), "", ""),
        (Place::suite(&["main"]), "pool/stable/main/", "dists/stable/main/"),
    ] {
        place.contents = Some(true);
        fill(&place, folder);
        place.publish();
        assert_eq!(place.faults(), Vec::<String>::new());
        for (architecture, theirs) in ["amd64", "arm64"].into_iter().zip(apt_ftparchive(&place, folder)) {
            let ours = parsed(&unpacked(&place, &format!("{prefix}Contents-{architecture}.gz")));
            let theirs = parsed(&theirs);
            assert!(theirs.len() > 2, "{theirs:?}");
            assert_eq!(ours, theirs, "{architecture}");
        }
    }
}

#[test]
fn release_names_contents_as_debians_does() {
    let mut place = Place::suite(&["main"]);
    place.contents = Some(true);
    fill(&place, "pool/stable/main/");
    place.publish();
    let release = place.read("dists/stable/Release");
    let names: Vec<&str> = release
        .lines()
        .filter_map(|line| line.strip_prefix(' ')?.split(' ').nth(2))
        .filter(|name| name.contains("Contents"))
        .collect();
    assert_eq!(
        names,
        [
            "main/Contents-amd64",
            "main/Contents-amd64.gz",
            "main/Contents-arm64",
            "main/Contents-arm64.gz"
        ]
    );
    assert!(!place.path("dists/stable/main/Contents-amd64").exists());
}

#[test]
fn contents_stay_until_they_are_asked_to_go() {
    let mut place = Place::new();
    fill(&place, "");
    place.publish();
    assert!(!place.path("Contents-amd64.gz").exists());
    place.contents = Some(true);
    place.publish();
    place.contents = None;
    place.put_bytes("ee.deb", &deb_with("ee", "1", "amd64", &["usr/bin/ee"]));
    place.publish();
    assert!(unpacked(&place, "Contents-amd64.gz").contains("usr/bin/ee\tutils/ee\n"));
    place.contents = Some(false);
    place.publish();
    assert!(!place.path("Contents-amd64.gz").exists());
    assert!(!place.read("Release").contains("Contents"));
    assert_eq!(place.faults(), Vec::<String>::new());
}

/// A record that lies is believed: so the .debs were not unpacked again.
#[test]
fn an_unchanged_deb_is_never_unpacked_again() {
    let mut place = Place::new();
    place.contents = Some(true);
    fill(&place, "");
    place.publish();
    let record = fs::read_to_string(place.path(".apu/names")).unwrap();
    fs::write(
        place.path(".apu/names"),
        record.replace("usr/bin/aa", "usr/bin/AA"),
    )
    .unwrap();
    place.put_bytes("ee.deb", &deb_with("ee", "1", "amd64", &["usr/bin/ee"]));
    place.publish();
    let text = unpacked(&place, "Contents-amd64.gz");
    assert!(
        text.contains("usr/bin/AA\t") && text.contains("usr/bin/ee\t"),
        "{text}"
    );
    // And it may be deleted at any time.
    fs::remove_file(place.path(".apu/names")).unwrap();
    place.publish();
    assert!(unpacked(&place, "Contents-amd64.gz").contains("usr/bin/aa\t"));
}

#[test]
fn suites_keep_their_own_records() {
    let mut place = Place::suite(&["main"]);
    place.contents = Some(true);
    fill(&place, "pool/stable/main/");
    place.publish();
    place.layout = suite("testing", &["main"]);
    place.publish();
    place.layout = suite("stable", &["main"]);
    assert_eq!(place.publish().read, 0);
    assert!(place.read(".apu/dists/stable/names").contains("usr/bin/aa"));
}
