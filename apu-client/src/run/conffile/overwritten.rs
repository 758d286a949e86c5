//! Keeps what ucf may overwrite, while dpkg takes the packages' versions of all configuration files.
//!
//! ucf of Debian 13 and later does as dpkg is told (`DPKG_FORCE`, which comes before its own variables), and overwrites a changed file
//! without a copy. Earlier ones keep the machine's version, and nothing is left of these copies.

use std::collections::BTreeSet;
use std::fs::File;
use std::io::{self, Read};
use std::os::unix::fs::{MetadataExt, OpenOptionsExt};
use std::path::Path;

use apu_debian::hex;
use apu_proto::{Action, ConffileDecision, ConffilePath, Note};
use nix::fcntl::OFlag;
use sha2::{Digest, Sha256};

use super::super::kept_holds::now;
use super::super::refusal::Refusal;
use super::super::ucf::HASHES;
use super::put_away::{PutAway, Record, Version};
use super::shown;
use crate::os::paths::ClientPaths;
use crate::os::root_folder::LONGEST;

/// The most files that are copied: far more than packages keep with ucf, and far fewer than the decisions that can be taken back, the
/// oldest of which makes room for a further one.
const MOST: usize = 100;

/// Copies of files that may be overwritten. Those of files that are as they were go with this value.
#[derive(Debug)]
pub(crate) struct MayBeOverwritten<'a> {
    paths: &'a ClientPaths,
    copies: Vec<PutAway>,
}

impl<'a> MayBeOverwritten<'a> {
    /// Copies these files under names that begin with the run's; they are on the disk when this returns.
    pub(crate) fn keep(paths: &'a ClientPaths, run: &str, files: &BTreeSet<String>) -> Result<Self, Refusal> {
        if files.len() > MOST {
            let text = format!("{} of its files were changed here, more than {MOST}", files.len());
            let error = io::Error::other(text);
            return Err(Refusal::fault_at(Action::KeepConffile, Path::new(HASHES), &error));
        }
        let mut kept = Self {
            paths,
            copies: Vec::new(),
        };
        for (number, file) in (1..).zip(files) {
            let fault = |error: io::Error| Refusal::fault_at(Action::KeepConffile, Path::new(file), &error);
            let path: ConffilePath =
                (file.parse()).map_err(|_| fault(io::ErrorKind::InvalidFilename.into()))?;
            // One that was deleted here has nothing to be kept.
            let Some((bytes, place)) = read(&paths.path(file)).map_err(fault)? else {
                continue;
            };
            let record = Record {
                number: 0,
                path,
                decision: ConffileDecision::New,
                at: now(),
                placed: place.sha256.clone(),
                place,
                beside: Vec::new(),
            };
            let name = format!("{run}-ucf-{number}");
            let copy = PutAway::keep(paths, &name, record, &bytes, &[]).map_err(fault)?;
            kept.copies.push(copy);
        }
        Ok(kept)
    }

    /// Tells which of them were overwritten, and where the machine's version of each is; it can be put back.
    pub(crate) fn overwritten(mut self) -> Vec<Note> {
        let mut notes = Vec::new();
        for mut copy in std::mem::take(&mut self.copies) {
            match self.placed_instead(&copy) {
                None => _ = copy.forget(),
                Some(placed) => {
                    // Without it the copy is there all the same.
                    let _ = copy.note_placed(placed);
                    notes.push(Note::ConffileTaken {
                        path: copy.record.path.to_string(),
                        backup: shown(self.paths, &copy),
                    });
                }
            }
        }
        notes
    }

    /// The SHA-256 of what is in the place of a file now; none where it is as it was, or gone with its package.
    fn placed_instead(&self, copy: &PutAway) -> Option<String> {
        match read(&self.paths.path(copy.record.path.as_str())) {
            Ok(None) => None,
            Ok(Some((_, found))) => (found.sha256 != copy.record.place.sha256).then_some(found.sha256),
            // Another kind of file has its place, or it cannot be told: the copy stays.
            Err(_) => Some(String::new()),
        }
    }
}

impl Drop for MayBeOverwritten<'_> {
    fn drop(&mut self) {
        for copy in std::mem::take(&mut self.copies) {
            if self.placed_instead(&copy).is_none() {
                let _ = copy.forget();
            }
        }
    }
}

/// Reads a regular file, with whose it is; none where it is not there. No link is followed.
fn read(path: &Path) -> io::Result<Option<(Vec<u8>, Version)>> {
    let flags = OFlag::O_NOFOLLOW | OFlag::O_NONBLOCK | OFlag::O_NOCTTY;
    let opened = File::options().read(true).custom_flags(flags.bits()).open(path);
    let file = match opened {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
        opened => opened?,
    };
    let metadata = file.metadata()?;
    if !metadata.is_file() || metadata.len() > LONGEST {
        let text = format!("no file of at most {LONGEST} bytes, so that no copy can be kept of it");
        return Err(io::Error::other(text));
    }
    let mut bytes = Vec::new();
    file.take(LONGEST).read_to_end(&mut bytes)?;
    let version = Version {
        sha256: hex::encode(&Sha256::digest(&bytes)),
        uid: metadata.uid(),
        gid: metadata.gid(),
        mode: metadata.mode() & 0o7777,
    };
    Ok(Some((bytes, version)))
}

#[cfg(test)]
mod tests {
    use std::fs;
    use std::os::unix::fs::symlink;

    use super::super::undo;
    use super::*;

    fn machine() -> (tempfile::TempDir, ClientPaths) {
        let root = tempfile::tempdir().unwrap();
        let paths = ClientPaths::below(root.path());
        fs::create_dir_all(paths.path("/etc/app")).unwrap();
        for name in ["changed", "same", "gone"] {
            fs::write(paths.path("/etc/app").join(name), "mine\n").unwrap();
        }
        (root, paths)
    }

    fn files(names: &[&str]) -> BTreeSet<String> {
        names.iter().map(|name| format!("/etc/app/{name}")).collect()
    }

    const RUN: &str = "07";

    #[test]
    fn what_is_overwritten_can_be_put_back_and_of_the_rest_nothing_is_left() {
        let (_root, paths) = machine();
        let all = files(&["changed", "same", "gone", "never-there"]);
        let kept = MayBeOverwritten::keep(&paths, RUN, &all).unwrap();
        assert_eq!(fs::read_dir(paths.put_away()).unwrap().count(), 3);
        let changed = paths.path("/etc/app/changed");
        fs::write(&changed, "theirs\n").unwrap();
        fs::remove_file(paths.path("/etc/app/gone")).unwrap();
        let notes = kept.overwritten();
        let [Note::ConffileTaken { path, backup }] = notes.as_slice() else {
            panic!("{notes:?}");
        };
        assert_eq!(path, "/etc/app/changed");
        let place = paths.path(backup).join("place");
        assert_eq!(fs::read_to_string(place).unwrap(), "mine\n");
        assert_eq!(fs::read_dir(paths.put_away()).unwrap().count(), 1);
        undo(&paths, &path.parse().unwrap()).unwrap();
        assert_eq!(fs::read_to_string(&changed).unwrap(), "mine\n");
        assert_eq!(fs::read_dir(paths.put_away()).unwrap().count(), 0);
    }

    #[test]
    fn a_run_that_ends_before_it_changes_anything_leaves_no_copy_and_one_that_breaks_off_leaves_it() {
        let (_root, paths) = machine();
        let both = files(&["changed", "same"]);
        let kept = MayBeOverwritten::keep(&paths, RUN, &both).unwrap();
        fs::write(paths.path("/etc/app/changed"), "theirs\n").unwrap();
        drop(kept);
        let left: Vec<_> = fs::read_dir(paths.put_away()).unwrap().collect();
        assert_eq!(left.len(), 1);
    }

    #[test]
    fn what_cannot_be_copied_is_refused_before_it_is_lost() {
        let (_root, paths) = machine();
        fs::create_dir(paths.path("/etc/app/folder")).unwrap();
        symlink("changed", paths.path("/etc/app/link")).unwrap();
        let long = File::create(paths.path("/etc/app/long")).unwrap();
        long.set_len(LONGEST + 1).unwrap();
        for name in ["folder", "link", "long"] {
            MayBeOverwritten::keep(&paths, RUN, &files(&["changed", name])).unwrap_err();
        }
        let many: BTreeSet<String> = (0..=MOST).map(|number| format!("/etc/app/{number}")).collect();
        MayBeOverwritten::keep(&paths, RUN, &many).unwrap_err();
        assert_eq!(fs::read_dir(paths.put_away()).unwrap().count(), 0);
    }
}
