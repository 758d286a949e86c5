//! Reads dpkg's database and computes what changed between two states of it.

use std::collections::BTreeMap;
use std::fs;
use std::io;
use std::path::Path;

use apu_debian::{PackageError, PackageKey};
use apu_proto::{Broken, Change, PackageArg};
use serde::{Deserialize, Serialize};

use apu_debian::deb822::lenient::{Field, paragraphs};

/// The third word of a package's `Status` field.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub(crate) enum State {
    NotInstalled,
    ConfigFiles,
    HalfInstalled,
    Unpacked,
    HalfConfigured,
    TriggersAwaited,
    TriggersPending,
    Installed,
}

impl State {
    fn from_word(word: &str) -> Option<Self> {
        Some(match word {
            "not-installed" => Self::NotInstalled,
            "config-files" => Self::ConfigFiles,
            "half-installed" => Self::HalfInstalled,
            "unpacked" => Self::Unpacked,
            "half-configured" => Self::HalfConfigured,
            "triggers-awaited" => Self::TriggersAwaited,
            "triggers-pending" => Self::TriggersPending,
            "installed" => Self::Installed,
            _ => return None,
        })
    }

    /// Whether files of the package may be there.
    const fn is_present(self) -> bool {
        !matches!(self, Self::NotInstalled | Self::ConfigFiles)
    }
}

/// One package of the database.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Package {
    pub(crate) version: String,
    pub(crate) state: State,
    /// The whole `Status` field, such as `install reinstreq half-installed`.
    pub(crate) status: String,
    /// The source that it is built from, where that has another name.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) source: Option<String>,
    /// The package's own configuration files.
    pub(crate) conffiles: Vec<String>,
    /// What each of them was when the package brought it: its MD5, or a word of dpkg's where it has brought none yet.
    #[serde(default)]
    conffile_hashes: Vec<String>,
    /// Whether it is for all architectures; its key has the machine's own.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    is_for_all: bool,
}

impl Package {
    /// Whether the package is neither completely installed nor removed.
    pub(crate) fn is_broken(&self) -> bool {
        self.needs_reinstall() || (self.state.is_present() && self.state != State::Installed)
    }

    /// Whether only a re-installation can repair it; no exit status of any tool shows this.
    pub(crate) fn needs_reinstall(&self) -> bool {
        self.status.split(' ').nth(1).is_some_and(|flag| flag != "ok")
    }

    /// Whether the package is completely installed.
    pub(crate) fn is_installed(&self) -> bool {
        self.state == State::Installed
    }

    pub(crate) fn is_held(&self) -> bool {
        self.status.starts_with("hold ") && self.state.is_present()
    }
}

/// A state of dpkg's database.
///
/// A package for all architectures counts as one of the machine's own, as apt counts it.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Database {
    pub(crate) packages: BTreeMap<PackageKey, Package>,
    /// The machine's native architecture: that of dpkg.
    pub(crate) architecture: String,
    /// Whether an interrupted dpkg left its journal.
    pub(crate) interrupted: bool,
}

impl Database {
    /// Reads the database in `directory`, usually `/var/lib/dpkg`, and the journal that an interrupted dpkg left.
    pub(crate) fn read(directory: &Path) -> io::Result<Self> {
        let mut texts = vec![fs::read(directory.join("status"))?];
        let mut journal = Vec::new();
        match fs::read_dir(directory.join("updates")) {
            Ok(entries) => {
                for entry in entries {
                    let name = entry?.file_name().to_string_lossy().into_owned();
                    if name.bytes().all(|byte| byte.is_ascii_digit()) {
                        journal.push(name);
                    }
                }
            }
            Err(error) if error.kind() == io::ErrorKind::NotFound => {}
            Err(error) => return Err(error),
        }
        journal.sort();
        for name in &journal {
            texts.push(fs::read(directory.join("updates").join(name))?);
        }
        let texts: Vec<_> = texts.iter().map(|text| String::from_utf8_lossy(text)).collect();
        let mut database = Self::parse(texts.iter().map(AsRef::as_ref))
            .map_err(|error| io::Error::new(io::ErrorKind::InvalidData, error))?;
        database.interrupted = !journal.is_empty();
        Ok(database)
    }

    /// Parses the status file and then the files of its journal.
    ///
    /// # Errors
    /// A present package whose name or architecture is no word: if it were left out, it might be broken or protected.
    pub(crate) fn parse<'a>(texts: impl IntoIterator<Item = &'a str> + Clone) -> Result<Self, String> {
        let architecture = (texts.clone().into_iter())
            .flat_map(paragraphs)
            .find(|fields| value(fields, "Package") == "dpkg")
            .map_or_else(String::new, |fields| value(&fields, "Architecture").to_owned());
        let mut packages = BTreeMap::new();
        for fields in texts.into_iter().flat_map(paragraphs) {
            let status = value(&fields, "Status");
            let Some(state) = status.split(' ').nth(2).and_then(State::from_word) else {
                continue;
            };
            let of = match value(&fields, "Architecture") {
                "all" | "" => &architecture,
                other => other,
            };
            let (conffiles, conffile_hashes) = conffiles(value(&fields, "Conffiles"));
            let package = Package {
                version: value(&fields, "Version").to_owned(),
                state,
                status: status.to_owned(),
                source: source(value(&fields, "Source")),
                conffiles,
                conffile_hashes,
                is_for_all: value(&fields, "Architecture") == "all",
            };
            let name = value(&fields, "Package");
            match PackageKey::new(name, of) {
                Ok(key) => drop(packages.insert(key, package)),
                // Nothing of it is installed.
                Err(_) if !state.is_present() => {}
                Err(error) => return Err(format!("{name:?} of {of:?} is {error}")),
            }
        }
        Ok(Self {
            packages,
            architecture,
            interrupted: false,
        })
    }

    /// Returns the key of a requested package.
    ///
    /// # Errors
    /// Where the request names no architecture and the machine's own is not known.
    pub(crate) fn key_of(&self, package: &PackageArg) -> Result<PackageKey, PackageError> {
        PackageKey::new(package.name.as_str(), &self.architecture_of(package))
    }

    /// Returns the architecture that a request names, or else the native one.
    pub(crate) fn architecture_of(&self, package: &PackageArg) -> String {
        let named = package.architecture.as_ref().map(ToString::to_string);
        named.unwrap_or_else(|| self.architecture.clone())
    }

    /// Returns the version of a package that is installed, completely or not.
    pub(crate) fn version(&self, key: &str) -> Option<&str> {
        let package = self.packages.get(key)?;
        package.state.is_present().then_some(package.version.as_str())
    }

    /// Returns the configuration files that a package has brought, each with its MD5 then.
    pub(crate) fn conffile_hashes(&self, key: &PackageKey) -> BTreeMap<&str, &str> {
        let package = self.packages.get(key).into_iter();
        let all = package.flat_map(|package| package.conffiles.iter().zip(&package.conffile_hashes));
        let is_md5 = |hash: &str| hash.len() == 32;
        all.filter(|(_, hash)| is_md5(hash))
            .map(|(path, hash)| (path.as_str(), hash.as_str()))
            .collect()
    }

    /// Returns the source that an installed package is built from.
    pub(crate) fn source<'a>(&'a self, key: &'a PackageKey) -> Option<&'a str> {
        let package = self.packages.get(key)?;
        let source = package.source.as_deref().unwrap_or(key.name());
        package.state.is_present().then_some(source)
    }

    /// Whether the package is completely installed.
    pub(crate) fn is_whole(&self, key: &str) -> bool {
        (self.packages.get(key)).is_some_and(|package| package.state.is_present() && !package.is_broken())
    }

    pub(crate) fn broken(&self) -> Vec<Broken> {
        let broken = self.packages.iter().filter(|(_, package)| package.is_broken());
        let describe = |(key, package): (&PackageKey, &Package)| Broken {
            package: key.clone(),
            state: package.status.clone(),
        };
        broken.map(describe).collect()
    }

    /// Whether there is something to repair.
    pub(crate) fn is_dirty(&self) -> bool {
        self.interrupted || self.packages.values().any(Package::is_broken)
    }

    /// Whether a package is unpacked or has triggers to process, and so still has to be configured.
    pub(crate) fn has_unconfigured(&self) -> bool {
        let waiting = [State::Unpacked, State::TriggersAwaited, State::TriggersPending];
        self.packages
            .values()
            .any(|package| waiting.contains(&package.state))
    }

    /// Whether the package is there and on hold.
    pub(crate) fn is_held(&self, key: &PackageKey) -> bool {
        self.packages.get(key).is_some_and(Package::is_held)
    }

    /// Returns the one name under which dpkg has a package: for one for all architectures it does not know the machine's own.
    pub(crate) fn dpkg_name(&self, key: &PackageKey) -> String {
        match self.packages.get(key) {
            Some(package) if package.is_for_all => format!("{}:all", key.name()),
            _ => key.to_string(),
        }
    }

    pub(crate) fn held(&self) -> Vec<PackageKey> {
        let held = self.packages.iter().filter(|(_, package)| package.is_held());
        held.map(|(key, _)| key.clone()).collect()
    }

    /// Returns what changed from `self` to `after`: versions, and packages that were repaired.
    pub(crate) fn changes(&self, after: &Self) -> Vec<Change> {
        let mut keys: Vec<&PackageKey> = self.packages.keys().chain(after.packages.keys()).collect();
        keys.sort();
        keys.dedup();
        let mut changes = Vec::new();
        for key in keys {
            let (old, new) = (self.version(key.as_str()), after.version(key.as_str()));
            let mended = old.is_some() && !self.is_whole(key.as_str()) && after.is_whole(key.as_str());
            if old != new || mended {
                changes.push(Change {
                    package: key.clone(),
                    old: old.map(str::to_owned),
                    new: new.map(str::to_owned),
                });
            }
        }
        changes
    }
}

fn value<'a>(fields: &[Field<'a>], name: &str) -> &'a str {
    fields
        .iter()
        .find(|field| field.is(name))
        .map_or("", |field| field.value)
}

/// Returns the name in a `Source` field, which may have a version behind it.
fn source(value: &str) -> Option<String> {
    let name = value.split_whitespace().next()?;
    Some(name.to_owned())
}

/// Returns the paths and the hashes of a `Conffiles` field, whose lines are `PATH HASH [obsolete]`.
fn conffiles(value: &str) -> (Vec<String>, Vec<String>) {
    let lines = value.lines().map(str::trim);
    let paths = lines.filter_map(|line| line.trim_end_matches(" obsolete").rsplit_once(' '));
    paths
        .map(|(path, hash)| (path.to_owned(), hash.to_owned()))
        .unzip()
}

#[cfg(test)]
mod tests {
    use super::*;

    const DPKG: &str = "Package: dpkg\nStatus: install ok installed\nArchitecture: amd64\nVersion: 1.21\n\n";

    fn database(text: &str) -> Database {
        Database::parse([DPKG, text]).unwrap()
    }

    fn one(name: &str, status: &str, version: &str) -> String {
        format!("Package: {name}\nStatus: {status}\nArchitecture: all\nVersion: {version}\n\n")
    }

    #[test]
    fn an_installed_package_has_a_source() {
        let text = "Package: libssl3\nStatus: install ok installed\nArchitecture: amd64\nSource: openssl (3.0.1-1)\n\
                    Version: 3.0.1-1+b1\n\nPackage: openssl\nStatus: install ok installed\nArchitecture: amd64\nVersion: 3\n\n\
                    Package: gone\nStatus: deinstall ok config-files\nArchitecture: amd64\nSource: openssl\nVersion: 3\n";
        let database = database(text);
        let source = |name: &str| database.source(&name.parse().unwrap()).map(str::to_owned);
        assert_eq!(source("libssl3:amd64").as_deref(), Some("openssl"));
        assert_eq!(source("openssl:amd64").as_deref(), Some("openssl"));
        assert_eq!((source("gone:amd64"), source("none:amd64")), (None, None));
    }

    #[test]
    fn a_package_for_all_architectures_counts_as_the_machines_own() {
        let database = database(&one("lab", "install ok installed", "1"));
        assert_eq!(database.version("lab:amd64"), Some("1"));
        assert!(database.is_whole("lab:amd64"));
        assert!(!database.is_dirty());
    }

    #[test]
    fn what_only_the_error_flag_shows_is_broken() {
        let database = database(&one("lab", "install reinstreq installed", "1"));
        assert_eq!(database.broken().len(), 1);
        assert!(!database.is_whole("lab:amd64"));
    }

    #[test]
    fn configuration_files_that_were_left_are_not_a_package() {
        let database = database(&one("lab", "deinstall ok config-files", "1"));
        assert_eq!(database.version("lab:amd64"), None);
        assert!(!database.is_dirty());
    }

    #[test]
    fn a_present_package_is_never_left_out() {
        for text in [
            one("a b", "install ok installed", "1"),
            one("", "install ok installed", "1"),
        ] {
            let error = Database::parse([DPKG, text.as_str()]).unwrap_err();
            assert!(error.contains("not a package and its architecture"), "{error}");
        }
        // What dpkg --force-architecture leaves in the database, even once it is gone.
        for status in ["install ok installed", "deinstall ok config-files"] {
            let text = one("px", status, "1").replace("Architecture: all", "Architecture: x86_64");
            let found = database(&text);
            assert!(found.packages.contains_key("px:x86_64"), "{status}");
        }
        let gone = one("a b", "deinstall ok config-files", "1");
        assert_eq!(database(&gone).packages.len(), 1);
    }

    #[test]
    fn the_journal_overrides_the_status_file() {
        let journal = one("lab", "install ok half-configured", "2");
        let text = one("lab", "install ok installed", "1");
        let database = Database::parse([DPKG, text.as_str(), journal.as_str()]).unwrap();
        assert_eq!(database.broken()[0].state, "install ok half-configured");
    }

    #[test]
    fn a_change_is_another_version_or_a_package_that_became_whole() {
        let before = database(
            &[
                one("same", "install ok installed", "1"),
                one("up", "install ok installed", "1"),
                one("gone", "install ok installed", "1"),
                one("mended", "install ok unpacked", "1"),
            ]
            .concat(),
        );
        let after = database(
            &[
                one("same", "install ok installed", "1"),
                one("up", "install ok installed", "2"),
                one("gone", "deinstall ok config-files", "1"),
                one("new", "install ok installed", "1"),
                one("mended", "install ok installed", "1"),
            ]
            .concat(),
        );
        let changes: Vec<_> = (before.changes(&after).into_iter())
            .map(|change| {
                (
                    change.package,
                    change.old.unwrap_or("-".into()),
                    change.new.unwrap_or("-".into()),
                )
            })
            .map(|(package, old, new)| format!("{package} {old} {new}"))
            .collect();
        assert_eq!(
            changes,
            [
                "gone:amd64 1 -",
                "mended:amd64 1 1",
                "new:amd64 - 1",
                "up:amd64 1 2"
            ]
        );
    }

    #[test]
    fn held_packages_are_named() {
        let database = database(&one("lab", "hold ok installed", "1"));
        assert_eq!(database.held(), ["lab:amd64"]);
    }

    #[test]
    fn conffiles_are_paths_even_with_spaces() {
        assert_eq!(
            conffiles("/etc/a b 00\n /etc/c 11 obsolete"),
            (
                vec!["/etc/a b".to_owned(), "/etc/c".to_owned()],
                vec!["00".to_owned(), "11".to_owned()]
            )
        );
    }
}
