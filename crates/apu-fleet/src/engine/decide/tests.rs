//! The decider against every order of inputs: all states of small runs, and random histories of larger ones.

use std::collections::HashSet;
use std::num::NonZeroUsize;
use std::sync::Arc;

use apu_proto::{ClientOutcome, Request, RunResult, Step, System, Transaction};
use proptest::prelude::*;

use super::*;
use crate::host::Host;
use crate::push_id::PushId;
use crate::reason::{Work, WorkKind};
use crate::rollout::Trial;

mod carried;
mod observer;
mod pauses;

use observer::Observer;

const NOW: Moment = Moment {
    at: Timestamp::UNIX_EPOCH,
    elapsed: Duration::ZERO,
};

/// When nobody waits any more for a decision that was waited for since so many such times.
fn late(times: u32) -> Moment {
    Moment {
        elapsed: LONGEST_PAUSE * times,
        ..NOW
    }
}

/// Ctrl-C.
const STOP: Input = Input::Told(Instruction::Stop);

fn alice() -> String {
    "alice".into()
}

fn name(index: usize) -> crate::name::HostName {
    format!("h{index}").parse().unwrap()
}

/// Tasks without a plan.
fn tasks(hosts: impl Iterator<Item = usize>) -> Vec<Task> {
    let task = |index| Task {
        host: Host::plain(name(index)),
        request: Request::new(Operation::Upgrade, [], []).unwrap(),
        trial: None,
    };
    hosts.map(task).collect()
}

/// What hosts do that reboot: they change no package.
const REBOOT: usize = 3;

/// The packages that a host with this number changes.
fn packages(number: usize) -> &'static [usize] {
    [&[0_usize][..], &[1], &[0, 1], &[]][number]
}

fn package(number: usize) -> PackageKey {
    format!("p{number}:amd64").parse().unwrap()
}

/// What a host is to do: hosts with the same number do the same.
fn trial(number: usize) -> Trial {
    let step = |number: &usize| Step::Remove {
        package: package(*number),
        old: "1".into(),
    };
    Trial {
        system: System::default(),
        transaction: Transaction::new(packages(number).iter().map(step).collect()),
        is_broken: false,
        too_young: Vec::new(),
        conffile_rules: Vec::new(),
    }
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

/// What a push of the tests is like.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
struct Case {
    hosts: usize,
    parallel: usize,
    allowed: Option<usize>,
    /// The sizes of the waves.
    waves: Vec<usize>,
    /// Which hosts do the same.
    trials: Vec<usize>,
    /// Which hosts are of one exclusive group; 0 is none.
    groups: Vec<usize>,
    /// Whether an administrator is waited for where a wave is inconclusive.
    pauses: bool,
}

impl Case {
    fn at_once(hosts: usize, parallel: usize, allowed: Option<usize>) -> Self {
        Self {
            hosts,
            parallel,
            allowed,
            waves: Vec::new(),
            trials: vec![0; hosts],
            groups: vec![0; hosts],
            pauses: false,
        }
    }

    fn rollout(&self) -> Rollout {
        Rollout {
            waves: self.waves.clone(),
            soak: Duration::from_secs(60),
            pause_limit: if self.pauses {
                LONGEST_PAUSE
            } else {
                Duration::ZERO
            },
            check: None,
            freeze: Vec::new(),
        }
    }

    fn operation(&self) -> Operation {
        if self.trials.contains(&REBOOT) {
            Operation::Reboot
        } else {
            Operation::Upgrade
        }
    }

    fn begin(&self) -> (State, Vec<Action>) {
        self.begin_with(HashMap::new(), HashMap::new())
    }

    /// Begins where this is known of hosts before.
    fn begin_with(
        &self,
        carried: HashMap<HostName, Carried>,
        held: HashMap<HostName, ServerReason>,
    ) -> (State, Vec<Action>) {
        let schedule = Schedule {
            parallel: NonZeroUsize::new(self.parallel).unwrap(),
            max_failures: self.allowed,
        };
        let mut tasks = tasks(0..self.hosts);
        for (task, (number, group)) in tasks.iter_mut().zip(self.trials.iter().zip(&self.groups)) {
            task.trial = Some(Arc::new(trial(*number)));
            task.host.exclusive = (*group > 0).then(|| format!("g{group}").parse().unwrap());
        }
        let batch = Batch {
            phase: Phase::Apply,
            carried,
            promoted: HashMap::new(),
            held,
            closings: HashMap::new(),
            operation: self.operation(),
            tasks,
            rollout: self.rollout(),
            programs: None,
            frozen: None,
            published: Vec::new(),
        };
        State::begin(pushed(self.hosts), batch, schedule, NOW)
    }
}

fn begin(hosts: usize, parallel: usize, max_failures: Option<usize>) -> (State, Vec<Action>) {
    Case::at_once(hosts, parallel, max_failures).begin()
}

fn changed(health: Option<Verdict>) -> Ending {
    Ending {
        health,
        ..Ending::of_result(Box::new(RunResult::new(ClientOutcome::Changed)), None)
    }
}

fn ended(index: usize, outcome: Outcome) -> Input {
    let ending = match outcome {
        Outcome::Changed => changed(Some(Verdict::Pass)),
        outcome => Ending::without_result(outcome, ServerCause::ConnectionRefused, None),
    };
    Input::Report(index, Report::Ended(Box::new(ending)))
}

/// Its change is made, and whether it is well cannot be told.
fn unclear(index: usize) -> Input {
    Input::Report(
        index,
        Report::Ended(Box::new(changed(Some(Verdict::Inconclusive)))),
    )
}

/// Its change is made, and this is what is known of its health: a client may say anything.
fn changed_and(index: usize, health: Option<Verdict>) -> Input {
    Input::Report(index, Report::Ended(Box::new(changed(health))))
}

/// Its change is made, and its health is watched.
fn applied(index: usize) -> Input {
    Input::Report(index, Report::Applied(Box::new(changed(None))))
}

/// Everything that may happen to a run in some state, including what comes too late.
fn inputs(observer: &Observer) -> Vec<(Input, Moment)> {
    let mut inputs = vec![Input::Go];
    if observer.interrupts < if observer.case.pauses { 1 } else { 3 } {
        inputs.push(STOP);
    }
    // Of these the health is watched.
    let has_waves = observer.case.waves.len() > 1 || observer.case.operation() == Operation::Reboot;
    for index in 0..observer.case.hosts {
        inputs.push(ended(index, Outcome::Changed));
        inputs.push(ended(index, Outcome::Unreachable));
        inputs.push(Input::WorkerDied(index));
        if has_waves {
            inputs.push(applied(index));
            inputs.push(unclear(index));
            inputs.push(changed_and(index, None));
            inputs.push(changed_and(index, Some(Verdict::Fail)));
        } else {
            inputs.push(Input::Report(index, Report::Connected { reused: false }));
        }
    }
    let now = late(observer.clock);
    let mut inputs: Vec<(Input, Moment)> = inputs.into_iter().map(|input| (input, now)).collect();
    if observer.case.pauses {
        let promote = |wave| Instruction::Promote { wave, by: alice() };
        let told = (1..=observer.case.waves.len()).map(promote).chain([
            Instruction::Pause { by: alice() },
            Instruction::Resume { by: alice() },
        ]);
        inputs.extend(told.map(|instruction| (Input::Told(instruction), now)));
        inputs.push((Input::Tick, now));
        if observer.clock < 1 {
            inputs.push((Input::Tick, late(observer.clock + 1)));
        }
    }
    inputs
}

/// Visits every state that a run can reach; returns the number of steps and of states.
fn explore(case: &Case) -> (usize, usize) {
    let (state, actions) = case.begin();
    assert!(
        actions.iter().all(|action| matches!(action, Action::Emit(_))),
        "nothing starts before the first start"
    );
    let mut queue = std::collections::VecDeque::from([(state, Observer::new(case))]);
    let (mut seen, mut steps) = (HashSet::new(), 0);
    while let Some((state, observer)) = queue.pop_front() {
        for (input, moment) in inputs(&observer) {
            let (mut state, mut observer) = (state.clone(), observer.clone());
            let actions = state.on(input.clone(), moment);
            observer.sees((&input, moment), &actions);
            steps += 1;
            let of_state = (
                state.may_start,
                state.is_over,
                state.run.interrupts,
                state.run.pause.as_ref().map(|pause| pause.cause),
                state.promoted,
                state.wave,
                state.applied.len(),
            );
            if seen.insert((of_state, observer.clone())) {
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
                let (more_steps, more_states) = explore(&Case::at_once(hosts, parallel, allowed));
                steps += more_steps;
                states += more_states;
            }
        }
    }
    assert!(steps >= 100_000, "{steps} steps, {states} states");
}

#[test]
fn every_state_of_hosts_that_reboot_keeps_every_promise() {
    let mut steps = 0;
    for (waves, groups) in [
        (vec![], vec![1, 1]),
        (vec![], vec![1, 1, 0]),
        (vec![], vec![1, 1, 1]),
        (vec![1, 2], vec![1, 1, 0]),
        (vec![2, 1], vec![1, 2, 1]),
    ] {
        for (parallel, allowed) in [(1, None), (3, None), (3, Some(1))] {
            let hosts = groups.len();
            let case = Case {
                waves: waves.clone(),
                trials: vec![REBOOT; hosts],
                groups: groups.clone(),
                ..Case::at_once(hosts, parallel, allowed)
            };
            steps += explore(&case).0;
        }
    }
    assert!(steps >= 100_000, "{steps} steps");
}

#[test]
fn every_state_of_up_to_four_hosts_in_waves_keeps_every_promise() {
    let (mut steps, mut states) = (0, 0);
    for (waves, trials, groups) in [
        (vec![1, 1], vec![0, 0], vec![0, 0]),
        (vec![1, 2], vec![0, 1, 0], vec![0, 0, 0]),
        (vec![1, 2], vec![0, 2, 1], vec![0, 0, 0]),
        (vec![2, 1], vec![0, 1, 1], vec![1, 1, 0]),
        (vec![1, 1, 1], vec![0, 0, 0], vec![0, 0, 0]),
        (vec![1, 3], vec![0, 0, 0, 1], vec![0, 1, 1, 0]),
        (vec![2, 2], vec![0, 1, 0, 1], vec![0, 0, 0, 0]),
        (vec![], vec![0, 0, 0, 0], vec![1, 2, 1, 1]),
    ] {
        for (parallel, pauses) in [(1, false), (2, false), (2, true)] {
            for allowed in [None, Some(0), Some(1)] {
                // With what administrators say, larger runs have too many histories: the random ones have those.
                if pauses && (trials.len() > 3 || waves.len() != 2 || allowed.is_some()) {
                    continue;
                }
                let case = Case {
                    pauses,
                    hosts: trials.len(),
                    parallel,
                    allowed,
                    waves: waves.clone(),
                    trials: trials.clone(),
                    groups: groups.clone(),
                };
                let (more_steps, more_states) = explore(&case);
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
        waves in proptest::collection::vec(1usize..8, 0..4),
        trials in proptest::collection::vec(0usize..3, 30),
        groups in proptest::collection::vec(0usize..6, 30),
        early in 0usize..2,
        history in proptest::collection::vec((0u8..50, 0usize..30), 0..200),
        pauses in proptest::bool::ANY,
    ) {
        // No wave is empty.
        let waves = if waves.iter().sum::<usize>() < hosts {
            let rest = hosts - waves.iter().sum::<usize>();
            waves.into_iter().chain([rest]).collect()
        } else {
            Vec::new()
        };
        let case = Case { hosts, parallel, allowed, waves, trials, groups, pauses };
        let (mut state, _) = case.begin();
        let mut observer = Observer::new(&case);
        let mut step = |input: Input, moment: Moment, observer: &mut Observer| {
            let actions = state.on(input.clone(), moment);
            observer.sees((&input, moment), &actions);
        };
        if early == 1 && hosts % 5 == 0 {
            step(STOP, NOW, &mut observer);
        }
        step(Input::Go, NOW, &mut observer);
        for (kind, index) in history {
            let index = index % hosts;
            let input = match kind {
                0 => STOP,
                1..3 => Input::WorkerDied(index),
                3..6 => ended(index, Outcome::Failed),
                6..8 => unclear(index),
                8..28 => ended(index, Outcome::Changed),
                28..34 => Input::Report(index, Report::Reconnecting("cut".into())),
                34..40 => applied(index),
                44 => Input::Told(Instruction::Pause { by: alice() }),
                45..47 => Input::Told(Instruction::Resume { by: alice() }),
                47..50 => Input::Told(Instruction::Promote { wave: index % 4 + 1, by: alice() }),
                _ => Input::Report(index, Report::Connected { reused: true }),
            };
            step(input, NOW, &mut observer);
        }
        // Whatever is still at work ends one day, and nobody waits for an administrator without end.
        for (index, time) in std::iter::repeat_n(0..hosts, 40).flatten().zip(0..) {
            step(ended(index, Outcome::Changed), late(time), &mut observer);
            step(Input::Tick, late(time + 1), &mut observer);
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
        carried: HashMap::new(),
        promoted: HashMap::new(),
        held: HashMap::new(),
        closings: HashMap::new(),
        operation: Operation::Upgrade,
        tasks: tasks(hosts),
        rollout: Rollout::default(),
        programs: None,
        frozen: None,
        published: Vec::new(),
    };
    let schedule = |max_failures| Schedule {
        parallel: NonZeroUsize::MIN,
        max_failures,
    };
    let (mut plan, _) = State::begin(pushed(5), batch(Phase::Plan, 0..5), schedule(None), NOW);
    plan.on(Input::Go, NOW);
    for index in 0..5 {
        // One of them is off, and does not count.
        let outcome = if index == 0 {
            Outcome::Failed
        } else if index == 4 {
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
    plan.on(STOP, NOW);
    plan.on(ended(0, Outcome::Changed), NOW);
    plan.on(ended(1, Outcome::Changed), NOW);
    let batch = Batch {
        phase: Phase::Apply,
        carried: HashMap::new(),
        promoted: HashMap::new(),
        held: HashMap::new(),
        closings: HashMap::new(),
        operation: Operation::Upgrade,
        tasks: tasks(0..2),
        rollout: Rollout::default(),
        programs: None,
        frozen: None,
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

/// The cause of each host that was skipped.
fn causes(actions: &[Action]) -> Vec<&ServerCause> {
    skipped(actions).into_iter().map(|reason| &reason.cause).collect()
}

#[test]
fn a_canary_that_fails_or_is_unclear_stops_the_others_and_one_that_is_not_reached_leaves_them_untested() {
    let case = Case {
        waves: vec![1, 2],
        ..Case::at_once(3, 3, None)
    };
    let after = |input: Input| {
        let (mut state, _) = case.begin();
        state.on(Input::Go, NOW);
        state.on(input, NOW)
    };
    let h0 = || vec![name(0)];
    let failed = after(ended(0, Outcome::Partial));
    let (wave, waves, more) = (1, 2, 0);
    assert_eq!(
        causes(&failed),
        [&ServerCause::WaveFailed {
            wave,
            waves,
            hosts: h0(),
            more
        }; 2]
    );
    let unclear = after(unclear(0));
    assert_eq!(
        causes(&unclear),
        [&ServerCause::WaveInconclusive {
            wave,
            waves,
            hosts: h0(),
            more
        }; 2]
    );
    let lost = after(ended(0, Outcome::Lost));
    assert!(matches!(causes(&lost)[..], [ServerCause::WaveFailed { .. }, _]));
    let packages = vec!["p0:amd64".parse().unwrap()];
    let not_reached = after(ended(0, Outcome::Unreachable));
    assert_eq!(
        causes(&not_reached),
        [&ServerCause::Untested { packages, more }; 2]
    );
    let well = after(ended(0, Outcome::Changed));
    assert!(well.contains(&Action::Start(1)) && well.contains(&Action::Start(2)));
}

#[test]
fn an_interrupt_ends_the_watch_of_a_host_whose_change_is_made() {
    let case = Case {
        waves: vec![1, 1],
        ..Case::at_once(2, 2, None)
    };
    let (mut state, _) = case.begin();
    assert_eq!(state.soak(0), Some(Duration::from_secs(60)));
    assert_eq!(state.soak(1), None);
    state.on(Input::Go, NOW);
    state.on(applied(0), NOW);
    let mut late = state.clone();
    let actions = state.on(STOP, NOW);
    assert!(actions.contains(&Action::Leave(0)));
    assert_eq!(actions.last(), Some(&Action::Stop));
    // The same for a change that is made after the interrupt.
    let (mut other, _) = case.begin();
    other.on(Input::Go, NOW);
    other.on(STOP, NOW);
    assert_eq!(other.on(applied(0), NOW).last(), Some(&Action::Stop));
    late.on(ended(0, Outcome::Changed), NOW);
    assert!(late.run.is_running(1));
    let ending = state.run.ending(&name(0)).unwrap();
    assert_eq!(
        (ending.outcome, ending.health),
        (Outcome::Changed, Some(Verdict::Inconclusive))
    );
    assert_eq!(causes(&actions), [&ServerCause::NotStarted]);
}

#[test]
fn a_host_whose_time_is_up_is_told_with_the_package_that_it_is_at_and_since_when() {
    let at = |second: u32| Moment {
        at: Timestamp::from_second(second.into()).unwrap(),
        elapsed: Duration::from_secs(second.into()),
    };
    let installs = |package: &str| {
        let frame = Frame::Progress {
            phase: apu_proto::Phase::Install,
            percent: 50.0,
            package: package.into(),
        };
        Input::Report(0, Report::Frame(frame))
    };
    let work_at_the_end = |cause: ServerCause| {
        let (mut state, _) = begin(1, 1, None);
        state.on(Input::Go, NOW);
        state.on(installs("before"), at(2));
        state.on(installs("hangs"), at(10));
        let ending = Ending::without_result(Outcome::TimedOut, cause, None);
        state.on(Input::Report(0, Report::Ended(Box::new(ending))), at(70));
        let reason = state.run.ending(&name(0)).unwrap().reason.clone();
        let Some(HostReason::Server(reason)) = reason else {
            panic!("{reason:?}");
        };
        reason.work
    };
    let time_up = ServerCause::TimeUp {
        seconds: 70.0,
        goes_on: true,
        lost: None,
    };
    let work = Work {
        kind: WorkKind::Install,
        about: "hangs".into(),
        seconds: 60,
    };
    assert_eq!(work_at_the_end(time_up), Some(work));
    assert_eq!(work_at_the_end(ServerCause::ConnectionRefused), None);
}
