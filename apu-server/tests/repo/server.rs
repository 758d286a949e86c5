//! A server of its own for each test, and what a client sees of its archives.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};

use apu_archive::{DebWriter, Keyring};
use apu_debian::deb822::{Comments, paragraphs};
use apu_site::{Site, setup};

pub(crate) struct Server {
    pub(crate) dir: tempfile::TempDir,
}

impl Server {
    pub(crate) fn new() -> Self {
        let server = Self {
            dir: tempfile::tempdir().unwrap(),
        };
        setup(&server.site()).unwrap();
        server
    }

    pub(crate) fn site(&self) -> Site {
        Site::below(self.dir.path())
    }

    pub(crate) fn archive(&self, name: &str) -> PathBuf {
        self.site().archive().join(name)
    }

    pub(crate) fn command(&self, args: &[&str]) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_apu"));
        command.arg("--root").arg(self.dir.path()).arg("repo").args(args);
        command
    }

    pub(crate) fn repo(&self, args: &[&str]) -> Output {
        self.command(args).output().unwrap()
    }

    pub(crate) fn good(&self, args: &[&str]) -> String {
        let output = self.repo(args);
        assert!(
            output.status.success(),
            "{args:?}: {}",
            String::from_utf8_lossy(&output.stderr)
        );
        String::from_utf8(output.stdout).unwrap()
    }

    /// A .deb beside the archive.
    pub(crate) fn deb(&self, package: &str, version: &str) -> String {
        let path = self.dir.path().join(format!("{package}_{version}_all.deb"));
        fs::write(&path, deb(package, version)).unwrap();
        path.display().to_string()
    }

    /// What a client finds in the site's archive.
    pub(crate) fn as_a_client_sees_it(&self) -> BTreeMap<String, String> {
        self.as_a_client_sees(&self.site().archive(), "")
    }

    /// What a client finds that starts from InRelease in the folder `releases` of `dir`: the packages that it names,
    /// every hash on the way verified.
    pub(crate) fn as_a_client_sees(&self, dir: &Path, releases: &str) -> BTreeMap<String, String> {
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

pub(crate) fn deb(package: &str, version: &str) -> Vec<u8> {
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
