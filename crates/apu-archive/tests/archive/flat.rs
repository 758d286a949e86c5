//! A flat archive: one directory, and .debs anywhere in it.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use apu_archive::ArchiveError;
use apu_archive::DebWriter;

use super::place::{Place, deb, deb_with, snapshot};

#[test]
fn a_published_directory_is_an_archive_without_fault() {
    let place = Place::new();
    place.put("aa_1_all.deb", "aa", "1");
    place.put("deep/er/b.deb", "bb", "1:2-3");
    let published = place.publish();
    assert_eq!(
        (published.packages, published.read, published.changed),
        (2, 2, true)
    );
    assert_eq!(place.faults(), Vec::<String>::new());
    let packages = place.read("Packages");
    assert!(
        packages.starts_with("Package: aa\nVersion: 1\nArchitecture: all\n"),
        "{packages}"
    );
    assert!(packages.contains("Filename: deep/er/b.deb\n"), "{packages}");
    assert!(
        packages.contains("Description: a test\n and its long text\n"),
        "{packages}"
    );
}

#[test]
fn an_empty_directory_is_an_archive_too() {
    let place = Place::new();
    place.open();
    assert_eq!(place.publish().packages, 0);
    assert_eq!(place.faults(), Vec::<String>::new());
}

#[test]
fn gpgv_accepts_both_signatures_and_they_sign_the_same() {
    let place = Place::new();
    place.put("a.deb", "aa", "1");
    place.publish();
    let keyring = place.outside("archive.gpg", &place.key.certificate().unwrap());
    let gpgv = |args: &[&Path]| {
        let output = Command::new("gpgv")
            .arg("--keyring")
            .arg(&keyring)
            .args(args)
            .output()
            .unwrap();
        assert!(
            output.status.success(),
            "{}",
            String::from_utf8_lossy(&output.stderr)
        );
        output.stdout
    };
    gpgv(&[&place.path("Release.gpg"), &place.path("Release")]);
    let body = gpgv(&[Path::new("--output"), Path::new("-"), &place.path("InRelease")]);
    assert_eq!(
        String::from_utf8(body),
        String::from_utf8(fs::read(place.path("Release")).unwrap())
    );
}

#[test]
fn a_changed_byte_anywhere_is_found() {
    for name in [
        "a.deb",
        "Packages",
        "Packages.gz",
        "Packages.xz",
        "Release",
        "InRelease",
        "Release.gpg",
    ] {
        let place = Place::new();
        place.put("a.deb", "aa", "1");
        place.publish();
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
fn an_unchanged_deb_is_never_read_again() {
    let place = Place::new();
    place.put("a.deb", "aa", "1");
    place.put("b.deb", "bb", "1");
    place.publish();
    let before = place.read("Packages");
    assert_eq!(place.publish().read, 0);
    place.put("c.deb", "cc", "1");
    assert_eq!(place.publish().read, 1);
    place.put("c.deb", "cc", "2");
    assert_eq!(place.publish().read, 1);
    fs::remove_file(place.path("c.deb")).unwrap();
    let published = place.publish();
    assert_eq!((published.read, published.packages), (0, 2));
    assert_eq!(place.read("Packages"), before);
}

#[test]
fn the_cache_may_be_deleted_or_damaged() {
    let place = Place::new();
    place.put("a.deb", "aa", "1");
    place.publish();
    let before = place.read("Packages");
    for damage in [
        None,
        Some(&b"rubbish"[..]),
        Some(b"apu-repo 0.1.0 1\n{\"stamp\":"),
    ] {
        let cache = place.path(".apu/cache");
        fs::remove_file(&cache).unwrap();
        if let Some(bytes) = damage {
            fs::write(&cache, bytes).unwrap();
        }
        assert_eq!(place.publish().read, 1);
        assert_eq!(place.read("Packages"), before);
    }
}

#[test]
fn versions_that_differ_by_their_epochs_are_added_side_by_side() {
    let place = Place::new();
    let mut paths = Vec::new();
    for version in ["1:1.0", "2:1.0", "1.0"] {
        let file = place.outside("x.deb", &deb("foo", version, "amd64"));
        if version == "1.0" {
            let error = place.open().remove(&[("foo", Some("2:1.0"))]);
            error.unwrap();
        }
        let (added, _) = place.open().add(&[file]).unwrap();
        paths.push(added[0].path.clone());
    }
    assert_eq!(
        paths,
        [
            "foo_1.0_amd64.deb",
            "foo_2%3a1.0_amd64.deb",
            "foo_0%3a1.0_amd64.deb"
        ]
    );
    // What has the name and is no such package holds nobody up.
    fs::write(place.path("bar_1_all.deb"), "rubbish").unwrap();
    let file = place.outside("x.deb", &deb("bar", "1", "all"));
    let (_, published) = place.open().add(&[file]).unwrap();
    assert_eq!((published.packages, published.left_out.len()), (3, 1));
    assert_eq!(place.faults(), Vec::<String>::new());
}

#[test]
fn what_a_file_is_called_says_nothing() {
    let place = Place::new();
    for (file, package) in [
        ("hugo_0.126.1_linux-amd64.deb", "hugo"),
        ("trivy_0.51.1_Linux-64bit.deb", "trivy"),
        ("x.deb", "yy"),
    ] {
        place.put_bytes(file, &deb(package, "0.1", "amd64"));
    }
    let published = place.publish();
    assert_eq!((published.packages, published.left_out.len()), (3, 0));
    assert!(
        place
            .read("Packages")
            .contains("Filename: hugo_0.126.1_linux-amd64.deb\n")
    );
    assert_eq!(place.faults(), Vec::<String>::new());
}

#[test]
fn a_client_in_the_middle_of_an_update_still_finds_the_old_index() {
    let place = Place::new();
    place.put("a.deb", "aa", "1");
    place.publish();
    let release = fs::read_to_string(place.path("Release")).unwrap();
    let promised: Vec<String> = release
        .lines()
        .filter_map(|line| line.strip_prefix(' ')?.split(' ').next().map(str::to_owned))
        .collect();
    assert_eq!(promised.len(), 3);
    for version in 2..20 {
        place.put("a.deb", "aa", &version.to_string());
        place.publish();
    }
    for hash in promised {
        assert!(
            place.path("by-hash/SHA256").join(&hash).exists(),
            "{hash} is gone"
        );
    }
}

#[test]
fn two_publications_within_a_second_have_two_times() {
    let place = Place::new();
    let mut last = 0;
    for version in 1..5 {
        place.open();
        place.put("a.deb", "aa", &version.to_string());
        place.publish();
        let modified = fs::metadata(place.path("InRelease")).unwrap().modified().unwrap();
        let seconds = modified.duration_since(std::time::UNIX_EPOCH).unwrap().as_secs();
        assert!(
            seconds > last,
            "a client that asks If-Modified-Since would miss version {version}"
        );
        last = seconds;
    }
}

#[test]
fn versions_stay_side_by_side_and_prune_keeps_the_newest() {
    let place = Place::new();
    for version in ["1.0~rc1", "1.0", "1.0+deb12u1", "1:0.1"] {
        place.put(&format!("{}.deb", version.replace(':', "-")), "aa", version);
    }
    place.put("bb.deb", "bb", "1");
    assert_eq!(place.publish().packages, 5);
    let (gone, published) = place.open().prune(2).unwrap();
    let gone: Vec<_> = gone
        .iter()
        .map(|entry| entry.deb.control.version().to_owned())
        .collect();
    assert_eq!(gone, ["1.0~rc1", "1.0"]);
    assert_eq!(published.packages, 3);
    assert!(!place.path("1.0.deb").exists());
    assert_eq!(place.faults(), Vec::<String>::new());
}

#[test]
fn add_takes_a_deb_under_its_own_name_once() {
    let place = Place::new();
    let file = place.outside("download.deb", &deb("foo", "2:1.2-3", "amd64"));
    let (added, published) = place.open().add(std::slice::from_ref(&file)).unwrap();
    assert_eq!(added[0].path, "foo_1.2-3_amd64.deb");
    assert_eq!(published.packages, 1);
    let (again, published) = place.open().add(&[file]).unwrap();
    assert_eq!(again[0].path, "foo_1.2-3_amd64.deb");
    assert!(!published.changed);
    assert_eq!(place.faults(), Vec::<String>::new());
    let hidden = fs::read_dir(place.path(""))
        .unwrap()
        .map(|entry| entry.unwrap().file_name());
    assert_eq!(
        hidden
            .filter(|name| name.to_string_lossy().starts_with('.'))
            .count(),
        1,
        "only .apu"
    );
}

#[test]
fn a_version_never_changes_its_bytes() {
    let place = Place::new();
    place
        .open()
        .add(&[place.outside("a.deb", &deb("foo", "1", "all"))])
        .unwrap();
    let mut other = deb("foo", "1", "all");
    // The date in an ar header: harmless, and yet other bytes.
    other[8 + 16] = b'2';
    let error = place.open().add(&[place.outside("b.deb", &other)]).unwrap_err();
    assert!(matches!(error, ArchiveError::Taken { .. }), "{error}");
    fs::write(place.path("elsewhere.deb"), other).unwrap();
    let published = place.publish();
    assert_eq!(
        published.left_out,
        ["elsewhere.deb: it is foo 1 all, and so is foo_1_all.deb, with different content"]
    );
    assert_eq!(published.packages, 1, "the one that clients know stays");
    fs::remove_file(place.path("foo_1_all.deb")).unwrap();
    place.put("elsewhere.deb", "foo", "2");
    place.put("other.deb", "foo", "2");
    fs::write(place.path("other.deb"), deb_with("foo", "2", "all", &["other"])).unwrap();
    let published = place.publish();
    assert_eq!((published.packages, published.left_out.len()), (0, 2));
    assert_eq!(place.faults(), Vec::<String>::new());
}

#[test]
fn remove_takes_a_package_or_one_version_of_it() {
    let place = Place::new();
    for version in ["1", "2"] {
        place.put(&format!("a{version}.deb"), "aa", version);
    }
    place.publish();
    let error = place
        .open()
        .remove(&[("aa", Some("1")), ("aa", Some("3"))])
        .unwrap_err();
    assert_eq!(error.to_string(), "aa=3 is not in the archive");
    assert_eq!(place.open().remove(&[("aa", Some("1"))]).unwrap().1.packages, 1);
    assert_eq!(place.open().remove(&[("aa", None)]).unwrap().1.packages, 0);
    assert!(!place.path("a1.deb").exists() && !place.path("a2.deb").exists());
    assert_eq!(place.faults(), Vec::<String>::new());
}

#[test]
fn a_trial_says_what_add_would_do_and_changes_nothing() {
    let place = Place::new();
    place.put("foo_2_all.deb", "foo", "2");
    place.publish();
    let before = snapshot(&place.path(""));
    let files = [
        place.outside("same.deb", &deb("foo", "2", "all")),
        place.outside("old.deb", &deb("foo", "1.9", "amd64")),
        place.outside("new.deb", &deb("bar", "1", "amd64")),
        place.outside("other.deb", &deb("bar", "2", "i386")),
    ];
    let trials = place.open().try_add(&files).unwrap();
    let shown: Vec<_> = trials
        .iter()
        .map(|trial| {
            (
                trial.entry.name(),
                trial.is_new,
                trial.newer.as_ref().map(|newer| newer.name()),
            )
        })
        .collect();
    assert_eq!(
        shown,
        [
            ("foo 2 all".to_owned(), false, None),
            ("foo 1.9 amd64".to_owned(), true, Some("foo 2 all".to_owned())),
            ("bar 1 amd64".to_owned(), true, None),
            ("bar 2 i386".to_owned(), true, None),
        ]
    );

    let mut other = deb("foo", "2", "all");
    other[8 + 16] = b'2';
    let cut = deb("baz", "1", "all");
    let evil = "Package: evil\nVersion: 1\nArchitecture: all\nEssential: yes\nDescription: x\n";
    let evil = DebWriter::new(evil.parse().unwrap(), 1_700_000_000)
        .build()
        .unwrap();
    let error = |bytes: &[u8]| {
        place
            .open()
            .try_add(&[place.outside("x.deb", bytes)])
            .unwrap_err()
    };
    assert!(matches!(error(&other), ArchiveError::Taken { .. }));
    assert!(matches!(error(&cut[..cut.len() - 9]), ArchiveError::Refused(_)));
    assert!(matches!(error(&evil), ArchiveError::Essential { .. }));
    let unlike = |files: Vec<(PathBuf, Vec<u8>)>| -> Vec<_> {
        let ours = place.path(".apu");
        files
            .into_iter()
            .filter(|(path, _)| !path.starts_with(&ours))
            .collect()
    };
    assert_eq!(unlike(snapshot(&place.path(""))), unlike(before));
}

/// Packages with so much to say that their index is packed in pieces.
fn many(place: &Place) {
    for number in 0..60_u64 {
        let words = (0..600).map(|word| {
            format!(
                "{:x}\n ",
                (number * 600 + word).wrapping_mul(0x9e37_79b9_7f4a_7c15)
            )
        });
        let control = format!(
            "Package: p{number}\nVersion: 1\nArchitecture: all\nMaintainer: A <a@example.org>\n\
             Description: many words\n {}.\n",
            words.collect::<String>()
        );
        let writer = DebWriter::new(control.parse().unwrap(), 1_700_000_000);
        place.put_bytes(&format!("p{number}.deb"), &writer.build().unwrap());
    }
}

#[test]
fn the_same_packages_give_the_same_indexes_whatever_was_before() {
    let forms = ["Packages", "Packages.gz", "Packages.xz"];
    let bytes = |place: &Place| forms.map(|name| fs::read(place.path(name)).unwrap());
    let grown = Place::new();
    many(&grown);
    grown.publish();
    let before = bytes(&grown);
    assert!(
        before[0].len() > 512 << 10,
        "{} bytes are one piece",
        before[0].len()
    );
    let new = grown.outside("new.deb", &deb("new", "1", "all"));
    grown.open().add(std::slice::from_ref(&new)).unwrap();
    assert_eq!(grown.faults(), Vec::<String>::new());

    let at_once = Place::new();
    many(&at_once);
    fs::copy(new, at_once.path("new_1_all.deb")).unwrap();
    at_once.publish();
    assert!(bytes(&grown) == bytes(&at_once));

    grown.open().remove(&[("new", None)]).unwrap();
    assert!(bytes(&grown) == before);
    // The last forms may be damaged: they are not taken over then.
    for name in ["Packages.gz", "Packages.xz"] {
        let mut packed = fs::read(grown.path(name)).unwrap();
        let at = packed.len() * 3 / 4;
        packed[at] ^= 1;
        fs::write(grown.path(name), packed).unwrap();
    }
    grown.open().add(&[grown.dir.path().join("new.deb")]).unwrap();
    assert!(bytes(&grown) == bytes(&at_once));
}

#[test]
fn a_deb_that_lies_there_twice_is_removed_twice() {
    let place = Place::new();
    place.put("a.deb", "aa", "1");
    place.put("copy/a.deb", "aa", "1");
    assert_eq!(place.publish().packages, 1);
    place.open().remove(&[("aa", None)]).unwrap();
    assert_eq!(place.publish().packages, 0);
}
