//! Takes off the holds that are over, and forgets those that were taken off on the machine itself.

use std::io;
use std::time::Duration;

use apu_proto::Note;

use super::context::Run;
use super::kept_holds::{KeptHolds, Past, now};
use super::refusal::Refusal;
use crate::apt::{Selection, set_selections};
use crate::dpkg::Database;
use crate::os::locks::RecordLock;
use crate::os::paths::ClientPaths;
use crate::os::syslog;

/// How often dpkg's frontend lock is tried, and how long in between.
const LOCK_TRIES: u32 = 20;
const LOCK_PAUSE: Duration = Duration::from_millis(250);

/// Returns the holds that are to be kept no longer.
///
/// # Errors
/// Where that cannot be known.
pub(crate) fn past_holds(paths: &ClientPaths) -> io::Result<Past> {
    let path = paths.kept_holds();
    let kept = KeptHolds::read(paths)
        .map_err(|error| io::Error::new(error.kind(), format!("{}: {error}", path.display())))?;
    if kept.0.is_empty() {
        return Ok(Past::default());
    }
    Ok(kept.past(&Database::read(&paths.dpkg())?, now()))
}

/// Takes off the holds that are over, and forgets those that dpkg has no more.
///
/// # Errors
/// Where the holds cannot be read or changed; with [`io::ErrorKind::WouldBlock`] where another package manager is at work.
fn end_holds(paths: &ClientPaths) -> io::Result<Vec<Note>> {
    if past_holds(paths)?.is_empty() {
        return Ok(Vec::new());
    }
    let _lock = take_lock(paths)?;
    // Another process may have been faster.
    let mut kept = KeptHolds::read(paths)?;
    let database = Database::read(&paths.dpkg())?;
    let Past { over, taken_off } = kept.past(&database, now());
    set_selections(&database, &over, Selection::Install)?;
    let after = Database::read(&paths.dpkg())?;
    if let Some(package) = over.iter().find(|package| after.is_held(package)) {
        return Err(io::Error::other(format!("dpkg leaves {package} on hold")));
    }
    for package in over.iter().chain(&taken_off) {
        kept.0.remove(package);
    }
    kept.write(paths)?;
    Ok(notes(Past { over, taken_off }))
}

fn take_lock(paths: &ClientPaths) -> io::Result<RecordLock> {
    let mut tries = 0;
    loop {
        match RecordLock::take(&paths.frontend_lock())? {
            Ok(lock) => return Ok(lock),
            Err(held) if tries == LOCK_TRIES => {
                let text = format!("{} is held by {}", held.lock.display(), held.holder);
                return Err(io::Error::new(io::ErrorKind::WouldBlock, text));
            }
            Err(_) => std::thread::sleep(LOCK_PAUSE),
        }
        tries += 1;
    }
}

/// What is told of holds that are kept no longer.
pub(crate) fn notes(past: Past) -> Vec<Note> {
    let over = past.over.into_iter().map(|package| Note::HoldEnded { package });
    let taken_off = past.taken_off.into_iter();
    over.chain(taken_off.map(|package| Note::HoldTakenOff { package }))
        .collect()
}

/// Carries out `apu-client holds`. Where another package manager is at work, the timer comes again.
pub(crate) fn carry_out(paths: &ClientPaths) -> io::Result<()> {
    std::env::set_current_dir("/")?;
    let notes = match end_holds(paths) {
        Err(error) if error.kind() == io::ErrorKind::WouldBlock => {
            syslog::log(&format!("holds that are over stay for now: {error}"));
            return Ok(());
        }
        done => done?,
    };
    for note in notes {
        match note {
            Note::HoldEnded { package } => syslog::log(&format!("the hold of {package} is over")),
            Note::HoldTakenOff { package } => {
                syslog::log(&format!(
                    "{package} is on hold no more, so the reason is forgotten"
                ));
            }
            _ => {}
        }
    }
    Ok(())
}

impl Run<'_> {
    /// Takes off the holds that are over. Where that is not possible the packages stay on hold, and that is told.
    pub(super) fn end_holds(&mut self) -> Result<Vec<Note>, Refusal> {
        let is_past = past_holds(self.paths).is_ok_and(|past| !past.is_empty());
        if is_past && self.request.operation().changes_packages() {
            // The run needs it as well.
            self.wait_until_free(&[self.paths.frontend_lock()])?;
        }
        Ok(end_holds(self.paths).unwrap_or_else(|error| {
            let said = error.to_string();
            vec![Note::HoldsNotEnded { said }]
        }))
    }
}
