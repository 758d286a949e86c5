//! What takes long to make is made once and kept outside the source tree: roots, layers, archives.
//!
//! An entry's name ends with a digest of everything that went into it, so nothing is ever stale. It is made beside its
//! place and renamed into it; a lock lets one process make it while the others wait.

use std::ffi::OsStr;
use std::fs::{self, File};
use std::hash::{DefaultHasher, Hash, Hasher};
use std::os::unix::fs::DirBuilderExt;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result};
use nix::fcntl::{Flock, FlockArg};

/// Where everything is kept. Safe to delete while no test runs.
const STORE: &str = "/var/cache/apu-tests";

/// A digest of what an entry is made of; good against mistakes, not against malice.
#[derive(Default)]
pub(crate) struct Inputs(DefaultHasher);

impl Inputs {
    pub(crate) fn of(text: impl Hash) -> Self {
        Self::default().and(text)
    }

    pub(crate) fn and(mut self, text: impl Hash) -> Self {
        text.hash(&mut self.0);
        self
    }

    /// Adds a file's bytes.
    pub(crate) fn and_file(self, path: &Path) -> Result<Self> {
        let bytes = fs::read(path).with_context(|| format!("cannot read {}", path.display()))?;
        Ok(self.and(bytes))
    }

    /// Adds all files below a folder, with their paths.
    pub(crate) fn and_tree(mut self, folder: &Path) -> Result<Self> {
        let mut entries: Vec<_> = fs::read_dir(folder)
            .with_context(|| format!("cannot read {}", folder.display()))?
            .collect::<Result<_, _>>()?;
        entries.sort_by_key(fs::DirEntry::file_name);
        for entry in entries {
            self = self.and(entry.file_name());
            self = if entry.file_type()?.is_dir() {
                self.and_tree(&entry.path())?
            } else {
                self.and_file(&entry.path())?
            };
        }
        Ok(self)
    }

    fn digest(&self) -> String {
        format!("{:016x}", self.0.finish())
    }
}

/// The entry `KIND/NAME-DIGEST`, a folder; `make` fills an empty one if it is not there yet.
pub(crate) fn entry(
    kind: &str,
    name: &str,
    inputs: &Inputs,
    make: impl FnOnce(&Path) -> Result<()>,
) -> Result<PathBuf> {
    let shelf = Path::new(STORE).join(kind);
    // The tests' own secret keys lie here.
    fs::DirBuilder::new().recursive(true).mode(0o755).create(&shelf)?;
    let place = shelf.join(format!("{name}-{}", inputs.digest()));
    if place.exists() {
        touch(&place);
        return Ok(place);
    }
    let _lock = lock(&shelf.join(format!("{name}.lock")))?;
    if place.exists() {
        return Ok(place);
    }
    let draft = shelf.join(format!("{name}.draft"));
    if draft.exists() {
        fs::remove_dir_all(&draft)?;
    }
    fs::DirBuilder::new().mode(0o755).create(&draft)?;
    make(&draft).with_context(|| format!("cannot make {}", place.display()))?;
    forget_older(&shelf, name);
    fs::rename(&draft, &place)?;
    Ok(place)
}

/// Waits until no other process makes the same.
fn lock(path: &Path) -> Result<Flock<File>> {
    let file = File::create(path)?;
    Flock::lock(file, FlockArg::LockExclusive)
        .map_err(|(_, errno)| errno)
        .with_context(|| format!("cannot lock {}", path.display()))
}

/// An entry's age is the time since it was last used.
fn touch(place: &Path) {
    // Only tidiness depends on it.
    let _ = File::open(place).and_then(|folder| folder.set_modified(std::time::SystemTime::now()));
}

/// Removes entries of this name that nobody used for a day, so that the store does not grow with every build.
fn forget_older(shelf: &Path, name: &str) {
    let old = |entry: &fs::DirEntry| {
        let file_name = entry.file_name();
        let of_this_name = Path::new(&file_name)
            .to_string_lossy()
            .strip_prefix(name)
            .and_then(|rest| rest.strip_prefix('-').map(str::to_owned))
            .is_some_and(|digest| digest.len() == 16 && digest.bytes().all(|byte| byte.is_ascii_hexdigit()));
        let age = entry
            .metadata()
            .ok()
            .and_then(|about| about.modified().ok()?.elapsed().ok());
        of_this_name && age.is_some_and(|age| age.as_secs() > 24 * 3600)
    };
    for entry in fs::read_dir(shelf).into_iter().flatten().flatten().filter(old) {
        // What cannot be removed now is tried again the next time.
        let _ = fs::remove_dir_all(entry.path());
    }
}

/// A path as a word of a mount option or a command.
pub(crate) fn word(path: impl AsRef<OsStr>) -> String {
    path.as_ref().to_string_lossy().into_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn other_inputs_are_another_entry() {
        let one = Inputs::of("bookworm").and("openssh-server").digest();
        assert_eq!(one, Inputs::of("bookworm").and("openssh-server").digest());
        assert_ne!(one, Inputs::of("bookworm").and("openssh-client").digest());
    }
}
