use apu_proto::{ClientOutcome, RunResult};

use super::*;
use crate::reason::{Lost, ServerCause, StaleList};

#[test]
fn an_event_is_one_object_that_reads_back() {
    let why = ServerCause::ConnectionRefused;
    let timed = TimedEvent {
        at: Timestamp::from_millisecond(1_500).unwrap(),
        push: PushId::from_bytes([1; 16]),
        event: Event::HostFinished {
            host: "web1".parse().unwrap(),
            seconds: 0.25,
            ending: Box::new(Ending::without_result(Outcome::Unreachable, why, None)),
        },
    };
    let text = serde_json::to_string(&timed).unwrap();
    assert_eq!(
        text,
        r#"{"at":"1970-01-01T00:00:01.500Z","push":"01010101010101010101010101010101","event":"host-finished","host":"web1","seconds":0.25,"outcome":"unreachable","reason":{"code":"refused","cause":"connection-refused"}}"#
    );
    assert_eq!(serde_json::from_str::<TimedEvent>(&text).unwrap(), timed);
}

#[test]
fn what_a_later_version_adds_is_passed_over() {
    let head = r#"{"at":"2026-11-05T06:07:08Z","push":"01010101010101010101010101010101","#;
    let read = |rest: &str| {
        serde_json::from_str::<TimedEvent>(&format!("{head}{rest}"))
            .unwrap()
            .event
    };
    assert_eq!(
        read(r#""event":"rocket-started","rocket":{"number":2}}"#),
        Event::Unknown
    );
    assert_eq!(
        read(r#""event":"interrupted","times":1,"by":"alice"}"#),
        Event::Interrupted { times: 1 }
    );
    let phase = read(r#""event":"phase-finished","phase":"soak","seconds":1.0,"outcomes":{}}"#);
    assert!(
        matches!(
            phase,
            Event::PhaseFinished {
                phase: Phase::Unknown,
                ..
            }
        ),
        "{phase:?}"
    );
}

/// One event after the other, each with every field that it can have.
fn next(event: Option<&Event>) -> Option<Event> {
    let host = || "web1".parse().unwrap();
    Some(match event {
        None => Event::PushStarted {
            version: EVENTS_VERSION,
            operation: Operation::Install,
            packages: vec!["htop".into()],
            hosts: vec![host()],
            by: "alice".into(),
        },
        Some(Event::PushStarted { .. }) => Event::PhaseStarted {
            phase: Phase::Apply,
            operation: Operation::Install,
            hosts: vec![host()],
        },
        Some(Event::PhaseStarted { .. }) => Event::HostStarted {
            host: host(),
            run: Some(RunId::from_bytes([2; 16])),
        },
        Some(Event::HostStarted { .. }) => Event::Connected {
            host: host(),
            reused: true,
        },
        Some(Event::Connected { .. }) => Event::Hello {
            host: host(),
            client: "0.1.0".into(),
        },
        Some(Event::Hello { .. }) => Event::Waiting {
            host: host(),
            lock: "/var/lib/dpkg/lock".into(),
            holder: "apt-get (7)".into(),
        },
        Some(Event::Waiting { .. }) => Event::Progress {
            host: host(),
            activity: Activity::Install,
            percent: 50.0,
            package: "htop".into(),
        },
        Some(Event::Progress { .. }) => Event::Line {
            host: host(),
            text: "x".into(),
        },
        Some(Event::Line { .. }) => Event::Stalled {
            host: host(),
            seconds: 120,
            processes: vec![apu_proto::StalledProcess {
                pid: 7,
                name: "sleep".into(),
                waits_in: "hrtimer_nanosleep".into(),
            }],
        },
        Some(Event::Stalled { .. }) => Event::Reconnecting {
            host: host(),
            text: "cut".into(),
        },
        Some(Event::Reconnecting { .. }) => Event::Rebooting { host: host() },
        Some(Event::Rebooting { .. }) => {
            let mut result = RunResult::new(ClientOutcome::Changed);
            result.reboot_required = true;
            let mut ending = Ending::of_result(Box::new(result), Some(RunId::from_bytes([2; 16])));
            ending.reason = Some(ServerCause::Lost(Lost::default()).into());
            ending.stale = vec![StaleList {
                uri: "http://server/local".into(),
                suite: "./".into(),
                older_by: None,
            }];
            ending.garbage = 1;
            ending.health = Some(apu_proto::Verdict::Pass);
            Event::HostFinished {
                host: host(),
                seconds: 1.0,
                ending: Box::new(ending),
            }
        }
        Some(Event::HostFinished { .. }) => Event::Interrupted { times: 1 },
        Some(Event::Interrupted { .. }) => Event::Answered {
            answer: Approval::Yes,
        },
        Some(Event::Answered { .. }) => Event::PhaseFinished {
            phase: Phase::Apply,
            seconds: 1.0,
            outcomes: [(Outcome::Changed, 1)].into(),
        },
        Some(Event::PhaseFinished { .. }) => Event::WaveStarted {
            wave: 1,
            waves: 2,
            hosts: vec![host()],
            soak: 60.0,
        },
        Some(Event::WaveStarted { .. }) => Event::Checking {
            host: host(),
            soak: 60.0,
        },
        Some(Event::Checking { .. }) => Event::HeldBack {
            host: host(),
            packages: vec!["htop:amd64".parse().unwrap()],
        },
        Some(Event::HeldBack { .. }) => Event::HookStarted {
            host: host(),
            hook: Hook::AfterHost,
        },
        Some(Event::HookStarted { .. }) => Event::HookFailed {
            hook: Hook::AfterHost,
            host: Some(host()),
            program: "/etc/apu-server/hooks.d/after-host".into(),
            end: ProgramEnd::Exited { status: 1 },
            detail: vec!["no answer".into()],
        },
        Some(Event::HookFailed { .. }) => Event::WaveFinished {
            wave: 1,
            waves: 2,
            verdict: WaveVerdict::Passed,
        },
        Some(Event::WaveFinished { .. }) => Event::Recorded { number: 412 },
        Some(Event::Recorded { .. }) => Event::Paused {
            cause: PauseCause::Inconclusive,
            wave: 1,
            hosts: vec![host()],
            by: "alice".into(),
            limit: 86400.0,
        },
        Some(Event::Paused { .. }) => Event::Promoted {
            wave: 1,
            by: "alice".into(),
        },
        Some(Event::Promoted { .. }) => Event::Resumed { by: "alice".into() },
        Some(Event::Resumed { .. }) => Event::PushFinished {
            status: 0,
            seconds: 1.0,
            outcomes: [(Outcome::Changed, 1)].into(),
        },
        Some(Event::PushFinished { .. } | Event::Unknown) => return None,
    })
}

#[test]
fn the_manual_has_every_event_with_every_field_and_every_outcome() {
    let page = concat!(env!("CARGO_MANIFEST_DIR"), "/../../debian/man/apu-events.7");
    let page = std::fs::read_to_string(page).unwrap();
    let (_, events) = page.split_once(".SH EVENTS\n").unwrap();
    let (events, rest) = events.split_once(".SH OUTCOMES\n").unwrap();
    let mut last = next(None);
    let mut number = 0;
    while let Some(event) = last {
        number += 1;
        let json = serde_json::to_value(&event).unwrap();
        let name = json["event"].as_str().unwrap();
        let (_, entry) = events
            .split_once(&format!(".TP\n.B {name}\n"))
            .unwrap_or_else(|| panic!("{name} is not there"));
        let entry = entry.split(".TP\n").next().unwrap();
        for field in json.as_object().unwrap().keys().filter(|field| *field != "event") {
            assert!(
                entry.lines().any(|line| line == format!(".B {field}")),
                "{field} of {name} is not there: {entry}"
            );
        }
        last = next(Some(&event));
    }
    assert_eq!(number, 26);
    for outcome in Outcome::ALL {
        assert!(rest.contains(outcome.as_str()), "{outcome} is not there");
    }
    assert!(rest.contains("max-failures"));
    // The words that are added for people.
    let (_, entry) = events.split_once(".TP\n.B host-finished\n").unwrap();
    for field in ["text", "try"] {
        assert!(
            entry
                .split(".TP\n")
                .next()
                .unwrap()
                .contains(&format!("\n.B {field}\n"))
        );
    }
}
