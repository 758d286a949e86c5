//! Waits for locks of other runs and of other package managers, and reports who holds them.

use std::path::PathBuf;
use std::time::{Duration, Instant};

use apu_proto::{Action, Cause, Frame};

use super::active::active_runs;
use super::context::Run;
use super::refusal::Refusal;
use super::run_dir::make_state_private;
use crate::os::locks::{self, HeldLock, RecordLock};

/// Interval between two looks at a held lock, in milliseconds.
const POLL_INTERVAL: u16 = 250;

impl Run<'_> {
    /// Waits until no other run of apu is at work on this client.
    pub(super) fn take_turn(&mut self) -> Result<RecordLock, Refusal> {
        make_state_private(self.paths).map_err(|error| Refusal::fault(Action::KeepState, &error))?;
        let lock = self.paths.lock();
        let fault = |error| Refusal::fault_at(Action::Lock, &lock, &error);
        // An older version left it readable by everybody.
        locks::make_private(&lock).map_err(fault)?;
        let mut reported = None;
        loop {
            match RecordLock::take(&lock).map_err(fault)? {
                Ok(taken) => {
                    let noted = self.run_dir.note_turn();
                    noted.map_err(|error| Refusal::fault(Action::KeepRunRecord, &error))?;
                    return Ok(taken);
                }
                Err(mut held) => {
                    let own = self.request.run_id();
                    let mut others = active_runs(self.paths).into_iter();
                    if let Some(run) = others.find(|run| run.has_turn && Some(run.id) != own) {
                        held.holder = format!("the run before it: {run}");
                    }
                    self.wait_for_holder(held, &mut reported)?;
                }
            }
        }
    }

    /// Waits for a lock and takes it.
    pub(super) fn wait_for_lock(&mut self, lock: &std::path::Path) -> Result<RecordLock, Refusal> {
        let mut reported = None;
        loop {
            match RecordLock::take(lock) {
                Ok(Ok(taken)) => return Ok(taken),
                Ok(Err(held)) => self.wait_for_holder(held, &mut reported)?,
                Err(error) => return Err(Refusal::fault_at(Action::Lock, lock, &error)),
            }
        }
    }

    /// Waits until nobody holds any of these locks.
    pub(super) fn wait_until_free(&mut self, paths: &[PathBuf]) -> Result<(), Refusal> {
        let mut reported = None;
        loop {
            match locks::held(paths) {
                Ok(None) => return Ok(()),
                Ok(Some(held)) => self.wait_for_holder(held, &mut reported)?,
                Err(error) => return Err(Refusal::fault(Action::LookAtLocks, &error)),
            }
        }
    }

    /// Waits for one interval, or fails after the deadline.
    pub(super) fn wait_for_holder(
        &mut self,
        held: HeldLock,
        reported: &mut Option<HeldLock>,
    ) -> Result<(), Refusal> {
        if Instant::now() >= self.lock_deadline || self.signals.stop_requested() {
            return Err(Refusal::failed(Cause::LockHeld {
                lock: held.lock.display().to_string(),
                holder: held.holder,
                shutting_down: self.signals.stop_requested(),
            }));
        }
        if reported.as_ref() != Some(&held) {
            self.log.frame(&Frame::Waiting {
                lock: held.lock.display().to_string(),
                holder: held.holder.clone(),
            });
            *reported = Some(held);
        }
        let left = self.lock_deadline.saturating_duration_since(Instant::now());
        let pause = left.min(Duration::from_millis(POLL_INTERVAL.into()));
        self.signals
            .wait(u16::try_from(pause.as_millis()).unwrap_or(POLL_INTERVAL).max(1));
        Ok(())
    }
}
