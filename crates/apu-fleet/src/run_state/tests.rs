use apu_proto::Phase as Activity;

use super::*;
use crate::outcome::{Ending, Outcome};
use crate::reason::{ServerCause, Work, WorkKind};

fn at(second: i64) -> Timestamp {
    Timestamp::from_second(second).unwrap()
}

fn apply(state: &mut RunState, second: i64, event: Event) {
    let (at, push) = (at(second), state.push);
    state.apply(&TimedEvent { at, push, event });
}

/// The state of a push of these hosts.
fn pushed(hosts: &[&str]) -> RunState {
    let mut state = RunState::new(PushId::from_bytes([1; 16]));
    let started = Event::PushStarted {
        version: 1,
        operation: Operation::Upgrade,
        packages: Vec::new(),
        hosts: hosts.iter().map(|host| host.parse().unwrap()).collect(),
        by: String::new(),
    };
    apply(&mut state, 0, started);
    state
}

fn begin(state: &mut RunState, phase: Phase, hosts: &[&str]) {
    let started = Event::PhaseStarted {
        phase,
        operation: Operation::Upgrade,
        hosts: hosts.iter().map(|host| host.parse().unwrap()).collect(),
    };
    apply(state, 0, started);
}

fn end(state: &mut RunState, host: &str, outcome: Outcome) {
    let why = ServerCause::ConnectionRefused;
    let finished = Event::HostFinished {
        host: host.parse().unwrap(),
        seconds: 1.0,
        ending: Box::new(Ending::without_result(outcome, why, None)),
    };
    apply(state, 0, finished);
}

/// The state after `web1` did this, each at its second.
fn did(events: &[(i64, Event)]) -> RunState {
    let mut state = pushed(&["web1"]);
    begin(&mut state, Phase::Apply, &["web1"]);
    let start = Event::HostStarted {
        host: web1(),
        run: None,
    };
    apply(&mut state, 0, start);
    for (second, event) in events {
        apply(&mut state, *second, event.clone());
    }
    state
}

fn web1() -> HostName {
    "web1".parse().unwrap()
}

fn installs(percent: f32, package: &str) -> Event {
    Event::Progress {
        host: web1(),
        activity: Activity::Install,
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
    let work = |events: &[(i64, Event)]| did(events).work(&web1(), at(20)).unwrap();
    let expected = |kind, about: &str, seconds| Work {
        kind,
        about: about.to_owned(),
        seconds,
    };
    assert_eq!(work(&[]), expected(WorkKind::Connecting, "", 20));
    // Further on with one package is not a new package.
    let events = [
        (2, installs(10.0, "a")),
        (5, installs(20.0, "b")),
        (9, installs(30.0, "b")),
    ];
    assert_eq!(work(&events), expected(WorkKind::Install, "b", 15));
    assert_eq!(
        work(&[(8, waits("the run before it:\nupgrade"))]),
        expected(WorkKind::Waiting, "the run before it: upgrade", 12)
    );
    assert!(work(&[(8, waits(&"x".repeat(9999)))]).about.len() < 300);
}

#[test]
fn a_stall_is_of_the_work_that_the_host_is_at_and_ends_with_the_next_line_or_step() {
    let stalled = |seconds| Event::Stalled {
        host: web1(),
        seconds,
        processes: Vec::new(),
    };
    let line = Event::Line {
        host: web1(),
        text: "x".into(),
    };
    let stage = |events: &[(i64, Event)]| match did(events).hosts().next().unwrap().1 {
        HostState::Running { at, .. } => at.clone(),
        other => panic!("{other:?}"),
    };
    let hangs = [(2, installs(10.0, "a")), (9, stalled(60)), (12, stalled(120))];
    assert!(matches!(stage(&hangs), Stage::Stalled { seconds: 120, .. }));
    // It is told with the package, for as long as that takes.
    let work = did(&hangs).work(&web1(), at(20)).unwrap();
    assert_eq!(
        (work.kind, work.about.as_str(), work.seconds),
        (WorkKind::Install, "a", 18)
    );
    let prints = [&hangs[..], &[(13, line)]].concat();
    assert_eq!(stage(&prints), stage(&hangs[..1]));
    let goes_on = [&hangs[..], &[(13, installs(20.0, "b"))]].concat();
    assert!(matches!(stage(&goes_on), Stage::Progress { .. }));
}

#[test]
fn a_host_that_has_ended_or_has_no_connection_is_at_nothing_that_is_known() {
    let again = Event::Reconnecting {
        host: web1(),
        text: String::new(),
    };
    assert_eq!(did(&[(3, again)]).work(&web1(), at(20)), None);
    let web2 = "web2".parse().unwrap();
    assert_eq!(did(&[]).work(&web2, at(20)), None);
}

#[test]
fn a_host_counts_as_it_ended_in_its_last_phase() {
    let mut state = pushed(&["a", "b", "c"]);
    begin(&mut state, Phase::Plan, &["a", "b", "c"]);
    for (host, outcome) in [
        ("a", Outcome::Failed),
        ("b", Outcome::Failed),
        ("c", Outcome::Unchanged),
    ] {
        end(&mut state, host, outcome);
    }
    assert_eq!(state.failed(), 2);
    begin(&mut state, Phase::Approve, &["b", "c"]);
    assert_eq!(state.failed(), 2, "a question changes no host");
    begin(&mut state, Phase::Apply, &["b", "c"]);
    // b has another turn.
    assert_eq!((state.failed(), state.next_queued()), (1, Some(0)));
    end(&mut state, "b", Outcome::Changed);
    end(&mut state, "c", Outcome::Skipped);
    assert_eq!(
        state.phase_outcomes(),
        [(Outcome::Changed, 1), (Outcome::Skipped, 1)].into()
    );
    assert_eq!(
        state.outcomes(),
        [(Outcome::Changed, 1), (Outcome::Failed, 1), (Outcome::Skipped, 1)].into()
    );
    assert_eq!((state.failed(), state.next_queued()), (1, None));
}
