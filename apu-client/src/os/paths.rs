//! Computes where things are on a client, from one root directory, so that a test can use a directory as a client.
//!
//! It also holds what apt's configuration and the check of the sources found out, since paths and options of apt's
//! calls depend on that.

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
    /// apt's configuration, once it was read.
    apt: Arc<OnceLock<AptConfiguration>>,
    /// The sources, once they were checked.
    checked: Arc<OnceLock<CheckedSources>>,
}

/// Paths and options that apt's configuration determines.
#[derive(Debug)]
pub(crate) struct AptConfiguration {
    pub(crate) lists: PathBuf,
    pub(crate) archives: PathBuf,
    pub(crate) source_list: PathBuf,
    pub(crate) source_parts: PathBuf,
    /// The machine's own preferences; none where a setting says so.
    pub(crate) preferences: Option<PathBuf>,
    /// Options that undo settings of this machine alone.
    pub(crate) overrides: Vec<String>,
    /// All settings, as apt prints them.
    pub(crate) settings: String,
    /// Files and directories that apt reads beside those above when it plans.
    pub(crate) inputs: Vec<PathBuf>,
}

/// The options that make apt read the checked sources and nothing else.
#[derive(Debug)]
struct CheckedSources {
    options: Vec<String>,
    /// The copies of the sources, kept for as long as apt may read them.
    _copies: TemporaryDirectory,
}

impl ClientPaths {
    /// Returns the paths of the client whose `/` is `root`.
    pub(crate) fn below(root: impl Into<PathBuf>) -> Self {
        Self {
            root: root.into(),
            apt: Arc::default(),
            checked: Arc::default(),
        }
    }

    /// Stores what apt's configuration says; only the first call has an effect.
    pub(crate) fn set_apt_configuration(&self, configuration: AptConfiguration) {
        let _ = self.apt.set(configuration);
    }

    /// Makes later calls of apt read the checked sources.
    pub(crate) fn use_sources(&self, options: Vec<String>, copies: TemporaryDirectory) {
        let _ = self.checked.set(CheckedSources {
            options,
            _copies: copies,
        });
    }

    /// Returns the options that every call on this machine has.
    pub(crate) fn apt_overrides(&self) -> &[String] {
        self.apt.get().map_or(&[], |apt| &apt.overrides)
    }

    /// Returns all of apt's settings in one text; none before apt was asked.
    pub(crate) fn apt_settings(&self) -> Option<&str> {
        self.apt.get().map(|apt| apt.settings.as_str())
    }

    /// Returns what apt reads for a plan, beside its lists and sources.
    pub(crate) fn apt_inputs(&self) -> &[PathBuf] {
        self.apt.get().map_or(&[], |apt| &apt.inputs)
    }

    /// Returns the options that make apt read the checked sources; none before the check.
    pub(crate) fn checked_source_options(&self) -> &[String] {
        self.checked.get().map_or(&[], |checked| &checked.options)
    }

    /// Returns the main source file that apu-client's calls of apt read.
    pub(crate) fn source_list(&self) -> PathBuf {
        if self.is_exclusive() {
            return self.path("/dev/null");
        }
        (self.apt.get()).map_or_else(
            || self.path("/etc/apt/sources.list"),
            |apt| apt.source_list.clone(),
        )
    }

    /// Returns the directory of the other source files that these calls read.
    pub(crate) fn source_parts(&self) -> PathBuf {
        if self.is_exclusive() {
            return self.exclusive_sources();
        }
        (self.apt.get()).map_or_else(
            || self.path("/etc/apt/sources.list.d"),
            |apt| apt.source_parts.clone(),
        )
    }

    /// Returns the machine's own file of preferences, beside those in a directory; it need not exist.
    pub(crate) fn preferences(&self) -> Option<PathBuf> {
        (self.apt.get()).map_or_else(
            || Some(self.path("/etc/apt/preferences")),
            |apt| apt.preferences.clone(),
        )
    }

    /// Returns the source files that these calls read, sorted.
    ///
    /// # Errors
    /// The directory exists and cannot be read.
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

    /// Returns an absolute path on this client.
    pub(crate) fn path(&self, absolute: &str) -> PathBuf {
        self.root.join(absolute.trim_start_matches('/'))
    }

    pub(crate) fn policy(&self) -> PathBuf {
        self.path("/etc/apu-client/policy.toml")
    }

    /// The directory of the administrator's own checks of this machine.
    pub(crate) fn checks(&self) -> PathBuf {
        self.path("/etc/apu-client/checks.d")
    }

    /// The state directory of apu-client, for root only.
    pub(crate) fn state(&self) -> PathBuf {
        self.path("/var/lib/apu-client")
    }

    /// The directory of what only the calls of one process read.
    pub(crate) fn views(&self) -> PathBuf {
        self.state().join("views")
    }

    /// The last plan that was made.
    pub(crate) fn kept_plan(&self) -> PathBuf {
        self.state().join("plan")
    }

    /// The directory of answers to debconf's questions on their way to the run that sets them.
    pub(crate) fn answers(&self) -> PathBuf {
        self.path("/run/apu-client/answers")
    }

    /// Why and until when packages are on hold.
    pub(crate) fn kept_holds(&self) -> PathBuf {
        self.state().join("holds.json")
    }

    /// The versions of configuration files that decisions have put away.
    pub(crate) fn put_away(&self) -> PathBuf {
        self.state().join("conffiles")
    }

    /// The lock that a package manager holds from its first look at dpkg's database to its last change.
    pub(crate) fn frontend_lock(&self) -> PathBuf {
        self.dpkg().join("lock-frontend")
    }

    pub(crate) fn runs(&self) -> PathBuf {
        self.state().join("runs")
    }

    /// The directories of .debs that the server has sent for runs to come.
    pub(crate) fn all_taken_debs(&self) -> PathBuf {
        self.state().join("debs")
    }

    /// The directory of .debs that the server has sent for a run.
    pub(crate) fn taken_debs(&self, id: RunId) -> PathBuf {
        self.all_taken_debs().join(id.to_string())
    }

    /// The directory of requests and results of `health` that are at work.
    pub(crate) fn health(&self) -> PathBuf {
        self.state().join("health")
    }

    pub(crate) fn run(&self, id: RunId) -> PathBuf {
        self.runs().join(id.to_string())
    }

    /// The lock of the run that has its turn; the next run waits for it.
    pub(crate) fn lock(&self) -> PathBuf {
        self.state().join("lock")
    }

    /// The file that is written by each `update` that fetched everything.
    pub(crate) fn update_stamp(&self) -> PathBuf {
        self.state().join(if self.is_exclusive() {
            "updated-exclusive"
        } else {
            "updated"
        })
    }

    /// The file that records when updates that failed in part fetched which archive.
    pub(crate) fn fetched(&self) -> PathBuf {
        self.state().join("fetched.json")
    }

    pub(crate) fn dpkg(&self) -> PathBuf {
        self.path("/var/lib/dpkg")
    }

    /// The directory of the sources that an exclusive client uses alone; apu-data brings them.
    pub(crate) fn exclusive_sources(&self) -> PathBuf {
        self.path("/usr/share/apu-data/exclusive")
    }

    /// The file of apu-data that names the site's own archives.
    pub(crate) fn site_sources(&self) -> PathBuf {
        self.path("/usr/share/apu-data/site.sources")
    }

    /// The file in which apu-data's program lists the sources that it left out.
    pub(crate) fn left_out(&self) -> PathBuf {
        self.path("/usr/share/apu-data/left-out")
    }

    /// The program of apu-data that composes the sources of this machine.
    pub(crate) fn compose_sources(&self) -> PathBuf {
        self.path("/usr/share/apu-data/compose-sources")
    }

    /// The separate lists of the site's own archives, for machines that trust another key for these archives.
    pub(crate) fn site_lists(&self) -> PathBuf {
        self.state().join("site-lists")
    }

    /// Whether runs of this client use apu-data's sources only.
    pub(crate) fn is_exclusive(&self) -> bool {
        self.exclusive_sources().join("apu.sources").is_file()
    }

    /// The separate package lists of an exclusive client.
    pub(crate) fn exclusive_lists(&self) -> PathBuf {
        self.state().join("lists")
    }

    /// The package lists that apu-client's calls of apt use.
    pub(crate) fn lists(&self) -> PathBuf {
        if self.is_exclusive() {
            self.exclusive_lists()
        } else {
            (self.apt.get()).map_or_else(|| self.path("/var/lib/apt/lists"), |apt| apt.lists.clone())
        }
    }

    /// apt's cache of downloaded packages.
    pub(crate) fn archives(&self) -> PathBuf {
        (self.apt.get()).map_or_else(
            || self.path("/var/cache/apt/archives"),
            |apt| apt.archives.clone(),
        )
    }

    /// Whether the machine requires a reboot.
    pub(crate) fn reboot_required(&self) -> bool {
        self.path("/run/reboot-required").exists() || self.path("/var/run/reboot-required").exists()
    }

    /// The root directory.
    pub(crate) fn root(&self) -> &Path {
        &self.root
    }
}
