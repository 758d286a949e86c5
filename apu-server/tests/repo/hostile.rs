//! .debs made to break what reads them: refused by name, within bounds of memory, and nothing changes.

use std::fs::{self, Permissions};
use std::io::Write;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::process::{Command, Output};

use super::server::{Server, deb};

/// In KiB, for each process.
const MOST_MEMORY: u32 = 128 << 10;

/// A tar header of GNU's form.
fn header(name: &str, kind: u8, size: u64) -> Vec<u8> {
    let mut block = vec![0; 512];
    block[..name.len()].copy_from_slice(name.as_bytes());
    block[100..108].copy_from_slice(b"0000644\0");
    block[108..116].copy_from_slice(b"0000000\0");
    block[116..124].copy_from_slice(b"0000000\0");
    block[124..136].copy_from_slice(format!("{size:011o}\0").as_bytes());
    block[136..148].copy_from_slice(b"00000000000\0");
    block[156] = kind;
    block[257..265].copy_from_slice(b"ustar  \0");
    block[148..156].fill(b' ');
    let sum: u32 = block.iter().map(|&byte| u32::from(byte)).sum();
    block[148..156].copy_from_slice(format!("{sum:06o}\0 ").as_bytes());
    block
}

fn entry(name: &str, kind: u8, bytes: &[u8]) -> Vec<u8> {
    let mut out = header(name, kind, bytes.len() as u64);
    out.extend_from_slice(bytes);
    out.resize(out.len().next_multiple_of(512), 0);
    out
}

/// A tar archive that starts with `start`, and then has so many zeros; packed by zstd.
fn packed(start: &[u8], zeros: u64, window: u32) -> Vec<u8> {
    let mut encoder = zstd::stream::write::Encoder::new(Vec::new(), 1).unwrap();
    encoder.window_log(window).unwrap();
    encoder.include_checksum(true).unwrap();
    encoder.write_all(start).unwrap();
    let part = vec![0; 1 << 20];
    for _ in 0..zeros >> 20 {
        encoder.write_all(&part).unwrap();
    }
    encoder.write_all(&[0; 1024]).unwrap();
    encoder.finish().unwrap()
}

fn package(control_tar: &[u8], data_tar: &[u8]) -> Vec<u8> {
    let mut out = b"!<arch>\n".to_vec();
    let members = [
        ("debian-binary", &b"2.0\n"[..]),
        ("control.tar.zst", control_tar),
        ("data.tar.zst", data_tar),
    ];
    for (name, bytes) in members {
        out.extend(
            format!(
                "{name:<16}{:<12}{:<6}{:<6}{:<8}{:<10}`\n",
                0,
                0,
                0,
                644,
                bytes.len()
            )
            .bytes(),
        );
        out.extend_from_slice(bytes);
        out.resize(out.len().next_multiple_of(2), b'\n');
    }
    out
}

const CONTROL: &str =
    "Package: evil\nVersion: 1\nArchitecture: all\nMaintainer: A <a@example.org>\nDescription: x\n";

fn control() -> Vec<u8> {
    entry("./control", b'0', CONTROL.as_bytes())
}

/// A .deb with this control file, and these entries beside it and in data.tar.
fn with(control: &str, beside: &[u8], files: &[u8]) -> Vec<u8> {
    let control = [&entry("./control", b'0', control.as_bytes()), beside].concat();
    package(&packed(&control, 0, 20), &packed(files, 0, 20))
}

fn hostile() -> Vec<(&'static str, Vec<u8>, &'static str)> {
    let good = packed(&control(), 0, 20);
    let file = |size| [entry("./", b'5', b""), header("./file", b'0', size)].concat();
    vec![
        (
            "long-name",
            package(
                &good,
                &packed(&header("././@LongLink", b'L', 3 << 30), 3 << 30, 20),
            ),
            "a name of more than 4096 bytes",
        ),
        (
            "long-name-in-control",
            package(
                &packed(&header("././@LongLink", b'L', 3 << 30), 64 << 20, 20),
                &good,
            ),
            "a name of more than 4096 bytes",
        ),
        (
            "bomb",
            package(&good, &packed(&file(3 << 30), 3 << 30, 20)),
            "unpacks to more than",
        ),
        (
            "control-bomb",
            package(&packed(&[control(), file(1 << 30)].concat(), 1 << 30, 20), &good),
            "unpacks to more than 64 MiB",
        ),
        (
            "large-control",
            package(&packed(&header("./control", b'0', 65 << 10), 1 << 20, 20), &good),
            "may have 65536",
        ),
        (
            "window",
            package(&good, &packed(&file(300 << 20), 300 << 20, 27)),
            "more than 64 MiB of memory",
        ),
    ]
}

fn limited(server: &Server, words: &[&str]) -> Output {
    Command::new("sh")
        .args(["-c", "ulimit -d \"$1\" && shift && exec \"$@\"", "sh"])
        .arg(MOST_MEMORY.to_string())
        .arg(env!("CARGO_BIN_EXE_apu"))
        .arg("--root")
        .arg(server.dir.path())
        .arg("repo")
        .args(words)
        .output()
        .unwrap()
}

#[test]
fn what_is_made_to_take_all_memory_is_refused_in_little() {
    let server = Server::new();
    let drop = server.dir.path().join("drop");
    fs::create_dir(&drop).unwrap();
    for (name, bytes, why) in hostile() {
        let path = drop.join(format!("{name}.deb"));
        fs::write(&path, &bytes).unwrap();
        let (path, dir) = (path.display().to_string(), drop.display().to_string());
        for words in [&["add", &path][..], &["publish", "--strict", &dir]] {
            let output = limited(&server, words);
            let error = String::from_utf8_lossy(&output.stderr).into_owned();
            assert_eq!(output.status.code(), Some(2), "{words:?}: {error}");
            assert!(error.contains(why), "{words:?}: {error}");
            assert!(error.contains(&format!("{name}.deb")), "{words:?}: {error}");
        }
        fs::remove_file(&path).unwrap();
    }
    let good = server.deb("good", "1");
    let output = limited(&server, &["add", &good]);
    assert!(
        output.status.success(),
        "{}",
        String::from_utf8_lossy(&output.stderr)
    );
}

#[test]
fn what_this_machine_cannot_read_now_stays_published() {
    let server = Server::new();
    server.good(&["add", &server.deb("aa", "1"), &server.deb("bb", "1")]);
    let before = server.as_a_client_sees_it();
    let mut failed = 0;
    // Too few files may be open, at one step of the work after the other.
    for most in 4..28 {
        fs::remove_file(server.archive(".apu/cache")).unwrap();
        let output = Command::new("sh")
            .args(["-c", "ulimit -n \"$1\" && shift && exec \"$@\"", "sh"])
            .arg(most.to_string())
            .arg(env!("CARGO_BIN_EXE_apu"))
            .arg("--root")
            .arg(server.dir.path())
            .args(["repo", "publish"])
            .output()
            .unwrap();
        assert_eq!(server.as_a_client_sees_it(), before, "{most}: {output:?}");
        failed += u32::from(!output.status.success());
        server.good(&["publish"]);
    }
    assert!(failed > 5, "only {failed} had too few");
}

#[test]
fn a_changed_bit_in_the_files_is_found_before_and_after_publishing() {
    let server = Server::new();
    let dir = server.dir.path().join("drop");
    fs::create_dir(&dir).unwrap();
    let mut bytes = deb("flip", "1");
    // The data member comes last: its middle is compressed data.
    let at = bytes.len() - 60;
    bytes[at] ^= 1;
    let path = dir.join("flip.deb");
    fs::write(&path, &bytes).unwrap();
    let words = dir.display().to_string();
    let output = server.repo(&["publish", "--strict", &words]);
    let error = String::from_utf8_lossy(&output.stderr).into_owned();
    assert_eq!(output.status.code(), Some(2), "{error}");
    assert!(error.contains("flip.deb: data.tar"), "{error}");
    assert!(!Path::new(&dir).join("InRelease").exists());
}

#[test]
fn what_dpkg_or_apt_refuse_is_not_published() {
    let also = |line: &str| CONTROL.replace("Maintainer", &format!("{line}\nMaintainer"));
    let conffiles = entry("./conffiles", b'0', b"/etc/evil");
    let pax = entry("./PaxHeaders/x", b'x', b"20 mtime=1700000.25\n");
    let sparse = entry("./usr/x", b'S', b"");
    let debs = [
        (
            with(&also("Essential: true"), b"", b""),
            "line 4: Essential: \"true\" is not yes or no",
        ),
        (
            with(&also("Protected: on"), b"", b""),
            "line 4: Protected: \"on\" is not yes or no",
        ),
        (
            with(&also("Depends: foo bar"), b"", b""),
            "line 4: Depends: after foo",
        ),
        (
            with(&also("Conflicts: a | b"), b"", b""),
            "line 4: Conflicts: alternatives",
        ),
        (
            with(&also("Multi-Arch: yes"), b"", b""),
            "line 4: Multi-Arch: \"yes\" is not no or same",
        ),
        (
            with(CONTROL.trim_end(), b"", b""),
            "its last line has no line break",
        ),
        (
            with(CONTROL, &conffiles, b""),
            "conffiles: its last line has no line break",
        ),
        (
            with(CONTROL, b"", &pax),
            "\"./PaxHeaders/x\" is a pax header, which dpkg does not take",
        ),
        (
            with(CONTROL, b"", &sparse),
            "\"./usr/x\" is a sparse file, which dpkg does not take",
        ),
    ];
    let server = Server::new();
    let dir = server.dir.path().join("drop");
    fs::create_dir(&dir).unwrap();
    let path = dir.join("evil.deb");
    for (bytes, why) in debs {
        fs::write(&path, bytes).unwrap();
        let (path, dir) = (path.display().to_string(), dir.display().to_string());
        for (words, status) in [
            (&["add", &path][..], 2),
            (&["publish", "--strict", &dir], 2),
            (&["publish", &dir], 1),
        ] {
            let output = server.repo(words);
            let error = String::from_utf8_lossy(&output.stderr).into_owned();
            assert_eq!(output.status.code(), Some(status), "{words:?}: {error}");
            assert!(error.contains(why), "{words:?}: {error}");
        }
    }
    let blanks = format!("{CONTROL} \u{a0}\n \u{3000}\n");
    fs::write(&path, with(&blanks, b"", b"")).unwrap();
    server.good(&["publish", &dir.display().to_string()]);
}

/// Such a package makes apt call its whole cache corrupted, and no client could fetch the one that mends it.
#[test]
fn a_description_that_stops_every_clients_apt_is_refused() {
    let server = Server::new();
    server.good(&["add", &server.deb("good", "1")]);
    let before = server.as_a_client_sees_it();
    let line = " a line of a description as a program writes it, again and again and again\n";
    let path = server.dir.path().join("long.deb");
    fs::write(
        &path,
        with(&format!("{CONTROL}{}", line.repeat(20_000)), b"", b""),
    )
    .unwrap();
    let output = server.repo(&["add", &path.display().to_string()]);
    let error = String::from_utf8_lossy(&output.stderr).into_owned();
    assert_eq!(output.status.code(), Some(2), "{error}");
    assert!(
        error.contains("long.deb") && error.contains("may have 65536"),
        "{error}"
    );
    assert_eq!(server.as_a_client_sees_it(), before);
}

/// An apt that calls its cache corrupted as soon as it reads this package stands for whatever apt stumbles over next.
#[test]
fn a_deb_that_apt_cannot_read_is_refused_whichever_way_it_comes() {
    let server = Server::new();
    server.good(&["add", &server.deb("good", "1")]);
    let before = server.as_a_client_sees_it();
    let programs = server.dir.path().join("programs");
    fs::create_dir(&programs).unwrap();
    let apt = programs.join("apt-cache");
    fs::write(
        &apt,
        "#!/bin/sh\n! grep -q '^Package: odd$' Packages || { echo 'E: The package cache file is corrupted'; exit 100; }\n",
    )
    .unwrap();
    fs::set_permissions(&apt, Permissions::from_mode(0o755)).unwrap();
    let path = format!("{}:{}", programs.display(), std::env::var("PATH").unwrap());

    let odd = server.deb("odd", "1");
    let in_it = server.archive("odd_1_all.deb");
    for (words, status) in [(&["add", &odd][..], 2), (&["publish"], 1)] {
        if words == ["publish"] {
            fs::copy(&odd, &in_it).unwrap();
        }
        let output = server.command(words).env("PATH", &path).output().unwrap();
        let error = String::from_utf8_lossy(&output.stderr).into_owned();
        assert_eq!(output.status.code(), Some(status), "{words:?}: {error}");
        assert!(
            error.contains(
                "odd_1_all.deb: apt cannot read an index with it: The package cache file is corrupted"
            ),
            "{words:?}: {error}"
        );
        assert_eq!(server.as_a_client_sees_it(), before, "{words:?}");
    }
}
