//! Carries out `conffile`: keeps the version of a configuration file that is in place, takes the package's, or puts back what the last
//! such decision put away.

mod decide;
mod overwritten;
mod put_away;

use std::collections::BTreeSet;
use std::io;

use apu_debian::hex;
use apu_proto::{
    Action, Answer, Beside, Cause, ClientOutcome, ConffileDecision, ConffileFault, ConffilePath,
    ConffileVersions, Note, RequestError, RunResult, ShortSum,
};
use sha2::{Digest, Sha256};

use self::decide::{Change, change, restore};
pub(super) use self::overwritten::MayBeOverwritten;
use self::put_away::{KeptBeside, PutAway, Record, Version};
use super::conffile_rules::Rule;
use super::context::Run;
use super::kept_holds::now;
use super::refusal::Refusal;
use crate::dpkg::Database;
use crate::os::paths::ClientPaths;
use crate::os::root_folder::{Contents, FolderError, RootFolder};

/// The folder that says what the server may do here, and whose programs the server may have run.
const PROTECTED: &str = "/etc/apu-client/";

impl Run<'_> {
    /// Carries out `conffile`, or leaves everything as it is.
    pub(super) fn decide_conffile(&mut self) -> Result<RunResult, Refusal> {
        let wanted = (
            self.request.conffile_path().cloned(),
            self.request.conffile_decision(),
            self.request.run_id(),
        );
        let (Some(path), Some(decision), Some(id)) = wanted else {
            return Err(Refusal::new(RequestError::NoDecision));
        };
        self.wait_until_free(&[self.paths.dpkg().join("lock")])?;
        let _frontend = self.wait_for_lock(&self.paths.frontend_lock())?;
        self.ensure_not_shutting_down()?;
        check(&path, &self.database()?)?;
        let backup = match decision {
            ConffileDecision::Undo => undo(self.paths, &path)?,
            _ => {
                let decided = self.request.conffile_versions();
                carry_out(self.paths, (&path, decision, decided), &id.to_string())?
            }
        };
        let outcome = match backup {
            Done::Nothing => ClientOutcome::Unchanged,
            _ => ClientOutcome::Changed,
        };
        let backup = match backup {
            Done::PutAway(folder) => Some(folder),
            Done::Nothing | Done::PutBack => None,
        };
        Ok(RunResult::new(outcome).with(Answer::Conffile { decision, backup }))
    }
}

impl Run<'_> {
    /// Takes the package's version of those of these files that have the rule `new`, and of those that were unchanged; dpkg or ucf has
    /// kept the machine's. Returns the files that stay as they were, and a note on each of the others.
    pub(super) fn take_new(
        &mut self,
        kept: Vec<String>,
        unchanged: &BTreeSet<String>,
    ) -> (Vec<String>, Vec<Note>) {
        let rules = self.policy.conffile_rules(&self.request);
        let (new, mut stay): (Vec<String>, Vec<String>) =
            (kept.into_iter()).partition(|path| rules.of(path) == Rule::New || unchanged.contains(path));
        let mut notes = Vec::new();
        if new.is_empty() {
            return (stay, notes);
        }
        let locked = self.wait_for_lock(&self.paths.frontend_lock());
        let locked = locked.and_then(|lock| Ok((lock, self.database()?)));
        for (number, path) in (1..).zip(new) {
            let taken = match (&locked, self.request.run_id()) {
                (Ok((_lock, database)), Some(id)) => {
                    take(self.paths, database, &path, &format!("{id}-{number}"))
                }
                (Err(refusal), _) => Err(Refusal::from((*refusal.result).clone())),
                (_, None) => Err(Refusal::new(RequestError::NoDecision)),
            };
            match taken {
                Ok(Done::PutAway(backup)) => notes.push(Note::ConffileTaken { path, backup }),
                Ok(_) => stay.push(path),
                Err(refusal) => {
                    let reason = refusal.result.reason.map(Box::new);
                    notes.extend(reason.map(|reason| Note::ConffileNotTaken {
                        path: path.clone(),
                        reason,
                    }));
                    stay.push(path);
                }
            }
        }
        stay.sort();
        (stay, notes)
    }
}

/// Puts the package's version in the place of a file, whatever the versions are.
fn take(paths: &ClientPaths, database: &Database, path: &str, kept_as: &str) -> Result<Done, Refusal> {
    let path: ConffilePath = path.parse().map_err(|_| {
        Refusal::new(Cause::NotAConffile {
            path: path.to_owned(),
        })
    })?;
    check(&path, database)?;
    let Some((folder, name)) = open(paths, &path)? else {
        return Ok(Done::Nothing);
    };
    let place = ShortSum::of(&digest(&in_place(&folder, name, &path)?));
    let others = beside(&folder, name, &path)?;
    let versions = others.iter().map(|(beside, _, contents)| ConffileVersions {
        beside: *beside,
        place,
        other: ShortSum::of(&digest(contents)),
    });
    let versions: Vec<ConffileVersions> = versions.collect();
    carry_out(paths, (&path, ConffileDecision::New, &versions), kept_as)
}

/// What was done.
#[derive(Debug, PartialEq, Eq)]
enum Done {
    Nothing,
    /// Other versions are put away, there.
    PutAway(String),
    PutBack,
}

/// What somebody has decided: about which file, how, and for which versions of it.
type Decided<'a> = (&'a ConffilePath, ConffileDecision, &'a [ConffileVersions]);

/// Refuses what is no configuration file, what dpkg has not finished with, and what says what the server may do here.
fn check(path: &ConffilePath, database: &Database) -> Result<(), Refusal> {
    let text = path.as_str();
    if text.starts_with(PROTECTED) {
        return Err(Refusal::new(Cause::ConffileProtected {
            path: text.to_owned(),
        }));
    }
    let has_it = |conffiles: &[String]| conffiles.iter().any(|conffile| conffile == text);
    let mut owners = (database.packages.iter())
        .filter(|(_, package)| has_it(&package.conffiles))
        .peekable();
    if owners.peek().is_none() && !text.starts_with("/etc/") {
        return Err(Refusal::new(Cause::NotAConffile {
            path: text.to_owned(),
        }));
    }
    // dpkg still has to do its own with the file.
    if let Some((package, _)) = owners.find(|(_, package)| package.is_broken()) {
        return Err(Refusal::new(Cause::ConffileNotConfigured {
            path: text.to_owned(),
            package: package.clone(),
        }));
    }
    Ok(())
}

/// Opens the folder of a file; none where it is not there.
fn open<'a>(paths: &ClientPaths, path: &'a ConffilePath) -> Result<Option<(RootFolder, &'a str)>, Refusal> {
    let (folder, name) = path.as_str().rsplit_once('/').unwrap_or(("", path.as_str()));
    let opened = RootFolder::open(paths.root(), folder).map_err(|error| not_used(path, error))?;
    Ok(opened.map(|folder| (folder, name)))
}

/// What lies beside a file, each with its suffix and name.
fn beside(
    folder: &RootFolder,
    name: &str,
    path: &ConffilePath,
) -> Result<Vec<(Beside, String, Contents)>, Refusal> {
    let mut found = Vec::new();
    for beside in Beside::ALL {
        let name = format!("{name}{beside}");
        let read = folder.read(&name).map_err(|error| not_used(path, error))?;
        found.extend(read.map(|contents| (beside, name, contents)));
    }
    Ok(found)
}

/// The file in place. Where it is not there and other versions are, nobody has decided on that.
fn in_place(folder: &RootFolder, name: &str, path: &ConffilePath) -> Result<Contents, Refusal> {
    let found = folder.read(name).map_err(|error| not_used(path, error))?;
    found.ok_or_else(|| {
        Refusal::new(Cause::ConffileNotSafe {
            path: path.to_string(),
            why: ConffileFault::Missing,
        })
    })
}

/// Keeps or replaces the file in place, and puts the other versions away.
fn carry_out(
    paths: &ClientPaths,
    (path, decision, decided): Decided<'_>,
    kept_as: &str,
) -> Result<Done, Refusal> {
    let Some((folder, name)) = open(paths, path)? else {
        return Ok(Done::Nothing);
    };
    let others = beside(&folder, name, path)?;
    if others.is_empty() {
        return Ok(Done::Nothing);
    }
    let place = in_place(&folder, name, path)?;
    let sums: Vec<(Beside, ShortSum)> = others
        .iter()
        .map(|(beside, _, contents)| (*beside, ShortSum::of(&digest(contents))))
        .collect();
    let changed = change(
        path.as_str(),
        decision,
        decided,
        ShortSum::of(&digest(&place)),
        &sums,
    );
    let Change::PutAway { new } = changed.map_err(refuse)? else {
        return Ok(Done::Nothing);
    };
    let new = new.and_then(|new| others.iter().find(|(beside, ..)| *beside == new));
    if let Some((_, other, contents)) = new {
        let checked = folder.check_origin(other, contents, &place);
        checked.map_err(|error| not_used(path, error))?;
    }
    let record = Record {
        number: 0,
        path: path.clone(),
        decision,
        at: now(),
        place: version(&place),
        placed: sha256(new.map_or(&place, |(_, _, contents)| contents)),
        beside: (others.iter())
            .map(|(beside, _, contents)| KeptBeside {
                beside: *beside,
                version: version(contents),
            })
            .collect(),
    };
    let bytes: Vec<(Beside, &[u8])> = others
        .iter()
        .map(|(beside, _, contents)| (*beside, contents.bytes.as_slice()))
        .collect();
    let kept = PutAway::keep(paths, kept_as, record, &place.bytes, &bytes)
        .map_err(|error| Refusal::fault_at(Action::KeepConffile, &paths.put_away(), &error))?;
    if let Some((_, other, contents)) = new {
        folder
            .put_in_place((other, contents), (name, place.owner))
            .map_err(|error| fault(path, &error))?;
    }
    let is_left = |beside: &Beside| new.is_none_or(|(new, ..)| new != beside);
    for (_, other, _) in others.iter().filter(|(beside, ..)| is_left(beside)) {
        folder.remove(other).map_err(|error| fault(path, &error))?;
    }
    Ok(Done::PutAway(shown(paths, &kept)))
}

/// Puts back what the last decision about the file put away.
fn undo(paths: &ClientPaths, path: &ConffilePath) -> Result<Done, Refusal> {
    let unread = |error| Refusal::fault_at(Action::KeepConffile, &paths.put_away(), &error);
    let Some(kept) = PutAway::last(paths, path).map_err(unread)? else {
        return Ok(Done::Nothing);
    };
    let changed = || {
        let (path, found) = (path.to_string(), Vec::new());
        refuse(Cause::ConffileChanged { path, found })
    };
    let (folder, name) = open(paths, path)?.ok_or_else(changed)?;
    let place = in_place(&folder, name, path)?;
    let others = beside(&folder, name, path)?;
    let sums: Vec<(Beside, Option<String>)> = others
        .iter()
        .map(|(beside, _, contents)| (*beside, Some(sha256(contents))))
        .collect();
    let back = restore(&kept.record, &sha256(&place), &sums).map_err(refuse)?;
    // What was put away, if it is still what it was.
    let whole = |bytes: io::Result<Vec<u8>>, version: &Version| match bytes {
        Ok(bytes) if hex::encode(&Sha256::digest(&bytes)) == version.sha256 => Ok(bytes),
        Ok(_) => Err(unread(io::Error::other("what was put away is not what it was"))),
        Err(error) => Err(unread(error)),
    };
    // All of it is read before anything changes; and what is in place is the last, so that no version is missing meanwhile.
    let mut writes = Vec::new();
    for version in (kept.record.beside.iter()).filter(|version| back.beside.contains(&version.beside)) {
        let bytes = whole(kept.beside(version.beside), &version.version)?;
        writes.push((
            format!("{name}{}", version.beside),
            bytes,
            version.version.owner(),
        ));
    }
    if back.place {
        let bytes = whole(kept.place(), &kept.record.place)?;
        writes.push((name.to_owned(), bytes, kept.record.place.owner()));
    }
    for (name, bytes, owner) in &writes {
        folder
            .replace(name, bytes, *owner)
            .map_err(|error| fault(path, &error))?;
    }
    kept.forget().map_err(unread)?;
    Ok(if writes.is_empty() {
        Done::Nothing
    } else {
        Done::PutBack
    })
}

/// The folder as the machine knows it.
fn shown(paths: &ClientPaths, kept: &PutAway) -> String {
    let folder = kept.folder();
    let below = folder.strip_prefix(paths.root()).unwrap_or(folder);
    format!("/{}", below.display())
}

fn digest(contents: &Contents) -> [u8; 32] {
    Sha256::digest(&contents.bytes).into()
}

fn sha256(contents: &Contents) -> String {
    hex::encode(&digest(contents))
}

fn version(contents: &Contents) -> Version {
    Version {
        sha256: sha256(contents),
        uid: contents.owner.uid,
        gid: contents.owner.gid,
        mode: contents.owner.mode,
    }
}

/// Versions that nobody has decided on are told as a plan that changed is.
fn refuse(cause: Cause) -> Refusal {
    match cause {
        Cause::ConffileChanged { .. } => RunResult::because(ClientOutcome::Drifted, cause).into(),
        other => Refusal::new(other),
    }
}

fn not_used(path: &ConffilePath, error: FolderError) -> Refusal {
    match error {
        FolderError::System(error) => fault(path, &error),
        FolderError::NotSafe { path, why } => Refusal::new(Cause::ConffileNotSafe {
            path: path.display().to_string(),
            why,
        }),
    }
}

fn fault(path: &ConffilePath, error: &io::Error) -> Refusal {
    Refusal::fault_at(Action::ChangeConffile, path.as_str().as_ref(), error)
}

#[cfg(test)]
mod tests;
