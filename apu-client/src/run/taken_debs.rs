//! Takes .debs that the server sends for a run, and puts those of its plan into apt's cache. Nothing is trusted because the server has
//! sent it: what is no part of the approved transaction, whose checksums are those of apt's signed lists, ends the run.

use std::fs::{self, File, Permissions};
use std::io::{self, Read, Write};
use std::os::unix::fs::{OpenOptionsExt, PermissionsExt};
use std::path::Path;
use std::time::{Duration, Instant};

use apu_proto::{Action, Cause, DebSha256, Reason, Request, RunId, SentDeb};
use sha2::{Digest, Sha256};

use super::preflight::{MIN_FREE_SPACE, check_free_space};
use super::refusal::Refusal;
use super::space::free;
use crate::apt::{Plan, missing_debs};
use crate::os::atomic_file::private_directory;
use crate::os::paths::ClientPaths;

/// How long all bytes of one request may take to come: for a slow line much, and for a peer that sends one now and then an end.
const LONGEST: Duration = Duration::from_secs(3600);

/// After how long .debs may be removed whose run never began.
const STALE: Duration = Duration::from_secs(6 * 3600);

/// Takes the bytes of these .debs, each exactly as it was announced.
///
/// # Errors
/// Where there is no room for them, or other bytes come.
pub(crate) fn take(
    paths: &ClientPaths,
    id: RunId,
    debs: &[SentDeb],
    bytes: &mut impl Read,
) -> Result<(), Refusal> {
    remove_stale(paths);
    let folder = paths.taken_debs(id);
    let fault = |error: &io::Error| Refusal::fault_at(Action::MakeRunRecord, &folder, error);
    private_directory(&folder).map_err(|error| fault(&error))?;
    check_free_space(paths)?;
    // They leave as much as a run needs to begin.
    let needed = debs
        .iter()
        .fold(MIN_FREE_SPACE, |sum, deb| sum.saturating_add(deb.size));
    if free(&folder).map_err(|error| fault(&error))? < needed {
        return Err(fault(&io::ErrorKind::StorageFull.into()));
    }
    let deadline = Instant::now() + LONGEST;
    debs.iter()
        .try_for_each(|deb| take_one(&folder, *deb, bytes, deadline))
}

fn take_one(folder: &Path, deb: SentDeb, bytes: &mut impl Read, deadline: Instant) -> Result<(), Refusal> {
    let path = folder.join(deb.sha256.to_string());
    let draft = folder.join(format!(".{}.{}", deb.sha256, std::process::id()));
    let taken = write(&draft, deb, bytes, deadline).and_then(|()| {
        fs::rename(&draft, &path).map_err(|error| Refusal::fault_at(Action::MakeRunRecord, &path, &error))
    });
    if taken.is_err() {
        let _ = fs::remove_file(&draft);
    }
    taken
}

fn write(draft: &Path, deb: SentDeb, bytes: &mut impl Read, deadline: Instant) -> Result<(), Refusal> {
    let wrong = |detail: String| {
        let cause = Cause::WrongDeb { sha256: deb.sha256 };
        Refusal::new(Reason::from(cause).detailed(detail))
    };
    let fault = |error: io::Error| Refusal::fault_at(Action::MakeRunRecord, draft, &error);
    let _ = fs::remove_file(draft);
    let options = File::options()
        .write(true)
        .create_new(true)
        .mode(0o600)
        .open(draft);
    let mut file = options.map_err(fault)?;
    let mut hash = Sha256::new();
    let mut left = deb.size;
    let mut buffer = [0; 64 * 1024];
    while left > 0 {
        if Instant::now() >= deadline {
            return Err(wrong(format!(
                "{left} of {} bytes did not come in time",
                deb.size
            )));
        }
        let most = usize::try_from(left).unwrap_or(buffer.len()).min(buffer.len());
        let length = match bytes.read(&mut buffer[..most]) {
            Ok(0) => return Err(wrong(format!("{left} of {} bytes did not come", deb.size))),
            Ok(length) => length,
            Err(error) if error.kind() == io::ErrorKind::Interrupted => continue,
            Err(error) => return Err(wrong(error.to_string())),
        };
        hash.update(&buffer[..length]);
        file.write_all(&buffer[..length]).map_err(fault)?;
        left -= length as u64;
    }
    if DebSha256::from_bytes(hash.finalize().into()) == deb.sha256 {
        Ok(())
    } else {
        Err(wrong(String::new()))
    }
}

/// The checksums of what was taken for a run.
fn taken(paths: &ClientPaths, id: RunId) -> Vec<DebSha256> {
    let entries = fs::read_dir(paths.taken_debs(id)).into_iter().flatten().flatten();
    let mut taken: Vec<DebSha256> = entries
        .filter_map(|entry| entry.file_name().to_str()?.parse().ok())
        .collect();
    taken.sort();
    taken
}

/// Refuses what was sent for a run and is no part of the transaction that was approved for it.
pub(super) fn check(paths: &ClientPaths, request: &Request, plan: &Plan) -> Result<(), Refusal> {
    let Some(id) = request.run_id() else {
        return Ok(());
    };
    let mut debs = taken(paths, id);
    // A plan that was let through although it is another one has nothing left to do, or a rest.
    match request.plan() {
        Some(approved) if approved != plan.transaction().id() => return Ok(()),
        Some(_) => debs.retain(|deb| !plan.debs.iter().any(|planned| planned.sha256 == *deb)),
        None => {}
    }
    if debs.is_empty() {
        return Ok(());
    }
    Err(Refusal::new(Cause::DebsNotPlanned { debs }))
}

/// Puts what was sent for a run, and is a part of its plan, into apt's cache under the name that apt has for it.
pub(super) fn place(paths: &ClientPaths, request: &Request, plan: &Plan) -> Result<(), Refusal> {
    let Some(id) = request.run_id() else {
        return Ok(());
    };
    let debs = taken(paths, id);
    if debs.is_empty() {
        return Ok(());
    }
    let cache = paths.archives();
    let fault = |error: io::Error| Refusal::fault(Action::LookAtCache, &error);
    crate::apt::remove_other_debs(&cache, &plan.debs).map_err(fault)?;
    for deb in missing_debs(&cache, &plan.debs).map_err(fault)? {
        if debs.contains(&deb.sha256) {
            let from = paths.taken_debs(id).join(deb.sha256.to_string());
            put(&from, &cache, &deb.file).map_err(fault)?;
        }
    }
    Ok(())
}

/// Puts a file under this name into the cache, in place of whatever has it; no link is followed.
fn put(from: &Path, cache: &Path, name: &str) -> io::Result<()> {
    fs::set_permissions(from, Permissions::from_mode(0o644))?;
    let to = cache.join(name);
    if fs::rename(from, &to).is_ok() {
        return Ok(());
    }
    // Another file system.
    let draft = cache.join(format!(".apu-{}", std::process::id()));
    let _ = fs::remove_file(&draft);
    let copied = (|| {
        let mut file = File::options()
            .write(true)
            .create_new(true)
            .mode(0o644)
            .open(&draft)?;
        io::copy(&mut File::open(from)?, &mut file)?;
        file.set_permissions(Permissions::from_mode(0o644))?;
        fs::rename(&draft, &to)
    })();
    if copied.is_err() {
        let _ = fs::remove_file(&draft);
    }
    copied
}

/// Removes what was sent for a run and is in nobody's cache.
pub(super) fn forget(paths: &ClientPaths, id: RunId) {
    let _ = fs::remove_dir_all(paths.taken_debs(id));
}

/// Removes what was sent for runs that never began.
fn remove_stale(paths: &ClientPaths) {
    let folder = paths.all_taken_debs();
    for entry in fs::read_dir(folder).into_iter().flatten().flatten() {
        let modified = entry.metadata().and_then(|metadata| metadata.modified());
        if modified.is_ok_and(|at| at.elapsed().is_ok_and(|age| age > STALE)) {
            let _ = fs::remove_dir_all(entry.path());
        }
    }
}

#[cfg(test)]
mod tests;
