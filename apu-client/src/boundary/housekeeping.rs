//! Cleans up before a new run: concludes dead runs, removes old ones, and limits how many there are.

use std::fs;
use std::time::Duration;

use apu_proto::{Cause, Operation, Request};

use crate::os::paths::ClientPaths;
use crate::run::follow::check_liveness;
use crate::run::kept_debs;
use crate::run::refusal::Refusal;
use crate::run::run_dir::RunDir;

/// Finished runs beyond these numbers are removed.
const KEPT_RUNS: usize = 50;
const KEPT_DAYS: u64 = 90;

/// How long a finished run keeps .debs for the server.
const DEBS_KEPT: Duration = Duration::from_secs(7 * 24 * 3600);

/// Limit for runs of the push key, whose holder may ask without limit; each waiting run is a process.
const MAX_RUNS_OF_KEY: usize = 16;

/// Limit for runs that install apu-data, higher because such a run can revoke a stolen push key. A thief who fills
/// these places has to ask for that very installation.
const MAX_RUNS_WITH_APU_DATA: usize = MAX_RUNS_OF_KEY + 4;

/// Limit for runs of the machine's own root, counted separately.
const MAX_RUNS_OF_ROOT: usize = 16;

const HOUR: Duration = Duration::from_secs(3600);

/// Makes room for a new run of this user, or refuses it.
pub(crate) fn make_room(paths: &ClientPaths, user: u32, request: &Request) -> Result<(), Refusal> {
    remove_drafts(paths);
    let mut finished = Vec::new();
    let (mut of_root, mut of_key) = (0, 0);
    for run_dir in RunDir::all(paths) {
        if let Some(age) = run_dir.time_since_end() {
            finished.push((age, run_dir));
        } else if run_dir.age() < HOUR || !matches!(check_liveness(paths, &run_dir, true), Ok(Some(_))) {
            if run_dir.is_by_root() {
                of_root += 1;
            } else {
                of_key += 1;
            }
        }
    }
    finished.sort_by_key(|(age, _)| *age);
    for (position, (age, run_dir)) in finished.iter().enumerate() {
        if may_be_removed(position, *age) {
            run_dir.remove();
        } else if *age > DEBS_KEPT {
            kept_debs::forget(run_dir);
        }
    }
    let (unfinished, limit) = match user {
        0 => (of_root, MAX_RUNS_OF_ROOT),
        _ if is_for_apu_data(request) => (of_key, MAX_RUNS_WITH_APU_DATA),
        _ => (of_key, MAX_RUNS_OF_KEY),
    };
    if unfinished >= limit {
        return Err(Refusal::failed(Cause::TooManyRuns { unfinished }));
    }
    Ok(())
}

/// Whether a request is one of the two that bring a new apu-data.
pub(crate) fn is_for_apu_data(request: &Request) -> bool {
    match request.operation() {
        Operation::Update => request.wants_site_lists_only(),
        Operation::Install => request
            .packages()
            .iter()
            .all(|package| package.name.as_str() == "apu-data"),
        _ => false,
    }
}

/// Whether a finished run may be removed; `position` counts from the newest. The server may still ask for one that
/// ended within the hour.
fn may_be_removed(position: usize, age: Duration) -> bool {
    age > HOUR && (position >= KEPT_RUNS || age > Duration::from_secs(KEPT_DAYS * 24 * 3600))
}

/// Removes drafts of run directories that a crash left behind.
fn remove_drafts(paths: &ClientPaths) {
    for entry in fs::read_dir(paths.runs()).into_iter().flatten().flatten() {
        let is_draft = entry.file_name().to_string_lossy().starts_with('.');
        let age = entry
            .metadata()
            .and_then(|metadata| metadata.modified())
            .map(|then| then.elapsed());
        if is_draft && matches!(age, Ok(Ok(age)) if age > HOUR) {
            let _ = fs::remove_dir_all(entry.path());
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::run::run_dir::Claim;

    fn claim(paths: &ClientPaths, number: usize) -> RunDir {
        let id = format!("{number:032x}").parse().unwrap();
        match RunDir::claim(paths, id, "apu/1 update").unwrap() {
            Claim::New(run_dir) | Claim::Existing(run_dir) => run_dir,
        }
    }

    fn age(run_dir: &RunDir, file: &str, age: Duration) {
        let then = std::time::SystemTime::now() - age;
        let file = fs::File::options().write(true).open(run_dir.path(file)).unwrap();
        file.set_modified(then).unwrap();
    }

    #[test]
    fn the_last_fifty_stay_and_so_does_what_ended_within_the_hour() {
        let day = 24 * HOUR;
        assert!(!may_be_removed(49, 89 * day));
        assert!(may_be_removed(0, 91 * day));
        assert!(may_be_removed(50, 2 * HOUR));
        assert!(!may_be_removed(500, HOUR / 2));
    }

    #[test]
    fn a_run_that_was_never_begun_gets_its_result_and_later_goes() {
        let root = tempfile::tempdir().unwrap();
        let paths = ClientPaths::below(root.path());
        let run_dir = claim(&paths, 1);
        let make_room = |paths: &ClientPaths| make_room(paths, 0, &request("update"));
        make_room(&paths).unwrap();
        assert!(run_dir.time_since_end().is_none(), "it may still begin");
        age(&run_dir, "request", 2 * HOUR);
        make_room(&paths).unwrap();
        assert!(run_dir.result().is_some());
        age(&run_dir, "result", 100 * 24 * HOUR);
        make_room(&paths).unwrap();
        assert!(RunDir::all(&paths).is_empty());
    }

    fn request(words: &str) -> Request {
        Request::parse(format!("apu/1 {words}").as_bytes()).unwrap()
    }

    #[test]
    fn runs_that_wait_are_limited_and_those_of_the_key_leave_room_for_root_and_for_apu_data() {
        let root = tempfile::tempdir().unwrap();
        let paths = ClientPaths::below(root.path());
        let mut number = 0;
        let mut ask = |user: u32, words: &str| {
            make_room(&paths, user, &request(words))?;
            number += 1;
            claim(&paths, number).save("caller", &user).unwrap();
            Ok::<(), Refusal>(())
        };
        let mut count = |user: u32, words: &str| (0..100).take_while(|_| ask(user, words).is_ok()).count();
        assert_eq!(count(998, "update"), 16);
        assert_eq!(count(998, "install vim apu-data"), 0);
        assert_eq!(count(0, "update"), 16);
        assert_eq!(count(998, "install apu-data"), 4);
        assert_eq!(count(998, "update lists_of=site"), 0);
    }
}
