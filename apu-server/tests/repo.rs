//! `apu repo` as a program: interrupted, twice at once, and with wrong words.

use std::collections::BTreeMap;
use std::fs;
use std::io::{BufRead, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Output, Stdio};
use std::time::Duration;

use apu_repo::deb822::{Comments, paragraphs};
use apu_repo::{DebWriter, Keyring, Site, setup};

struct Server {
    dir: tempfile::TempDir,
}

impl Server {
    fn new() -> Self {
        let server = Self {
            dir: tempfile::tempdir().unwrap(),
        };
        setup(&server.site()).unwrap();
        server
    }

    fn site(&self) -> Site {
        Site::below(self.dir.path())
    }

    fn archive(&self, name: &str) -> PathBuf {
        self.site().archive().join(name)
    }

    fn command(&self, args: &[&str]) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_apu"));
        command.arg("--root").arg(self.dir.path()).arg("repo").args(args);
        command
    }

    fn repo(&self, args: &[&str]) -> Output {
        self.command(args).output().unwrap()
    }

    fn good(&self, args: &[&str]) -> String {
        let output = self.repo(args);
        assert!(
            output.status.success(),
            "{args:?}: {}",
            String::from_utf8_lossy(&output.stderr)
        );
        String::from_utf8(output.stdout).unwrap()
    }

    /// A .deb beside the archive.
    fn deb(&self, package: &str, version: &str) -> String {
        let path = self.dir.path().join(format!("{package}_{version}_all.deb"));
        fs::write(&path, deb(package, version)).unwrap();
        path.display().to_string()
    }

    /// What a client finds that starts from InRelease: the packages it names, every hash on the way verified.
    fn as_a_client_sees_it(&self) -> BTreeMap<String, String> {
        let keyring = Keyring::parse(&fs::read(self.site().archive_gpg()).unwrap()).unwrap();
        let release = keyring
            .open_inline(&fs::read(self.archive("InRelease")).unwrap())
            .unwrap();
        let release = String::from_utf8(release).unwrap();
        let named: Vec<Vec<&str>> = release
            .lines()
            .filter_map(|line| Some(line.strip_prefix(' ')?.split(' ').collect()))
            .collect();
        assert_eq!(named.len(), 3, "{release}");
        for file in &named {
            assert_eq!(
                sha256(&self.archive("by-hash/SHA256").join(file[0])),
                file[0],
                "{}",
                file[2]
            );
        }
        let index = fs::read_to_string(self.archive("by-hash/SHA256").join(named[0][0])).unwrap();
        let index = paragraphs(&index, Comments::Refused).unwrap();
        for paragraph in &index {
            let file = self.archive(paragraph.get("Filename").unwrap());
            assert_eq!(
                sha256(&file),
                paragraph.get("SHA256").unwrap(),
                "{}",
                file.display()
            );
        }
        let pair = |field: &str, other: &str, paragraph: &apu_repo::deb822::Paragraph| {
            (
                paragraph.get(field).unwrap().to_owned(),
                paragraph.get(other).unwrap().to_owned(),
            )
        };
        index
            .iter()
            .map(|paragraph| pair("Package", "Version", paragraph))
            .collect()
    }
}

/// By another program than the one under test.
fn sha256(path: &Path) -> String {
    let output = Command::new("sha256sum").arg(path).output().unwrap();
    String::from_utf8(output.stdout)
        .unwrap()
        .split(' ')
        .next()
        .unwrap()
        .to_owned()
}

fn deb(package: &str, version: &str) -> Vec<u8> {
    let control = format!(
        "Package: {package}\nVersion: {version}\nArchitecture: all\nMaintainer: A <a@example.org>\n\
         Description: a test\n"
    );
    let mut writer = DebWriter::new(control.parse().unwrap(), 1_700_000_000);
    writer
        .file(&format!("usr/share/{package}/version"), 0o644, version.into())
        .unwrap();
    writer.build().unwrap()
}

#[test]
fn killed_at_any_moment_it_leaves_a_whole_archive() {
    let server = Server::new();
    for number in 0..20 {
        fs::write(
            server.archive(&format!("p{number}.deb")),
            deb(&format!("p{number}"), "1"),
        )
        .unwrap();
    }
    server.good(&["publish"]);
    let whole = std::time::Instant::now();
    server.good(&["publish"]);
    let whole = whole.elapsed();
    let mut killed = 0;
    for round in 2..42_u32 {
        let before = server.as_a_client_sees_it();
        let file = server.deb("moving", &round.to_string());
        let mut child = server
            .command(&["add", &file])
            .stdout(Stdio::null())
            .spawn()
            .unwrap();
        // Spread over the whole time that one takes, and a little more.
        std::thread::sleep(whole * (round - 2) / 32);
        if child.try_wait().unwrap().is_none() {
            child.kill().unwrap();
            killed += 1;
        }
        child.wait().unwrap();
        let after = server.as_a_client_sees_it();
        let new = round.to_string();
        let mut expected = before.clone();
        expected.insert("moving".to_owned(), new);
        assert!(
            after == before || after.keys().eq(expected.keys()),
            "round {round}: {after:?}"
        );
    }
    assert!(killed > 10, "only {killed} were killed in time");
    server.good(&["publish"]);
    server.good(&["check"]);
    let left = fs::read_dir(server.site().archive())
        .unwrap()
        .map(|entry| entry.unwrap().file_name());
    let left: Vec<_> = left
        .filter(|name| name.to_string_lossy().ends_with(".unfinished"))
        .collect();
    assert!(left.is_empty(), "{left:?}");
}

#[test]
fn the_second_publisher_waits_and_says_for_whom() {
    let server = Server::new();
    // A .deb that is a pipe holds the first one until somebody writes into it.
    let pipe = server.dir.path().join("slow_1_all.deb");
    assert!(Command::new("mkfifo").arg(&pipe).status().unwrap().success());
    let mut first = server
        .command(&["add", &pipe.display().to_string()])
        .stdout(Stdio::null())
        .spawn()
        .unwrap();
    let held =
        || fs::read_to_string(server.archive(".apu/lock")).is_ok_and(|text| text.contains("apu repo add"));
    while !held() {
        std::thread::sleep(Duration::from_millis(10));
    }
    let mut second = server
        .command(&["publish"])
        .stderr(Stdio::piped())
        .stdout(Stdio::null())
        .spawn()
        .unwrap();
    let said = first_line(&mut second);
    let holder = format!(
        "waiting for apu repo add (process {}) to finish with ",
        first.id()
    );
    assert!(said.starts_with(&holder), "{said}");
    assert!(second.try_wait().unwrap().is_none());
    fs::write(&pipe, deb("slow", "1")).unwrap();
    assert!(first.wait().unwrap().success());
    assert!(second.wait().unwrap().success());
    assert_eq!(
        server.as_a_client_sees_it().get("slow").map(String::as_str),
        Some("1")
    );
}

fn first_line(child: &mut Child) -> String {
    let mut line = String::new();
    BufReader::new(child.stderr.take().unwrap())
        .read_line(&mut line)
        .unwrap();
    line
}

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
            "mkdir /no/such/dir",
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
            vec!["publish", "dists"],
            "the archive dists has suites",
            "remove its suite in ",
        ),
        (vec!["add", "/no/such.deb"], "nothing was published in ", "ls -l"),
    ] {
        let output = server.repo(&args);
        let said = String::from_utf8(output.stderr).unwrap();
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
