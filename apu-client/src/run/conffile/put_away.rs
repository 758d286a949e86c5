//! Keeps the versions of configuration files that decisions have put away, in a folder for each decision that only root reads.

use std::fs::{self, File};
use std::io::{self, Read};
use std::path::{Path, PathBuf};

use apu_proto::{Beside, ConffileDecision, ConffilePath};
use serde::{Deserialize, Serialize};

use crate::os::atomic_file::{private_directory, replace, sync_directory, write_durably};
use crate::os::paths::ClientPaths;
use crate::os::root_folder::{LONGEST, Owner};

/// How many decisions can be taken back; the oldest is forgotten for a further one.
const MOST: usize = 1000;

/// Maximal size of a record in bytes.
const LONGEST_RECORD: u64 = 64 * 1024;

/// The file with what a folder keeps.
const RECORD: &str = "record.json";

/// The file with what was in place before.
const PLACE: &str = "place";

/// A decision, and what it put away.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Record {
    /// Its place among the decisions of this machine.
    pub(super) number: u64,
    pub(super) path: ConffilePath,
    pub(super) decision: ConffileDecision,
    /// When, in seconds since 1970.
    pub(super) at: u64,
    /// What was in place before.
    pub(super) place: Version,
    /// The SHA-256 of what is in place afterwards.
    pub(super) placed: String,
    /// What lay beside it.
    pub(super) beside: Vec<KeptBeside>,
}

/// A version of a configuration file.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Version {
    pub(super) sha256: String,
    pub(super) uid: u32,
    pub(super) gid: u32,
    pub(super) mode: u32,
}

/// A version that lay beside a configuration file.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct KeptBeside {
    pub(super) beside: Beside,
    #[serde(flatten)]
    pub(super) version: Version,
}

impl Version {
    pub(super) const fn owner(&self) -> Owner {
        Owner {
            uid: self.uid,
            gid: self.gid,
            mode: self.mode,
        }
    }
}

/// A folder with what one decision has put away.
#[derive(Debug)]
pub(super) struct PutAway {
    folder: PathBuf,
    pub(super) record: Record,
}

impl PutAway {
    /// Keeps what a decision is about to put away in a folder of this name: on the disk before anything changes. The number of the record
    /// is chosen here.
    pub(super) fn keep(
        paths: &ClientPaths,
        name: &str,
        mut record: Record,
        place: &[u8],
        others: &[(Beside, &[u8])],
    ) -> io::Result<Self> {
        let all = paths.put_away();
        private_directory(&all)?;
        let before = make_room(paths)?;
        record.number = before
            .last()
            .map_or(1, |last| last.record.number.saturating_add(1));
        let folder = all.join(name);
        match fs::remove_dir_all(&folder) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
            _ => private_directory(&folder)?,
        }
        write_durably(&folder.join(PLACE), place)?;
        for (beside, bytes) in others {
            write_durably(&folder.join(file_of(*beside)), bytes)?;
        }
        // A folder without it counts as none.
        write_durably(&folder.join(RECORD), &serde_json::to_vec(&record)?)?;
        sync_directory(&folder)?;
        sync_directory(&all)?;
        Ok(Self { folder, record })
    }

    /// Finds the last decision about a file that was not taken back.
    pub(super) fn last(paths: &ClientPaths, path: &ConffilePath) -> io::Result<Option<Self>> {
        let mut all = all(paths)?;
        all.retain(|kept| kept.record.path == *path);
        Ok(all.pop())
    }

    /// Notes what is in place afterwards, where that was not known before.
    pub(super) fn note_placed(&mut self, sha256: String) -> io::Result<()> {
        self.record.placed = sha256;
        replace(&self.folder.join(RECORD), &serde_json::to_vec(&self.record)?)
    }

    /// What was in place before.
    pub(super) fn place(&self) -> io::Result<Vec<u8>> {
        read(&self.folder.join(PLACE), LONGEST)
    }

    /// What lay beside it.
    pub(super) fn beside(&self, beside: Beside) -> io::Result<Vec<u8>> {
        read(&self.folder.join(file_of(beside)), LONGEST)
    }

    /// Forgets the decision.
    pub(super) fn forget(&self) -> io::Result<()> {
        // The record first: what is left of the folder counts as none.
        fs::remove_file(self.folder.join(RECORD))?;
        fs::remove_dir_all(&self.folder)
    }

    /// Where it is kept.
    pub(super) fn folder(&self) -> &Path {
        &self.folder
    }
}

/// The name of the file with what lay beside a configuration file.
fn file_of(beside: Beside) -> String {
    format!("beside{beside}")
}

/// All decisions that can be taken back, the oldest first.
fn all(paths: &ClientPaths) -> io::Result<Vec<PutAway>> {
    let entries = match fs::read_dir(paths.put_away()) {
        Ok(entries) => entries,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Vec::new()),
        Err(error) => return Err(error),
    };
    let mut all = Vec::new();
    for entry in entries {
        let folder = entry?.path();
        let Ok(bytes) = read(&folder.join(RECORD), LONGEST_RECORD) else {
            continue;
        };
        if let Ok(record) = serde_json::from_slice(&bytes) {
            all.push(PutAway { folder, record });
        }
    }
    all.sort_by_key(|kept| kept.record.number);
    Ok(all)
}

/// Lets the oldest decisions go where there is no room for a further one, and returns the others.
fn make_room(paths: &ClientPaths) -> io::Result<Vec<PutAway>> {
    let mut kept = all(paths)?;
    let over = (kept.len() + 1).saturating_sub(MOST);
    for oldest in kept.drain(..over) {
        oldest.forget()?;
    }
    Ok(kept)
}

fn read(path: &Path, longest: u64) -> io::Result<Vec<u8>> {
    let mut bytes = Vec::new();
    File::open(path)?.take(longest + 1).read_to_end(&mut bytes)?;
    if u64::try_from(bytes.len()).is_ok_and(|length| length > longest) {
        return Err(io::Error::other(format!(
            "{} is longer than {longest} bytes",
            path.display()
        )));
    }
    Ok(bytes)
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt;

    use super::*;

    fn record(path: &str) -> Record {
        let version = Version {
            sha256: "0".repeat(64),
            uid: 0,
            gid: 0,
            mode: 0o644,
        };
        Record {
            number: 0,
            path: path.parse().unwrap(),
            decision: ConffileDecision::Keep,
            at: 7,
            place: version.clone(),
            placed: version.sha256.clone(),
            beside: vec![KeptBeside {
                beside: Beside::UcfDist,
                version,
            }],
        }
    }

    fn keep(paths: &ClientPaths, number: u8, path: &str) -> PutAway {
        let name = number.to_string();
        PutAway::keep(
            paths,
            &name,
            record(path),
            b"mine",
            &[(Beside::UcfDist, b"theirs")],
        )
        .unwrap()
    }

    #[test]
    fn the_last_decision_about_a_file_is_found_until_it_is_taken_back() {
        let root = tempfile::tempdir().unwrap();
        let paths = ClientPaths::below(root.path());
        let path: ConffilePath = "/etc/a".parse().unwrap();
        assert!(PutAway::last(&paths, &path).unwrap().is_none());
        // The ids are in another order than the decisions.
        let numbers = [(9, "/etc/a"), (1, "/etc/a"), (5, "/etc/b")];
        for (number, (id, path)) in (1..).zip(numbers) {
            assert_eq!(keep(&paths, id, path).record.number, number);
        }
        let last = PutAway::last(&paths, &path).unwrap().unwrap();
        assert_eq!(last.record.number, 2);
        assert_eq!(last.place().unwrap(), b"mine");
        assert_eq!(last.beside(Beside::UcfDist).unwrap(), b"theirs");
        let mode = |path: &Path| fs::metadata(path).unwrap().permissions().mode() & 0o777;
        assert_eq!(
            (mode(last.folder()), mode(&last.folder().join(PLACE))),
            (0o700, 0o600)
        );
        last.forget().unwrap();
        let before = PutAway::last(&paths, &path).unwrap().unwrap();
        assert_eq!(before.record.number, 1);
    }

    #[test]
    fn what_a_killed_process_left_counts_as_none_and_is_replaced() {
        let root = tempfile::tempdir().unwrap();
        let paths = ClientPaths::below(root.path());
        let kept = keep(&paths, 1, "/etc/a");
        fs::remove_file(kept.folder().join(RECORD)).unwrap();
        let path: ConffilePath = "/etc/a".parse().unwrap();
        assert!(PutAway::last(&paths, &path).unwrap().is_none());
        keep(&paths, 1, "/etc/a");
        assert!(PutAway::last(&paths, &path).unwrap().is_some());
    }

    #[test]
    fn the_oldest_decisions_go_where_there_is_no_room() {
        let root = tempfile::tempdir().unwrap();
        let paths = ClientPaths::below(root.path());
        for number in 0..=MOST {
            let folder = paths.put_away().join(number.to_string());
            private_directory(&folder).unwrap();
            let record = Record {
                number: u64::try_from(number).unwrap(),
                ..record("/etc/a")
            };
            fs::write(folder.join(RECORD), serde_json::to_vec(&record).unwrap()).unwrap();
        }
        let kept = make_room(&paths).unwrap();
        assert_eq!((kept.len(), kept[0].record.number), (MOST - 1, 2));
        assert_eq!(all(&paths).unwrap().len(), MOST - 1);
    }
}
