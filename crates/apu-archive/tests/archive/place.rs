//! An archive in a directory of its own, with a key of its own.

use std::fs;
use std::path::{Path, PathBuf};
use std::time::Duration;

use apu_archive::{Archive, ArchiveError, Labels, Layout, Published, Suite, check_suite};
use apu_archive::{ArchiveKey, DebWriter, Keyring};

pub(crate) struct Place {
    pub(crate) dir: tempfile::TempDir,
    pub(crate) key: ArchiveKey,
    pub(crate) layout: Layout,
    pub(crate) contents: Option<bool>,
}

impl Place {
    /// A flat archive.
    pub(crate) fn new() -> Self {
        let place = Self {
            dir: tempfile::tempdir().unwrap(),
            key: ArchiveKey::generate("test").unwrap(),
            layout: Layout::Flat,
            contents: None,
        };
        fs::create_dir_all(place.path("")).unwrap();
        place
    }

    /// The suite `stable` with these components.
    pub(crate) fn suite(components: &[&str]) -> Self {
        Self {
            layout: suite("stable", components),
            ..Self::new()
        }
    }

    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.dir.path().join("archive").join(name)
    }

    fn labels(&self) -> Labels {
        Labels {
            origin: "apu".into(),
            label: "apu".into(),
            suite: self.layout.suite().unwrap_or("local").to_owned(),
            valid: Duration::from_secs(86400),
            essential: Some(vec!["dash".into()]),
            layout: self.layout.clone(),
            contents: self.contents,
        }
    }

    pub(crate) fn try_open(&self) -> Result<Archive, ArchiveError> {
        let key = self.key.clone();
        let keys = move || Ok(vec![key.clone()]);
        Archive::open(&self.path(""), self.labels(), keys, "a test", &|_| ())
    }

    pub(crate) fn open(&self) -> Archive {
        self.try_open().unwrap()
    }

    pub(crate) fn publish(&self) -> Published {
        self.open().publish().unwrap()
    }

    pub(crate) fn put(&self, name: &str, package: &str, version: &str) {
        self.put_bytes(name, &deb(package, version, "all"));
    }

    pub(crate) fn put_bytes(&self, name: &str, bytes: &[u8]) {
        let path = self.path(name);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, bytes).unwrap();
    }

    /// A .deb beside the archive.
    pub(crate) fn outside(&self, name: &str, bytes: &[u8]) -> PathBuf {
        let path = self.dir.path().join(name);
        fs::write(&path, bytes).unwrap();
        path
    }

    pub(crate) fn faults(&self) -> Vec<String> {
        let keyring = Keyring::parse(&self.key.certificate().unwrap()).unwrap();
        let checked = check_suite(&self.path(""), self.layout.suite(), &keyring);
        checked.faults.iter().map(ToString::to_string).collect()
    }

    pub(crate) fn read(&self, name: &str) -> String {
        fs::read_to_string(self.path(name)).unwrap()
    }
}

pub(crate) fn suite(name: &str, components: &[&str]) -> Layout {
    Layout::Suite(Suite {
        name: name.parse().unwrap(),
        components: components.iter().map(|word| word.parse().unwrap()).collect(),
        architectures: Vec::new(),
    })
}

pub(crate) fn deb(package: &str, version: &str, architecture: &str) -> Vec<u8> {
    let file = format!("usr/share/doc/{package}/{version}");
    deb_with(package, version, architecture, &[&file])
}

pub(crate) fn deb_with(package: &str, version: &str, architecture: &str, files: &[&str]) -> Vec<u8> {
    let control = format!(
        "Package: {package}\nVersion: {version}\nArchitecture: {architecture}\nMaintainer: A <a@example.org>\n\
         Section: utils\nDescription: a test\n and its long text\n"
    );
    let mut writer = DebWriter::new(control.parse().unwrap(), 1_700_000_000);
    for file in files {
        writer.file(file, 0o644, version.into()).unwrap();
    }
    writer.build().unwrap()
}

/// Every file below a directory with its bytes.
pub(crate) fn snapshot(dir: &Path) -> Vec<(PathBuf, Vec<u8>)> {
    let mut files = Vec::new();
    for entry in fs::read_dir(dir).unwrap().map(Result::unwrap) {
        if entry.file_type().unwrap().is_dir() {
            files.extend(snapshot(&entry.path()));
        } else {
            files.push((entry.path(), fs::read(entry.path()).unwrap()));
        }
    }
    files.sort();
    files
}
