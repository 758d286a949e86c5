//! Keeps the .debs that a run installs beside its record, so that the server can have them for other machines.

use std::collections::HashSet;
use std::fs::{self, File};
use std::io;
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};

use apu_proto::{Action, DebSha256};
use nix::fcntl::OFlag;

use super::context::Run;
use super::refusal::Refusal;
use super::run_dir::RunDir;
use crate::apt::{Call, Download, Plan, missing_debs, remove_other_debs};
use crate::os::atomic_file::{private_directory, sync_directory};

impl Run<'_> {
    /// Fetches the .debs of the plan and keeps them, where the request wants that: a machine may empty its cache after a run. What
    /// cannot be fetched is not kept; the transaction, which lacks it too, says why.
    pub(super) fn keep_debs(&mut self, call: &Call, plan: &Plan) -> Result<(), Refusal> {
        if !self.request.keeps_debs() || plan.debs.is_empty() {
            return Ok(());
        }
        let cache = self.paths.archives();
        let look_at_cache = |error| Refusal::fault(Action::LookAtCache, &error);
        remove_other_debs(&cache, &plan.debs).map_err(look_at_cache)?;
        let is_missing = |missing: Vec<&Download>| missing.into_iter().map(|deb| deb.sha256).collect();
        let mut missing: HashSet<DebSha256> = missing_debs(&cache, &plan.debs)
            .map(is_missing)
            .map_err(look_at_cache)?;
        if !missing.is_empty() {
            self.transact(&call.clone().download_only())?;
            missing = missing_debs(&cache, &plan.debs)
                .map(is_missing)
                .map_err(look_at_cache)?;
        }
        let there = plan.debs.iter().filter(|deb| !missing.contains(&deb.sha256));
        keep(&cache, &folder(self.run_dir), there)
            .map_err(|error| Refusal::fault(Action::KeepRunRecord, &error))
    }
}

/// The folder of a run's .debs, each under its checksum.
fn folder(run_dir: &RunDir) -> PathBuf {
    run_dir.path("debs")
}

/// Links these .debs of the cache into the folder, or copies them where that is another file system.
fn keep<'a>(cache: &Path, folder: &Path, debs: impl Iterator<Item = &'a Download>) -> io::Result<()> {
    private_directory(folder)?;
    for deb in debs {
        let (from, to) = (cache.join(&deb.file), folder.join(deb.sha256.to_string()));
        match fs::hard_link(&from, &to) {
            Ok(()) => {}
            Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {}
            Err(_) => {
                fs::copy(&from, &to)?;
            }
        }
    }
    sync_directory(folder)
}

/// Opens a .deb that the run has kept, and tells its size; none where it is not there.
pub(crate) fn open(run_dir: &RunDir, sha256: DebSha256) -> Option<(File, u64)> {
    let file = File::options()
        .read(true)
        .custom_flags((OFlag::O_NOFOLLOW | OFlag::O_NONBLOCK).bits())
        .open(folder(run_dir).join(sha256.to_string()))
        .ok()?;
    let found = file.metadata().ok()?;
    found.is_file().then_some((file, found.len()))
}

/// Removes what a run has kept.
pub(crate) fn forget(run_dir: &RunDir) {
    let _ = fs::remove_dir_all(folder(run_dir));
}

#[cfg(test)]
mod tests {
    use apu_proto::RunId;
    use sha2::{Digest, Sha256};

    use super::*;
    use crate::os::paths::ClientPaths;
    use crate::run::run_dir::Claim;

    #[test]
    fn what_is_kept_outlives_the_cache_and_goes_with_the_run() {
        let root = tempfile::tempdir().unwrap();
        let paths = ClientPaths::below(root.path());
        let Claim::New(run_dir) = RunDir::claim(&paths, RunId::from_bytes([1; 16]), "apu/1 upgrade").unwrap()
        else {
            panic!("there was one before");
        };
        let cache = root.path().join("archives");
        fs::create_dir(&cache).unwrap();
        let sha256 = DebSha256::from_bytes(Sha256::digest("one").into());
        let deb = Download {
            file: "lab_1_all.deb".into(),
            sha256,
            size: 3,
        };
        fs::write(cache.join(&deb.file), "one").unwrap();
        for _ in 0..2 {
            keep(&cache, &folder(&run_dir), [&deb].into_iter()).unwrap();
        }
        fs::remove_file(cache.join(&deb.file)).unwrap();
        let (file, size) = open(&run_dir, sha256).unwrap();
        assert_eq!((io::read_to_string(file).unwrap().as_str(), size), ("one", 3));
        assert!(open(&run_dir, DebSha256::from_bytes([7; 32])).is_none());
        forget(&run_dir);
        assert!(open(&run_dir, sha256).is_none());
    }

    #[test]
    fn a_link_in_the_folder_is_not_followed() {
        let root = tempfile::tempdir().unwrap();
        let paths = ClientPaths::below(root.path());
        let Claim::New(run_dir) = RunDir::claim(&paths, RunId::from_bytes([1; 16]), "apu/1 upgrade").unwrap()
        else {
            panic!("there was one before");
        };
        let sha256 = DebSha256::from_bytes([7; 32]);
        fs::create_dir(folder(&run_dir)).unwrap();
        fs::write(root.path().join("secret"), "secret").unwrap();
        let link = folder(&run_dir).join(sha256.to_string());
        std::os::unix::fs::symlink(root.path().join("secret"), link).unwrap();
        assert!(open(&run_dir, sha256).is_none());
    }
}
