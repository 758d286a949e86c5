//! `apu repo` as a program: interrupted, twice at once, and with usage errors.

#![allow(clippy::unwrap_used, reason = "a test that cannot go on fails")]

mod hostile;
mod interrupted;
mod server;
mod strangers;
mod suites;

use std::fs;

use server::{Server, deb};

#[test]
fn a_directory_of_ones_own_becomes_an_archive() {
    let server = Server::new();
    let dir = server.dir.path().join("mine");
    fs::create_dir_all(dir.join("sub")).unwrap();
    fs::write(dir.join("sub/x.deb"), deb("xx", "2")).unwrap();
    let dir = dir.display().to_string();
    assert!(
        server
            .good(&["publish", &dir])
            .contains("published, 1 package, signed until ")
    );
    assert_eq!(server.good(&["list", &dir]), "xx  2  all  sub/x.deb\n");
    assert!(
        server
            .good(&["check", &dir])
            .contains(": in order, 1 package, signed until ")
    );
    server.good(&[
        "add",
        "--archive",
        &dir,
        &server.deb("yy", "1"),
        &server.deb("yy", "3"),
    ]);
    assert_eq!(
        server.good(&["prune", "--keep", "1", &dir]).lines().next(),
        Some("removed yy 1 all")
    );
    assert_eq!(
        server
            .good(&["remove", "--archive", &dir, "xx", "yy=3"])
            .lines()
            .count(),
        3
    );
    assert_eq!(server.good(&["list", &dir]), "");
}

#[test]
fn without_its_key_an_archive_can_be_listed_and_does_not_change() {
    let server = Server::new();
    server.good(&["add", &server.deb("aa", "1")]);
    let before = server.as_a_client_sees_it();
    fs::remove_file(server.site().archive_key()).unwrap();
    let new = server.deb("bb", "1");
    for words in [vec!["publish"], vec!["add", &new], vec!["remove", "aa"]] {
        let output = server.repo(&words);
        let error = String::from_utf8(output.stderr).unwrap();
        assert_eq!(output.status.code(), Some(2), "{words:?}: {error}");
        assert!(
            error.contains("there is no usable archive key"),
            "{words:?}: {error}"
        );
        assert_eq!(server.as_a_client_sees_it(), before, "{words:?}");
        assert_eq!(server.good(&["list"]), "aa  1  all  aa_1_all.deb\n", "{words:?}");
    }
    let fresh = server.dir.path().join("fresh");
    fs::create_dir(&fresh).unwrap();
    let output = server.repo(&["publish", "--suite", "stable", &fresh.display().to_string()]);
    assert_eq!(output.status.code(), Some(2));
    assert_eq!(fs::read_dir(&fresh).unwrap().count(), 0, "nothing was made");
}

const ARCHIVES: &str = "\
[[archives]]
name = 'tools'
path = '/srv/apt'
url = 'http://apu.example.org/apt'
suite = 'stable'
components = ['main', 'extra']
architectures = ['arm64', 'amd64']
contents = true

[[archives]]
name = 'trials'
path = '/srv/apt'
url = 'http://apu.example.org/apt'
suite = 'next'

[[archives]]
name = 'flat'
path = '/srv/flat'
url = 'http://apu.example.org/flat'

[[archives]]
name = 'elsewhere'
path = '/srv/elsewhere'
url = 'http://other.example.org/apt'
";

#[test]
fn all_archives_are_published_whatever_happens_to_one() {
    let server = Server::new();
    fs::write(server.site().settings(), ARCHIVES).unwrap();
    let srv = server.dir.path().join("srv");
    fs::create_dir_all(srv.join("apt/pool/stable/main")).unwrap();
    fs::create_dir_all(srv.join("flat")).unwrap();
    let bad = srv.join("apt/pool/stable/main/bad.deb");
    fs::write(&bad, "no deb at all").unwrap();
    let output = server.repo(&["publish", "--all", "--strict"]);
    assert_eq!(output.status.code(), Some(2));
    let said = String::from_utf8(output.stderr).unwrap();
    assert!(
        said.contains("/srv/apt, suite stable:\nerror: nothing was published in "),
        "{said}"
    );
    assert!(said.contains("bad.deb: not a .deb"), "{said}");
    let told = String::from_utf8(output.stdout).unwrap();
    let told: Vec<&str> = told.lines().filter_map(|line| line.split(": ").next()).collect();
    assert_eq!(told.len(), 3, "{told:?}");
    assert!(
        told[1].ends_with("/srv/apt, suite next") && told[2].ends_with("/srv/flat"),
        "{told:?}"
    );
    assert!(!srv.join("elsewhere").exists());
    let output = server.repo(&["publish", "--all"]);
    assert_eq!(output.status.code(), Some(1));
    let said = String::from_utf8(output.stderr).unwrap();
    let dir = srv.join("apt").display().to_string();
    let expected =
        format!("error: 1 of the .debs in {dir} was left out\n  why: pool/stable/main/bad.deb: not a .deb");
    assert!(
        said.starts_with(&expected) && said.ends_with("  try: mend or remove these files\n"),
        "{said}"
    );
    assert_eq!(String::from_utf8(output.stdout).unwrap().lines().count(), 4);
    fs::remove_file(bad).unwrap();
    assert_eq!(server.good(&["publish", "--all"]).lines().count(), 4);
    let output = server.repo(&["publish", "--all", "tools"]);
    assert_eq!(output.status.code(), Some(2));
}

#[test]
fn the_public_key_is_written_where_it_is_asked_for_and_lies_in_every_archive() {
    use std::os::unix::fs::PermissionsExt;
    use std::process::{Command, Output};
    let server = Server::new();
    let export = |words: &[&str]| -> Output {
        let mut command = Command::new(env!("CARGO_BIN_EXE_apu"));
        command
            .args(["key", "export", "--root"])
            .arg(server.dir.path())
            .args(words);
        command.output().unwrap()
    };
    let mode = |path: &std::path::Path| fs::metadata(path).unwrap().permissions().mode() & 0o777;
    let certificate = fs::read(server.site().archive_gpg()).unwrap();
    assert_eq!(export(&[]).stdout, certificate);
    let armored = String::from_utf8(export(&["--armor"]).stdout).unwrap();
    assert!(
        armored.starts_with("-----BEGIN PGP PUBLIC KEY BLOCK-----\n"),
        "{armored}"
    );
    let file = server.dir.path().join("key.gpg");
    let shown = file.display().to_string();
    for _ in 0..2 {
        let output = export(&["--output", &shown]);
        assert!(output.status.success() && output.stdout.is_empty(), "{output:?}");
        assert_eq!(
            (fs::read(&file).unwrap(), mode(&file)),
            (certificate.clone(), 0o644)
        );
    }
    let output = export(&["--output", "/no/such/dir/key.gpg"]);
    assert_eq!(output.status.code(), Some(2), "{output:?}");

    let dir = server.dir.path().join("mine");
    fs::create_dir_all(&dir).unwrap();
    server.good(&["publish", "--suite", "stable", &dir.display().to_string()]);
    for (dir, release) in [
        (server.site().archive(), "InRelease"),
        (dir, "dists/stable/InRelease"),
    ] {
        let keyring = dir.join("archive-keyring.gpg");
        assert_eq!(
            (fs::read(&keyring).unwrap(), mode(&keyring)),
            (certificate.clone(), 0o644)
        );
        let output = Command::new("gpgv")
            .arg("--keyring")
            .arg(&keyring)
            .arg(dir.join(release))
            .output();
        assert!(output.unwrap().status.success());
    }
    fs::remove_file(server.site().archive_gpg()).unwrap();
    assert_eq!(export(&[]).status.code(), Some(2));
    // A rotation is published with both keys, and the keyring has both.
    apu_site::Rotation::of(
        &server.site(),
        &apu_site::Settings::default(),
        apu_site::KeyKind::Archive,
    )
    .begin()
    .unwrap();
    server.good(&["publish"]);
    let both = fs::read(server.archive("archive-keyring.gpg")).unwrap();
    assert_eq!(both, fs::read(server.site().archive_gpg()).unwrap());
    assert!(both.len() > certificate.len() && both == export(&[]).stdout);
}

#[test]
fn a_check_that_finds_a_fault_names_it_and_exits_with_1() {
    let server = Server::new();
    server.good(&["add", &server.deb("xx", "1")]);
    let path = server.archive("xx_1_all.deb");
    let mut bytes = fs::read(&path).unwrap();
    *bytes.last_mut().unwrap() ^= 1;
    fs::write(&path, bytes).unwrap();
    let output = server.repo(&["check"]);
    assert_eq!(output.status.code(), Some(1));
    let said = String::from_utf8(output.stdout).unwrap();
    assert!(
        said.starts_with("xx_1_all.deb: size or hash is not what Packages says\n"),
        "{said}"
    );
}

#[test]
fn wrong_words_are_answered_with_what_why_and_try() {
    let server = Server::new();
    let bad = server.dir.path().join("bad_1_all.deb");
    fs::write(&bad, &deb("bad", "1")[..100]).unwrap();
    let bad = bad.display().to_string();
    fs::write(
        server.site().settings(),
        "[[archives]]\nname='dists'\npath='/x'\nurl='http://x.example.org/x'\nsuite='s'\n",
    )
    .unwrap();
    for (args, what, advice) in [
        (
            vec!["publish", "/no/such/dir"],
            "there is no directory /no/such/dir",
            "mkdir -p /no/such/dir",
        ),
        (
            vec!["list", "/no/such/dir"],
            "/no/such/dir is not a published archive",
            "apu repo publish /no/such/dir",
        ),
        (
            vec!["remove", "nothere"],
            "nothing was published in ",
            "apu repo list ",
        ),
        (
            vec!["add", &bad],
            "nothing was published in ",
            "mend or remove these files",
        ),
        (
            vec!["publish", "dists", "--suite", "other"],
            "/x, suite s is an archive of apu.toml",
            "write it into ",
        ),
        (
            vec!["add", "--archive", "dists", "--component", "extra", &bad],
            "/x, suite s has no component extra",
            "write it into components in ",
        ),
        (
            vec!["publish", "--component", "main"],
            "{archive} is flat, and has no components",
            "leave --component out",
        ),
        (vec!["add", "/no/such.deb"], "nothing was published in ", "ls -l"),
    ] {
        let output = server.repo(&args);
        let said = String::from_utf8(output.stderr).unwrap();
        let (root, archive) = (server.dir.path().display(), server.site().archive());
        let what = what.replace("{archive}", &archive.display().to_string());
        let what = what.replace("/x,", &format!("{root}/x,"));
        assert_eq!(output.status.code(), Some(2), "{args:?}: {said}");
        assert!(said.starts_with(&format!("error: {what}")), "{args:?}: {said}");
        assert!(
            said.lines()
                .any(|line| line.starts_with("  try: ") && line.contains(advice)),
            "{args:?}: {said}"
        );
    }
    fs::remove_file(server.site().archive_key()).unwrap();
    let output = server.repo(&["publish"]);
    let said = String::from_utf8(output.stderr).unwrap();
    assert!(
        output.status.code() == Some(2) && said.contains("  try: sudo apu setup"),
        "{said}"
    );
}
