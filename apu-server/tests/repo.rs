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

    /// What a client finds in the site's archive.
    fn as_a_client_sees_it(&self) -> BTreeMap<String, String> {
        self.as_a_client_sees(&self.site().archive(), "")
    }

    /// What a client finds that starts from InRelease in the folder `releases` of `dir`: the packages that it names,
    /// every hash on the way verified.
    fn as_a_client_sees(&self, dir: &Path, releases: &str) -> BTreeMap<String, String> {
        let keyring = Keyring::parse(&fs::read(self.site().archive_gpg()).unwrap()).unwrap();
        let folder = dir.join(releases);
        let release = keyring
            .open_inline(&fs::read(folder.join("InRelease")).unwrap())
            .unwrap();
        let release = String::from_utf8(release).unwrap();
        let mut promised: Vec<(PathBuf, String)> = Vec::new();
        let mut indexes = Vec::new();
        for line in release.lines().filter_map(|line| line.strip_prefix(' ')) {
            let [sha256, _, name] = line.split(' ').collect::<Vec<_>>()[..] else {
                panic!("{line}")
            };
            let path = folder.join(name).with_file_name("by-hash/SHA256").join(sha256);
            if name.ends_with("Packages") {
                indexes.push(path.clone());
            }
            promised.push((path, sha256.to_owned()));
        }
        assert_eq!(promised.len(), indexes.len() * 3, "{release}");
        let mut found = BTreeMap::new();
        for index in indexes {
            let index = fs::read_to_string(index).unwrap();
            for paragraph in paragraphs(&index, Comments::Refused).unwrap() {
                let field = |name: &str| paragraph.get(name).unwrap().to_owned();
                promised.push((dir.join(field("Filename")), field("SHA256")));
                found.insert(field("Package"), field("Version"));
            }
        }
        let paths: Vec<&Path> = promised.iter().map(|(path, _)| path.as_path()).collect();
        for ((path, promised), sum) in promised.iter().zip(sha256(&paths)) {
            assert_eq!(sum, *promised, "{}", path.display());
        }
        found
    }
}

/// By another program than the one under test.
fn sha256(paths: &[&Path]) -> Vec<String> {
    let output = Command::new("sha256sum").args(paths).output().unwrap();
    assert!(
        output.status.success(),
        "{}",
        String::from_utf8_lossy(&output.stderr)
    );
    let lines = String::from_utf8(output.stdout).unwrap();
    lines
        .lines()
        .map(|line| line.split(' ').next().unwrap().to_owned())
        .collect()
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

/// Kills `apu repo add` at a hundred moments of its work; what it works on is `dir`, by these words.
fn killed_at_a_hundred_moments(server: &Server, words: &[&str], dir: &Path, pool: &str, releases: &str) {
    for number in 0..20 {
        let name = dir.join(pool).join(format!("p{number}.deb"));
        fs::write(name, deb(&format!("p{number}"), "1")).unwrap();
    }
    let add = |file: &str| {
        [&["add"], words, &[file]]
            .concat()
            .into_iter()
            .map(str::to_owned)
            .collect::<Vec<_>>()
    };
    let first = add(&server.deb("moving", "1"));
    let first: Vec<&str> = first.iter().map(String::as_str).collect();
    server.good(&first);
    let whole = std::time::Instant::now();
    server.good(&first);
    let mut whole = whole.elapsed();
    let mut killed = 0;
    let mut before = server.as_a_client_sees(dir, releases);
    for round in 0..100_u32 {
        let version = (round + 2).to_string();
        let words = add(&server.deb("moving", &version));
        let words: Vec<&str> = words.iter().map(String::as_str).collect();
        let mut child = server.command(&words).stdout(Stdio::null()).spawn().unwrap();
        // Spread over the whole time that one takes, and a little more. How long that is depends on what else the machine
        // does: it is judged anew each time.
        std::thread::sleep(whole * (round % 20) / 16);
        if child.try_wait().unwrap().is_none() {
            child.kill().unwrap();
            killed += 1;
            whole = whole * 33 / 32;
        } else {
            whole = whole * 7 / 8;
        }
        child.wait().unwrap();
        let after = server.as_a_client_sees(dir, releases);
        assert!(
            after == before || after.get("moving") == Some(&version) && after.keys().eq(before.keys()),
            "round {round}: {after:?}"
        );
        before = after;
    }
    assert!(killed > 25, "only {killed} were killed in time");
}

/// Nothing that an interrupted publisher left stays when the next one is done.
fn nothing_is_left_of_them(dir: &Path) {
    let output = Command::new("find")
        .arg(dir)
        .args(["-name", "*.unfinished"])
        .output()
        .unwrap();
    assert_eq!(String::from_utf8(output.stdout).unwrap(), "");
}

#[test]
fn killed_at_any_moment_it_leaves_a_whole_archive() {
    let server = Server::new();
    let dir = server.site().archive();
    killed_at_a_hundred_moments(&server, &[], &dir, "", "");
    server.good(&["publish"]);
    server.good(&["check"]);
    nothing_is_left_of_them(&dir);
}

#[test]
fn killed_at_any_moment_it_leaves_a_whole_suite() {
    let server = Server::new();
    let dir = server.dir.path().join("mine");
    fs::create_dir_all(dir.join("pool/stable/main")).unwrap();
    let name = dir.display().to_string();
    let words = ["--archive", &name, "--suite", "stable", "--component", "main"];
    killed_at_a_hundred_moments(&server, &words, &dir, "pool/stable/main", "dists/stable");
    server.good(&["publish", &name]);
    server.good(&["check", &name]);
    nothing_is_left_of_them(&dir);
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
    let output = server.repo(&["publish", "--all"]);
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
    fs::remove_file(bad).unwrap();
    assert_eq!(server.good(&["publish", "--all"]).lines().count(), 4);
    let output = server.repo(&["publish", "--all", "tools"]);
    assert_eq!(output.status.code(), Some(2));
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
