//! compose-sources of apu-data on a client that has sources of its own, each read by this machine's apt.

#![allow(clippy::unwrap_used, reason = "a test that cannot go on fails")]

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};

use apu_site::{Site, setup};

const OURS: &str = "/usr/share/keyrings/ours.gpg";
const THEIRS: &str = "/usr/share/keyrings/theirs.gpg";

/// A server that is a directory, with the apu-data that it makes of a sources.list.
fn apu_data(sources: &str) -> (tempfile::TempDir, PathBuf) {
    let dir = tempfile::tempdir().unwrap();
    let site = Site::below(dir.path());
    fs::create_dir_all(dir.path().join("etc")).unwrap();
    fs::write(dir.path().join("etc/hostname"), "apu.example.org\n").unwrap();
    setup(&site).unwrap();
    let keyring = dir.path().join(&OURS[1..]);
    fs::create_dir_all(keyring.parent().unwrap()).unwrap();
    fs::copy(site.archive_gpg(), keyring).unwrap();
    fs::write(site.etc().join("sources.list"), sources).unwrap();
    let mut generate = Command::new(env!("CARGO_BIN_EXE_gen-apu-data-pkg"));
    good(generate.arg("--root").arg(dir.path()));
    let deb = site.archive().join("apu-data_1_all.deb");
    (dir, deb)
}

fn good(command: &mut Command) -> Output {
    let output = command.output().unwrap();
    assert!(output.status.success(), "{output:?}");
    output
}

/// A client that is a directory: what composing said, and what was composed.
struct Client {
    dir: tempfile::TempDir,
    said: String,
    composed: String,
}

impl Client {
    /// A client with a source of its own gets the package.
    fn with(mine: &str, deb: &Path) -> Self {
        let dir = tempfile::tempdir().unwrap();
        let root = dir.path();
        good(Command::new("dpkg-deb").arg("-x").args([deb, root]));
        for folder in [
            "etc/apt/sources.list.d",
            "etc/apt/apt.conf.d",
            "etc/apt/preferences.d",
            "var/lib/apt/lists/partial",
            "var/lib/dpkg",
            "var/cache/apt/archives/partial",
        ] {
            fs::create_dir_all(root.join(folder)).unwrap();
        }
        let place = root.display();
        let settings = format!(
            "Dir \"{place}\";\nDir::State::status \"{place}/var/lib/dpkg/status\";\n\
             APT::Architecture \"amd64\";\nAPT::Architectures {{ \"amd64\"; }};\n"
        );
        for (path, text) in [
            ("etc/os-release", "VERSION_CODENAME=bookworm\n"),
            ("etc/debian_version", "12.0\n"),
            ("var/lib/dpkg/status", ""),
            ("etc/apt/sources.list.d/mine.list", mine),
            ("apt.conf", &settings),
        ] {
            fs::write(root.join(path), text).unwrap();
        }
        let script = root.join("usr/share/apu-data/compose-sources");
        let text = fs::read_to_string(&script).unwrap();
        let text = ["/usr/share/apu-data/", "/etc/", "/var/lib/"]
            .iter()
            .fold(text, |text, path| text.replace(path, &format!("{place}{path}")));
        fs::write(&script, text).unwrap();
        let mut compose = Command::new("sh");
        let output = good(compose.arg(&script).env("APT_CONFIG", root.join("apt.conf")));
        let composed = fs::read_to_string(root.join("etc/apt/sources.list.d/apu.sources")).unwrap();
        Self {
            said: String::from_utf8(output.stderr).unwrap(),
            composed,
            dir,
        }
    }

    /// What apt reads in all of its sources: addresses, suites and kinds of index.
    fn targets(&self) -> String {
        let mut apt = Command::new("apt-get");
        apt.args(["indextargets", "--no-release-info", "--format"])
            .arg("$(REPO_URI) $(RELEASE) $(CREATED_BY)")
            .env("LC_ALL", "C")
            .env("APT_CONFIG", self.dir.path().join("apt.conf"));
        String::from_utf8(good(&mut apt).stdout).unwrap()
    }
}

/// An archive of a client's own under another spelling and with another key: beside it, apu-data's would stop its apt.
#[test]
fn an_archive_that_the_client_names_in_another_spelling_stays_as_the_client_has_it() {
    for (ours, theirs, read) in [
        (
            "https://v.example.org/c /",
            "https://v.example.org/c/ /",
            // apt has no word for this suite.
            "https://v.example.org/c/ ",
        ),
        (
            "http://v.example.org/c amd64/",
            "http://v.example.org/c $(ARCH)/",
            "http://v.example.org/c/ amd64/",
        ),
        (
            "http://v.example.org/amd64 s main",
            "http://v.example.org/$(ARCH)/ s main",
            "http://v.example.org/amd64/ s",
        ),
        (
            "http://v.example.org/$(ARCH) ./",
            "http://v.example.org/amd64 ./",
            "http://v.example.org/amd64/ ./",
        ),
        (
            "file:/srv/vendor ./",
            "file:///srv/vendor ./",
            "file:/srv/vendor/ ./",
        ),
    ] {
        let (_server, deb) = apu_data(&format!("deb [signed-by={OURS}] {ours}\n"));
        let other = Client::with("", &deb);
        assert_eq!(other.composed.matches("URIs: ").count(), 2, "{}", other.composed);

        let client = Client::with(&format!("deb [signed-by={THEIRS}] {theirs}\n"), &deb);
        assert_eq!(client.said, "", "{theirs}");
        assert_eq!(
            client.composed.matches("URIs: ").count(),
            1,
            "{theirs}: {}",
            client.composed
        );
        let targets = client.targets();
        assert!(
            targets.contains(&format!("{read} Packages\n")),
            "{theirs}: {targets}"
        );
        assert!(
            targets.contains("http://apu.example.org/local/ ./ Packages\n"),
            "{targets}"
        );
    }
}

/// Sources alone install nothing.
#[test]
fn an_archive_of_which_the_client_has_only_the_sources_is_there_with_its_packages() {
    let line = format!("[signed-by={OURS}] http://v.example.org/apt s main\n");
    let (_server, deb) = apu_data(&format!("deb {line}"));
    let keyring = "/usr/share/apu-data/keyrings/ours.gpg";
    let client = Client::with(&format!("deb-src {}", line.replace(OURS, keyring)), &deb);
    assert_eq!(client.said, "");
    let targets = client.targets();
    for kind in ["Packages", "Sources"] {
        let expected = format!("http://v.example.org/apt/ s {kind}\n");
        assert!(targets.contains(&expected), "{targets}");
    }
}
