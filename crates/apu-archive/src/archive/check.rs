//! An archive as a client sees it: every signature, every hash, every .deb.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::io::Read;
use std::path::{Path, PathBuf};

use flate2::read::MultiGzDecoder;
use jiff::Timestamp;
use liblzma::read::XzDecoder;

use super::layout::release_dir;
use super::release::{self, IndexFile, Release, is_contents};
use crate::deb::{Deb, hash};
use crate::folder::Folder;
use crate::openpgp::Keyring;
use crate::parallel;

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

/// Checks a suite of the archive in `dir`; without one, the flat archive.
#[must_use]
pub fn check_suite(dir: &Path, suite: Option<&str>, keyring: &Keyring) -> Checked {
    let root = match Folder::open(dir) {
        Ok(root) => root,
        Err(error) => {
            let path = dir.display().to_string();
            let what = error.to_string();
            return Checked {
                faults: vec![Fault { path, what }],
                ..Checked::default()
            };
        }
    };
    let mut check = Check {
        root,
        release_dir: release_dir(suite),
        found: Checked::default(),
    };
    if let Some(release) = check.signatures(keyring) {
        check.dates(&release, Timestamp::now());
        if let Some(suite) = suite {
            check.promises(&release, suite);
        }
        let texts = check.indexes(&release);
        check.debs(&texts);
    }
    check.found
}

struct Check {
    root: Folder,
    /// From the directory.
    release_dir: PathBuf,
    found: Checked,
}

impl Check {
    fn fault(&mut self, path: impl AsRef<Path>, what: impl fmt::Display) {
        self.found.faults.push(Fault {
            path: path.as_ref().display().to_string(),
            what: what.to_string(),
        });
    }

    /// The name of a file from the directory; it is known by its name from the folder of Release.
    fn path(&self, name: impl AsRef<Path>) -> PathBuf {
        self.release_dir.join(name)
    }

    fn read(&mut self, name: impl AsRef<Path>) -> Option<Vec<u8>> {
        let path = self.path(name);
        self.root
            .read(&path)
            .map_err(|error| self.fault(&path, error))
            .ok()
    }

    fn signatures(&mut self, keyring: &Keyring) -> Option<Release> {
        let inline = self.path("InRelease");
        let signed = self.read("InRelease")?;
        let text = keyring
            .open_inline(&signed)
            .map_err(|error| self.fault(&inline, error))
            .ok()?;
        if let (Some(release), Some(signature)) = (self.read("Release"), self.read("Release.gpg")) {
            if release != text {
                self.fault(self.path("Release"), "it is not what InRelease signs");
            }
            if let Err(error) = keyring.verify_detached(&release, &signature) {
                self.fault(self.path("Release.gpg"), error);
            }
        }
        let release = std::str::from_utf8(&text).ok().and_then(release::parse);
        if release.is_none() {
            self.fault(&inline, "it holds no Release that can be read");
        }
        release
    }

    fn dates(&mut self, release: &Release, now: Timestamp) {
        self.found.valid_until = release.valid_until;
        let inline = self.path("InRelease");
        match release.valid_until {
            None => self.fault(&inline, "it has no Valid-Until: clients would take it for ever"),
            Some(until) if until < now => self.fault(&inline, format!("it was valid until {until}")),
            Some(_) => {}
        }
        if release.date > now {
            self.fault(&inline, format!("it is of the future: {}", release.date));
        }
    }

    /// What a client asks a suite for that its sources name so.
    fn promises(&mut self, release: &Release, suite: &str) {
        let inline = self.path("InRelease");
        if release.suite != suite {
            self.fault(
                &inline,
                format!("it says that it is the suite {:?}", release.suite),
            );
        }
        let machines = release.architectures.iter().filter(|name| *name != "all");
        for architecture in machines {
            for component in &release.components {
                let name = format!("{component}/binary-{architecture}/Packages");
                if release.file(&name).is_none() {
                    self.fault(self.path(&name), "Release promises it, and does not name it");
                }
            }
        }
    }

    /// Every index in both of its places; the texts of the Packages files, by their names.
    fn indexes(&mut self, release: &Release) -> BTreeMap<String, String> {
        let mut texts: BTreeMap<&str, Vec<u8>> = BTreeMap::new();
        for file in &release.files {
            let plain = file.name.trim_end_matches(".gz").trim_end_matches(".xz");
            // Clients get Contents packed, and Release says what has to come out of it.
            if is_contents(&file.name) && file.name == plain {
                continue;
            }
            for name in [PathBuf::from(&file.name), file.by_hash()] {
                let Some(bytes) = self.read(&name) else { continue };
                if hash(&mut &bytes[..]).ok() != Some((file.size, file.sha256.clone())) {
                    self.fault(self.path(&name), "size or hash is not what Release says");
                    continue;
                }
                let Some(text) = self.unpacked(file, bytes) else {
                    continue;
                };
                let is_right = match release.file(plain) {
                    Some(plain) => hash(&mut &text[..]).ok() == Some((plain.size, plain.sha256.clone())),
                    None => texts.get(plain).is_none_or(|other| *other == text),
                };
                if !is_right {
                    self.fault(self.path(&file.name), "it does not hold the same as the others");
                }
                texts.entry(plain).or_insert(text);
            }
        }
        let packages = texts.into_iter().filter(|(name, _)| !is_contents(name));
        let packages =
            packages.filter_map(|(name, text)| Some((name.to_owned(), String::from_utf8(text).ok()?)));
        packages.collect()
    }

    fn unpacked(&mut self, file: &IndexFile, bytes: Vec<u8>) -> Option<Vec<u8>> {
        let mut text = Vec::new();
        let result = match file.name.rsplit_once('.') {
            Some((_, "gz")) => MultiGzDecoder::new(&bytes[..]).read_to_end(&mut text),
            Some((_, "xz")) => XzDecoder::new_multi_decoder(&bytes[..]).read_to_end(&mut text),
            _ => return Some(bytes),
        };
        let path = self.path(&file.name);
        result.map_err(|error| self.fault(path, error)).ok()?;
        Some(text)
    }

    fn debs(&mut self, indexes: &BTreeMap<String, String>) {
        // The same .deb stands in the indexes of several architectures, and perhaps with other sums.
        let mut claims: BTreeSet<Claim> = BTreeSet::new();
        for (name, text) in indexes {
            let mut seen = BTreeSet::new();
            for paragraph in text
                .split("\n\n")
                .filter(|paragraph| !paragraph.trim().is_empty())
            {
                let claim = Claim::of(paragraph);
                if !seen.insert(claim.path.clone()) {
                    self.fault(
                        &claim.path,
                        format!("{} names it twice", self.path(name).display()),
                    );
                }
                claims.insert(claim);
            }
        }
        let claims: Vec<Claim> = claims.into_iter().collect();
        let paths: BTreeSet<&str> = claims.iter().map(|claim| claim.path.as_str()).collect();
        self.found.packages = paths.len();
        let root = &self.root;
        let found = parallel::map(&claims, |claim| claim.fault(root));
        for (claim, fault) in claims.iter().zip(found) {
            if let Some(fault) = fault {
                self.fault(&claim.path, fault);
            }
        }
    }
}

/// What Packages says of a .deb.
#[derive(PartialEq, Eq, PartialOrd, Ord)]
struct Claim {
    path: String,
    size: String,
    sha256: String,
}

impl Claim {
    fn of(paragraph: &str) -> Self {
        let field = |wanted: &str| {
            let line = paragraph
                .lines()
                .find_map(|line| line.strip_prefix(wanted)?.strip_prefix(':'));
            line.map_or("", str::trim).to_owned()
        };
        Self {
            path: field("Filename"),
            size: field("Size"),
            sha256: field("SHA256"),
        }
    }

    /// Why a web server, which is another user than root, cannot read the .deb.
    fn is_hidden(&self, root: &Folder) -> Option<&'static str> {
        let mut path = PathBuf::new();
        let mut parts = Path::new(&self.path).iter().peekable();
        while let Some(part) = parts.next() {
            path.push(part);
            let mode = root.look(&path).map_or(0, |about| about.mode());
            if parts.peek().is_none() {
                return (mode & 0o004 == 0).then_some("a web server cannot read it (try: chmod a+r)");
            }
            if mode & 0o001 == 0 {
                return Some("a web server cannot look into its folder (try: chmod a+rx)");
            }
        }
        None
    }

    /// What is wrong with the .deb.
    fn fault(&self, root: &Folder) -> Option<String> {
        let open = || root.open_file(Path::new(&self.path));
        match open().and_then(|mut file| hash(&mut file)) {
            Err(error) => Some(error.to_string()),
            Ok((size, sha256)) if size.to_string() != self.size || sha256 != self.sha256 => {
                Some("size or hash is not what Packages says".into())
            }
            // The right hash only says that it is what was published.
            Ok(_) => match Deb::examine_file(open) {
                Err(error) => Some(error.to_string()),
                Ok(_) => self.is_hidden(root).map(str::to_owned),
            },
        }
    }
}
