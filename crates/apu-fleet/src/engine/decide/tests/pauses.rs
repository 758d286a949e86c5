//! What a pause holds up, and what ends it.

use super::*;
use crate::event::{PauseCause, WaveVerdict};

/// A phase that is paused: its canary was inconclusive, and two hosts wait.
fn paused() -> State {
    let case = Case {
        waves: vec![1, 2],
        pauses: true,
        ..Case::at_once(3, 3, None)
    };
    let (mut state, _) = case.begin();
    state.on(Input::Go, NOW);
    state.on(unclear(0), NOW);
    state
}

fn promote(wave: usize) -> Input {
    Input::Told(Instruction::Promote { wave, by: alice() })
}

fn told(actions: &[Action]) -> Vec<&Event> {
    let mut told = Vec::new();
    for action in actions {
        if let Action::Emit(timed) = action {
            told.push(&timed.event);
        }
    }
    told
}

#[test]
fn a_wave_of_which_nobody_can_tell_waits_for_whoever_promotes_it_and_what_it_did_is_tested_by_that() {
    let mut state = paused();
    let pause = state.run.pause.clone().unwrap();
    assert_eq!(
        (pause.cause, pause.wave, pause.hosts),
        (PauseCause::Inconclusive, 1, vec![name(0)])
    );
    // Neither time, nor what is meant for another wave or another pause.
    for input in [
        Input::Tick,
        promote(2),
        Input::Told(Instruction::Resume { by: alice() }),
    ] {
        assert_eq!(state.on(input, NOW), []);
    }
    let actions = state.on(promote(1), NOW);
    let verdict = WaveVerdict::Promoted;
    assert!(told(&actions).contains(&&Event::WaveFinished {
        wave: 1,
        waves: 2,
        verdict
    }));
    assert!(actions.contains(&Action::Start(1)) && actions.contains(&Action::Start(2)));
}

#[test]
fn without_a_decision_in_time_nobody_follows() {
    let mut state = paused();
    let actions = state.on(Input::Tick, late(1));
    let cause = ServerCause::WaveInconclusive {
        wave: 1,
        waves: 2,
        hosts: vec![name(0)],
        more: 0,
    };
    assert_eq!(causes(&actions), [&cause; 2]);
    assert_eq!(actions.last(), Some(&Action::Stop));
}

#[test]
fn ctrl_c_ends_a_pause_and_with_it_the_run() {
    let actions = paused().on(STOP, NOW);
    assert_eq!(causes(&actions), [&ServerCause::NotStarted; 2]);
    assert_eq!(actions.last(), Some(&Action::Stop));
}

#[test]
fn a_run_that_is_paused_starts_nobody_until_it_is_resumed() {
    let (mut state, _) = begin(3, 1, None);
    state.on(Input::Go, NOW);
    state.on(Input::Told(Instruction::Pause { by: alice() }), NOW);
    let actions = state.on(ended(0, Outcome::Changed), NOW);
    assert!(!actions.iter().any(|action| matches!(action, Action::Start(_))));
    let mut unresumed = state.clone();
    let actions = state.on(Input::Told(Instruction::Resume { by: alice() }), NOW);
    assert!(actions.contains(&Action::Start(1)));
    let actions = unresumed.on(Input::Tick, late(1));
    assert_eq!(causes(&actions), [&ServerCause::NotResumed { by: alice() }; 2]);
}

#[test]
fn a_run_that_goes_on_with_another_one_keeps_what_was_promoted_there() {
    let case = Case {
        waves: vec![1, 2],
        pauses: true,
        ..Case::at_once(3, 3, None)
    };
    let carried = [(
        name(0),
        Carried::Ended(Box::new(changed(Some(Verdict::Inconclusive)))),
    )];
    let (mut state, _) = case.begin_with(carried.into(), HashMap::new());
    let mut unasked = state.clone();
    state.promoted_before = [(1, alice())].into();
    let actions = state.on(Input::Go, NOW);
    let by = alice();
    assert!(told(&actions).contains(&&Event::Promoted { wave: 1, by }));
    assert!(actions.contains(&Action::Start(1)));
    unasked.on(Input::Go, NOW);
    assert!(unasked.run.pause.is_some());
}

#[test]
fn whoever_promotes_a_wave_vouches_for_no_host_of_it_that_is_known_not_to_be_well() {
    let case = Case {
        waves: vec![2, 2],
        trials: vec![0, 1, 0, 1],
        pauses: true,
        ..Case::at_once(4, 4, Some(1))
    };
    let (mut state, _) = case.begin();
    state.on(Input::Go, NOW);
    state.on(unclear(0), NOW);
    state.on(changed_and(1, Some(Verdict::Fail)), NOW);
    let actions = state.on(promote(1), NOW);
    assert!(actions.contains(&Action::Start(2)) && !actions.contains(&Action::Start(3)));
    assert!(matches!(causes(&actions)[..], [ServerCause::Untested { .. }]));
}

#[test]
fn a_host_that_did_a_part_of_its_plan_tests_nothing_also_where_its_wave_is_promoted_or_carried() {
    let case = Case {
        waves: vec![1, 1, 1],
        // The second does what the first did, and leaves what the third would do.
        trials: vec![0, 2, 1],
        pauses: true,
        ..Case::at_once(3, 3, None)
    };
    let (mut state, _) = case.begin();
    state.on(Input::Go, NOW);
    let actions = state.on(ended(0, Outcome::Changed), NOW);
    let held_back = Event::HeldBack {
        host: name(1),
        packages: vec![package(1)],
    };
    assert!(told(&actions).contains(&&held_back) && actions.contains(&Action::Start(1)));
    state.on(unclear(1), NOW);
    let actions = state.on(promote(2), NOW);
    assert!(matches!(causes(&actions)[..], [ServerCause::Untested { .. }]));

    let well = || Carried::Ended(Box::new(changed(Some(Verdict::Pass))));
    let carried = [(name(0), well()), (name(1), well())];
    let (mut state, _) = case.begin_with(carried.into(), HashMap::new());
    let actions = state.on(Input::Go, NOW);
    assert!(matches!(causes(&actions)[..], [ServerCause::Untested { .. }]));
    assert_eq!(actions.last(), Some(&Action::Stop));
}
