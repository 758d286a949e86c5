//! Watches the decider from outside: sees its inputs and its actions, and panics where a promise is broken.

use std::hash::{Hash, Hasher};
use std::ops::Deref;
use std::rc::Rc;

use apu_debian::PackageKey;
use apu_proto::Verdict;

use super::{Case, LONGEST_PAUSE, packages};
use crate::engine::decide::{Action, Input, Moment};
use crate::event::{Event, PauseCause, WaveVerdict};
use crate::instruction::Instruction;
use crate::name::HostName;
use crate::outcome::Outcome;

/// Whether a host counts for the limit on failures: it was reached, and what became of it is bad or not known.
fn has_failed(outcome: Outcome) -> bool {
    use Outcome::{Changed, Skipped, Unchanged, Unreachable};
    !matches!(outcome, Changed | Unchanged | Skipped | Unreachable)
}

/// The one case of an exploration: it tells no two observers apart.
#[derive(Debug, Clone)]
pub(super) struct OneCase(Rc<Case>);

impl Deref for OneCase {
    type Target = Case;

    fn deref(&self) -> &Case {
        &self.0
    }
}

impl Hash for OneCase {
    fn hash<H: Hasher>(&self, _: &mut H) {}
}

impl PartialEq for OneCase {
    fn eq(&self, other: &Self) -> bool {
        Rc::ptr_eq(&self.0, &other.0)
    }
}

impl Eq for OneCase {}

/// What an observer knows who sees the inputs and the actions, and nothing of the state.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(super) struct Observer {
    pub(super) case: OneCase,
    has_begun: bool,
    pub(super) interrupts: u32,
    started: Vec<bool>,
    checking: Vec<bool>,
    /// Each host's outcome, and whether its health was told.
    ended: Vec<Option<(Outcome, Option<Verdict>)>>,
    /// How many waves were announced, and how many have ended.
    waves: (usize, usize),
    /// Why no host starts for now, and whether a decision was waited for in vain.
    paused: Option<PauseCause>,
    is_overdue: bool,
    /// How late it is, in longest pauses, and since when it is paused.
    pub(super) clock: u32,
    paused_at: u32,
    /// The packages that each host leaves as they are, as was told before it started.
    held_back: Vec<Vec<usize>>,
    /// The waves, counted from 1, that an administrator let pass.
    promoted: Vec<usize>,
    is_done: bool,
    pub(super) has_stopped: bool,
}

impl Observer {
    pub(super) fn new(case: &Case) -> Self {
        Self {
            case: OneCase(Rc::new(case.clone())),
            has_begun: false,
            interrupts: 0,
            started: vec![false; case.hosts],
            checking: vec![false; case.hosts],
            ended: vec![None; case.hosts],
            waves: (usize::from(case.waves.len() > 1), 0),
            paused: None,
            is_overdue: false,
            clock: 0,
            paused_at: 0,
            held_back: vec![Vec::new(); case.hosts],
            promoted: Vec::new(),
            is_done: false,
            has_stopped: false,
        }
    }

    fn wave_of(&self, index: usize) -> usize {
        self.case.rollout().wave_of(index)
    }

    /// The hosts at work, with or without those whose health is watched.
    fn at_work(&self, with_checking: bool) -> usize {
        let is_at_work = |index: &usize| {
            self.started[*index] && self.ended[*index].is_none() && (with_checking || !self.checking[*index])
        };
        (0..self.case.hosts).filter(is_at_work).count()
    }

    fn failed(&self) -> usize {
        let ended = self.ended.iter().flatten();
        ended.filter(|(outcome, _)| has_failed(*outcome)).count()
    }

    /// Whether a host of the wave, or of one before it, stops those that come later.
    fn stops(&self, index: usize) -> bool {
        let is_canary_wave = self.wave_of(index) + 1 < self.case.waves.len();
        is_canary_wave && self.case.allowed.is_none() && self.ended_badly(index)
    }

    /// Whether a host failed after it was reached, or is known not to be well.
    fn ended_badly(&self, index: usize) -> bool {
        self.ended[index]
            .is_some_and(|(outcome, health)| has_failed(outcome) || health == Some(Verdict::Fail))
    }

    /// Whether no host may start any more, whichever.
    fn is_over_for_all(&self) -> bool {
        let stops = |wave: usize| !self.case.pauses && self.is_inconclusive(wave);
        self.interrupts > 0
            || self.is_overdue
            || self.case.allowed.is_some_and(|allowed| self.failed() > allowed)
            || (0..self.case.hosts).any(|index| self.stops(index))
            || (0..self.case.waves.len()).any(stops)
    }

    /// Whether a wave that others wait for is over, and whether one of its hosts is well cannot be told.
    fn is_inconclusive(&self, wave: usize) -> bool {
        let mut hosts = (0..self.case.hosts).filter(|index| self.wave_of(*index) == wave);
        let is_unclear =
            |index: usize| self.ended[index].is_some_and(|(_, health)| health == Some(Verdict::Inconclusive));
        wave + 1 < self.case.waves.len()
            && hosts.clone().any(is_unclear)
            && hosts.all(|index| self.ended[index].is_some())
    }

    /// The other hosts of an exclusive group that are at work or may be.
    fn blocks(&self, index: usize) -> bool {
        let group = self.case.groups[index];
        let may_be_down = |other: &usize| match self.ended[*other] {
            None => self.started[*other],
            Some((Outcome::Skipped, _)) => false,
            Some((Outcome::Changed, health)) => health.is_some_and(|health| health != Verdict::Pass),
            Some(_) => true,
        };
        let mut others =
            (0..self.case.hosts).filter(|other| *other != index && self.case.groups[*other] == group);
        group > 0 && others.any(|other| may_be_down(&other))
    }

    /// Whether a host has to wait since those of its kind at work are as many as may still fail.
    fn is_spent(&self, index: usize) -> bool {
        let is_budgeted =
            |index: usize| self.wave_of(index) + 1 < self.case.waves.len() || self.case.groups[index] > 0;
        let at_work = (0..self.case.hosts)
            .filter(|other| is_budgeted(*other) && self.started[*other] && self.ended[*other].is_none());
        let spent = self.failed() + at_work.count();
        is_budgeted(index) && self.case.allowed.is_some_and(|allowed| spent > allowed)
    }

    /// The packages that a host is to change and that no canary has changed that is well, or for which an administrator vouches.
    fn untested(&self, index: usize) -> Vec<usize> {
        let is_canary = |other: &usize| {
            let wave = self.wave_of(*other);
            // A promoted wave before this one counts as the first.
            let vouches = self.promoted.contains(&(wave + 1)) && wave < self.wave_of(index);
            let is_well = self.ended[*other] == Some((Outcome::Changed, Some(Verdict::Pass))) && wave == 0;
            // What does only a part of its plan tests nothing.
            self.held_back[*other].is_empty()
                && (is_well
                    || vouches && self.ended[*other] == Some((Outcome::Changed, Some(Verdict::Inconclusive))))
        };
        if self.wave_of(index) == 0 {
            return Vec::new();
        }
        let canaries: Vec<usize> = (0..self.case.hosts).filter(is_canary).collect();
        let is_tested = |package: &usize| {
            canaries
                .iter()
                .any(|other| packages(self.case.trials[*other]).contains(package))
        };
        let all = packages(self.case.trials[index]).iter();
        all.copied().filter(|package| !is_tested(package)).collect()
    }

    /// Whether a host can do a part of its plan at least.
    fn can_do_some(&self, index: usize) -> bool {
        let all = packages(self.case.trials[index]);
        all.is_empty() || self.untested(index).len() < all.len()
    }

    /// Sees one step; panics where it breaks a promise.
    pub(super) fn sees(&mut self, (input, moment): (&Input, Moment), actions: &[Action]) {
        assert!(!self.has_stopped || actions.is_empty(), "nothing after the end");
        self.clock = u32::try_from(moment.elapsed.as_secs() / LONGEST_PAUSE.as_secs()).unwrap();
        match input {
            Input::Go => self.has_begun = true,
            Input::Told(Instruction::Stop) => self.interrupts += 1,
            Input::Tick => {
                assert!(
                    actions.iter().all(|action| !matches!(action, Action::Start(_))),
                    "time alone starts nobody"
                );
            }
            Input::Told(_) | Input::Report(..) | Input::WorkerDied(_) => {}
        }
        self.is_overdue |= self.has_begun && self.paused.is_some() && self.clock > self.paused_at;
        for action in actions {
            if let Action::Emit(timed) = action {
                self.sees_decision(input, &timed.event);
            }
            assert!(!self.has_stopped, "stopped is the last: {action:?}");
            match action {
                Action::Start(index) => self.sees_start(*index),
                Action::Leave(index) => {
                    let may_leave = self.interrupts > 1 || self.interrupts == 1 && self.checking[*index];
                    assert!(may_leave, "a host is left after the second interrupt");
                    assert!(self.started[*index] && self.ended[*index].is_none());
                }
                Action::Emit(stamped) => self.sees_event(&stamped.event),
                Action::Stop => self.has_stopped = true,
            }
        }
        if self.has_begun && !self.has_stopped {
            assert!(
                self.at_work(true) > 0 || self.paused.is_some(),
                "nobody is at work, and it is not over: {self:?}"
            );
            // The next in turn waits for a place, or for its wave.
            if let Some(next) =
                (0..self.case.hosts).find(|index| !self.started[*index] && self.ended[*index].is_none())
            {
                let is_full = self.at_work(false) == self.case.parallel;
                let waits_for_wave = (0..next)
                    .any(|before| self.wave_of(before) < self.wave_of(next) && self.ended[before].is_none());
                assert!(
                    !self.is_over_for_all()
                        && (is_full
                            || waits_for_wave
                            || self.blocks(next)
                            || self.is_spent(next)
                            || self.paused.is_some()),
                    "h{next} waits for nothing: {self:?}"
                );
            }
        }
        if self.has_stopped {
            assert!(self.is_done, "the last event is there");
            assert!(
                self.ended.iter().all(Option::is_some),
                "every host has an outcome: {self:?}"
            );
            assert_eq!(self.waves.0, self.waves.1, "every wave that began has ended");
        }
    }

    /// Sees what an administrator decided, or has to.
    fn sees_decision(&mut self, input: &Input, event: &Event) {
        match event {
            Event::Paused { cause, wave, .. } => {
                assert_eq!(self.paused, None, "paused twice");
                assert_eq!(self.interrupts, 0, "nothing starts after Ctrl-C anyway");
                let is_right = match cause {
                    PauseCause::Inconclusive => {
                        self.is_inconclusive(*wave - 1) && !self.promoted.contains(wave)
                    }
                    _ => matches!(input, Input::Told(Instruction::Pause { .. })),
                };
                assert!(is_right, "{cause:?}: {self:?}");
                self.paused = Some(*cause);
                self.paused_at = self.clock;
            }
            Event::Promoted { wave, .. } => {
                let is_told =
                    matches!(input, Input::Told(Instruction::Promote { wave: told, .. }) if told == wave);
                assert!(is_told && self.paused == Some(PauseCause::Inconclusive));
                self.promoted.push(*wave);
                self.paused = None;
            }
            Event::Resumed { .. } => {
                assert!(matches!(input, Input::Told(Instruction::Resume { .. })));
                assert_eq!(self.paused, Some(PauseCause::Asked));
                self.paused = None;
            }
            Event::Interrupted { .. } => self.paused = None,
            _ => {}
        }
    }

    fn sees_start(&mut self, index: usize) {
        assert_eq!(self.paused, None, "h{index} starts in a pause");
        assert!(self.has_begun, "h{index} starts before the first start");
        assert!(
            !self.is_over_for_all(),
            "h{index} starts after what stops all: {self:?}"
        );
        assert!(!self.started[index], "h{index} starts twice");
        assert!(
            !self.blocks(index),
            "h{index} starts beside one of its group: {self:?}"
        );
        assert!(
            !self.is_spent(index),
            "h{index} starts although more could fail than one too many: {self:?}"
        );
        assert!(
            (0..index).all(|before| self.started[before]
                || self.ended[before].is_some()
                || self.blocks(before)
                || self.is_spent(before)),
            "hosts start in the order of the phase"
        );
        assert!(
            (0..index)
                .all(|before| self.wave_of(before) == self.wave_of(index) || self.ended[before].is_some()),
            "h{index} starts before the wave before it has ended: {self:?}"
        );
        assert_eq!(
            self.held_back[index],
            self.untested(index),
            "h{index} does what nobody has tested, or less than it could: {self:?}"
        );
        assert!(self.can_do_some(index), "h{index} has nothing to do: {self:?}");
        self.started[index] = true;
        assert!(
            self.at_work(false) <= self.case.parallel,
            "more at once than allowed: {self:?}"
        );
    }

    fn sees_event(&mut self, event: &Event) {
        assert!(!self.is_done, "nothing is told after the last event: {event:?}");
        let place = |host: &HostName| host.as_str()[1..].parse::<usize>().unwrap();
        match event {
            Event::HostFinished { host, ending, .. } => {
                let index = place(host);
                assert_eq!(self.ended[index], None, "{host} has one outcome");
                let is_skipped = ending.outcome == Outcome::Skipped;
                assert_eq!(
                    !is_skipped, self.started[index],
                    "{host} is skipped or was started"
                );
                assert!(
                    !is_skipped || self.is_over_for_all() || !self.can_do_some(index) || self.blocks(index),
                    "{host} is skipped without a cause"
                );
                self.ended[index] = Some((ending.outcome, ending.verdict()));
            }
            Event::HeldBack { host, packages } => {
                let number = |key: &PackageKey| key.name()[1..].parse().unwrap();
                self.held_back[place(host)] = packages.iter().map(number).collect();
            }
            Event::Checking { host, .. } => self.checking[place(host)] = true,
            Event::WaveStarted { wave, waves, .. } => {
                self.waves.0 += 1;
                assert_eq!((*wave, *waves), (self.waves.0, self.case.waves.len()));
            }
            Event::WaveFinished { wave, verdict, .. } => {
                self.waves.1 += 1;
                assert_eq!(*wave, self.waves.1, "waves end in order");
                let is_last = *wave == self.case.waves.len();
                let is_promoted = self.promoted.contains(wave);
                assert_eq!(
                    *verdict == WaveVerdict::Passed,
                    is_last
                        && !(0..self.case.hosts).any(|index| self.fails_last(index))
                        && self.interrupts == 0
                        && !self.is_over_for_all()
                        || !is_last
                            && !self.is_over_for_all()
                            && !is_promoted
                            && !self.is_inconclusive(wave - 1),
                    "{verdict:?}: {self:?}"
                );
                assert!(*verdict != WaveVerdict::Promoted || is_promoted, "{self:?}");
            }
            Event::Interrupted { times } => assert_eq!(*times, self.interrupts),
            Event::PhaseFinished { .. } => self.is_done = true,
            _ => {}
        }
    }

    /// Whether a host of the last wave did not end well.
    fn fails_last(&self, index: usize) -> bool {
        self.wave_of(index) + 1 == self.case.waves.len() && self.ended_badly(index)
    }
}
