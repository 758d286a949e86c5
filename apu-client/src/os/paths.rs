//! Where things are on a client, computed from one root so that a test is a directory.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::{Arc, OnceLock};

use apu_proto::RunId;

use crate::apt::{Settings, Target, View, overrides, sources};

/// The paths of one client.
#[derive(Debug, Clone)]
pub(crate) struct Site {
    root: PathBuf,
    /// apt's configuration, once it was asked.
    apt: Arc<OnceLock<Apt>>,
    /// The sources that were judged, once they were.
    judged: Arc<OnceLock<Judged>>,
}

/// What apt's configuration says of this client.
#[derive(Debug)]
struct Apt {
    lists: PathBuf,
    archives: PathBuf,
    source_list: PathBuf,
    source_parts: PathBuf,
    /// Options that take back what only this machine has set.
    overrides: Vec<String>,
}

/// What was judged, and how apt has to be called to read that and nothing else.
#[derive(Debug)]
struct Judged {
    options: Vec<String>,
    /// One index of each archive.
    archives: Vec<Target>,
    /// Kept while apt may read it.
    _view: View,
}

impl Site {
    /// The client whose `/` is `root`.
    pub(crate) fn below(root: impl Into<PathBuf>) -> Self {
        Self {
            root: root.into(),
            apt: Arc::default(),
            judged: Arc::default(),
        }
    }

    /// Keeps what apt's configuration says; later calls for the same client change nothing.
    pub(crate) fn set_up(&self, settings: &Settings) {
        let path = |name: &str| {
            let path = settings.path(name);
            self.path(&path.to_string_lossy())
        };
        let mut overrides = overrides(settings);
        overrides.extend(self.phasing());
        let _ = self.apt.set(Apt {
            lists: path("Dir::State::lists"),
            archives: path("Dir::Cache::archives"),
            source_list: path("Dir::Etc::sourcelist"),
            source_parts: path("Dir::Etc::sourceparts"),
            overrides,
        });
    }

    /// What makes apt's phasing of updates the same on all machines of a site: it draws by `APT::Machine-ID`
    /// (apt_preferences(5)), so this is computed from what they have in common, the addresses of the site's archives.
    fn phasing(&self) -> Option<String> {
        let text = fs::read_to_string(self.site_sources()).ok()?;
        let mut named: Vec<String> = sources(&text, true)
            .iter()
            .map(|source| format!("{} {}", source.uri, source.suite))
            .collect();
        named.sort();
        let common = named.join("\n");
        (!named.is_empty()).then(|| {
            let halves = [digest(&[1], &common), digest(&[2], &common)];
            format!("APT::Machine-ID={:016x}{:016x}", halves[0], halves[1])
        })
    }

    /// From now on apt reads what was judged.
    pub(crate) fn reads(&self, view: View, options: Vec<String>, archives: Vec<Target>) {
        let _ = self.judged.set(Judged {
            options,
            archives,
            _view: view,
        });
    }

    /// The archives of the sources that were judged; none before.
    pub(crate) fn judged_archives(&self) -> &[Target] {
        self.judged.get().map_or(&[], |judged| &judged.archives)
    }

    /// Options of every call that are this machine's own.
    pub(crate) fn apt_overrides(&self) -> &[String] {
        self.apt.get().map_or(&[], |apt| &apt.overrides)
    }

    /// Options that make apt read what was judged; none before.
    pub(crate) fn judged_options(&self) -> &[String] {
        self.judged.get().map_or(&[], |judged| &judged.options)
    }

    /// The main source file that our apt calls read.
    pub(crate) fn source_list(&self) -> PathBuf {
        if self.is_exclusive() {
            return self.path("/dev/null");
        }
        (self.apt.get()).map_or_else(
            || self.path("/etc/apt/sources.list"),
            |apt| apt.source_list.clone(),
        )
    }

    /// The directory of the other source files that our apt calls read.
    pub(crate) fn source_parts(&self) -> PathBuf {
        if self.is_exclusive() {
            return self.exclusive_sources();
        }
        (self.apt.get()).map_or_else(
            || self.path("/etc/apt/sources.list.d"),
            |apt| apt.source_parts.clone(),
        )
    }

    /// The source files that our apt calls read, sorted.
    ///
    /// # Errors
    /// A directory that is there and cannot be read.
    pub(crate) fn source_files(&self) -> io::Result<Vec<PathBuf>> {
        let mut files = vec![self.source_list()];
        match fs::read_dir(self.source_parts()) {
            Ok(entries) => {
                for entry in entries {
                    files.push(entry?.path());
                }
            }
            Err(error)
                if matches!(
                    error.kind(),
                    io::ErrorKind::NotFound | io::ErrorKind::NotADirectory
                ) => {}
            Err(error) => return Err(error),
        }
        let list = files[0].clone();
        let is_source = |path: &PathBuf| {
            let ending = path.extension();
            *path == list || ending.is_some_and(|ending| ending == "list" || ending == "sources")
        };
        files.retain(|path| is_source(path) && path.is_file());
        files.sort();
        files.dedup();
        Ok(files)
    }

    /// An absolute path on this client.
    pub(crate) fn path(&self, absolute: &str) -> PathBuf {
        self.root.join(absolute.trim_start_matches('/'))
    }

    pub(crate) fn policy(&self) -> PathBuf {
        self.path("/etc/apu-client/policy.toml")
    }

    /// Our own state; root only.
    pub(crate) fn state(&self) -> PathBuf {
        self.path("/var/lib/apu-client")
    }

    pub(crate) fn runs(&self) -> PathBuf {
        self.state().join("runs")
    }

    pub(crate) fn run(&self, id: RunId) -> PathBuf {
        self.runs().join(id.to_string())
    }

    /// Held by the run that works; the next one waits for it.
    pub(crate) fn lock(&self) -> PathBuf {
        self.state().join("lock")
    }

    /// Touched by each `update` that fetched everything.
    pub(crate) fn update_stamp(&self) -> PathBuf {
        self.state().join(if self.is_exclusive() {
            "updated-exclusive"
        } else {
            "updated"
        })
    }

    /// Which archives were fetched when, by updates that could not fetch all of them.
    pub(crate) fn fetched(&self) -> PathBuf {
        self.state().join("fetched.json")
    }

    pub(crate) fn dpkg(&self) -> PathBuf {
        self.path("/var/lib/dpkg")
    }

    /// Where apu-data puts the only sources that apt may use, on an exclusive client.
    pub(crate) fn exclusive_sources(&self) -> PathBuf {
        self.path("/usr/share/apu-data/exclusive")
    }

    /// Where apu-data names those sources that are the site's own archives.
    pub(crate) fn site_sources(&self) -> PathBuf {
        self.path("/usr/share/apu-data/site.sources")
    }

    /// Where apu-data's program says which sources did not go with the machine's own.
    pub(crate) fn left_out(&self) -> PathBuf {
        self.path("/usr/share/apu-data/left-out")
    }

    /// The program of apu-data that composes this machine's sources.
    pub(crate) fn compose_sources(&self) -> PathBuf {
        self.path("/usr/share/apu-data/compose-sources")
    }

    /// Lists of the site's own archives apart from the machine's, where the machine trusts them otherwise.
    pub(crate) fn site_lists(&self) -> PathBuf {
        self.state().join("site-lists")
    }

    /// Whether this client's runs use apu-data's sources only.
    pub(crate) fn is_exclusive(&self) -> bool {
        self.exclusive_sources().join("apu.sources").is_file()
    }

    /// The package lists of an exclusive client, apart from the machine's own.
    pub(crate) fn exclusive_lists(&self) -> PathBuf {
        self.state().join("lists")
    }

    /// The package lists that our apt calls use.
    pub(crate) fn lists(&self) -> PathBuf {
        if self.is_exclusive() {
            self.exclusive_lists()
        } else {
            (self.apt.get()).map_or_else(|| self.path("/var/lib/apt/lists"), |apt| apt.lists.clone())
        }
    }

    /// Where apt keeps the packages that it fetched.
    pub(crate) fn archives(&self) -> PathBuf {
        (self.apt.get()).map_or_else(
            || self.path("/var/cache/apt/archives"),
            |apt| apt.archives.clone(),
        )
    }

    /// Whether the machine asks for a restart.
    pub(crate) fn reboot_required(&self) -> bool {
        self.path("/run/reboot-required").exists() || self.path("/var/run/reboot-required").exists()
    }

    /// The root itself.
    pub(crate) fn root(&self) -> &Path {
        &self.root
    }
}

/// FNV-1a in 64 bits: it has to be the same on every machine, and nothing depends on it but chance.
fn digest(seed: &[u8], text: &str) -> u64 {
    let bytes = seed.iter().chain(text.as_bytes());
    bytes.fold(0xcbf2_9ce4_8422_2325, |hash, byte| {
        (hash ^ u64::from(*byte)).wrapping_mul(0x0100_0000_01b3)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn phasing(text: &str) -> Option<String> {
        let root = tempfile::tempdir().unwrap();
        let site = Site::below(root.path());
        fs::create_dir_all(site.site_sources().parent().unwrap()).unwrap();
        fs::write(site.site_sources(), text).unwrap();
        site.phasing()
    }

    #[test]
    fn all_machines_of_a_site_have_one_phasing_and_other_sites_have_another() {
        let own = "Types: deb\nURIs: http://s/local\nSuites: ./\nSigned-By: /k\n";
        let one = phasing(own).unwrap();
        assert_eq!(one.len(), "APT::Machine-ID=".len() + 32);
        assert_eq!(phasing(&own.replace("/k", "/other")), Some(one.clone()));
        assert_ne!(phasing(&own.replace("/s/", "/t/")), Some(one));
        assert_eq!(phasing("# nothing\n"), None);
    }

    #[test]
    fn paths_follow_the_configuration_of_apt() {
        let site = Site::below("/srv/root");
        assert_eq!(site.archives(), PathBuf::from("/srv/root/var/cache/apt/archives"));
        let text = "Dir=/\nDir::Cache=var/cache/apt\nDir::Cache::archives=/srv/cache\nDir::State=var/lib/apt\n\
                    Dir::State::lists=elsewhere/\nDir::Etc=etc/apt\nDir::Etc::sourcelist=own.list\n";
        site.set_up(&Settings::parse(text).unwrap());
        assert_eq!(site.archives(), PathBuf::from("/srv/root/srv/cache"));
        assert_eq!(site.lists(), PathBuf::from("/srv/root/var/lib/apt/elsewhere"));
        assert_eq!(site.source_list(), PathBuf::from("/srv/root/etc/apt/own.list"));
    }
}
