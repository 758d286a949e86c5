//! A private directory that is removed when its value is dropped.

use std::fs::{self, DirBuilder};
use std::io;
use std::os::unix::fs::DirBuilderExt;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU32, Ordering};

/// Number of directories that this process has made, for their names.
static DIRECTORIES_MADE: AtomicU32 = AtomicU32::new(0);

/// A directory that exists as long as this value.
#[derive(Debug)]
pub(crate) struct TemporaryDirectory {
    path: PathBuf,
}

impl TemporaryDirectory {
    /// Creates the directory with mode 0700, after removing what is at its path.
    pub(crate) fn create(path: PathBuf) -> io::Result<Self> {
        let _ = fs::remove_dir_all(&path);
        DirBuilder::new().mode(0o700).recursive(true).create(&path)?;
        Ok(Self { path })
    }

    /// Creates a directory of this process in `home`, and removes those of processes that were killed.
    pub(crate) fn of_process(home: &Path) -> io::Result<Self> {
        DirBuilder::new().mode(0o700).recursive(true).create(home)?;
        remove_stale(home);
        let number = DIRECTORIES_MADE.fetch_add(1, Ordering::Relaxed);
        Self::create(home.join(format!("{}-{number}", std::process::id())))
    }

    pub(crate) fn path(&self) -> &Path {
        &self.path
    }
}

impl Drop for TemporaryDirectory {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.path);
    }
}

fn remove_stale(home: &Path) {
    for entry in fs::read_dir(home).into_iter().flatten().flatten() {
        let name = entry.file_name().to_string_lossy().into_owned();
        let pid = name.split('-').next().unwrap_or_default();
        if !Path::new("/proc").join(pid).exists() {
            let _ = fs::remove_dir_all(entry.path());
        }
    }
}
