//! `apu repo` as a program: interrupted, twice at once, and with usage errors.

#![allow(clippy::unwrap_used, reason = "a test that cannot go on fails")]

mod hostile;
mod interrupted;
mod server;
mod strangers;

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

#[test]
fn a_directory_of_ones_own_becomes_an_archive_of_suites() {
    let server = Server::new();
    let dir = server.dir.path().join("mine");
    fs::create_dir_all(&dir).unwrap();
    let dir = dir.display().to_string();
    let says = server.good(&[
        "publish",
        &dir,
        "--suite",
        "stable",
        "--component",
        "main",
        "--component",
        "extra",
    ]);
    assert!(
        says.contains("mine, suite stable: published, 0 packages, signed until "),
        "{says}"
    );
    // There is one suite: it need not be named.
    server.good(&[
        "add",
        "--archive",
        &dir,
        "--component",
        "extra",
        &server.deb("xx", "2"),
    ]);
    server.good(&[
        "add",
        "--archive",
        &dir,
        &server.deb("yy", "1"),
        &server.deb("yy", "3"),
    ]);
    assert_eq!(
        server.good(&["list", &dir]),
        "yy  1  all  pool/stable/main/yy_1_all.deb\nyy  3  all  pool/stable/main/yy_3_all.deb\n\
         xx  2  all  pool/stable/extra/xx_2_all.deb\n"
    );
    server.good(&["publish", &dir, "--suite", "next"]);
    let output = server.repo(&["list", &dir]);
    let said = String::from_utf8(output.stderr).unwrap();
    assert!(
        said.contains("  try: say which: --suite next or --suite stable\n"),
        "{said}"
    );
    let suite = ["--suite", "stable"];
    let prune = server.good(&[&["prune", "--keep", "1", &dir], &suite[..]].concat());
    assert_eq!(prune.lines().next(), Some("removed yy 1 all"));
    server.good(&[&["remove", "--archive", &dir, "xx", "yy=3"], &suite[..]].concat());
    assert_eq!(server.good(&[&["list", &dir], &suite[..]].concat()), "");
    let check = server.good(&[&["check", &dir], &suite[..]].concat());
    assert!(
        check.contains(", suite stable: in order, 0 packages, signed until "),
        "{check}"
    );
    let contents = server.good(&["publish", &dir, "--suite", "next", "--contents"]);
    assert!(contents.contains("suite next: published"), "{contents}");
    let release = fs::read_to_string(server.dir.path().join("mine/dists/next/Release")).unwrap();
    assert!(release.contains(" main/Contents-"), "{release}");
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
fn an_archive_of_apu_toml_has_its_layout_without_a_word() {
    let server = Server::new();
    fs::write(server.site().settings(), ARCHIVES).unwrap();
    let srv = server.dir.path().join("srv");
    fs::create_dir_all(srv.join("apt")).unwrap();
    server.good(&[
        "add",
        "--archive",
        "tools",
        "--component",
        "extra",
        &server.deb("xx", "1"),
    ]);
    let release = fs::read_to_string(srv.join("apt/dists/stable/Release")).unwrap();
    for line in [
        "Label: tools",
        "Suite: stable",
        "Components: main extra",
        "Architectures: all amd64 arm64",
    ] {
        assert!(
            release.lines().any(|there| there == line),
            "no {line} in {release}"
        );
    }
    assert!(release.contains(" extra/Contents-arm64.gz\n"), "{release}");
    assert_eq!(
        server.good(&["list", "tools"]),
        "xx  1  all  pool/stable/extra/xx_1_all.deb\n"
    );
    server.good(&["check", "tools"]);
    // The same by its path, so that nobody gives it another label by the way.
    let path = srv.join("apt").display().to_string();
    server.good(&["publish", &path, "--suite", "stable"]);
    assert!(
        fs::read_to_string(srv.join("apt/dists/stable/Release"))
            .unwrap()
            .contains("Label: tools\n")
    );
    let output = server.repo(&["publish", &path]);
    let said = String::from_utf8(output.stderr).unwrap();
    assert!(
        said.contains("  try: say which, by its name: tools or trials\n"),
        "{said}"
    );
}

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

/// What reprepro leaves: the .debs in pool/COMPONENT/LETTER, the Release in dists/CODENAME, its records in conf and db.
fn as_reprepro_makes_it(dir: &std::path::Path, is_signed: bool) {
    for number in 0..7 {
        let name = format!("p{number}");
        let pool = dir.join(format!("pool/main/p/{name}"));
        fs::create_dir_all(&pool).unwrap();
        fs::write(pool.join(format!("{name}_1_all.deb")), deb(&name, "1")).unwrap();
    }
    fs::create_dir_all(dir.join("dists/bookworm/main/binary-amd64")).unwrap();
    let release = "Origin: x\nLabel: x\nCodename: bookworm\nDate: Sun, 22 Nov 2026 21:47:16 UTC\nArchitectures: amd64\n\
                   Components: main\nMD5Sum:\n d41d8cd98f00b204e9800998ecf8427e 0 main/binary-amd64/Packages\nSHA256:\n \
                   e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855 0 main/binary-amd64/Packages\n";
    fs::write(dir.join("dists/bookworm/Release"), release).unwrap();
    if is_signed {
        let signed = format!(
            "-----BEGIN PGP SIGNED MESSAGE-----\nHash: SHA512\n\n{release}-----BEGIN PGP SIGNATURE-----\n"
        );
        fs::write(dir.join("dists/bookworm/InRelease"), signed).unwrap();
    }
}

#[test]
fn an_archive_of_another_tool_is_not_published_over() {
    let server = Server::new();
    for is_signed in [true, false] {
        let dir = server.dir.path().join(format!("their own {is_signed}"));
        as_reprepro_makes_it(&dir, is_signed);
        let shown = dir.display().to_string();
        let new = server.deb("new", "1");
        for words in [
            &["publish", &shown][..],
            &["publish", &shown, "--suite", "bookworm"],
            &["add", "--archive", &shown, &new, "--suite", "bookworm"],
            &["prune", "--keep", "1", &shown, "--suite", "bookworm"],
        ] {
            let output = server.repo(words);
            let said = String::from_utf8(output.stderr).unwrap();
            assert_eq!(output.status.code(), Some(2), "{words:?}: {said}");
            assert!(
                said.contains("dists/bookworm/Release was not written by apu"),
                "{words:?}: {said}"
            );
            assert!(
                !dir.join(".apu").exists() && !dir.join("Packages").exists(),
                "{words:?}"
            );
        }
        // What is to be tried is a command that does it.
        let output = server.repo(&["publish", &shown, "--suite", "bookworm"]);
        let said = String::from_utf8(output.stderr).unwrap();
        let command = said
            .lines()
            .find_map(|line| line.strip_prefix("  try: an archive of its own: "));
        let command = command.unwrap().replace(
            "apu repo",
            &format!(
                "{} --root {} repo",
                env!("CARGO_BIN_EXE_apu"),
                server.dir.path().display()
            ),
        );
        let output = std::process::Command::new("sh")
            .args(["-ec", &command])
            .output()
            .unwrap();
        let told = String::from_utf8_lossy(&output.stdout).into_owned();
        assert!(
            told.contains("suite bookworm: published, 7 packages"),
            "{command}: {told}"
        );
    }
    // Before its first export there are its settings alone; and flat ones have other hashes.
    let dir = server.dir.path().join("settings");
    fs::create_dir_all(dir.join("conf")).unwrap();
    fs::write(dir.join("conf/distributions"), "Codename: bookworm\n").unwrap();
    let flat = server.dir.path().join("flat");
    fs::create_dir_all(&flat).unwrap();
    fs::write(
        flat.join("Release"),
        "Date: Sun, 22 Nov 2026 21:47:16 +0000\nMD5Sum:\nSHA256:\n",
    )
    .unwrap();
    for dir in [dir, flat] {
        let output = server.repo(&["publish", &dir.display().to_string()]);
        assert_eq!(output.status.code(), Some(2));
        assert_eq!(fs::read_dir(&dir).unwrap().count(), 1);
    }
    // Our own may have lost its records, or be damaged.
    server.good(&["add", &server.deb("aa", "1")]);
    fs::remove_dir_all(server.archive(".apu")).unwrap();
    server.good(&["publish"]);
    fs::write(server.archive("Release"), "SHA256: rubbish\n").unwrap();
    server.good(&["publish"]);
    server.good(&["check"]);
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
