//! An archive as a client sees it: every signature, every hash, every .deb.

use std::collections::BTreeSet;
use std::fmt;
use std::fs::{self, File};
use std::io::Read;
use std::path::Path;

use flate2::read::MultiGzDecoder;
use jiff::Timestamp;
use liblzma::read::XzDecoder;

use super::release::{self, IndexFile, Release};
use crate::deb::hash;
use crate::openpgp::Keyring;

/// Something that a client would stumble over, or that publishing would mend.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Fault {
    /// Which file.
    pub path: String,
    /// What is wrong with it.
    pub what: String,
}

impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.path, self.what)
    }
}

/// What a check found.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Checked {
    /// How many .debs the index names.
    pub packages: usize,
    /// Until when the signature is good.
    pub valid_until: Option<Timestamp>,
    /// Everything that is wrong.
    pub faults: Vec<Fault>,
}

/// Checks the archive in `dir` with the keys that clients have.
#[must_use]
pub fn check(dir: &Path, keyring: &Keyring) -> Checked {
    let mut check = Check {
        dir,
        found: Checked::default(),
    };
    if let Some(release) = check.signatures(keyring) {
        check.dates(&release, Timestamp::now());
        if let Some(packages) = check.indexes(&release) {
            check.debs(&packages);
        }
    }
    check.found
}

struct Check<'a> {
    dir: &'a Path,
    found: Checked,
}

impl Check<'_> {
    fn fault(&mut self, path: &str, what: impl fmt::Display) {
        self.found.faults.push(Fault {
            path: path.to_owned(),
            what: what.to_string(),
        });
    }

    fn read(&mut self, name: &str) -> Option<Vec<u8>> {
        fs::read(self.dir.join(name))
            .map_err(|error| self.fault(name, error))
            .ok()
    }

    fn signatures(&mut self, keyring: &Keyring) -> Option<Release> {
        let signed = self.read("InRelease")?;
        let text = keyring
            .open_inline(&signed)
            .map_err(|error| self.fault("InRelease", error))
            .ok()?;
        if let (Some(release), Some(signature)) = (self.read("Release"), self.read("Release.gpg")) {
            if release != text {
                self.fault("Release", "it is not what InRelease signs");
            }
            if let Err(error) = keyring.verify_detached(&release, &signature) {
                self.fault("Release.gpg", error);
            }
        }
        let release = std::str::from_utf8(&text).ok().and_then(release::parse);
        if release.is_none() {
            self.fault("InRelease", "it holds no Release that can be read");
        }
        release
    }

    fn dates(&mut self, release: &Release, now: Timestamp) {
        self.found.valid_until = release.valid_until;
        match release.valid_until {
            None => self.fault(
                "InRelease",
                "it has no Valid-Until: clients would take it for ever",
            ),
            Some(until) if until < now => self.fault("InRelease", format!("it was valid until {until}")),
            Some(_) => {}
        }
        if release.date > now {
            self.fault("InRelease", format!("it is of the future: {}", release.date));
        }
    }

    /// Every index in both of its places; the text of Packages.
    fn indexes(&mut self, release: &Release) -> Option<String> {
        let mut texts: Vec<(&str, Vec<u8>)> = Vec::new();
        for file in &release.files {
            for path in [file.name.clone(), format!("by-hash/SHA256/{}", file.sha256)] {
                let Some(bytes) = self.read(&path) else { continue };
                if hash(&mut &bytes[..]).ok() != Some((file.size, file.sha256.clone())) {
                    self.fault(&path, "size or hash is not what Release says");
                } else if let Some(text) = self.unpacked(file, bytes) {
                    texts.push((&file.name, text));
                }
            }
        }
        let (_, plain) = texts.first()?;
        for (name, _) in texts.iter().filter(|(_, text)| text != plain) {
            self.found.faults.push(Fault {
                path: (*name).to_owned(),
                what: "it does not hold the same as the others".to_owned(),
            });
        }
        String::from_utf8(plain.clone()).ok()
    }

    fn unpacked(&mut self, file: &IndexFile, bytes: Vec<u8>) -> Option<Vec<u8>> {
        let mut text = Vec::new();
        let result = match file.name.rsplit_once('.') {
            Some((_, "gz")) => MultiGzDecoder::new(&bytes[..]).read_to_end(&mut text),
            Some((_, "xz")) => XzDecoder::new_multi_decoder(&bytes[..]).read_to_end(&mut text),
            _ => return Some(bytes),
        };
        result.map_err(|error| self.fault(&file.name, error)).ok()?;
        Some(text)
    }

    fn debs(&mut self, packages: &str) {
        let mut seen = BTreeSet::new();
        for paragraph in packages
            .split("\n\n")
            .filter(|paragraph| !paragraph.trim().is_empty())
        {
            let field = |wanted: &str| {
                let line = paragraph
                    .lines()
                    .find_map(|line| line.strip_prefix(wanted)?.strip_prefix(':'));
                line.map_or("", str::trim).to_owned()
            };
            let path = field("Filename");
            self.found.packages += 1;
            if !seen.insert(path.clone()) {
                self.fault(&path, "Packages names it twice");
            }
            let hashed = File::open(self.dir.join(&path)).and_then(|mut file| hash(&mut file));
            match hashed {
                Err(error) => self.fault(&path, error),
                Ok((size, sha256)) if size.to_string() != field("Size") || sha256 != field("SHA256") => {
                    self.fault(&path, "size or hash is not what Packages says");
                }
                Ok(_) => {}
            }
        }
    }
}
