//! The quick reading of how the hosts of a run ended, held against the fold of all of its events, on runs that are generated.

use std::collections::HashMap;
use std::rc::Rc;

use apu_fleet::{
    Approval, Ending, Event, HostName, HostReason, Lost, Outcome, Phase, RunState, ServerCause, ServerReason,
    Sink, TimedEvent, Work, WorkKind,
};
use apu_proto::{Cause, Change, ClientOutcome, Operation, Reason, RunId, RunResult, Verdict};
use jiff::Timestamp;

use super::desk::{Desk, Push};
use super::seed::Seed;

const NAMES: [&str; 5] = ["web1", "web2", "web10", "db1", "192.168.1.1"];

/// Times that equal hosts may share or not, some of them no short decimal numbers.
const SECONDS: [f64; 5] = [0.0, 1.0, 1.5, 0.1 + 0.2, 1e-7];

fn seconds(seed: &mut Seed) -> f64 {
    SECONDS[seed.below(SECONDS.len())]
}

fn result(seed: &mut Seed) -> RunResult {
    let mut result = RunResult::new(ClientOutcome::Changed);
    result.seconds = seconds(seed);
    result.apt_exit = seed.is(30).then_some(0);
    result.reboot_required = seed.is(30);
    if seed.is(60) {
        result.packages_mut().changes = (0..seed.below(3))
            .map(|package| Change {
                package: format!("p{package}:amd64").parse().unwrap(),
                old: Some("1".into()),
                new: seed.is(50).then(|| "2".into()),
            })
            .collect();
    }
    if seed.is(20) {
        let text = ["\"seconds\":1.5,\"", "\u{1b}[2J\nsecond", "\\\"seconds\\\":0"][seed.below(3)];
        result.reason = Some(Reason::from(Cause::AptFailed).detailed(text));
    }
    result
}

fn reason(seed: &mut Seed) -> HostReason {
    let mut reason = ServerReason::from(match seed.below(5) {
        0 => ServerCause::NoLogin { seconds: 1 },
        1 => ServerCause::TimeUp {
            seconds: seconds(seed),
            goes_on: seed.is(50),
            lost: seed.is(50).then(Lost::default),
        },
        2 => ServerCause::ConnectionRefused,
        3 => ServerCause::NotStarted,
        _ => ServerCause::Lost(Lost {
            said: "\"seconds\":0,".into(),
            then: None,
        }),
    });
    if seed.is(30) {
        reason.work = Some(Work {
            kind: WorkKind::Install,
            about: "p0".into(),
            seconds: seed.below(2) as u64,
        });
    }
    reason.into()
}

/// Half of them are alike but for their times: those of a result, or those of a reason.
fn ending(seed: &mut Seed) -> Ending {
    if seed.is(50) {
        return any_ending(seed);
    }
    if seed.is(50) {
        let mut result = RunResult::new(ClientOutcome::Changed);
        result.seconds = seconds(seed);
        return Ending::of_result(Box::new(result), None);
    }
    let mut reason = ServerReason::from(ServerCause::NoAnswerInTime);
    reason.work = Some(Work {
        kind: WorkKind::Install,
        about: "p0".into(),
        seconds: seed.below(3) as u64,
    });
    Ending::without_result(Outcome::TimedOut, reason, None)
}

fn any_ending(seed: &mut Seed) -> Ending {
    let run = seed.is(50).then(|| RunId::from_bytes([7; 16]));
    let mut ending = match seed.is(60) {
        true => Ending::of_result(Box::new(result(seed)), run),
        false => Ending::without_result(Outcome::TimedOut, reason(seed), run),
    };
    if seed.is(10) {
        ending.result = Some(Box::new(result(seed)));
    }
    ending.outcome = [Outcome::Changed, Outcome::Failed, Outcome::TimedOut][seed.below(3)];
    ending.garbage = seed.below(2) as u64;
    ending.health = seed.is(20).then_some(Verdict::Pass);
    ending
}

/// Any event, whether the engine would tell it at this moment or not.
fn event(seed: &mut Seed) -> Event {
    let host: HostName = NAMES[seed.below(NAMES.len())].parse().unwrap();
    let some = |seed: &mut Seed| -> Vec<HostName> {
        NAMES
            .iter()
            .filter(|_| seed.is(60))
            .map(|name| name.parse().unwrap())
            .collect()
    };
    match seed.below(100) {
        0..50 => Event::HostFinished {
            host,
            seconds: seconds(seed),
            ending: Box::new(ending(seed)),
        },
        50..65 => Event::HostStarted { host, run: None },
        65..70 => Event::Waiting {
            host,
            lock: "/var/lib/dpkg/lock".into(),
            holder: "apt \"x\"".into(),
        },
        70..75 => Event::Reconnecting {
            host,
            text: "cut".into(),
        },
        75..80 => Event::Checking { host, soak: 60.0 },
        80..88 => Event::PhaseStarted {
            phase: [Phase::Plan, Phase::Approve, Phase::Ask][seed.below(3)],
            operation: [Operation::Update, Operation::Upgrade][seed.below(2)],
            hosts: some(seed),
        },
        88..92 => Event::PhaseFinished {
            phase: [Phase::Plan, Phase::Approve][seed.below(2)],
            seconds: seconds(seed),
            outcomes: Default::default(),
        },
        92..95 => Event::WaveStarted {
            wave: 1 + seed.below(2),
            waves: 2,
            hosts: some(seed),
            soak: 0.0,
        },
        95..97 => Event::Interrupted { times: 1 },
        _ => Event::Answered {
            answer: [Approval::Yes, Approval::Interrupted][seed.below(2)],
        },
    }
}

/// The ends of a state, without the times on the clients.
fn ends(state: &RunState) -> HashMap<HostName, Ending> {
    let mut ends = HashMap::new();
    for (host, ending) in state.endings() {
        let mut ending = ending.clone();
        if let Some(result) = &mut ending.result {
            result.seconds = 0.0;
        }
        ends.insert(host.clone(), ending);
    }
    ends
}

/// Tells an event of any time. It is written with the others: that the disk has it is not what is tested.
fn tell(push: &mut Push, seed: &mut Seed, event: Event) {
    let event = TimedEvent {
        at: Timestamp::from_millisecond(seed.below(9_000) as i64).unwrap(),
        push: push.id,
        event,
    };
    push.state.apply(&event);
    push.recorder.take(&event, &push.state).unwrap();
}

#[test]
fn the_quick_reading_of_the_ends_is_the_fold_of_all_events() {
    let desk = Desk::new();
    let ledger = desk.open();
    let (mut all, mut shared) = (0, 0);
    for number in 1..=60 {
        let mut seed = Seed::of(u64::from(number));
        let mut push = desk.push(number, &NAMES, None);
        let run = RunId::from_bytes([number; 16]);
        push.recorder.begin(run, &push.work()).unwrap();
        for _ in 0..seed.below(120) {
            let event = event(&mut seed);
            tell(&mut push, &mut seed, event);
        }
        // Where something is changed, a host ends once.
        if seed.is(50) {
            push.phase(Phase::Apply);
            for host in NAMES.map(|name| name.parse::<HostName>().unwrap()) {
                let (is_started, is_ended) = (seed.is(80), seed.is(80));
                if is_started {
                    let host = host.clone();
                    tell(&mut push, &mut seed, Event::HostStarted { host, run: None });
                }
                if is_ended {
                    let (seconds, ending) = (seconds(&mut seed), Box::new(ending(&mut seed)));
                    let event = Event::HostFinished {
                        host,
                        seconds,
                        ending,
                    };
                    tell(&mut push, &mut seed, event);
                }
            }
        }
        push.finish();
        let run = ledger.find(&"@".parse().unwrap()).unwrap();
        let (quick, state) = (ledger.ends(&run).unwrap(), ledger.state(&run).unwrap());
        assert_eq!(
            (quick.phase, quick.operation, quick.seconds),
            (state.phase, state.operation, state.seconds),
            "seed {number}"
        );
        let known = quick.hosts.iter().filter_map(|(attempt, ending)| {
            let ending = ending.as_ref()?;
            Some((attempt.host.clone(), Ending::clone(ending)))
        });
        assert_eq!(known.collect::<HashMap<_, _>>(), ends(&state), "seed {number}");
        let endings = || quick.hosts.iter().filter_map(|(_, ending)| ending.as_ref());
        all += endings().count();
        shared += endings().filter(|ending| Rc::strong_count(ending) > 1).count();
    }
    // Both kinds are there.
    assert!(all > 100 && shared > 5 && shared < all, "{shared} of {all}");
}
