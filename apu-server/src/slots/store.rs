//! Keeps how far each slot is: a small file for each, written anew by a rename, and two locks beside it.
//!
//! A file and not the ledger: one process writes it at a time, a plan is a file too, and a run that was killed is the ledger's to tell.

use std::fs::{self, DirBuilder, File, OpenOptions};
use std::io::{self, ErrorKind, Read};
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt};
use std::path::PathBuf;
use std::time::{Duration, Instant};

use apu_archive::{atomic_file, quote};
use apu_site::{Failure, Site};
use nix::fcntl::{Flock, FlockArg};

use super::state::SlotState;

/// The most bytes of a file.
const LONGEST: u64 = 1 << 20;

/// How long another process may take to write the file.
const PATIENCE: Duration = Duration::from_secs(10);

/// The files of one slot.
pub(crate) struct Store {
    directory: PathBuf,
    name: String,
}

/// The right to work for a slot. It ends with the process, however that ends.
pub(crate) struct AtWork(#[allow(dead_code, reason = "held, and never looked at")] Flock<File>);

impl Store {
    /// Those of the slot of this name, which is one that the settings have.
    pub(crate) fn of(site: &Site, name: &str) -> Self {
        Self {
            directory: site.slots(),
            name: name.to_owned(),
        }
    }

    fn path(&self, ending: &str) -> PathBuf {
        self.directory.join(format!("{}.{ending}", self.name))
    }

    fn failed(&self, error: io::Error) -> Failure {
        let what = format!("cannot keep how far slot {} is", self.name);
        Failure::of_io(what, error, &self.directory)
    }

    /// How far it is; the beginning where nothing is known.
    ///
    /// # Errors
    /// Where its file cannot be read, or is not understood: then it is not known what was done.
    pub(crate) fn read(&self) -> Result<SlotState, Failure> {
        let path = self.path("json");
        let mut text = String::new();
        match File::open(&path) {
            Err(error) if error.kind() == ErrorKind::NotFound => return Ok(SlotState::default()),
            file => file
                .and_then(|file| file.take(LONGEST).read_to_string(&mut text))
                .map_err(|error| self.failed(error))?,
        };
        serde_json::from_str(&text).map_err(|error| {
            Failure::machine(format!("how far slot {} is is not understood", self.name))
                .why(error)
                .advise(format!(
                    "apu runs, to see what was done, and then rm {}",
                    quote(&path.to_string_lossy())
                ))
        })
    }

    /// Changes how far it is. Nobody else does meanwhile; what comes back is on the disk.
    ///
    /// # Errors
    /// As [`Store::read`], and where it cannot be written: then nothing has changed.
    pub(crate) fn change<T>(&self, change: impl FnOnce(&mut SlotState) -> T) -> Result<T, Failure> {
        let begin = Instant::now();
        let _lock = loop {
            match self.lock("lock")? {
                Some(lock) => break lock,
                None if begin.elapsed() > PATIENCE => {
                    let why = io::Error::new(ErrorKind::TimedOut, "another process holds its lock");
                    return Err(self.failed(why));
                }
                None => std::thread::sleep(Duration::from_millis(10)),
            }
        };
        let before = self.read()?;
        let mut state = before.clone();
        let told = change(&mut state);
        if state != before {
            let text = serde_json::to_vec_pretty(&state).map_err(|error| self.failed(error.into()))?;
            atomic_file::replace(&self.path("json"), &text, 0o600).map_err(|error| self.failed(error))?;
        }
        Ok(told)
    }

    /// Takes the right to work for it; none where another process has it.
    ///
    /// # Errors
    /// Where the lock's file cannot be opened.
    pub(crate) fn work(&self) -> Result<Option<AtWork>, Failure> {
        Ok(self.lock("work")?.map(AtWork))
    }

    fn lock(&self, ending: &str) -> Result<Option<Flock<File>>, Failure> {
        let open = || {
            (DirBuilder::new().recursive(true).mode(0o700)).create(&self.directory)?;
            let mut options = OpenOptions::new();
            options.write(true).create(true).truncate(false).mode(0o600);
            options.open(self.path(ending))
        };
        let file = open().map_err(|error| self.failed(error))?;
        match Flock::lock(file, FlockArg::LockExclusiveNonblock) {
            Ok(lock) => Ok(Some(lock)),
            Err((_, nix::Error::EWOULDBLOCK)) => Ok(None),
            Err((_, errno)) => Err(self.failed(errno.into())),
        }
    }

    /// Forgets the slots that the settings have no more, but for those that somebody works for.
    pub(crate) fn forget_others<'a>(site: &Site, known: impl Iterator<Item = &'a String> + Clone) {
        let Ok(entries) = fs::read_dir(site.slots()) else {
            return;
        };
        for entry in entries.flatten() {
            let path = entry.path();
            let name = path
                .file_stem()
                .and_then(|name| name.to_str())
                .unwrap_or_default();
            let is_state = path.extension().is_some_and(|ending| ending == "json");
            if is_state && known.clone().all(|other| other != name) {
                let store = Self::of(site, name);
                if let Ok(Some(_work)) = store.work() {
                    let _ = fs::remove_file(path);
                }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt;

    use apu_site::report;

    use super::super::state::{End, Occurrence, PlanId, State};
    use super::*;

    fn occurrence(state: State) -> Occurrence {
        Occurrence {
            at: 1_000_000,
            terms: "upgrade web".into(),
            skipped_by: None,
            state,
            warning: None,
        }
    }

    #[test]
    fn each_state_of_a_slot_is_read_again_as_it_was_by_root_alone() {
        let directory = tempfile::tempdir().unwrap();
        let site = Site::below(directory.path());
        let store = Store::of(&site, "thursday");
        assert_eq!(store.read().unwrap(), SlotState::default());
        let plan = || PlanId {
            number: 7,
            sha256: "ab".repeat(32),
        };
        let ends = [
            End::Nothing,
            End::Skipped { by: "alice".into() },
            End::Missed {
                why: Some("x".into()),
            },
            End::NotTold,
            End::Withdrawn,
            End::Failed {
                why: "x".into(),
                run: None,
            },
            End::Ran {
                run: Some(412),
                status: 1,
            },
            End::BrokenOff { run: Some(412) },
        ];
        let states = [
            State::NEW,
            State::Waiting {
                tried: Some(1),
                why: Some("x".into()),
            },
            State::Planned {
                plan: plan(),
                text: "web1: 1 change\n".into(),
                summary: "1 host".into(),
                told: Some(3),
            },
            State::Applying {
                plan: plan(),
                push: "0123456789abcdef0123456789abcdef".parse().unwrap(),
            },
        ];
        let ends = ends.map(|end| State::Ended {
            end,
            plan: Some(7),
            text: "x".into(),
            told: false,
        });
        for state in states.into_iter().chain(ends) {
            let set = |slot: &mut SlotState| {
                slot.last = slot.now.take();
                slot.now = Some(occurrence(state.clone()));
                slot.clone()
            };
            let set = store.change(set).unwrap();
            assert_eq!(store.read().unwrap(), set);
        }
        let mode = |path: PathBuf| fs::metadata(path).unwrap().permissions().mode() & 0o777;
        assert_eq!((mode(site.slots()), mode(store.path("json"))), (0o700, 0o600));
    }

    #[test]
    fn one_process_works_for_a_slot_and_others_may_hold_it_meanwhile() {
        let directory = tempfile::tempdir().unwrap();
        let site = Site::below(directory.path());
        let (store, other) = (Store::of(&site, "a"), Store::of(&site, "b"));
        let work = store.work().unwrap();
        assert!(work.is_some());
        assert!(store.work().unwrap().is_none());
        assert!(other.work().unwrap().is_some());
        store
            .change(|state| state.now = Some(occurrence(State::NEW)))
            .unwrap();
        // It is no slot any more, and yet somebody works for it.
        other
            .change(|state| state.now = Some(occurrence(State::NEW)))
            .unwrap();
        Store::forget_others(&site, [].iter());
        assert!(store.read().unwrap().now.is_some() && other.read().unwrap().now.is_none());
        drop(work);
        let known = ["a".to_owned()];
        Store::forget_others(&site, known.iter());
        assert!(store.work().unwrap().is_some() && store.read().unwrap().now.is_some());
    }

    #[test]
    fn what_is_not_understood_is_not_taken_for_nothing() {
        let directory = tempfile::tempdir().unwrap();
        let site = Site::below(directory.path());
        let store = Store::of(&site, "a");
        store
            .change(|state| state.now = Some(occurrence(State::NEW)))
            .unwrap();
        fs::write(store.path("json"), "{\"now\":{\"at\":1").unwrap();
        let (text, status) = report(&store.read().unwrap_err());
        assert!(
            text.contains("how far slot a is is not understood") && text.contains("try: apu runs"),
            "{text}"
        );
        assert_eq!(status, 3);
        assert!(store.change(|state| state.now = None).is_err());
    }
}
