//! What is known of every host right now: a pure fold of the events, from which every view reads.

use std::collections::{BTreeMap, HashMap};

use apu_proto::{Operation, Phase};

use crate::event::{Event, Purpose, Stamped};
use crate::name::HostName;
use crate::outcome::{Ending, Outcome};

/// Where a host stands.
#[derive(Debug, Clone, PartialEq)]
pub enum State {
    /// Its turn has not come.
    Queued,
    /// It is at work.
    Running {
        /// Since when.
        since: f64,
        /// At what.
        at: Stage,
    },
    /// It is done.
    Ended {
        /// How long it took.
        seconds: f64,
        /// How it ended.
        ending: Box<Ending>,
    },
}

/// What a host at work is at.
#[derive(Debug, Clone, PartialEq)]
pub enum Stage {
    /// Being connected to.
    Connecting,
    /// Asked, and silent so far.
    Asked,
    /// Waiting for a lock there.
    Waiting {
        /// Who holds it.
        holder: String,
    },
    /// Fetching or installing.
    Progress {
        /// Which of them.
        phase: Phase,
        /// How far.
        percent: f32,
        /// The package.
        package: String,
    },
    /// Being asked again after a lost connection.
    Again,
}

/// All hosts of one operation.
#[derive(Debug, Clone, Default)]
pub struct Board {
    /// For a plan or to be done.
    pub purpose: Option<Purpose>,
    /// The operation.
    pub operation: Option<Operation>,
    /// How often Ctrl-C was pressed.
    pub interrupts: u32,
    /// How long it took; none while it lasts.
    pub seconds: Option<f64>,
    hosts: Vec<(HostName, State)>,
    places: HashMap<HostName, usize>,
}

impl Board {
    /// Takes note of an event.
    pub fn apply(&mut self, stamped: &Stamped) {
        match &stamped.event {
            Event::Begin {
                purpose,
                operation,
                hosts,
                ..
            } => {
                self.purpose = Some(*purpose);
                self.operation = Some(*operation);
                self.seconds = None;
                self.hosts = hosts.iter().map(|host| (host.clone(), State::Queued)).collect();
                self.places = hosts.iter().cloned().zip(0..).collect();
            }
            Event::Start { host, .. } => {
                let since = stamped.at;
                self.set(
                    host,
                    State::Running {
                        since,
                        at: Stage::Connecting,
                    },
                );
            }
            Event::Connected { host, .. } | Event::Hello { host, .. } => self.at(host, Stage::Asked),
            Event::Waiting { host, holder, .. } => {
                let holder = holder.clone();
                self.at(host, Stage::Waiting { holder });
            }
            Event::Progress {
                host,
                phase,
                percent,
                package,
            } => {
                let (phase, percent, package) = (*phase, *percent, package.clone());
                self.at(
                    host,
                    Stage::Progress {
                        phase,
                        percent,
                        package,
                    },
                );
            }
            Event::Line { .. } => {}
            Event::Again { host, .. } => self.at(host, Stage::Again),
            Event::End {
                host,
                seconds,
                ending,
            } => {
                let (seconds, ending) = (*seconds, Box::new(ending.clone()));
                self.set(host, State::Ended { seconds, ending });
            }
            Event::Interrupt { times } => self.interrupts = *times,
            Event::Done { seconds, .. } => self.seconds = Some(*seconds),
        }
    }

    fn set(&mut self, host: &HostName, state: State) {
        if let Some(&place) = self.places.get(host) {
            self.hosts[place].1 = state;
        }
    }

    fn at(&mut self, host: &HostName, stage: Stage) {
        if let Some(&place) = self.places.get(host)
            && let State::Running { at, .. } = &mut self.hosts[place].1
        {
            *at = stage;
        }
    }

    /// Every host with its state, in the order of their turns.
    pub fn hosts(&self) -> impl ExactSizeIterator<Item = (&HostName, &State)> {
        self.hosts.iter().map(|(host, state)| (host, state))
    }

    /// Every host that has ended.
    pub fn endings(&self) -> impl Iterator<Item = (&HostName, &Ending)> {
        self.hosts().filter_map(|(host, state)| match state {
            State::Ended { ending, .. } => Some((host, &**ending)),
            _ => None,
        })
    }

    /// A host's end, once it has one.
    #[must_use]
    pub fn ending(&self, host: &HostName) -> Option<&Ending> {
        let place = *self.places.get(host)?;
        match &self.hosts[place].1 {
            State::Ended { ending, .. } => Some(ending),
            _ => None,
        }
    }

    /// How many hosts ended how.
    #[must_use]
    pub fn outcomes(&self) -> BTreeMap<Outcome, usize> {
        let mut outcomes = BTreeMap::new();
        for (_, ending) in self.endings() {
            *outcomes.entry(ending.outcome).or_default() += 1;
        }
        outcomes
    }

    /// Whether every host ended well.
    #[must_use]
    pub fn all_well(&self) -> bool {
        self.endings().count() == self.hosts.len()
            && self.endings().all(|(_, ending)| ending.outcome.is_well())
    }
}
