//! A directory of .debs that is an archive: its indexes, its signed Release, and the tools to change it.
//!
//! It is flat, `deb [signed-by=…] http://SERVER/local ./`, or has suites, as [`Layout`] says.

mod apt;
mod cache;
mod carrier;
mod check;
mod commit;
mod contents;
mod error;
mod generations;
mod index;
mod known;
mod layout;
mod listed;
mod newest;
mod other_tool;
mod pack;
mod pool;
mod publish;
mod release;
mod scan;
mod shape;
mod strict;
mod trial;
mod write;

use std::error::Error;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::OnceLock;
use std::time::Duration;

pub use check::{Checked, Fault, check_suite};
use error::Refused;
pub use error::{ArchiveError, Remedy};
pub use index::Entry;
pub use layout::{Layout, Suite};
pub use listed::{indexes, suites};
pub use newest::newest_version;
pub use publish::Published;
pub use release::release_date;
pub use trial::Trial;

use crate::atomic_file;
use crate::deb::Depth;
use crate::folder::Folder;
use crate::lock::Lock;
use crate::openpgp::ArchiveKey;

/// What the Release file says of the archive as a whole.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Labels {
    /// Origin
    pub origin: String,
    /// Label
    pub label: String,
    /// Suite
    pub suite: String,
    /// How long after its Date the Release is good.
    pub valid: Duration,
    /// Which packages may be marked Essential; nothing where any may.
    pub essential: Option<Vec<String>>,
    /// Where its indexes and its .debs lie.
    pub layout: Layout,
    /// Whether it says which file is in which package; where this says nothing, as it did before.
    pub contents: Option<bool>,
}

impl Labels {
    /// The same for a suite.
    #[must_use]
    pub fn in_suite(mut self, suite: Suite) -> Self {
        self.suite = suite.name.to_string();
        self.layout = Layout::Suite(suite);
        self
    }
}

/// An archive in a directory, held by one publisher at a time.
pub struct Archive {
    dir: PathBuf,
    /// The same directory: everything in it is reached through this, and no link is followed.
    root: Folder,
    labels: Labels,
    read_keys: Box<ReadKeys>,
    keys: OnceLock<Vec<ArchiveKey>>,
    depth: Depth,
    is_strict: bool,
    takes_apu_data: bool,
    _lock: Lock,
}

/// Reads the keys that sign; its error is the caller's own.
type ReadKeys = dyn Fn() -> Result<Vec<ArchiveKey>, Box<dyn Error + Send + Sync>> + Send + Sync;

/// What of a directory is ours and not for clients: the lock, the caches, the record of generations.
const OWN: &str = ".apu";

impl Archive {
    /// Opens the archive in `dir` to change it. What `keys` gives signs it, and is asked for when there is something
    /// to sign. `who` is told to others who wait; `waiting` hears for whom this one waits.
    pub fn open(
        dir: &Path,
        labels: Labels,
        keys: impl Fn() -> Result<Vec<ArchiveKey>, Box<dyn Error + Send + Sync>> + Send + Sync + 'static,
        who: &str,
        waiting: &dyn Fn(&str),
    ) -> Result<Self, ArchiveError> {
        let root = strict::open(dir, &labels.layout)?;
        other_tool::refuse(&root, dir, &labels.layout)?;
        let own = Path::new(OWN);
        atomic_file::directory_in(&root, own, 0o700).map_err(strict::failed(&root, dir, "make", own))?;
        let path = own.join("lock");
        let lock =
            Lock::take(&root, &path, who, waiting).map_err(strict::failed(&root, dir, "lock", &path))?;
        let archive = Self {
            dir: dir.to_owned(),
            root,
            labels,
            read_keys: Box::new(keys),
            keys: OnceLock::new(),
            depth: Depth::Whole,
            is_strict: false,
            takes_apu_data: false,
            _lock: lock,
        };
        archive.make_folders()?;
        Ok(archive)
    }

    /// Of a .deb that comes new, only what the index has to say is read, as other tools do it: a packaged file that dpkg
    /// cannot unpack is then found by [`check_suite`](crate::check_suite), or by a client. What was read so is not remembered as checked.
    #[must_use]
    pub fn without_files(mut self) -> Self {
        self.depth = Depth::Control;
        self
    }

    /// One .deb that may not be published stops the whole, instead of being left out.
    #[must_use]
    pub fn strict(mut self) -> Self {
        self.is_strict = true;
        self
    }

    /// The folders of a suite, so that there is a place for .debs.
    fn make_folders(&self) -> Result<(), ArchiveError> {
        let other_layout = |is_flat| Err(ArchiveError::OtherLayout { is_flat });
        let Layout::Suite(suite) = &self.labels.layout else {
            return match suites(&self.dir).is_empty() {
                true => Ok(()),
                false => other_layout(false),
            };
        };
        if self.root.look(Path::new("InRelease")).is_ok() {
            return other_layout(true);
        }
        let mut own = PathBuf::new();
        for part in &self.labels.layout.own_dir() {
            own.push(part);
            atomic_file::directory_in(&self.root, &own, 0o700).map_err(self.failed("make", &own))?;
        }
        let pool = self.labels.layout.pool();
        self.make_folder(&pool)?;
        suite
            .components
            .iter()
            .try_for_each(|component| self.make_folder(&pool.join(component.as_str())))
    }

    /// A folder below the archive that clients may look into, and those above it, where they are missing. A new one
    /// survives a power cut.
    fn make_folder(&self, below: &Path) -> Result<(), ArchiveError> {
        let mut folder = PathBuf::new();
        for part in below {
            folder.push(part);
            if self.root.folder(&folder).is_err() {
                atomic_file::directory_in(&self.root, &folder, 0o755)
                    .map_err(self.failed("make", &folder))?;
            }
        }
        Ok(())
    }

    /// What went wrong with a path of the archive.
    fn failed<'a>(
        &'a self,
        doing: &'static str,
        below: &'a Path,
    ) -> impl FnOnce(io::Error) -> ArchiveError + 'a {
        strict::failed(&self.root, &self.dir, doing, below)
    }

    fn keys(&self) -> Result<&[ArchiveKey], ArchiveError> {
        if let Some(keys) = self.keys.get() {
            return Ok(keys);
        }
        let keys = (self.read_keys)().map_err(ArchiveError::Keys)?;
        Ok(self.keys.get_or_init(|| keys))
    }

    /// The folder of Release, below the archive's directory.
    fn release_dir(&self) -> PathBuf {
        layout::release_dir(self.labels.layout.suite())
    }

    /// Where it lies.
    #[must_use]
    pub fn dir(&self) -> &Path {
        &self.dir
    }

    /// What is ours, below the archive's directory.
    fn own(&self, name: &str) -> PathBuf {
        self.labels.layout.own_dir().join(name)
    }
}
