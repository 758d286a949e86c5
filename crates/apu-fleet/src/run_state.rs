//! The state of a push and of each of its hosts: a pure fold of the events. The scheduler and every view read it.

mod stage;

use std::collections::{BTreeMap, HashMap};
use std::ops::Range;

use apu_proto::Operation;
use jiff::Timestamp;

use crate::event::{Approval, Event, PauseCause, Phase, TimedEvent, WaveVerdict};
use crate::hook::Hook;
use crate::name::HostName;
use crate::outcome::{Ending, Outcome};
use crate::push_id::PushId;
use crate::reason::Work;

pub use self::stage::Stage;

/// Where a host stands, in the phase that it took part in last.
#[derive(Debug, Clone, PartialEq)]
pub enum HostState {
    /// Its turn has not come.
    Queued,
    /// It is at work.
    Running {
        /// Since when.
        since: Timestamp,
        /// At what.
        at: Stage,
        /// Since when it is at that.
        at_since: Timestamp,
    },
    /// It is done.
    Ended {
        /// In which phase.
        phase: Phase,
        /// How long it took.
        seconds: f64,
        /// How it ended.
        ending: Box<Ending>,
    },
}

/// A wave that has begun.
#[derive(Debug, Clone, PartialEq)]
pub struct WaveState {
    /// Its hosts, counted in the order of the phase.
    pub hosts: Range<usize>,
    /// For how many seconds they have to stay well; 0 for the last wave.
    pub soak: f64,
    /// What became of it, once all its hosts have ended.
    pub verdict: Option<WaveVerdict>,
}

/// No host starts until an administrator decides.
#[derive(Debug, Clone, PartialEq)]
pub struct Pause {
    /// Why.
    pub cause: PauseCause,
    /// In which wave, counted from 1.
    pub wave: usize,
    /// The inconclusive hosts.
    pub hosts: Vec<HostName>,
    /// Who wanted it; empty where nobody did.
    pub by: String,
    /// Since when.
    pub since: Timestamp,
    /// For how many seconds a decision is waited for.
    pub limit: f64,
}

/// How much of a client's text goes into a reason, in characters.
const LONGEST_WORD: usize = 160;

fn in_one_line(text: &str) -> String {
    let words: Vec<&str> = text.split_whitespace().collect();
    words.join(" ").chars().take(LONGEST_WORD).collect()
}

/// A push and all of its hosts.
#[derive(Debug, Clone)]
pub struct RunState {
    /// The push.
    pub push: PushId,
    /// The phase that began last.
    pub phase: Option<Phase>,
    /// What the hosts of that phase are asked for.
    pub operation: Option<Operation>,
    /// The wave of that phase that began last, counted from 1, and the number of waves; none where all hosts are one wave.
    pub wave: Option<(usize, usize)>,
    /// The waves of that phase that have begun.
    pub waves: Vec<WaveState>,
    /// Its number in the ledger, once it has one.
    pub number: Option<u64>,
    /// Why no host starts for now.
    pub pause: Option<Pause>,
    /// How often Ctrl-C was pressed.
    pub interrupts: u32,
    /// How long the hosts were at work: all phases that have ended, but for the time in which an answer was waited for.
    pub seconds: f64,
    /// How many hooks failed after what they are about had ended.
    pub failed_hooks: usize,
    /// The exit status, once the push has ended.
    pub status: Option<u8>,
    /// Every host of the push.
    hosts: Vec<(HostName, HostState)>,
    places: HashMap<HostName, usize>,
    /// The places of the hosts that take part in the phase.
    part: Vec<usize>,
}

impl RunState {
    /// A push of which nothing has happened yet.
    #[must_use]
    pub fn new(push: PushId) -> Self {
        Self {
            push,
            phase: None,
            operation: None,
            wave: None,
            waves: Vec::new(),
            number: None,
            pause: None,
            interrupts: 0,
            seconds: 0.0,
            failed_hooks: 0,
            status: None,
            hosts: Vec::new(),
            places: HashMap::new(),
            part: Vec::new(),
        }
    }

    /// Takes note of an event.
    pub fn apply(&mut self, timed: &TimedEvent) {
        match &timed.event {
            Event::PushStarted { hosts, .. } => {
                self.hosts = hosts
                    .iter()
                    .map(|host| (host.clone(), HostState::Queued))
                    .collect();
                self.places = hosts.iter().cloned().zip(0..).collect();
            }
            Event::PhaseStarted {
                phase,
                operation,
                hosts,
            } => {
                self.phase = Some(*phase);
                self.wave = None;
                self.waves.clear();
                self.operation = Some(*operation);
                let places = hosts.iter().filter_map(|host| self.places.get(host));
                self.part = places.copied().collect();
                // An administrator is asked: the hosts are as they were.
                if *phase != Phase::Approve {
                    for &place in &self.part {
                        self.hosts[place].1 = HostState::Queued;
                    }
                }
            }
            Event::HostStarted { host, .. } => {
                let since = timed.at;
                self.set(
                    host,
                    HostState::Running {
                        since,
                        at: Stage::Connecting,
                        at_since: since,
                    },
                );
            }
            Event::Connected { host, .. } | Event::Hello { host, .. } => {
                self.at(host, Stage::Asked, timed.at)
            }
            Event::Waiting { host, holder, .. } => {
                let holder = holder.clone();
                self.at(host, Stage::Waiting { holder }, timed.at);
            }
            Event::Progress {
                host,
                activity,
                percent,
                package,
            } => {
                let (activity, percent, package) = (*activity, *percent, package.clone());
                self.at(
                    host,
                    Stage::Progress {
                        activity,
                        percent,
                        package,
                    },
                    timed.at,
                );
            }
            Event::Stalled {
                host,
                seconds,
                processes,
            } => {
                let (seconds, processes) = (*seconds, processes.clone());
                self.replace_stage(host, |at| Stage::Stalled {
                    seconds,
                    processes,
                    at: Box::new(at.without_stall()),
                });
            }
            // What prints lives.
            Event::Line { host, .. } => self.replace_stage(host, Stage::without_stall),
            Event::Reconnecting { host, .. } => self.at(host, Stage::Reconnecting, timed.at),
            Event::Rebooting { host } => self.at(host, Stage::Rebooting, timed.at),
            Event::Checking { host, .. } => self.at(host, Stage::Checking, timed.at),
            Event::HookStarted { host, hook } => self.at(host, Stage::Hook(*hook), timed.at),
            Event::HookFailed { .. } => self.failed_hooks += 1,
            Event::WaveStarted {
                wave,
                waves,
                hosts,
                soak,
            } => {
                self.wave = Some((*wave, *waves));
                let first = self.waves.last().map_or(0, |wave| wave.hosts.end);
                self.waves.push(WaveState {
                    hosts: first..first + hosts.len(),
                    soak: *soak,
                    verdict: None,
                });
            }
            Event::WaveFinished { verdict, .. } => {
                if let Some(wave) = self.waves.last_mut() {
                    wave.verdict = Some(*verdict);
                }
            }
            Event::HostFinished {
                host,
                seconds,
                ending,
            } => {
                let (seconds, ending) = (*seconds, ending.clone());
                let phase = self.phase.unwrap_or(Phase::Unknown);
                self.set(
                    host,
                    HostState::Ended {
                        phase,
                        seconds,
                        ending,
                    },
                );
            }
            Event::Interrupted { times } => {
                self.interrupts = *times;
                self.pause = None;
            }
            Event::Recorded { number } => self.number = Some(*number),
            Event::Paused {
                cause,
                wave,
                hosts,
                by,
                limit,
            } => {
                self.pause = Some(Pause {
                    cause: *cause,
                    wave: *wave,
                    hosts: hosts.clone(),
                    by: by.clone(),
                    since: timed.at,
                    limit: *limit,
                });
            }
            Event::Promoted { .. } | Event::Resumed { .. } => self.pause = None,
            Event::PhaseFinished { phase, seconds, .. } => {
                if *phase != Phase::Approve {
                    self.seconds += seconds;
                }
                // A wave belongs to its phase.
                self.pause
                    .take_if(|pause| pause.cause == PauseCause::Inconclusive);
            }
            Event::PushFinished { status, .. } => {
                self.status = Some(*status);
                self.pause = None;
            }
            Event::Answered { answer } => {
                if *answer == Approval::Interrupted {
                    self.interrupts += 1;
                }
            }
            Event::HeldBack { .. } | Event::Unknown => {}
        }
    }

    fn set(&mut self, host: &HostName, state: HostState) {
        if let Some(&place) = self.places.get(host) {
            self.hosts[place].1 = state;
        }
    }

    /// Replaces what a host at work is at by the same work, in another light.
    fn replace_stage(&mut self, host: &HostName, change: impl FnOnce(Stage) -> Stage) {
        if let Some(&place) = self.places.get(host)
            && let HostState::Running { at, .. } = &mut self.hosts[place].1
        {
            *at = change(std::mem::replace(at, Stage::Asked));
        }
    }

    fn at(&mut self, host: &HostName, stage: Stage, now: Timestamp) {
        if let Some(&place) = self.places.get(host)
            && let HostState::Running { at, at_since, .. } = &mut self.hosts[place].1
        {
            if !at.goes_on_as(&stage) {
                *at_since = now;
            }
            *at = stage;
        }
    }

    /// What a host at work is at and for how long, as of `now`: why it has not ended.
    #[must_use]
    pub fn work(&self, host: &HostName, now: Timestamp) -> Option<Work> {
        let place = *self.places.get(host)?;
        let HostState::Running { at, at_since, .. } = &self.hosts[place].1 else {
            return None;
        };
        let (kind, about) = at.work()?;
        Some(Work {
            kind,
            about: in_one_line(about),
            seconds: u64::try_from(now.duration_since(*at_since).as_secs()).unwrap_or_default(),
        })
    }

    /// The state of a host of this phase, counted in the order of their turns.
    fn of_phase(&self, index: usize) -> Option<&HostState> {
        let place = *self.part.get(index)?;
        Some(&self.hosts[place].1)
    }

    /// Every host of this phase with its state, in the order of their turns.
    pub fn phase_hosts(&self) -> impl ExactSizeIterator<Item = (&HostName, &HostState)> {
        self.part.iter().map(|&place| {
            let (host, state) = &self.hosts[place];
            (host, state)
        })
    }

    /// How a host of this phase ended, counted in the order of their turns.
    pub(crate) fn phase_ending(&self, index: usize) -> Option<&Ending> {
        match self.of_phase(index)? {
            HostState::Ended { ending, .. } => Some(ending),
            _ => None,
        }
    }

    /// Whether the turn of a host of this phase has not come.
    pub(crate) fn is_queued(&self, index: usize) -> bool {
        matches!(self.of_phase(index), Some(HostState::Queued))
    }

    /// Whether the host is at work.
    pub(crate) fn is_running(&self, index: usize) -> bool {
        matches!(self.of_phase(index), Some(HostState::Running { .. }))
    }

    /// How many hosts are at work.
    pub(crate) fn running(&self) -> usize {
        let states = self.phase_hosts();
        states
            .filter(|(_, state)| matches!(state, HostState::Running { .. }))
            .count()
    }

    /// How many hosts are at work, without those whose change is made: whose health is watched, or whose last hook is called.
    pub(crate) fn busy(&self) -> usize {
        let states = self.phase_hosts();
        states
            .filter(|(_, state)| match state {
                HostState::Running { at, .. } => {
                    !matches!(at, Stage::Checking | Stage::Hook(Hook::AfterHost))
                }
                _ => false,
            })
            .count()
    }

    /// Every host of this phase in the order of their turns, with how it ended, once it has.
    pub(crate) fn phase_endings(&self) -> impl ExactSizeIterator<Item = (&HostName, Option<&Ending>)> {
        self.phase_hosts().map(|(host, state)| match state {
            HostState::Ended { ending, .. } => (host, Some(&**ending)),
            _ => (host, None),
        })
    }

    /// The hosts of this phase whose turn has not come, in order.
    pub(crate) fn queued(&self) -> impl Iterator<Item = usize> {
        let hosts = self.phase_hosts().enumerate();
        hosts.filter_map(|(index, (_, state))| (*state == HostState::Queued).then_some(index))
    }

    /// The first host of this phase whose turn has not come.
    pub(crate) fn next_queued(&self) -> Option<usize> {
        self.queued().next()
    }

    /// How many hosts of the push count as failures: those that have failed, and are to do nothing more.
    #[must_use]
    pub fn failed(&self) -> usize {
        let endings = self.endings();
        endings.filter(|(_, ending)| ending.outcome.is_failure()).count()
    }

    /// Every host of the push with its state, in the order of their turns.
    pub fn hosts(&self) -> impl ExactSizeIterator<Item = (&HostName, &HostState)> {
        self.hosts.iter().map(|(host, state)| (host, state))
    }

    /// How every host ended that has ended, in the phase that it took part in last.
    pub fn endings(&self) -> impl Iterator<Item = (&HostName, &Ending)> {
        self.hosts().filter_map(|(host, state)| match state {
            HostState::Ended { ending, .. } => Some((host, &**ending)),
            _ => None,
        })
    }

    /// How a host ended, once it has.
    #[must_use]
    pub fn ending(&self, host: &HostName) -> Option<&Ending> {
        let place = *self.places.get(host)?;
        match &self.hosts[place].1 {
            HostState::Ended { ending, .. } => Some(ending),
            _ => None,
        }
    }

    /// How many hosts of the push ended how.
    #[must_use]
    pub fn outcomes(&self) -> BTreeMap<Outcome, usize> {
        count(self.hosts())
    }

    /// How many hosts of this phase ended how.
    #[must_use]
    pub fn phase_outcomes(&self) -> BTreeMap<Outcome, usize> {
        count(self.phase_hosts())
    }

    /// Whether every host ended well.
    #[must_use]
    pub fn all_well(&self) -> bool {
        self.endings().count() == self.hosts.len()
            && self.endings().all(|(_, ending)| ending.outcome.is_well())
    }
}

fn count<'a>(hosts: impl Iterator<Item = (&'a HostName, &'a HostState)>) -> BTreeMap<Outcome, usize> {
    let mut outcomes = BTreeMap::new();
    for (_, state) in hosts {
        if let HostState::Ended { ending, .. } = state {
            *outcomes.entry(ending.outcome).or_default() += 1;
        }
    }
    outcomes
}

#[cfg(test)]
mod tests;
