//! The state of a run and of each of its hosts: a pure fold of the events, from which every view reads.

use std::collections::{BTreeMap, HashMap};
use std::time::Duration;

use apu_proto::{Operation, Phase};

use crate::event::{Event, Purpose, Stamped};
use crate::name::HostName;
use crate::outcome::{Ending, Outcome};
use crate::span::span;

/// Where a host stands.
#[derive(Debug, Clone, PartialEq)]
pub enum HostState {
    /// Its turn has not come.
    Queued,
    /// It is at work.
    Running {
        /// Since when.
        since: f64,
        /// At what.
        at: Stage,
        /// Since when it is at that.
        at_since: f64,
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

impl Stage {
    /// Whether the other is the same work, further on.
    fn goes_on_as(&self, other: &Self) -> bool {
        match (self, other) {
            (
                Self::Progress { phase, package, .. },
                Self::Progress {
                    phase: next,
                    package: other,
                    ..
                },
            ) => phase == next && package == other,
            _ => self == other,
        }
    }

    /// What the host is at, as the rest of a sentence about it; names in it are the client's own words. Nothing where
    /// the connection broke, since nobody knows then.
    fn words(&self) -> Option<String> {
        Some(match self {
            Self::Again => return None,
            Self::Connecting => "it has not been reached".to_owned(),
            Self::Asked => "it has been asked and is silent".to_owned(),
            Self::Waiting { holder } if holder.is_empty() => "it waits for a lock".to_owned(),
            Self::Waiting { holder } => format!("it waits for {}", in_one_line(holder)),
            Self::Progress { phase, package, .. } => {
                let what = match phase {
                    Phase::Repair => "it repairs what an interrupted dpkg left",
                    Phase::Download => "it fetches",
                    Phase::Install | Phase::Other => "it installs",
                };
                format!("{what} {}", in_one_line(package)).trim_end().to_owned()
            }
        })
    }
}

/// How much of a client's text goes into a reason, in characters.
const LONGEST_WORD: usize = 160;

fn in_one_line(text: &str) -> String {
    let words: Vec<&str> = text.split_whitespace().collect();
    words.join(" ").chars().take(LONGEST_WORD).collect()
}

/// All hosts of one operation.
#[derive(Debug, Clone, Default)]
pub struct RunState {
    /// For a plan or to be done.
    pub purpose: Option<Purpose>,
    /// The operation.
    pub operation: Option<Operation>,
    /// How often Ctrl-C was pressed.
    pub interrupts: u32,
    /// How long it took; none while it lasts.
    pub seconds: Option<f64>,
    hosts: Vec<(HostName, HostState)>,
    places: HashMap<HostName, usize>,
}

impl RunState {
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
                self.hosts = hosts
                    .iter()
                    .map(|host| (host.clone(), HostState::Queued))
                    .collect();
                self.places = hosts.iter().cloned().zip(0..).collect();
            }
            Event::Start { host, .. } => {
                let since = stamped.at;
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
                self.at(host, Stage::Asked, stamped.at)
            }
            Event::Waiting { host, holder, .. } => {
                let holder = holder.clone();
                self.at(host, Stage::Waiting { holder }, stamped.at);
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
                    stamped.at,
                );
            }
            Event::Line { .. } => {}
            Event::Again { host, .. } => self.at(host, Stage::Again, stamped.at),
            Event::End {
                host,
                seconds,
                ending,
            } => {
                let (seconds, ending) = (*seconds, Box::new(ending.clone()));
                self.set(host, HostState::Ended { seconds, ending });
            }
            Event::Interrupt { times } => self.interrupts = *times,
            Event::Done { seconds, .. } => self.seconds = Some(*seconds),
        }
    }

    fn set(&mut self, host: &HostName, state: HostState) {
        if let Some(&place) = self.places.get(host) {
            self.hosts[place].1 = state;
        }
    }

    fn at(&mut self, host: &HostName, stage: Stage, now: f64) {
        if let Some(&place) = self.places.get(host)
            && let HostState::Running { at, at_since, .. } = &mut self.hosts[place].1
        {
            if !at.goes_on_as(&stage) {
                *at_since = now;
            }
            *at = stage;
        }
    }

    /// What a host at work is at and for how long, as of `now` (in seconds since 1970): why it has not ended.
    #[must_use]
    pub fn why_not_ended(&self, host: &HostName, now: f64) -> Option<String> {
        let place = *self.places.get(host)?;
        let HostState::Running { at, at_since, .. } = &self.hosts[place].1 else {
            return None;
        };
        let elapsed = Duration::try_from_secs_f64(now - at_since).unwrap_or_default();
        Some(format!(
            "{}, for {} by then",
            at.words()?,
            span(elapsed.as_secs())
        ))
    }

    /// Whether a host is at work.
    pub(crate) fn is_running(&self, index: usize) -> bool {
        matches!(self.hosts.get(index), Some((_, HostState::Running { .. })))
    }

    /// How many hosts are at work.
    pub(crate) fn running(&self) -> usize {
        let states = self.hosts.iter();
        states
            .filter(|(_, state)| matches!(state, HostState::Running { .. }))
            .count()
    }

    /// The first host whose turn has not come.
    pub(crate) fn next_queued(&self) -> Option<usize> {
        self.hosts
            .iter()
            .position(|(_, state)| *state == HostState::Queued)
    }

    /// How many hosts did not end well, apart from those that nothing was asked of.
    #[must_use]
    pub fn failed(&self) -> usize {
        let endings = self.endings();
        endings.filter(|(_, ending)| ending.outcome.is_failure()).count()
    }

    /// Every host with its state, in the order of their turns.
    pub fn hosts(&self) -> impl ExactSizeIterator<Item = (&HostName, &HostState)> {
        self.hosts.iter().map(|(host, state)| (host, state))
    }

    /// Every host that has ended.
    pub fn endings(&self) -> impl Iterator<Item = (&HostName, &Ending)> {
        self.hosts().filter_map(|(host, state)| match state {
            HostState::Ended { ending, .. } => Some((host, &**ending)),
            _ => None,
        })
    }

    /// A host's end, once it has one.
    #[must_use]
    pub fn ending(&self, host: &HostName) -> Option<&Ending> {
        let place = *self.places.get(host)?;
        match &self.hosts[place].1 {
            HostState::Ended { ending, .. } => Some(ending),
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

#[cfg(test)]
mod tests {
    use super::*;

    /// The state after `web1` did this, each at its second.
    fn run_state(events: &[(f64, Event)]) -> RunState {
        let mut run_state = RunState::default();
        let begin = Event::Begin {
            version: 1,
            purpose: Purpose::Run,
            operation: Operation::Upgrade,
            packages: Vec::new(),
            hosts: vec![web1()],
        };
        let start = Event::Start {
            host: web1(),
            run: None,
        };
        for (at, event) in [(0.0, begin), (0.0, start)].iter().chain(events) {
            let (at, event) = (*at, event.clone());
            run_state.apply(&Stamped { at, event });
        }
        run_state
    }

    fn web1() -> HostName {
        "web1".parse().unwrap()
    }

    fn installs(percent: f32, package: &str) -> Event {
        Event::Progress {
            host: web1(),
            phase: Phase::Install,
            percent,
            package: package.into(),
        }
    }

    fn waits(holder: &str) -> Event {
        Event::Waiting {
            host: web1(),
            lock: String::new(),
            holder: holder.into(),
        }
    }

    #[test]
    fn a_host_that_has_not_ended_is_told_with_what_it_is_at_and_since_when() {
        let why = |events: &[(f64, Event)]| run_state(events).why_not_ended(&web1(), 20.0).unwrap();
        assert_eq!(why(&[]), "it has not been reached, for 20 s by then");
        // Further on with one package is not a new package.
        let events = [
            (2.0, installs(10.0, "a")),
            (5.0, installs(20.0, "b")),
            (9.0, installs(30.0, "b")),
        ];
        assert_eq!(why(&events), "it installs b, for 15 s by then");
        assert_eq!(
            why(&[(8.0, waits("the run before it:\nupgrade"))]),
            "it waits for the run before it: upgrade, for 12 s by then"
        );
        assert_eq!(why(&[(8.0, waits(""))]), "it waits for a lock, for 12 s by then");
        assert!(why(&[(8.0, waits(&"x".repeat(9999)))]).len() < 300);
    }

    #[test]
    fn a_host_that_has_ended_or_has_no_connection_is_at_nothing_that_is_known() {
        let again = Event::Again {
            host: web1(),
            text: String::new(),
        };
        assert_eq!(run_state(&[(3.0, again)]).why_not_ended(&web1(), 20.0), None);
        let web2 = "web2".parse().unwrap();
        assert_eq!(run_state(&[]).why_not_ended(&web2, 20.0), None);
    }
}
