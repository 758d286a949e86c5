//! A run's directory, which exists before the run begins and holds its request, its log and its result.
//!
//! Its files: `request` is what was asked for, `caller` the user who asked, `lock` is held while a supervisor works,
//! `turn` exists from the moment that no other run is at work, `log` has the frames of the answer, `before` and `plan`
//! are there to determine the outcome, `baseline` is what the machine's health was before, `process` names the running call of apt, `debs` has the .debs that the run has kept, and `result` is written last. Files are
//! replaced atomically, except for those that are only appended to.

use std::fs::{self, File};
use std::io::{self, Read, Write};
use std::os::unix::fs::{OpenOptionsExt, PermissionsExt};
use std::path::PathBuf;
use std::time::{Duration, SystemTime};

use apu_proto::{Cause, ClientOutcome, Frame, Operation, Request, RequestError, RunId, RunResult};
use nix::fcntl::Flock;
use serde::Serialize;
use serde::de::DeserializeOwned;

use crate::os::atomic_file::{private_directory, replace, sync_directory, write_durably};
use crate::os::locks;
use crate::os::paths::ClientPaths;
use crate::os::process::Process;

/// Size of a file that is removed at the end of a run, so that the result can be written even if the run filled the
/// disk.
const RESERVE_SIZE: usize = 256 * 1024;

/// Maximal size of a run's log before its result, in bytes: a run may call apt more than once and wait for long.
const MAX_LOG: u64 = 16 * 1024 * 1024;

/// One run's directory.
#[derive(Debug)]
pub(crate) struct RunDir {
    directory: PathBuf,
}

/// The request of a run: its line, and the parsed request.
#[derive(Debug)]
pub(crate) struct SavedRequest {
    pub(crate) line: String,
    /// An error if another version of this program wrote the line.
    pub(crate) request: Result<Request, RequestError>,
}

impl SavedRequest {
    pub(crate) fn operation(&self) -> Option<Operation> {
        self.request.as_ref().ok().map(|request| request.operation())
    }
}

/// The run directory of an id that was asked for.
#[derive(Debug)]
pub(crate) enum Claim {
    /// The directory was created just now.
    New(RunDir),
    /// The directory existed before.
    Existing(RunDir),
}

impl RunDir {
    /// Creates the directory of a run, completely or not at all.
    pub(crate) fn claim(paths: &ClientPaths, id: RunId, request: &str) -> io::Result<Claim> {
        let directory = paths.run(id);
        if directory.exists() {
            return Ok(Claim::Existing(Self { directory }));
        }
        make_state_private(paths)?;
        let draft = paths.runs().join(format!(".{id}.{}", std::process::id()));
        let _ = fs::remove_dir_all(&draft);
        private_directory(&draft)?;
        let made = (|| {
            write_durably(&draft.join("request"), format!("{request}\n").as_bytes())?;
            write_durably(&draft.join("reserve"), &vec![0; RESERVE_SIZE])?;
            write_durably(&draft.join("lock"), b"")?;
            sync_directory(&draft)?;
            // Renaming onto a directory that has files fails, so only one of two claims succeeds.
            fs::rename(&draft, &directory)
        })();
        let run_dir = Self { directory };
        match made {
            Ok(()) => {
                sync_directory(&paths.runs())?;
                Ok(Claim::New(run_dir))
            }
            Err(error) => {
                let _ = fs::remove_dir_all(&draft);
                match error.kind() {
                    io::ErrorKind::DirectoryNotEmpty | io::ErrorKind::AlreadyExists => {
                        Ok(Claim::Existing(run_dir))
                    }
                    _ => Err(error),
                }
            }
        }
    }

    /// Returns the directory of a run; none where the id is unknown.
    pub(crate) fn find(paths: &ClientPaths, id: RunId) -> Option<Self> {
        let directory = paths.run(id);
        directory.join("request").is_file().then_some(Self { directory })
    }

    pub(crate) fn path(&self, file: &str) -> PathBuf {
        self.directory.join(file)
    }

    /// Reads and parses the request, which another process wrote.
    pub(crate) fn request(&self) -> io::Result<SavedRequest> {
        let line = fs::read_to_string(self.path("request"))?.trim_end().to_owned();
        let request = Request::parse(line.as_bytes());
        Ok(SavedRequest { line, request })
    }

    /// Takes the run's lock; none where somebody has it, usually the supervisor.
    pub(crate) fn try_lock(&self) -> io::Result<Option<Flock<File>>> {
        File::options()
            .write(true)
            .open(self.path("lock"))
            .map(locks::try_lock)
    }

    /// Whether a supervisor has begun the run; it must not begin twice.
    pub(crate) fn has_begun(&self) -> bool {
        self.path("log").exists()
    }

    /// Whether somebody carries out the run right now: its supervisor, or a call of apt that outlived it.
    pub(crate) fn is_active(&self) -> bool {
        let is_alive = || {
            let process = self.load::<Process>("process");
            process.is_some_and(|process| process.is_alive())
        };
        let is_supervised = || matches!(self.try_lock(), Ok(None));
        self.has_begun() && !self.path("result").exists() && (is_supervised() || is_alive())
    }

    /// Records that this run has its turn: no other run is at work.
    pub(crate) fn note_turn(&self) -> io::Result<()> {
        self.save("turn", &())
    }

    /// Returns when this run got its turn, or, while it waits, when it was asked for; and whether it has its turn.
    pub(crate) fn active_since(&self) -> io::Result<(SystemTime, bool)> {
        let modified = |file| fs::metadata(self.path(file)).and_then(|metadata| metadata.modified());
        match modified("turn") {
            Ok(turn) => Ok((turn, true)),
            Err(_) => Ok((modified("request")?, false)),
        }
    }

    /// Whether the machine's own root asked for the run; no where this is unknown.
    pub(crate) fn is_by_root(&self) -> bool {
        self.load("caller") == Some(0_u32)
    }

    /// Returns the directories of all runs, in whatever state they are.
    pub(crate) fn all(paths: &ClientPaths) -> Vec<Self> {
        let entries = fs::read_dir(paths.runs()).into_iter().flatten().flatten();
        let ids = entries.filter_map(|entry| entry.file_name().to_str()?.parse().ok());
        ids.filter_map(|id| Self::find(paths, id)).collect()
    }

    /// Returns how long ago the run ended; none where it has not.
    pub(crate) fn time_since_end(&self) -> Option<Duration> {
        let ended = fs::metadata(self.path("result"))
            .and_then(|metadata| metadata.modified())
            .ok()?;
        Some(ended.elapsed().unwrap_or_default())
    }

    /// Removes the run's directory.
    pub(crate) fn remove(&self) {
        let _ = fs::remove_dir_all(&self.directory);
    }

    /// Returns how long ago the run was asked for.
    pub(crate) fn age(&self) -> Duration {
        let made = fs::metadata(self.path("request")).and_then(|metadata| metadata.modified());
        made.ok().and_then(|made| made.elapsed().ok()).unwrap_or_default()
    }

    /// Creates the run's log; fails where it exists.
    pub(crate) fn start_log(&self) -> io::Result<Log> {
        let file = File::options()
            .append(true)
            .create_new(true)
            .mode(0o600)
            .open(self.path("log"))?;
        sync_directory(&self.directory)?;
        Ok(Log {
            file,
            torn: false,
            length: 0,
        })
    }

    /// Opens the log of a run that has begun, to end it.
    pub(crate) fn reopen_log(&self) -> io::Result<Log> {
        let file = File::options()
            .append(true)
            .create(true)
            .mode(0o600)
            .open(self.path("log"))?;
        let length = file.metadata().map_or(0, |metadata| metadata.len());
        Ok(Log {
            file,
            torn: true,
            length,
        })
    }

    /// Saves a value in a file of the run.
    pub(crate) fn save<T: Serialize>(&self, file: &str, fact: &T) -> io::Result<()> {
        let text = serde_json::to_vec(fact).map_err(io::Error::other)?;
        replace(&self.path(file), &text)
    }

    /// Loads a value that was saved; none where it is missing or not understood.
    pub(crate) fn load<T: DeserializeOwned>(&self, file: &str) -> Option<T> {
        let text = fs::read(self.path(file)).ok()?;
        serde_json::from_slice(&text).ok()
    }

    /// Whether such a value was saved, understood or not.
    pub(crate) fn has(&self, file: &str) -> bool {
        fs::symlink_metadata(self.path(file)).is_ok()
    }

    /// Returns the run's result; none where it has not ended. One that is not understood is a result, too: nothing may
    /// replace it.
    pub(crate) fn result(&self) -> Option<RunResult> {
        let unknown = || {
            let path = self.path("result").display().to_string();
            RunResult::because(ClientOutcome::Failed, Cause::ResultNotUnderstood { path })
        };
        self.load("result").or_else(|| self.has("result").then(unknown))
    }

    /// Ends the run. The result is on disk before the log has it.
    pub(crate) fn finish(&self, log: &mut Log, result: RunResult) -> io::Result<()> {
        let _ = fs::remove_file(self.path("reserve"));
        let saved = self.save("result", &result);
        log.frame(&Frame::Result(Box::new(result)));
        let _ = log.file.sync_data();
        for file in ["before", "plan", "process", "progress", "turn"] {
            let _ = fs::remove_file(self.path(file));
        }
        saved
    }
}

/// A run's log: one frame a line, appended.
#[derive(Debug)]
pub(crate) struct Log {
    file: File,
    /// Whether the last line may be incomplete.
    torn: bool,
    /// Its size in bytes.
    length: u64,
}

impl Log {
    /// Appends a frame, unless the log is full; a result always has room. Errors are ignored, since a log that cannot
    /// be written must not stop the run.
    pub(crate) fn frame(&mut self, frame: &Frame) {
        let mut line = frame.to_line();
        if self.length + line.len() as u64 > MAX_LOG && !matches!(frame, Frame::Result(_)) {
            if self.length > MAX_LOG {
                return;
            }
            // The first frame that has no room is replaced by this one.
            let text = "apu-client tells no more of this run but its end: its log is full".to_owned();
            line = Frame::Line { text }.to_line();
            self.length = MAX_LOG;
        }
        self.length += line.len() as u64;
        if self.torn {
            line.insert(0, '\n');
        }
        self.torn = self.file.write_all(line.as_bytes()).is_err();
    }
}

/// Makes the state directories private, because a user who can open a lock can hold it. On an exclusive client, other users
/// can pass through them: apt fetches as the user _apt, which must reach the lists below.
pub(crate) fn make_state_private(paths: &ClientPaths) -> io::Result<()> {
    let mode = if paths.is_exclusive() { 0o711 } else { 0o700 };
    for (directory, mode) in [(paths.state(), mode), (paths.runs(), 0o700)] {
        private_directory(&directory)?;
        fs::set_permissions(&directory, fs::Permissions::from_mode(mode))?;
    }
    Ok(())
}

/// Returns an id that nobody has used or guesses.
pub(crate) fn random_id() -> io::Result<RunId> {
    let mut bytes = [0; 16];
    File::open("/dev/urandom")?.read_exact(&mut bytes)?;
    Ok(RunId::from_bytes(bytes))
}

#[cfg(test)]
mod tests {
    use super::*;

    const ID: &str = "0123456789abcdef0123456789abcdef";

    fn claim(paths: &ClientPaths, request: &str) -> Claim {
        RunDir::claim(paths, ID.parse().unwrap(), request).unwrap()
    }

    fn new_run(paths: &ClientPaths, request: &str) -> RunDir {
        match claim(paths, request) {
            Claim::New(run_dir) => run_dir,
            Claim::Existing(_) => panic!("known"),
        }
    }

    #[test]
    fn of_two_claims_on_one_id_the_first_one_wins() {
        let root = tempfile::tempdir().unwrap();
        let paths = ClientPaths::below(root.path());
        assert!(matches!(claim(&paths, "apu/1 update"), Claim::New(_)));
        let Claim::Existing(run_dir) = claim(&paths, "apu/1 clean") else {
            panic!("the id was new twice");
        };
        assert_eq!(run_dir.request().unwrap().line, "apu/1 update");
    }

    #[test]
    fn of_many_claims_at_once_exactly_one_is_new() {
        let root = tempfile::tempdir().unwrap();
        let paths = ClientPaths::below(root.path());
        private_directory(&paths.runs()).unwrap();
        // Within one process the drafts would share a name, so their rename is tried here directly.
        let drafts: Vec<_> = (0..8)
            .map(|number| {
                let draft = paths.runs().join(format!(".draft{number}"));
                fs::create_dir(&draft).unwrap();
                fs::write(draft.join("request"), "x").unwrap();
                draft
            })
            .collect();
        let target = paths.run(ID.parse().unwrap());
        let won = drafts
            .iter()
            .filter(|draft| fs::rename(draft, &target).is_ok())
            .count();
        assert_eq!(won, 1);
    }

    #[test]
    fn a_run_begins_once() {
        let root = tempfile::tempdir().unwrap();
        let paths = ClientPaths::below(root.path());
        let run_dir = new_run(&paths, "apu/1 update");
        assert!(!run_dir.has_begun());
        run_dir.start_log().unwrap();
        assert!(run_dir.has_begun());
        assert_eq!(
            run_dir.start_log().unwrap_err().kind(),
            io::ErrorKind::AlreadyExists
        );
    }

    #[test]
    fn the_lock_shows_whether_somebody_works() {
        let root = tempfile::tempdir().unwrap();
        let paths = ClientPaths::below(root.path());
        let run_dir = new_run(&paths, "apu/1 update");
        let held = run_dir.try_lock().unwrap();
        assert!(held.is_some());
        assert!(run_dir.try_lock().unwrap().is_none());
        drop(held);
        assert!(run_dir.try_lock().unwrap().is_some());
    }

    #[test]
    fn a_result_reads_back_and_ends_the_log_on_a_line_of_its_own() {
        let root = tempfile::tempdir().unwrap();
        let paths = ClientPaths::below(root.path());
        let run_dir = new_run(&paths, "apu/1 update");
        run_dir.start_log().unwrap();
        fs::write(run_dir.path("log"), "{\"frame\":\"li").unwrap();
        let mut log = run_dir.reopen_log().unwrap();
        run_dir
            .finish(&mut log, RunResult::new(ClientOutcome::Changed))
            .unwrap();
        assert_eq!(run_dir.result().unwrap().outcome, ClientOutcome::Changed);
        let text = fs::read_to_string(run_dir.path("log")).unwrap();
        assert!(text.contains("\n{\"frame\":\"result\""), "{text}");
        assert!(!run_dir.path("reserve").exists());
    }

    #[test]
    fn a_result_that_is_not_understood_is_one_and_is_told_with_its_file() {
        let root = tempfile::tempdir().unwrap();
        let paths = ClientPaths::below(root.path());
        let run_dir = new_run(&paths, "apu/1 update");
        assert_eq!(run_dir.result(), None);
        for text in ["", "{", r#"{"outcome":"sideways"}"#] {
            fs::write(run_dir.path("result"), text).unwrap();
            let result = run_dir.result().expect(text);
            let path = run_dir.path("result").display().to_string();
            assert_eq!(result.outcome, ClientOutcome::Failed);
            assert_eq!(result.reason.unwrap().cause, Cause::ResultNotUnderstood { path });
        }
    }

    #[test]
    fn a_log_has_an_end_that_is_told_and_always_room_for_the_result() {
        let root = tempfile::tempdir().unwrap();
        let paths = ClientPaths::below(root.path());
        let run_dir = new_run(&paths, "apu/1 update");
        let mut log = run_dir.start_log().unwrap();
        let text = "x".repeat(4000);
        for _ in 0..6000 {
            log.frame(&Frame::Line { text: text.clone() });
        }
        run_dir
            .finish(&mut log, RunResult::new(ClientOutcome::Changed))
            .unwrap();
        let text = fs::read_to_string(run_dir.path("log")).unwrap();
        assert!((text.len() as u64) < MAX_LOG + 4096, "{}", text.len());
        assert_eq!(text.matches("its log is full").count(), 1);
        assert!(text.lines().last().unwrap().contains("\"result\""));
    }
}
