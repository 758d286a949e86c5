//! Where things are on a client, computed from one root so that a test is a directory.

use std::path::{Path, PathBuf};

use apu_proto::RunId;

/// The paths of one client.
#[derive(Debug, Clone)]
pub(crate) struct Site {
    root: PathBuf,
}

impl Site {
    /// The client whose `/` is `root`.
    pub(crate) fn below(root: impl Into<PathBuf>) -> Self {
        Self { root: root.into() }
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
            self.path("/var/lib/apt/lists")
        }
    }

    pub(crate) fn archives(&self) -> PathBuf {
        self.path("/var/cache/apt/archives")
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
