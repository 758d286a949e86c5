//! An archive of suites and components.

use std::fs;
use std::path::Path;

use apu_archive::ArchiveError;

use super::place::{Place, deb, snapshot, suite};

fn field<'a>(release: &'a str, name: &str) -> &'a str {
    let line = release
        .lines()
        .find_map(|line| line.strip_prefix(name)?.strip_prefix(": "));
    line.unwrap_or_else(|| panic!("no {name} in {release}"))
}

fn listed(release: &str) -> Vec<&str> {
    release
        .lines()
        .filter_map(|line| line.strip_prefix(' ')?.split(' ').nth(2))
        .collect()
}

#[test]
fn each_component_and_architecture_has_its_index_and_all_of_them_what_is_for_all() {
    let place = Place::suite(&["main", "extra"]);
    place.put_bytes("pool/stable/main/a/aa.deb", &deb("aa", "1", "amd64"));
    place.put_bytes("pool/stable/main/b/bb.deb", &deb("bb", "1", "arm64"));
    place.put_bytes("pool/stable/main/cc.deb", &deb("cc", "1", "all"));
    place.put_bytes("pool/stable/extra/dd.deb", &deb("dd", "1", "all"));
    assert_eq!(place.publish().packages, 4);
    assert_eq!(place.faults(), Vec::<String>::new());

    let release = place.read("dists/stable/Release");
    for (name, value) in [
        ("Suite", "stable"),
        ("Codename", "stable"),
        ("Components", "main extra"),
        ("Architectures", "all amd64 arm64"),
        ("No-Support-for-Architecture-all", "Packages"),
        ("Acquire-By-Hash", "yes"),
    ] {
        assert_eq!(field(&release, name), value);
    }
    let names = |component: &str, architecture: &str| -> Vec<String> {
        let text = place.read(&format!(
            "dists/stable/{component}/binary-{architecture}/Packages"
        ));
        text.lines()
            .filter_map(|line| line.strip_prefix("Package: ").map(str::to_owned))
            .collect()
    };
    assert_eq!(names("main", "amd64"), ["aa", "cc"]);
    assert_eq!(names("main", "arm64"), ["bb", "cc"]);
    assert_eq!(names("extra", "amd64"), ["dd"]);
    assert_eq!(names("extra", "arm64"), ["dd"]);
    assert!(
        place
            .read("dists/stable/main/binary-amd64/Packages")
            .contains("Filename: pool/stable/main/a/aa.deb\n")
    );
    assert_eq!(listed(&release).len(), 12, "{release}");
    for line in release.lines().filter_map(|line| line.strip_prefix(' ')) {
        let [sha256, _, name] = line.split(' ').collect::<Vec<_>>()[..] else {
            panic!("{line}")
        };
        let by_hash = Path::new("dists/stable")
            .join(name)
            .with_file_name("by-hash/SHA256");
        assert!(place.path("").join(by_hash).join(sha256).exists(), "{line}");
    }
}

#[test]
fn a_suite_of_packages_for_all_architectures_is_for_machines_like_the_server() {
    let place = Place::suite(&[]);
    place.put("pool/stable/main/aa.deb", "aa", "1");
    place.publish();
    let release = place.read("dists/stable/Release");
    let output = std::process::Command::new("dpkg")
        .arg("--print-architecture")
        .output()
        .unwrap();
    let native = String::from_utf8(output.stdout).unwrap();
    assert_eq!(field(&release, "Architectures"), format!("all {}", native.trim()));
    assert_eq!(place.faults(), Vec::<String>::new());
}

#[test]
fn an_empty_suite_is_one_too_and_has_a_place_for_its_debs() {
    let place = Place::suite(&["main", "extra"]);
    assert_eq!(place.publish().packages, 0);
    assert_eq!(place.faults(), Vec::<String>::new());
    assert!(place.path("pool/stable/extra").is_dir());
}

#[test]
fn an_architecture_stays_when_its_last_package_goes() {
    let place = Place::suite(&["main"]);
    place.put_bytes("pool/stable/main/a.deb", &deb("aa", "1", "riscv64"));
    place.put_bytes("pool/stable/main/b.deb", &deb("bb", "1", "amd64"));
    place.publish();
    place.open().remove(&[("aa", None)]).unwrap();
    let release = place.read("dists/stable/Release");
    assert_eq!(field(&release, "Architectures"), "all amd64 riscv64");
    assert_eq!(place.read("dists/stable/main/binary-riscv64/Packages"), "");
    assert_eq!(place.faults(), Vec::<String>::new());
}

#[test]
fn a_component_whose_folder_goes_is_no_longer_named() {
    let place = Place::suite(&["main"]);
    place.put("pool/stable/extra/a.deb", "aa", "1");
    place.publish();
    assert_eq!(
        field(&place.read("dists/stable/Release"), "Components"),
        "main extra"
    );
    fs::remove_dir_all(place.path("pool/stable/extra")).unwrap();
    place.publish();
    assert_eq!(field(&place.read("dists/stable/Release"), "Components"), "main");
    assert!(
        snapshot(&place.path("dists/stable/extra"))
            .iter()
            .all(|(path, _)| path.parent().unwrap().ends_with("by-hash/SHA256")),
        "only what a client in the middle of an update may ask for is left"
    );
    assert_eq!(place.faults(), Vec::<String>::new());
}

#[test]
fn suites_of_one_directory_do_not_touch_each_other() {
    let mut place = Place::suite(&["main"]);
    place
        .open()
        .add(&[place.outside("a.deb", &deb("aa", "1", "all"))])
        .unwrap();
    let before = snapshot(&place.path("dists/stable"));
    place.layout = suite("testing", &["main"]);
    // The same version with other bytes: another suite may have it.
    let mut other = deb("aa", "1", "all");
    other[8 + 16] = b'2';
    place.open().add(&[place.outside("b.deb", &other)]).unwrap();
    assert_eq!(place.faults(), Vec::<String>::new());
    assert!(snapshot(&place.path("dists/stable")) == before);
    assert_eq!(apu_archive::suites(&place.path("")), ["stable", "testing"]);
    place.open().remove(&[("aa", None)]).unwrap();
    place.layout = suite("stable", &["main"]);
    assert_eq!(place.faults(), Vec::<String>::new());
    assert_eq!(place.publish().packages, 1);
}

#[test]
fn add_puts_a_deb_into_its_component_once() {
    let place = Place::suite(&["main", "extra"]);
    let file = place.outside("download.deb", &deb("foo", "2:1.2-3", "amd64"));
    let extra = "extra".parse().unwrap();
    for component in [None, Some(&extra), Some(&extra)] {
        place
            .open()
            .add_to(component, std::slice::from_ref(&file))
            .unwrap();
    }
    let pool = snapshot(&place.path("pool"));
    let paths: Vec<_> = pool
        .iter()
        .map(|(path, _)| path.strip_prefix(place.path("")).unwrap())
        .collect();
    assert_eq!(
        paths,
        [
            Path::new("pool/stable/extra/foo_1.2-3_amd64.deb"),
            Path::new("pool/stable/main/foo_1.2-3_amd64.deb")
        ]
    );
    let mut other = deb("foo", "2:1.2-3", "amd64");
    other[8 + 16] = b'2';
    let error = place.open().add(&[place.outside("b.deb", &other)]).unwrap_err();
    assert!(matches!(error, ArchiveError::Taken { .. }), "{error}");
    assert_eq!(place.publish().read, 0, "what was added is known");
    place.open().remove(&[("foo", None)]).unwrap();
    assert!(snapshot(&place.path("pool")).is_empty());
    assert_eq!(place.faults(), Vec::<String>::new());
}

#[test]
fn prune_keeps_the_newest_of_each_component() {
    let place = Place::suite(&["main", "extra"]);
    for version in ["1", "2", "3"] {
        place.put(&format!("pool/stable/main/{version}.deb"), "aa", version);
    }
    place.put("pool/stable/extra/1.deb", "aa", "1");
    place.publish();
    let (gone, published) = place.open().prune(2).unwrap();
    assert_eq!((gone.len(), published.packages), (1, 3));
    assert_eq!(gone[0].path, "pool/stable/main/1.deb");
    assert_eq!(place.faults(), Vec::<String>::new());
}

#[test]
fn a_new_component_is_in_the_index_when_its_first_package_comes() {
    let place = Place::suite(&[]);
    place.put("pool/stable/main/a.deb", "aa", "1");
    place.publish();
    let file = place.outside("x.deb", &deb("xx", "1", "amd64"));
    let new = "new".parse().unwrap();
    let (_, published) = place.open().add_to(Some(&new), &[file]).unwrap();
    assert_eq!(published.packages, 2);
    assert!(
        place
            .read("dists/stable/new/binary-amd64/Packages")
            .contains("Package: xx\n")
    );
    assert!(
        place
            .read("dists/stable/Release")
            .contains("\nComponents: main new\n")
    );
    assert_eq!(place.faults(), Vec::<String>::new());
}

#[test]
fn a_deb_in_no_component_is_left_out() {
    let place = Place::suite(&["main"]);
    place.put("pool/stable/a.deb", "aa", "1");
    place.put("pool/stable/main/b.deb", "bb", "1");
    let published = place.publish();
    assert_eq!(published.packages, 1);
    assert_eq!(
        published.left_out,
        ["pool/stable/a.deb: it lies in no component: move it into pool/stable/main"]
    );
}

#[test]
fn a_directory_is_flat_or_has_suites() {
    let mut place = Place::new();
    place.publish();
    place.layout = suite("stable", &["main"]);
    let error = place.try_open().err().unwrap();
    assert!(matches!(error, ArchiveError::OtherLayout { .. }), "{error}");
    let mut place = Place::suite(&["main"]);
    place.publish();
    place.layout = apu_archive::Layout::Flat;
    let error = place.try_open().err().unwrap();
    assert!(matches!(error, ArchiveError::OtherLayout { .. }), "{error}");
}

#[test]
fn a_changed_byte_anywhere_in_a_suite_is_found() {
    for name in [
        "pool/stable/main/a.deb",
        "dists/stable/main/binary-amd64/Packages",
        "dists/stable/main/binary-amd64/Packages.xz",
        "dists/stable/main/Contents-amd64.gz",
        "dists/stable/InRelease",
        "dists/stable/Release.gpg",
    ] {
        let mut place = Place::suite(&["main"]);
        place.contents = Some(true);
        place.put_bytes("pool/stable/main/a.deb", &deb("aa", "1", "amd64"));
        place.publish();
        assert_eq!(place.faults(), Vec::<String>::new());
        let mut bytes = fs::read(place.path(name)).unwrap();
        let middle = bytes.len() / 2;
        bytes[middle] ^= 1;
        fs::remove_file(place.path(name)).unwrap();
        fs::write(place.path(name), bytes).unwrap();
        assert!(
            place.faults().iter().any(|fault| fault.starts_with(name)),
            "{name}: {:?}",
            place.faults()
        );
    }
}

#[test]
fn what_nobody_can_ask_for_any_more_goes_from_a_suite_too() {
    let place = Place::suite(&["main"]);
    place.put_bytes("pool/stable/main/a.deb", &deb("aa", "1", "amd64"));
    place.publish();
    let by_hash = place.path("dists/stable/main/binary-amd64/by-hash/SHA256");
    let old = by_hash.join("0".repeat(64));
    fs::write(&old, "interrupted").unwrap();
    let long_ago = std::time::SystemTime::now() - std::time::Duration::from_secs(3 * 86400);
    fs::File::options()
        .write(true)
        .open(&old)
        .unwrap()
        .set_modified(long_ago)
        .unwrap();
    let unfinished = by_hash.join(".x.unfinished");
    fs::write(&unfinished, "interrupted").unwrap();
    place.publish();
    assert!(!old.exists() && !unfinished.exists());
    assert_eq!(fs::read_dir(by_hash).unwrap().count(), 3);
}
