//! What a run that goes on with another one does with what is known of its hosts.

use super::*;

fn timed_out() -> Ending {
    let mut reason = ServerReason::from(ServerCause::TimeUp {
        seconds: 60.0,
        goes_on: true,
        lost: None,
    });
    reason.work = Some(Work {
        kind: WorkKind::Install,
        about: "htop".into(),
        seconds: 9,
    });
    Ending::without_result(Outcome::TimedOut, reason, None)
}

#[test]
fn a_known_end_stays_as_it_is_and_a_host_at_work_is_asked_though_nobody_else_starts() {
    let known = Carried::Ended(Box::new(timed_out()));
    let carried = [(name(0), known), (name(1), Carried::Open)].into();
    let (mut state, _) = Case::at_once(3, 1, None).begin_with(carried, HashMap::new());
    // Before anything begins: nobody new starts.
    state.on(STOP, NOW);
    let actions = state.on(Input::Go, NOW);
    let started = actions.iter().filter(|action| matches!(action, Action::Start(_)));
    assert_eq!(started.collect::<Vec<_>>(), [&Action::Start(1)]);
    assert_eq!(skipped(&actions).len(), 1);
    assert_eq!(state.run().ending(&name(0)), Some(&timed_out()));

    let actions = state.on(ended(1, Outcome::Unreachable), NOW);
    assert_eq!(
        state.run().ending(&name(1)).map(|ending| ending.outcome),
        Some(Outcome::Lost)
    );
    assert_eq!(actions.last(), Some(&Action::Stop));
}

#[test]
fn a_host_that_another_run_holds_is_skipped_with_the_reason_and_the_others_start() {
    let why = ServerReason::from(ServerCause::HeldByRun {
        run: "411".into(),
        operation: "upgrade".into(),
        by: "alice".into(),
    });
    let held = [(name(0), why.clone())].into();
    let (mut state, _) = Case::at_once(2, 2, None).begin_with(HashMap::new(), held);
    let actions = state.on(Input::Go, NOW);
    assert_eq!(skipped(&actions), [&why]);
    assert!(actions.contains(&Action::Start(1)));
}

#[test]
fn a_host_whose_window_has_closed_is_skipped_and_one_that_was_at_work_is_asked_all_the_same() {
    let why = ServerReason::from(ServerCause::InBlackout {
        class: "web".into(),
        blackout: "Sun".into(),
    });
    let closing = |at| Closing { at, why: why.clone() };
    let closings: HashMap<HostName, Closing> = [
        (name(0), closing(Duration::ZERO)),
        (name(1), closing(Duration::ZERO)),
        (name(2), closing(late(1).elapsed)),
    ]
    .into();
    let begin = |parallel| {
        let carried = [(name(1), Carried::Open)].into();
        let (mut state, _) = Case::at_once(3, parallel, None).begin_with(carried, HashMap::new());
        state.closings = closings.clone();
        let actions = state.on(Input::Go, NOW);
        assert!(actions.contains(&Action::Start(1)));
        (state, actions)
    };
    let (_, actions) = begin(2);
    assert_eq!(skipped(&actions), [&why]);
    assert!(actions.contains(&Action::Start(2)));
    // In the middle of the run.
    let (mut state, actions) = begin(1);
    assert_eq!(skipped(&actions), Vec::<&ServerReason>::new());
    let actions = state.on(ended(1, Outcome::Changed), late(1));
    assert_eq!(skipped(&actions), [&why; 2]);
    assert_eq!(actions.last(), Some(&Action::Stop));
}
