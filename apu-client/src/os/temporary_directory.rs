//! A private directory that is removed when its value is dropped.

use std::fs::{self, DirBuilder};
use std::io;
use std::os::unix::fs::DirBuilderExt;
use std::path::{Path, PathBuf};

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

    pub(crate) fn path(&self) -> &Path {
        &self.path
    }
}

impl Drop for TemporaryDirectory {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.path);
    }
}
