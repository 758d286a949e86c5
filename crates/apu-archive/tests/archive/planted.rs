//! Archives that somebody else could change, or has put something into that leads elsewhere.

use std::fs::{self, Permissions};
use std::os::unix::fs::{PermissionsExt, symlink};
use std::path::{Path, PathBuf};
use std::process::Command;

use apu_archive::ArchiveError;

use super::place::{Place, deb};

fn mode(path: &Path, mode: u32) {
    fs::set_permissions(path, Permissions::from_mode(mode)).unwrap();
}

/// Everything below a directory: names, links and bytes.
fn everything(dir: &Path) -> Vec<(PathBuf, Vec<u8>)> {
    let mut all = Vec::new();
    for entry in fs::read_dir(dir).unwrap().map(Result::unwrap) {
        let (path, kind) = (entry.path(), entry.file_type().unwrap());
        if kind.is_symlink() {
            let target = fs::read_link(&path).unwrap();
            all.push((path, target.as_os_str().as_encoded_bytes().to_vec()));
        } else if kind.is_dir() {
            all.extend(everything(&path));
            all.push((path, Vec::new()));
        } else {
            let bytes = fs::read(&path).unwrap();
            all.push((path, bytes));
        }
    }
    all.sort();
    all
}

fn advice(place: &Place) -> String {
    let error = place.try_open().map(drop).unwrap_err();
    let ArchiveError::Untrusted(why) = error else {
        panic!("{error}");
    };
    why.advice().to_owned()
}

#[test]
fn a_folder_that_others_may_change_is_refused_before_anything_changes() {
    for flat in [true, false] {
        let place = if flat {
            Place::new()
        } else {
            Place::suite(&["main"])
        };
        let home = if flat { "sub/er" } else { "pool/stable/main/a" };
        place.put(&format!("{home}/a.deb"), "aa", "1");
        place.publish();
        let mut folders = vec!["", "..", ".apu", home];
        folders.extend(match flat {
            true => ["by-hash", "by-hash/SHA256"].as_slice(),
            false => &[
                "dists",
                "dists/stable",
                "dists/stable/main/binary-amd64/by-hash",
                "dists/stable/main/binary-amd64/by-hash/SHA256",
                "pool",
                "pool/stable",
                "pool/stable/main",
                ".apu/dists/stable",
            ],
        });
        let before = everything(&place.path(""));
        for folder in folders {
            let path = fs::canonicalize(place.path(folder)).unwrap();
            let right = fs::metadata(&path).unwrap().permissions().mode() & 0o7777;
            for wrong in [right | 0o020, right | 0o002] {
                mode(&path, wrong);
                let shown = place.path(folder).display().to_string();
                let shown = shown.trim_end_matches('/').replace("archive/..", "");
                let advice = advice(&place);
                assert_eq!(
                    advice.trim_end_matches('/'),
                    format!("chmod go-w {}", shown.trim_end_matches('/')),
                    "{folder}"
                );
                mode(&path, right);
            }
            if we_are_root() {
                std::os::unix::fs::chown(&path, Some(4242), None).unwrap();
                let advice = advice(&place);
                assert!(advice.starts_with("chown root: "), "{folder}: {advice}");
                std::os::unix::fs::chown(&path, Some(0), None).unwrap();
            }
            assert!(everything(&place.path("")) == before, "{folder}");
        }
        place.publish();
    }
}

fn we_are_root() -> bool {
    let output = Command::new("id").arg("-u").output().unwrap();
    output.stdout == b"0\n"
}

#[test]
fn a_directory_as_tmp_is_no_archive_and_may_be_above_one() {
    let place = Place::new();
    mode(place.dir.path(), 0o1777);
    place.publish();
    mode(&place.path(""), 0o1777);
    assert!(advice(&place).starts_with("chmod go-w "));
}

/// What is somewhere else, and is as it was after everything that root was led to do.
struct Elsewhere {
    dir: tempfile::TempDir,
    before: Vec<(PathBuf, Vec<u8>)>,
}

impl Elsewhere {
    fn new() -> Self {
        let dir = tempfile::tempdir().unwrap();
        for name in [
            "lock",
            "precious",
            "0123",
            ".a.1.0.unfinished",
            "sub/SHA256/0123",
            "stable/Release",
        ] {
            let path = dir.path().join(name);
            fs::create_dir_all(path.parent().unwrap()).unwrap();
            fs::write(&path, "precious").unwrap();
        }
        // So old that a sweep would take it for forgotten.
        let old = Command::new("find")
            .arg(dir.path())
            .args(["-type", "f", "-exec", "touch", "-d", "2001-01-01", "{}", "+"])
            .status();
        assert!(old.unwrap().success());
        let before = everything(dir.path());
        Self { dir, before }
    }

    fn path(&self, name: &str) -> PathBuf {
        self.dir.path().join(name)
    }

    fn is_as_it_was(&self) -> bool {
        everything(self.dir.path()) == self.before
    }
}

/// Replaces what is at `name` in the archive by a link.
fn plant(place: &Place, name: &str, target: &Path) {
    let path = place.path(name);
    if path.is_dir() {
        fs::remove_dir_all(&path).unwrap();
    } else {
        let _ = fs::remove_file(&path);
    }
    fs::create_dir_all(path.parent().unwrap()).unwrap();
    symlink(target, path).unwrap();
}

#[test]
fn no_link_among_apus_own_folders_is_followed() {
    for name in [
        ".apu",
        "by-hash",
        "by-hash/SHA256",
        "dists",
        "dists/stable",
        "dists/stable/main",
        "dists/stable/main/binary-amd64",
        "dists/stable/main/binary-amd64/by-hash",
        "dists/stable/main/binary-amd64/by-hash/SHA256",
        ".apu/dists",
        ".apu/dists/stable",
        "pool",
        "pool/stable",
    ] {
        let in_suite = name.contains("dists") || name.starts_with("pool");
        let place = || {
            if in_suite {
                Place::suite(&["main"])
            } else {
                Place::new()
            }
        };
        let elsewhere = Elsewhere::new();
        for was_published in [true, false] {
            let place = place();
            if was_published {
                place.publish();
            }
            plant(&place, name, elsewhere.dir.path());
            let done = place.try_open().and_then(|archive| archive.publish());
            let error = done.unwrap_err();
            let ArchiveError::Untrusted(why) = error else {
                panic!("{name}: {error}");
            };
            assert!(
                why.to_string()
                    .ends_with("is a symbolic link, which is not followed here")
            );
            assert_eq!(why.advice(), format!("rm {}", place.path(name).display()));
            assert!(elsewhere.is_as_it_was(), "{name}, published: {was_published}");
        }
    }
}

#[test]
fn no_link_under_the_name_of_a_file_of_apus_is_followed() {
    for name in [
        ".apu/lock",
        ".apu/cache",
        ".apu/generations",
        ".apu/names",
        ".apu/apt",
        ".apu/.cache.unfinished",
        ".Packages.unfinished",
        "Packages",
        "Packages.gz",
        "Packages.xz",
        "Release",
        "Release.gpg",
        "InRelease",
        "Contents-amd64.gz",
    ] {
        let elsewhere = Elsewhere::new();
        for (target, was_published) in [
            ("precious", true),
            ("precious", false),
            ("sub", true),
            ("not-there", true),
        ] {
            let mut place = Place::new();
            place.contents = Some(true);
            if was_published {
                place.publish();
            }
            plant(&place, name, &elsewhere.path(target));
            place.put("a.deb", "aa", "1");
            match place.try_open().and_then(|archive| archive.publish()) {
                // What is replaced anyway, is replaced.
                Ok(published) => assert_eq!(published.packages, 1, "{name}"),
                Err(error) => assert!(name == ".apu/lock", "{name}: {error}"),
            }
            assert!(elsewhere.is_as_it_was(), "{name} to {target}");
        }
    }
}

#[test]
fn a_second_name_of_a_file_elsewhere_is_not_written_through() {
    for name in [
        ".apu/lock",
        ".apu/cache",
        ".apu/generations",
        "Packages",
        "InRelease",
    ] {
        let place = Place::new();
        place.put("a.deb", "aa", "1");
        place.publish();
        let precious = place.outside("precious", &fs::read(place.path(name)).unwrap());
        let before = fs::read(&precious).unwrap();
        fs::remove_file(place.path(name)).unwrap();
        fs::hard_link(&precious, place.path(name)).unwrap();
        place.put("b.deb", "bb", "1");
        let done = place.try_open().and_then(|archive| archive.publish());
        assert_eq!(done.is_ok(), name != ".apu/lock", "{name}");
        assert_eq!(fs::read(&precious).unwrap(), before, "{name}");
    }
}

#[test]
fn what_is_called_a_deb_and_is_a_link_or_a_pipe_is_refused_and_nobody_waits() {
    let place = Place::new();
    place.publish();
    let secret = place.outside("secret.deb", &deb("secret", "1", "all"));
    symlink(&secret, place.path("linked.deb")).unwrap();
    let pipe = place.path("pipe.deb");
    assert!(Command::new("mkfifo").arg(&pipe).status().unwrap().success());
    let before = published_files(&place);
    let error = place.open().strict().publish().unwrap_err();
    let said = format!("{error:?}");
    assert!(said.contains("linked.deb: it is a symbolic link"), "{said}");
    assert!(said.contains("pipe.deb: it is not a regular file"), "{said}");
    let error = place.open().add(std::slice::from_ref(&pipe)).unwrap_err();
    assert!(
        format!("{error:?}").contains("it is not a regular file"),
        "{error:?}"
    );
    assert!(published_files(&place) == before);
    assert!(apu_archive::Deb::examine(&pipe).is_err());
}

fn published_files(place: &Place) -> Vec<(PathBuf, Vec<u8>)> {
    let names = ["InRelease", "Packages", "Release", "Release.gpg"];
    names
        .iter()
        .map(|name| (place.path(name), fs::read(place.path(name)).unwrap()))
        .collect()
}
