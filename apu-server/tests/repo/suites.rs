//! `apu repo` with suites, and in a directory where another tool has made an archive.

use std::fs;

use super::ARCHIVES;
use super::server::{Server, deb};

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
