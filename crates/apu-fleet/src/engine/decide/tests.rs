//! The decider against every order of inputs: all states of small runs, and random histories of larger ones.

use std::collections::HashSet;
use std::num::NonZeroUsize;

use apu_proto::{ClientOutcome, Request, RunResult};
use proptest::prelude::*;

use super::*;
use crate::host::Host;
use crate::push_id::PushId;

const NOW: Moment = Moment {
    at: Timestamp::UNIX_EPOCH,
    elapsed: Duration::ZERO,
};

fn name(index: usize) -> crate::name::HostName {
    format!("h{index}").parse().unwrap()
}

fn tasks(hosts: impl Iterator<Item = usize>) -> Vec<Task> {
    let task = |index| Task {
        host: Host::plain(name(index)),
        request: Request::new(Operation::Upgrade, [], []).unwrap(),
    };
    hosts.map(task).collect()
}

/// A push of these hosts of which nothing has happened yet.
fn pushed(hosts: usize) -> RunState {
    let mut run = RunState::new(PushId::from_bytes([1; 16]));
    run.apply(&TimedEvent {
        at: NOW.at,
        push: run.push,
        event: Event::PushStarted {
            version: 1,
            operation: Operation::Upgrade,
            packages: Vec::new(),
            hosts: (0..hosts).map(name).collect(),
            by: String::new(),
        },
    });
    run
}

fn begin(hosts: usize, parallel: usize, max_failures: Option<usize>) -> (State, Vec<Action>) {
    let schedule = Schedule {
        parallel: NonZeroUsize::new(parallel).unwrap(),
        max_failures,
    };
    let batch = Batch {
        phase: Phase::Apply,
        operation: Operation::Upgrade,
        tasks: tasks(0..hosts),
        published: Vec::new(),
    };
    State::begin(pushed(hosts), batch, schedule, NOW)
}

fn ended(index: usize, outcome: Outcome) -> Input {
    let ending = match outcome {
        Outcome::Changed => Ending::of_result(Box::new(RunResult::new(ClientOutcome::Changed)), None),
        outcome => Ending::without_result(outcome, ServerCause::ConnectionRefused, None),
    };
    Input::Report(index, Report::Ended(Box::new(ending)))
}

/// What an observer knows who sees the inputs and the actions, and nothing of the state.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
struct Observer {
    parallel: usize,
    allowed: Option<usize>,
    has_begun: bool,
    interrupts: u32,
    started: Vec<bool>,
    ended: Vec<Option<Outcome>>,
    is_done: bool,
    has_stopped: bool,
}

impl Observer {
    fn new(hosts: usize, parallel: usize, allowed: Option<usize>) -> Self {
        Self {
            parallel,
            allowed,
            has_begun: false,
            interrupts: 0,
            started: vec![false; hosts],
            ended: vec![None; hosts],
            is_done: false,
            has_stopped: false,
        }
    }

    fn hosts(&self) -> usize {
        self.started.len()
    }

    fn at_work(&self) -> usize {
        let both = self.started.iter().zip(&self.ended);
        both.filter(|(started, ended)| **started && ended.is_none())
            .count()
    }

    fn failed(&self) -> usize {
        let ended = self.ended.iter().flatten();
        ended.filter(|outcome| outcome.is_failure()).count()
    }

    fn may_start(&self) -> bool {
        self.interrupts == 0 && self.allowed.is_none_or(|allowed| self.failed() <= allowed)
    }

    /// Sees one step; panics where it breaks a promise.
    fn sees(&mut self, input: &Input, actions: &[Action]) {
        assert!(!self.has_stopped || actions.is_empty(), "nothing after the end");
        match input {
            Input::Go => self.has_begun = true,
            Input::Interrupt => self.interrupts += 1,
            Input::Report(..) | Input::WorkerDied(_) => {}
        }
        for action in actions {
            assert!(!self.has_stopped, "stopped is the last: {action:?}");
            match action {
                Action::Start(index) => self.sees_start(*index),
                Action::Leave(index) => {
                    assert!(self.interrupts > 1, "a host is left after the second interrupt");
                    assert!(self.started[*index] && self.ended[*index].is_none());
                }
                Action::Emit(stamped) => self.sees_event(&stamped.event),
                Action::Stop => self.has_stopped = true,
            }
        }
        if self.has_begun && !self.has_stopped {
            assert!(self.at_work() > 0, "nobody is at work, and it is not over");
            let waits = self.started.iter().zip(&self.ended);
            let waits = waits.filter(|(started, ended)| !**started && ended.is_none());
            let (waiting, is_full) = (waits.count(), self.at_work() == self.parallel);
            assert!(
                waiting == 0 || is_full && self.may_start(),
                "hosts wait for nothing"
            );
        }
        if self.has_stopped {
            assert!(self.is_done, "the last event is there");
            assert!(
                self.ended.iter().all(Option::is_some),
                "every host has an outcome: {self:?}"
            );
        }
    }

    fn sees_start(&mut self, index: usize) {
        assert!(self.has_begun, "h{index} starts before the first start");
        assert!(
            self.interrupts == 0,
            "h{index} starts after an interrupt: {self:?}"
        );
        assert!(
            self.may_start(),
            "h{index} starts after the limit of failures: {self:?}"
        );
        assert!(!self.started[index], "h{index} starts twice");
        let before = self.started.iter().filter(|started| **started).count();
        assert_eq!(index, before, "hosts start in the order of their class");
        self.started[index] = true;
        assert!(
            self.at_work() <= self.parallel,
            "more at once than allowed: {self:?}"
        );
    }

    fn sees_event(&mut self, event: &Event) {
        assert!(!self.is_done, "nothing is told after the last event: {event:?}");
        match event {
            Event::HostFinished { host, ending, .. } => {
                let index: usize = host.as_str()[1..].parse().unwrap();
                assert_eq!(self.ended[index], None, "{host} has one outcome");
                let is_skipped = ending.outcome == Outcome::Skipped;
                assert_eq!(
                    !is_skipped, self.started[index],
                    "{host} is skipped or was started"
                );
                assert!(
                    !is_skipped || !self.may_start(),
                    "{host} is skipped without a cause"
                );
                self.ended[index] = Some(ending.outcome);
            }
            Event::Interrupted { times } => assert_eq!(*times, self.interrupts),
            Event::PhaseFinished { .. } => self.is_done = true,
            _ => {}
        }
    }
}

/// Everything that may happen to a run in some state, including what comes too late.
fn inputs(observer: &Observer) -> Vec<Input> {
    let mut inputs = vec![Input::Go];
    if observer.interrupts < 3 {
        inputs.push(Input::Interrupt);
    }
    for index in 0..observer.hosts() {
        inputs.push(Input::Report(index, Report::Connected { reused: false }));
        inputs.push(ended(index, Outcome::Changed));
        inputs.push(ended(index, Outcome::Unreachable));
        inputs.push(Input::WorkerDied(index));
    }
    inputs
}

/// Visits every state that a run can reach; returns the number of steps and of states.
fn explore(hosts: usize, parallel: usize, allowed: Option<usize>) -> (usize, usize) {
    let (state, actions) = begin(hosts, parallel, allowed);
    assert_eq!(actions.len(), 1, "nothing starts before the first start");
    let mut queue = std::collections::VecDeque::from([(state, Observer::new(hosts, parallel, allowed))]);
    let (mut seen, mut steps) = (HashSet::new(), 0);
    while let Some((state, observer)) = queue.pop_front() {
        for input in inputs(&observer) {
            let (mut state, mut observer) = (state.clone(), observer.clone());
            let actions = state.on(input.clone(), NOW);
            observer.sees(&input, &actions);
            steps += 1;
            let hosts: Vec<_> = state.run.hosts().collect();
            let of_state = (state.may_start, state.is_over, state.run.interrupts);
            if seen.insert((format!("{hosts:?}{of_state:?}"), observer.clone())) {
                queue.push_back((state, observer));
            }
        }
    }
    (steps, seen.len())
}

#[test]
fn every_state_of_up_to_four_hosts_keeps_every_promise() {
    let (mut steps, mut states) = (0, 0);
    for hosts in 0..=4 {
        for parallel in [1, 2, 4] {
            for allowed in [None, Some(0), Some(1), Some(2)] {
                let (more_steps, more_states) = explore(hosts, parallel, allowed);
                steps += more_steps;
                states += more_states;
            }
        }
    }
    assert!(steps >= 100_000, "{steps} steps, {states} states");
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(500))]
    #[test]
    fn a_run_keeps_its_promises_and_ends_whatever_happens(
        hosts in 1usize..30,
        parallel in 1usize..8,
        allowed in proptest::option::of(0usize..10),
        early in 0usize..2,
        history in proptest::collection::vec((0u8..40, 0usize..30), 0..200),
    ) {
        let (mut state, _) = begin(hosts, parallel, allowed);
        let mut observer = Observer::new(hosts, parallel, allowed);
        let mut step = |input: Input, observer: &mut Observer| {
            let actions = state.on(input.clone(), NOW);
            observer.sees(&input, &actions);
        };
        if early == 1 && hosts % 5 == 0 {
            step(Input::Interrupt, &mut observer);
        }
        step(Input::Go, &mut observer);
        for (kind, index) in history {
            let index = index % hosts;
            let input = match kind {
                0 => Input::Interrupt,
                1..4 => Input::WorkerDied(index),
                4..12 => ended(index, Outcome::Failed),
                12..30 => ended(index, Outcome::Changed),
                30..35 => Input::Report(index, Report::Reconnecting("cut".into())),
                _ => Input::Report(index, Report::Connected { reused: true }),
            };
            step(input, &mut observer);
        }
        // Whatever is still at work ends one day.
        for index in (0..hosts).chain(0..hosts) {
            step(ended(index, Outcome::Changed), &mut observer);
        }
        prop_assert!(observer.has_stopped, "{observer:?}");
    }
}

/// The reasons of the hosts that were skipped.
fn skipped(actions: &[Action]) -> Vec<&ServerReason> {
    let why = |action| match action {
        &Action::Emit(TimedEvent {
            event: Event::HostFinished { ref ending, .. },
            ..
        }) if ending.outcome == Outcome::Skipped => match &ending.reason {
            Some(HostReason::Server(reason)) => Some(reason),
            _ => None,
        },
        _ => None,
    };
    actions.iter().filter_map(why).collect()
}

#[test]
fn a_host_that_failed_in_an_earlier_phase_counts_and_the_others_are_told_why_and_what_to_do() {
    let batch = |phase, hosts: std::ops::Range<usize>| Batch {
        phase,
        operation: Operation::Upgrade,
        tasks: tasks(hosts),
        published: Vec::new(),
    };
    let schedule = |max_failures| Schedule {
        parallel: NonZeroUsize::MIN,
        max_failures,
    };
    let (mut plan, _) = State::begin(pushed(5), batch(Phase::Plan, 0..5), schedule(None), NOW);
    plan.on(Input::Go, NOW);
    for index in 0..5 {
        let outcome = if index == 0 {
            Outcome::Unreachable
        } else {
            Outcome::Changed
        };
        plan.on(ended(index, outcome), NOW);
    }
    let (mut apply, _) = State::begin(plan.into_run(), batch(Phase::Apply, 1..5), schedule(Some(1)), NOW);
    assert!(apply.on(Input::Go, NOW).contains(&Action::Start(0)));
    assert!(
        apply
            .on(ended(0, Outcome::Changed), NOW)
            .contains(&Action::Start(1))
    );
    let actions = apply.on(ended(1, Outcome::Failed), NOW);
    let skipped = skipped(&actions);
    assert_eq!(skipped.len(), 2);
    let cause = ServerCause::MaxFailures {
        failed: 2,
        hosts: 5,
        allowed: 1,
    };
    let advice = ServerAdvice::MendAndRepeat {
        operation: Operation::Upgrade,
        packages: Vec::new(),
    };
    assert_eq!(*skipped[0], ServerReason::from(cause).advise(advice));
    assert_eq!(actions.last(), Some(&Action::Stop));
}

#[test]
fn after_an_interrupt_a_later_phase_starts_nobody() {
    let (mut plan, _) = begin(2, 2, None);
    plan.on(Input::Go, NOW);
    plan.on(Input::Interrupt, NOW);
    plan.on(ended(0, Outcome::Changed), NOW);
    plan.on(ended(1, Outcome::Changed), NOW);
    let batch = Batch {
        phase: Phase::Apply,
        operation: Operation::Upgrade,
        tasks: tasks(0..2),
        published: Vec::new(),
    };
    let (mut apply, _) = State::begin(plan.into_run(), batch, no_limits(), NOW);
    let actions = apply.on(Input::Go, NOW);
    assert_eq!(skipped(&actions).len(), 2);
    assert!(actions.iter().all(|action| !matches!(action, Action::Start(_))));
}

fn no_limits() -> Schedule {
    Schedule {
        parallel: NonZeroUsize::MIN,
        max_failures: None,
    }
}
