//! Pauses: no host starts until an administrator decides, or until that has taken too long. Time alone lets no wave pass.

use apu_proto::Verdict;

use super::{Action, LONGEST_PAUSE, Moment, State, StopReason, seconds};
use crate::event::{Event, PauseCause, WaveVerdict};
use crate::instruction::Instruction;
use crate::name::HostName;
use crate::outcome::Outcome;
use crate::run_state::Pause;

impl State {
    /// Does what an administrator says about pauses, where it fits.
    pub(super) fn instruct(&mut self, instruction: Instruction, now: Moment, actions: &mut Vec<Action>) {
        let paused = self.run.pause.as_ref().map(|pause| (pause.cause, pause.wave));
        let event = match (instruction, paused) {
            // After Ctrl-C nothing starts anyway.
            (Instruction::Pause { by }, None) if self.run.interrupts == 0 => {
                self.pause_ends = now.elapsed + LONGEST_PAUSE;
                Event::Paused {
                    cause: PauseCause::Asked,
                    wave: self.wave + 1,
                    hosts: Vec::new(),
                    by,
                    limit: seconds(LONGEST_PAUSE),
                }
            }
            (Instruction::Resume { by }, Some((PauseCause::Asked, _))) => Event::Resumed { by },
            (Instruction::Promote { wave, by }, Some((PauseCause::Inconclusive, paused)))
                if wave == paused =>
            {
                self.promoted = Some(wave);
                Event::Promoted { wave, by }
            }
            _ => return,
        };
        self.emit(event, now, actions);
    }

    /// Whether there is nothing to wait for: no other host is left, or nobody is asked.
    pub(super) fn has_no_pause(&self) -> bool {
        self.rollout.pause_limit.is_zero() || self.run.next_queued().is_none()
    }

    /// Waits for an administrator, since whether these hosts of the wave are well cannot be told.
    pub(super) fn pause(&mut self, hosts: Vec<HostName>, now: Moment, actions: &mut Vec<Action>) {
        self.pause_ends = now.elapsed + self.rollout.pause_limit;
        let paused = Event::Paused {
            cause: PauseCause::Inconclusive,
            wave: self.wave + 1,
            hosts,
            by: String::new(),
            limit: seconds(self.rollout.pause_limit),
        };
        self.emit(paused, now, actions);
    }

    /// Whether an administrator lets the current wave pass.
    pub(super) fn is_promoted(&self) -> bool {
        let wave = self.wave + 1;
        self.promoted == Some(wave) || self.promoted_before.contains_key(&wave)
    }

    /// Why no host starts any more, where a decision was waited for in vain.
    pub(super) fn overdue(&self, now: Moment) -> Option<StopReason> {
        let Pause { cause, hosts, by, .. } = self.run.pause.as_ref()?;
        if now.elapsed < self.pause_ends {
            return None;
        }
        Some(match cause {
            PauseCause::Inconclusive => StopReason::Inconclusive(hosts.clone()),
            PauseCause::Asked | PauseCause::Unknown => StopReason::NotResumed { by: by.clone() },
        })
    }

    /// Lets the next wave start. What the hosts did for which an administrator vouches is tested by that.
    pub(super) fn pass_wave(&mut self, now: Moment, actions: &mut Vec<Action>) {
        let wave = self.wave + 1;
        if self.promoted != Some(wave) {
            let Some(by) = self.promoted_before.get(&wave).cloned() else {
                return self.finish_wave(WaveVerdict::Passed, now, actions);
            };
            // The ledger has to say so for this run, too.
            self.emit(Event::Promoted { wave, by }, now, actions);
        }
        // As where it passes, only the first wave adds to what is tested.
        let hosts = if self.wave == 0 {
            self.current_wave().hosts
        } else {
            0..0
        };
        for host in hosts {
            let vouched = (self.run.phase_ending(host)).is_some_and(|ending| {
                ending.outcome == Outcome::Changed && ending.verdict() == Some(Verdict::Inconclusive)
            });
            if vouched && let Some(trial) = self.tasks[host].trial.as_ref().filter(|trial| !trial.is_broken) {
                self.tested.add(trial);
            }
        }
        self.finish_wave(WaveVerdict::Promoted, now, actions);
    }
}
