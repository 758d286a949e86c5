//! A ledger in a file, from the first event of a push to the queries, with what may go wrong between them.
#![allow(clippy::unwrap_used, reason = "a test that cannot go on fails")]

mod desk;
mod ends;
mod queue;
#[path = "../simulation/seed.rs"]
mod seed;

use std::cell::RefCell;
use std::rc::Rc;
use std::time::Duration;

use apu_fleet::{
    Approval, Event, HostName, Instruction, Outcome, PauseCause, Phase, Rollout, Sink, Trial, WaveVerdict,
};
use apu_ledger::{BeginError, LedgerError, Paused, Retention, RunStatus, Told, Work};
use apu_proto::{DebSha256, RunId, Step, System, Transaction, Verdict};
use jiff::Timestamp;

use desk::{Desk, Push, ended, hosts, kill};

#[test]
fn a_push_is_read_back_as_it_happened() {
    let desk = Desk::new();
    let mut push = desk.push(1, &["web1", "web2", "web3"], None);
    // One that cannot be reached has its end in the plan.
    push.phase(Phase::Plan);
    push.end("web3", Outcome::Unreachable);
    push.hosts.pop();
    let number = push.begin().unwrap();
    push.phase(Phase::Apply);
    push.start("web1");
    push.start("web2");
    for text in ["Unpacking a…", "\u{1b}[2J"] {
        push.tell(Event::Line {
            host: "web1".parse().unwrap(),
            text: text.into(),
        });
    }
    let ledger = desk.open();
    let run = ledger.find(&"@".parse().unwrap()).unwrap();
    assert_eq!((run.number, run.status), (number, RunStatus::Running));
    assert_eq!(ledger.leases().unwrap().len(), 2);
    push.end("web1", Outcome::Changed);
    assert_eq!(ledger.leases().unwrap().len(), 1);
    push.end("web2", Outcome::Failed);
    push.finish();

    let run = ledger.find(&number.to_string().parse().unwrap()).unwrap();
    assert_eq!(run.status, RunStatus::Ended(0));
    assert_eq!(
        (run.operation.as_str(), run.target.as_str(), run.by.as_str()),
        ("upgrade --yes", "web", "alice")
    );
    assert_eq!(run.allow_restart, ["postgresql@*", "cron"]);
    let attempts = ledger.attempts(number).unwrap();
    let ends: Vec<_> = attempts
        .iter()
        .map(|attempt| (attempt.host.as_str(), attempt.outcome))
        .collect();
    assert_eq!(
        ends,
        [
            ("web1", Some(Outcome::Changed)),
            ("web2", Some(Outcome::Failed)),
            ("web3", Some(Outcome::Unreachable))
        ]
    );
    assert_eq!(attempts[2].started, None);
    let outcomes = ledger.outcomes(number).unwrap();
    assert_eq!(outcomes.values().sum::<usize>(), 3);
    assert_eq!(outcomes.get(&Some(Outcome::Failed)), Some(&1));
    let ending = ledger.ending(&attempts[2]).unwrap().unwrap();
    assert_eq!(ending.outcome, Outcome::Unreachable);
    let mut output = Vec::new();
    ledger
        .output(number, &"web1".parse().unwrap(), &mut output)
        .unwrap();
    assert_eq!(output, "Unpacking a…\n\u{1b}[2J\n".as_bytes());
    assert_eq!(ledger.state(&run).unwrap().outcomes(), push.state.outcomes());
    let history = ledger.history(&"web2".parse().unwrap(), 9).unwrap();
    assert_eq!((history.len(), history[0].0.number), (1, number));
    let by_id = ledger.find(&"070707".parse().unwrap()).unwrap();
    assert_eq!(by_id.number, number);
    assert!(ledger.leases().unwrap().is_empty());
    assert_eq!(ledger.check().unwrap(), Vec::<String>::new());
}

#[test]
fn what_decides_is_on_the_disk_at_once_and_the_rest_soon() {
    let desk = Desk::new();
    let mut push = desk.push(1, &["web1"], None);
    push.begin().unwrap();
    push.phase(Phase::Apply);
    let ledger = desk.open();
    let count = || {
        let run = ledger.find(&"@".parse().unwrap()).unwrap();
        ledger.events(&run).unwrap().len()
    };
    assert_eq!(count(), 1);
    assert!(push.recorder.wants_ticks());
    push.recorder.tick(&push.state);
    assert_eq!((count(), push.recorder.wants_ticks()), (2, false));
    push.start("web1");
    assert_eq!(count(), 3);
    let number = push.recorder.number().unwrap();
    assert!(ledger.attempts(number).unwrap()[0].is_open());
    assert_eq!(ledger.outcomes(number).unwrap().get(&None), Some(&1));
}

#[test]
fn a_host_is_at_work_for_one_run_and_what_is_not_known_stays_held() {
    let desk = Desk::new();
    let mut first = desk.push(1, &["web1", "web2"], None);
    let number = first.begin().unwrap();
    // The others are not kept waiting by one host.
    let second = desk.push(2, &["web2", "web3"], None);
    let (number_of_second, beside) = second.begin_beside().unwrap();
    assert_eq!(beside, ["web2"]);
    let work = desk.open().work(number_of_second).unwrap().unwrap();
    assert_eq!(work.hosts, hosts(&["web3"]));
    let held = |push: &Push| match push.begin() {
        Err(BeginError::Held(conflicts)) => conflicts
            .iter()
            .map(|conflict| conflict.host.to_string())
            .collect::<Vec<_>>(),
        other => panic!("{other:?}"),
    };
    // Where all of them are held, nothing begins, and nothing is left of it.
    let third = desk.push(8, &["web3", "web2"], None);
    assert_eq!(held(&third), ["web3", "web2"]);
    assert_eq!(desk.open().leases().unwrap().len(), 3);
    assert_eq!(
        (third.recorder.number(), desk.open().runs(9).unwrap().len()),
        (None, 2)
    );

    first.phase(Phase::Apply);
    first.start("web1");
    kill(&desk);
    let ledger = desk.open();
    assert_eq!(
        ledger.find(&"1".parse().unwrap()).unwrap().status,
        RunStatus::BrokenOff
    );
    // web2 was never asked; what became of web1 nobody knows.
    assert!(desk.push(3, &["web2"], None).begin().is_ok());
    assert_eq!(held(&desk.push(4, &["web1"], None)), ["web1"]);
    let next = desk.push(5, &["web1"], Some(number)).begin().unwrap();
    assert_eq!(
        ledger.find(&"1".parse().unwrap()).unwrap().status,
        RunStatus::WentOn(next)
    );
}

#[test]
fn hosts_of_an_exclusive_group_change_in_one_run_at_a_time() {
    let desk = Desk::new();
    let mut first = desk.push(1, &["db1"], None);
    first.begin_in_group("db").unwrap();
    let in_the_way = |push: &Push, group: &str| match push.begin_in_group(group) {
        Err(BeginError::Held(conflicts)) => {
            (conflicts[0].host.to_string(), conflicts[0].lease.host.to_string())
        }
        other => panic!("{other:?}"),
    };
    let second = desk.push(2, &["db2"], None);
    assert_eq!(in_the_way(&second, "db"), ("db2".into(), "db1".into()));
    // Another group, and what changes nothing.
    desk.push(3, &["cache1"], None).begin_in_group("cache").unwrap();
    desk.push(4, &["db3"], None).begin().unwrap();

    first.phase(Phase::Apply);
    first.start("db1");
    kill(&desk);
    // What became of db1 nobody knows, until it is let go.
    let third = desk.push(5, &["db2"], None);
    assert_eq!(in_the_way(&third, "db"), ("db2".into(), "db1".into()));
    let ledger = desk.open();
    let of_db1 = ledger.leases().unwrap();
    assert_eq!(of_db1.len(), 1, "{of_db1:?}");
    ledger.unlock(&of_db1[0]).unwrap();
    desk.push(6, &["db2"], None).begin_in_group("db").unwrap();
}

#[test]
fn a_run_goes_on_with_the_group_of_the_one_before() {
    let desk = Desk::new();
    let mut first = desk.push(1, &["db1", "db2"], None);
    let (number, _) = first.begin_in_group("db").unwrap();
    first.phase(Phase::Apply);
    first.start("db1");
    kill(&desk);
    let next = desk.push(2, &["db1", "db2"], Some(number));
    assert_eq!(next.begin_in_group("db").unwrap().1, Vec::<String>::new());
}

#[test]
fn a_run_whose_process_is_not_understood_keeps_its_hosts() {
    let desk = Desk::new();
    let first = desk.push(1, &["web1"], None);
    first.begin().unwrap();
    let connection = rusqlite::Connection::open(desk.path()).unwrap();
    connection
        .execute("UPDATE run SET owner = 'of a later form'", [])
        .unwrap();
    let run = desk.open().find(&"1".parse().unwrap()).unwrap();
    assert_eq!((run.status, run.owner), (RunStatus::Running, None));
    let second = desk.push(2, &["web1"], None).begin();
    assert!(matches!(second, Err(BeginError::Held(_))), "{second:?}");
}

#[test]
fn a_host_is_let_go_by_the_lease_that_was_looked_at_and_by_no_other() {
    let desk = Desk::new();
    let lease_of = |id: u8| {
        let mut push = desk.push(id, &["web1"], None);
        push.begin().unwrap();
        push.phase(Phase::Apply);
        push.start("web1");
        kill(&desk);
        desk.open().leases().unwrap().remove(0)
    };
    let ledger = desk.open();
    let first = lease_of(1);
    assert!(ledger.unlock(&first).unwrap());
    assert!(!ledger.unlock(&first).unwrap());
    let second = lease_of(2);
    assert!(!ledger.unlock(&first).unwrap());
    assert_eq!(ledger.leases().unwrap(), std::slice::from_ref(&second));
    assert!(ledger.unlock(&second).unwrap());
    assert!(ledger.leases().unwrap().is_empty());
}

#[test]
fn a_push_to_which_somebody_said_no_has_no_number_and_one_with_nothing_to_do_has_one() {
    let desk = Desk::new();
    let mut declined = desk.push(1, &["web1"], None);
    declined.tell(Event::Answered { answer: Approval::No });
    declined.finish();
    assert_eq!(declined.recorder.number(), None);
    let mut idle = desk.push(2, &["web1"], None);
    idle.phase(Phase::Plan);
    idle.end("web1", Outcome::Unchanged);
    idle.finish();
    let runs = desk.open().runs(9).unwrap();
    assert_eq!(runs.len(), 1);
    assert_eq!(runs[0].status, RunStatus::Ended(0));
    let attempts = desk.open().attempts(runs[0].number).unwrap();
    assert_eq!(attempts[0].outcome, Some(Outcome::Unchanged));
}

#[test]
fn a_push_that_gets_no_number_at_its_end_says_why() {
    let desk = Desk::new();
    let mut push = desk.push(1, &["web1"], None);
    let connection = rusqlite::Connection::open(desk.path()).unwrap();
    connection
        .execute("ALTER TABLE run RENAME TO elsewhere", [])
        .unwrap();
    push.finish();
    let closed = push.recorder.close();
    assert!(matches!(closed, Err(LedgerError::Sqlite(_))), "{closed:?}");
}

#[test]
fn a_host_that_repeats_itself_fills_neither_the_memory_nor_the_ledger() {
    let desk = Desk::new();
    let mut push = desk.push(1, &["web1"], None);
    push.phase(Phase::Plan);
    let repeat = |push: &mut Push| {
        for turn in 0..500 {
            let host: HostName = "web1".parse().unwrap();
            push.tell(Event::Reconnecting {
                host: host.clone(),
                text: "cut".into(),
            });
            push.tell(Event::Waiting {
                host,
                lock: "/run/lock".into(),
                holder: format!("process {turn}"),
            });
        }
    };
    repeat(&mut push);
    push.begin().unwrap();
    push.phase(Phase::Apply);
    repeat(&mut push);
    push.finish();
    let ledger = desk.open();
    let run = ledger.find(&"@".parse().unwrap()).unwrap();
    // Beside those of the push and its two phases.
    assert_eq!(ledger.events(&run).unwrap().len(), 20 + 50 + 4);
}

#[test]
fn what_a_run_is_told_reaches_its_recorder_in_order_and_an_abort_once() {
    let desk = Desk::new();
    let mut push = desk.push(1, &["web1"], None);
    let heard = Rc::new(RefCell::new(Vec::new()));
    let to = heard.clone();
    push.recorder.on_told(move |told| to.borrow_mut().push(told));
    // Nobody can tell it anything before it has a number.
    push.recorder.tick(&push.state);
    let number = push.begin().unwrap();
    push.recorder.tick(&push.state);
    assert_eq!(*heard.borrow(), []);
    let tell = |by: &str, instruction| Told {
        by: by.to_owned(),
        instruction,
    };
    let by = || "bob".to_owned();
    let told = [
        tell("bob", Instruction::Pause { by: by() }),
        tell("bob", Instruction::Resume { by: by() }),
        tell("bob", Instruction::Promote { wave: 2, by: by() }),
        tell("bob", Instruction::Stop),
    ];
    for one in &told {
        desk.open().instruct(number, one).unwrap();
    }
    desk.open()
        .instruct(number, &tell("carol", Instruction::Stop))
        .unwrap();
    for _ in 0..2 {
        push.recorder.tick(&push.state);
    }
    assert_eq!(*heard.borrow(), told);
    // After a Ctrl-C an abort says nothing new: a second Ctrl-C would leave what is at work.
    let mut interrupted = desk.push(3, &["web3"], None);
    let number = interrupted.begin().unwrap();
    interrupted.tell(Event::Interrupted { times: 1 });
    desk.open()
        .instruct(number, &tell("bob", Instruction::Stop))
        .unwrap();
    interrupted.recorder.on_told(|told| panic!("{told:?}"));
    interrupted.recorder.tick(&interrupted.state);
    // What another run was told is nothing for this one.
    let mut other = desk.push(2, &["web2"], None);
    other.begin().unwrap();
    other.recorder.on_told(|told| panic!("{told:?}"));
    other.recorder.tick(&other.state);
}

#[test]
fn a_run_is_paused_until_somebody_decides_or_it_ends() {
    let desk = Desk::new();
    let mut push = desk.push(1, &["web1"], None);
    push.begin().unwrap();
    push.phase(Phase::Apply);
    let paused = || desk.open().find(&"@".parse().unwrap()).unwrap().paused;
    let pause = |cause| Event::Paused {
        cause,
        wave: 2,
        hosts: Vec::new(),
        by: String::new(),
        limit: 60.0,
    };
    let by = || "bob".to_owned();
    for (cause, expected, end) in [
        (PauseCause::Asked, Paused::Asked, Event::Resumed { by: by() }),
        (
            PauseCause::Inconclusive,
            Paused::Wave(2),
            Event::Promoted { wave: 2, by: by() },
        ),
        (PauseCause::Asked, Paused::Asked, Event::Interrupted { times: 1 }),
    ] {
        push.tell(pause(cause));
        assert_eq!(paused(), Some(expected));
        push.tell(end);
        assert_eq!(paused(), None);
    }
    let ledger = desk.open();
    let run = ledger.find(&"@".parse().unwrap()).unwrap();
    assert_eq!(ledger.promoted(&run).unwrap(), [(2, by())].into());
    push.tell(pause(PauseCause::Asked));
    push.finish();
    assert_eq!(paused(), None);
}

#[test]
fn the_oldest_runs_go_and_what_has_not_ended_stays() {
    let desk = Desk::new();
    let open = desk.push(1, &["web1"], None);
    open.begin().unwrap();
    for id in 2..=5 {
        desk.push(id, &["web2"], None).finish();
    }
    let ledger = desk.open();
    let numbers = || {
        ledger
            .runs(99)
            .unwrap()
            .iter()
            .map(|run| run.number.to_string())
            .collect::<Vec<_>>()
    };
    let now = Timestamp::from_millisecond(6_000).unwrap();
    let keep = Retention::default();
    assert_eq!(ledger.prune(&keep, now).unwrap(), 0);
    assert_eq!(ledger.prune(&Retention { runs: 2, ..keep }, now).unwrap(), 2);
    assert_eq!(numbers(), ["5", "4", "1"]);
    let later = Timestamp::from_millisecond(9_000).unwrap();
    let age = Duration::from_secs(2);
    // The newest never go for their age.
    assert_eq!(ledger.prune(&Retention { age, ..keep }, later).unwrap(), 0);
    assert_eq!(ledger.prune(&Retention { size: 1, ..keep }, later).unwrap(), 2);
    assert_eq!(numbers(), ["1"]);
    assert_eq!(ledger.prune(&Retention { size: 1, ..keep }, later).unwrap(), 0);
    let missing = ledger.find(&"5".parse().unwrap());
    assert!(matches!(missing, Err(LedgerError::NoRun(_))), "{missing:?}");
}

/// The sentences of the check after a push with these events.
fn check_after(events: impl FnOnce(&mut Push)) -> Vec<String> {
    let desk = Desk::new();
    let mut push = desk.push(1, &["web1", "web2", "web3"], None);
    push.begin().unwrap();
    push.phase(Phase::Apply);
    events(&mut push);
    desk.open().check().unwrap()
}

#[test]
fn a_lie_in_the_ledger_is_found() {
    let wave = |push: &mut Push, wave: usize, names: &[&str]| {
        push.tell(Event::WaveStarted {
            wave,
            waves: 2,
            hosts: hosts(names),
            soak: 0.0,
        });
    };
    assert_eq!(check_after(|push| push.start("web1")), Vec::<String>::new());
    let twice = check_after(|push| {
        push.start("web1");
        push.start("web1");
    });
    assert_eq!(twice, ["run 1: web1 started twice"]);
    let crowded = check_after(|push| ["web1", "web2", "web3"].iter().for_each(|host| push.start(host)));
    assert_eq!(crowded, ["run 1: web3 started beside 2 others"]);
    let early = check_after(|push| {
        wave(push, 1, &["web1"]);
        wave(push, 2, &["web2"]);
        push.start("web2");
    });
    assert_eq!(
        early,
        ["run 1: web2 of wave 2 started before the wave before had passed"]
    );
    let in_order = check_after(|push| {
        wave(push, 1, &["web1"]);
        push.start("web1");
        push.end("web1", Outcome::Changed);
        push.tell(Event::WaveFinished {
            wave: 1,
            waves: 2,
            verdict: WaveVerdict::Passed,
        });
        wave(push, 2, &["web2"]);
        push.start("web2");
    });
    assert_eq!(in_order, Vec::<String>::new());
    let in_a_pause = check_after(|push| {
        push.tell(Event::Paused {
            cause: PauseCause::Asked,
            wave: 1,
            hosts: Vec::new(),
            by: "bob".into(),
            limit: 60.0,
        });
        push.start("web1");
        push.tell(Event::Resumed { by: "bob".into() });
        push.start("web2");
    });
    assert_eq!(in_a_pause, ["run 1: web1 started in a pause"]);

    let desk = Desk::new();
    let mut push = desk.push(1, &["web1"], None);
    push.begin().unwrap();
    push.phase(Phase::Apply);
    push.start("web1");
    push.end("web1", Outcome::Changed);
    push.finish();
    let connection = rusqlite::Connection::open(desk.path()).unwrap();
    connection
        .execute_batch("DROP TRIGGER one_outcome; UPDATE attempt SET outcome = 'failed'")
        .unwrap();
    connection
        .execute("INSERT INTO lease (host, run, since) VALUES ('web1', 1, 0)", [])
        .unwrap();
    assert_eq!(
        desk.open().check().unwrap(),
        [
            "run 1: web1 ended failed by the table and changed by the events",
            "web1 is held for a run that has ended"
        ]
    );
}

#[test]
fn what_an_administrator_vouched_for_is_tested_and_a_promotion_by_nobody_is_found() {
    let step = Step::Remove {
        package: "a:amd64".parse().unwrap(),
        old: "1".into(),
    };
    let trial = Trial {
        system: System::default(),
        transaction: Transaction::new(vec![step]),
        is_broken: false,
        too_young: Vec::new(),
        conffile_rules: Vec::new(),
    };
    let check = |promotes: bool| {
        let desk = Desk::new();
        let mut push = desk.push(1, &["web1", "web2"], None);
        let mut work = Work::new("apu/1 upgrade".into(), Rollout::default());
        work.parallel = 9;
        let work = work.for_hosts(push.hosts.iter().map(|host| (host, Some(&trial))));
        push.recorder.begin(RunId::from_bytes([7; 16]), &work).unwrap();
        push.phase(Phase::Apply);
        for (wave, host) in [(1, "web1"), (2, "web2")] {
            push.tell(Event::WaveStarted {
                wave,
                waves: 2,
                hosts: hosts(&[host]),
                soak: 0.0,
            });
            push.start(host);
            let mut ending = ended(Outcome::Changed);
            ending.health = Some(Verdict::Inconclusive);
            push.tell(Event::HostFinished {
                host: host.parse().unwrap(),
                seconds: 1.0,
                ending,
            });
            if promotes && wave == 1 {
                push.tell(Event::Promoted {
                    wave,
                    by: "bob".into(),
                });
            }
            let verdict = match wave {
                1 => WaveVerdict::Promoted,
                _ => WaveVerdict::Passed,
            };
            push.tell(Event::WaveFinished {
                wave,
                waves: 2,
                verdict,
            });
        }
        desk.open().check().unwrap()
    };
    assert_eq!(check(true), Vec::<String>::new());
    assert_eq!(
        check(false),
        ["run 1: wave 1 was promoted, and nothing says by whom"]
    );
}

#[test]
fn a_host_that_starts_with_what_no_canary_tested_is_found_also_where_its_canary_did_the_same() {
    let install = |sha256: Option<u8>| Trial {
        system: System::default(),
        transaction: Transaction::new(vec![Step::Install {
            package: "a:amd64".parse().unwrap(),
            old: None,
            new: "1".into(),
            sha256: sha256.map(|byte| DebSha256::from_bytes([byte; 32])),
            origin: String::new(),
        }]),
        is_broken: false,
        too_young: Vec::new(),
        conffile_rules: Vec::new(),
    };
    let known = install(Some(1));
    let of_unknown_contents = install(None);
    let other = install(Some(2));
    let trials = [
        ("web1", &known),
        ("web2", &of_unknown_contents),
        ("web3", &known),
        ("web4", &known),
        ("web5", &of_unknown_contents),
        ("web6", &other),
    ];
    let names = trials.map(|(name, _)| name);
    let desk = Desk::new();
    let mut push = desk.push(1, &names, None);
    let mut work = Work::new("apu/1 upgrade".into(), Rollout::default());
    work.parallel = 9;
    let which = trials.map(|(_, trial)| Some(trial));
    let work = work.for_hosts(push.hosts.iter().zip(which));
    push.recorder.begin(RunId::from_bytes([7; 16]), &work).unwrap();
    push.phase(Phase::Apply);
    for (wave, names) in [(1, &names[..2]), (2, &names[2..])] {
        let hosts = hosts(names);
        push.tell(Event::WaveStarted {
            wave,
            waves: 2,
            hosts: hosts.clone(),
            soak: 0.0,
        });
        for host in hosts {
            push.start(host.as_str());
            let mut ending = ended(Outcome::Changed);
            ending.health = Some(Verdict::Pass);
            push.tell(Event::HostFinished {
                host,
                seconds: 1.0,
                ending,
            });
        }
        push.tell(Event::WaveFinished {
            wave,
            waves: 2,
            verdict: WaveVerdict::Passed,
        });
    }
    let found = |host| format!("run 1: {host} started with packages that no canary had tested");
    assert_eq!(desk.open().check().unwrap(), [found("web5"), found("web6")]);
}
