//! Where things are on a client, computed from one root so that a test is a directory.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::{Arc, OnceLock};

use apu_proto::RunId;

use super::temporary_directory::TemporaryDirectory;

/// The paths of one client.
#[derive(Debug, Clone)]
pub(crate) struct ClientPaths {
    root: PathBuf,
    /// apt's configuration, once it was asked.
    apt: Arc<OnceLock<AptConfiguration>>,
    /// The sources that were judged, once they were.
    checked: Arc<OnceLock<CheckedSources>>,
}

/// What apt's configuration says of this client.
#[derive(Debug)]
pub(crate) struct AptConfiguration {
    pub(crate) lists: PathBuf,
    pub(crate) archives: PathBuf,
    pub(crate) source_list: PathBuf,
    pub(crate) source_parts: PathBuf,
    /// Options that take back what only this machine has set.
    pub(crate) overrides: Vec<String>,
}

/// What was judged, and how apt has to be called to read that and nothing else.
#[derive(Debug)]
struct CheckedSources {
    options: Vec<String>,
    /// Kept while apt may read it.
    _copies: TemporaryDirectory,
}

impl ClientPaths {
    /// The client whose `/` is `root`.
    pub(crate) fn below(root: impl Into<PathBuf>) -> Self {
        Self {
            root: root.into(),
            apt: Arc::default(),
            checked: Arc::default(),
        }
    }

    /// Keeps what apt's configuration says; later calls for the same client change nothing.
    pub(crate) fn set_apt_configuration(&self, configuration: AptConfiguration) {
        let _ = self.apt.set(configuration);
    }

    /// From now on apt reads what was judged.
    pub(crate) fn use_sources(&self, options: Vec<String>, copies: TemporaryDirectory) {
        let _ = self.checked.set(CheckedSources {
            options,
            _copies: copies,
        });
    }

    /// Options of every call that are this machine's own.
    pub(crate) fn apt_overrides(&self) -> &[String] {
        self.apt.get().map_or(&[], |apt| &apt.overrides)
    }

    /// Options that make apt read what was judged; none before.
    pub(crate) fn checked_source_options(&self) -> &[String] {
        self.checked.get().map_or(&[], |checked| &checked.options)
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
