//! The stream of `--json`: one push, from its first event to its last, read back as apu-fleet's own types.

use std::collections::BTreeMap;

use apu_fleet::{Event, HostName, Outcome, Phase, TimedEvent};
use apu_proto::Operation;
use apu_tests::{Fleet, Run, Stage};

/// All events of a run; every line is one, and none is unknown.
#[track_caller]
fn events_of(run: &Run) -> Vec<TimedEvent> {
    let events: Vec<TimedEvent> = run
        .finished()
        .stdout
        .lines()
        .map(|line| serde_json::from_str(line).unwrap_or_else(|error| panic!("{line}: {error}")))
        .collect();
    for timed in &events {
        assert_ne!(timed.event, Event::Unknown, "{timed:?}");
        assert_eq!(timed.push, events[0].push, "one push: {timed:?}");
    }
    assert!(
        events.is_sorted_by_key(|timed| timed.at),
        "in the order of their times"
    );
    for line in run.events() {
        let at = line["at"].as_str().unwrap();
        assert!(
            at.len() == "2026-11-05T06:07:08.009Z".len() && at.ends_with('Z'),
            "{at}"
        );
    }
    events
}

/// The phases in their order, each with the hosts that finished in it.
#[track_caller]
fn phases_of(events: &[TimedEvent]) -> Vec<(Phase, Vec<&str>)> {
    let mut phases: Vec<(Phase, Vec<&str>)> = Vec::new();
    let mut open: Option<&[HostName]> = None;
    for timed in events {
        match &timed.event {
            Event::PhaseStarted { phase, hosts, .. } => {
                assert!(open.is_none(), "one phase after the other");
                open = Some(hosts);
                phases.push((*phase, Vec::new()));
            }
            Event::PhaseFinished { phase, outcomes, .. } => {
                let hosts = open.take().expect("a phase that began");
                let (last, finished) = phases.last().unwrap();
                assert_eq!(phase, last);
                assert_eq!(finished.len(), hosts.len(), "each host once in {phase:?}");
                assert!(hosts.iter().all(|host| finished.contains(&host.as_str())));
                assert_eq!(outcomes.values().sum::<usize>(), hosts.len());
            }
            Event::HostFinished { host, .. } => {
                assert!(open.is_some_and(|hosts| hosts.contains(host)), "{host}");
                phases.last_mut().unwrap().1.push(host.as_str());
            }
            _ => {}
        }
    }
    assert!(open.is_none(), "every phase ends");
    for (_, hosts) in &mut phases {
        hosts.sort_unstable();
    }
    phases
}

#[track_caller]
fn ends_with(events: &[TimedEvent], exit: u8, expected: &[(Outcome, usize)]) {
    let expected: BTreeMap<Outcome, usize> = expected.iter().copied().collect();
    match &events.last().unwrap().event {
        Event::PushFinished {
            status,
            seconds,
            outcomes,
        } => {
            assert_eq!((*status, outcomes), (exit, &expected));
            assert!(*seconds > 0.0);
        }
        other => panic!("the last event is {other:?}"),
    }
}

#[test]
fn a_push_is_one_stream_and_every_line_of_it_is_a_known_event() {
    let fleet = Fleet::of(["web1", "web2"]).in_class("web").up();
    fleet.upstream_offers(Stage::After);
    fleet.apt_all("web update").exited(0);

    let run = fleet.apt_all("web dist-upgrade --yes");

    run.all_ended("changed").exited(0);
    let events = events_of(&run);
    match &events[0].event {
        Event::PushStarted {
            version,
            operation,
            packages,
            hosts,
            by,
        } => {
            assert_eq!((*version, *operation), (1, Operation::DistUpgrade));
            assert!(packages.is_empty());
            assert_eq!(
                hosts.iter().map(HostName::as_str).collect::<Vec<_>>(),
                ["web1", "web2"]
            );
            assert_eq!(by, "root");
        }
        other => panic!("the first event is {other:?}"),
    }
    ends_with(&events, 0, &[(Outcome::Changed, 2)]);
    assert_eq!(
        phases_of(&events),
        [
            (Phase::Plan, vec!["web1", "web2"]),
            (Phase::Apply, vec!["web1", "web2"])
        ]
    );
    let starts = |events: &[TimedEvent]| {
        let is_start = |timed: &&TimedEvent| matches!(timed.event, Event::HostStarted { run: Some(_), .. });
        events.iter().filter(is_start).count()
    };
    assert_eq!(starts(&events), 2);
    assert!(
        events
            .iter()
            .any(|timed| matches!(timed.event, Event::Progress { .. }))
    );
}

#[test]
fn all_phases_of_a_push_are_in_its_one_stream() {
    let fleet = Fleet::of(["web1", "web2"]).in_class("web").up();
    fleet.upstream_offers(Stage::After);
    fleet.apt_all("web update").exited(0);
    fleet.host("web2").kill_sshd();

    let run = fleet.apt_all("web dist-upgrade --yes --allow-remove");

    run.ended("web1", "changed")
        .ended("web2", "unreachable")
        .exited(1);
    let events = events_of(&run);
    assert_eq!(
        phases_of(&events),
        [(Phase::Plan, vec!["web1", "web2"]), (Phase::Apply, vec!["web1"])]
    );
    ends_with(&events, 1, &[(Outcome::Changed, 1), (Outcome::Unreachable, 1)]);

    let run = fleet.apt_all("web status");
    let events = events_of(&run);
    assert_eq!(phases_of(&events), [(Phase::Ask, vec!["web1", "web2"])]);
    ends_with(&events, 1, &[(Outcome::Unchanged, 1), (Outcome::Unreachable, 1)]);
}
