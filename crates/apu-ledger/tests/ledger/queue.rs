//! The queue: what waits is kept with what it was approved to do, and a run whose hosts are all held is what they wait for.

use apu_fleet::{HostName, Outcome, Phase, Trial};
use apu_ledger::BeginError;
use apu_proto::{Step, System, Transaction};
use jiff::{SignedDuration, Timestamp};

use crate::desk::{Desk, hosts};

fn trial() -> Trial {
    Trial {
        system: System::default(),
        transaction: Transaction::new(vec![Step::Remove {
            package: "a:amd64".parse().unwrap(),
            old: "1".into(),
        }]),
        is_broken: false,
        too_young: Vec::new(),
        conffile_rules: Vec::new(),
    }
}

#[test]
fn hosts_wait_with_what_was_approved_until_they_leave_and_once_for_a_run() {
    let desk = Desk::new();
    let mut push = desk.push(1, &["web1", "web2"], None);
    push.phase(Phase::Plan);
    push.end("web1", Outcome::Unreachable);
    push.end("web2", Outcome::Unreachable);
    push.finish();
    let number = push.recorder.close().unwrap().unwrap();
    let mut ledger = desk.open();
    let now = Timestamp::from_second(1000).unwrap();
    let until = now + SignedDuration::from_hours(8);
    let names = hosts(&["web1", "web2"]);
    let trial = trial();
    let all = |why| [(&names[0], why, None), (&names[1], why, Some(&trial))].into_iter();
    ledger.enqueue(number, all("unreachable"), (now, until)).unwrap();
    // A host that waits keeps its time.
    let later = (until, until + SignedDuration::from_hours(8));
    ledger.enqueue(number, all("held"), later).unwrap();
    let waiting = ledger.queue().unwrap();
    assert_eq!(waiting.len(), 2);
    assert_eq!((&waiting[0].host, &waiting[0].trial), (&names[0], &None));
    assert_eq!(
        (&waiting[1].host, &waiting[1].trial),
        (&names[1], &Some(trial.clone()))
    );
    for queued in &waiting {
        assert_eq!((queued.run.number, queued.why.as_str()), (number, "unreachable"));
        assert_eq!((queued.since, queued.until), (now, until));
    }
    assert!(ledger.dequeue(&names[0], number).unwrap());
    assert!(!ledger.dequeue(&names[0], number).unwrap());
    assert_eq!(ledger.queue().unwrap().len(), 1);
    assert_eq!(ledger.check().unwrap(), Vec::<String>::new());
}

#[test]
fn a_run_all_of_whose_hosts_are_held_begins_where_they_are_queued_and_not_else() {
    let desk = Desk::new();
    let first = desk.push(1, &["web1"], None);
    first.begin().unwrap();
    let second = desk.push(2, &["web1"], None);
    assert!(matches!(second.begin_beside(), Err(BeginError::Held(_))));
    let third = desk.push(3, &["web1"], None);
    let mut work = third.work();
    work.queue_until = Some(5000);
    let (number, held) = third
        .recorder
        .begin(apu_proto::RunId::from_bytes([9; 16]), &work)
        .unwrap();
    let held: Vec<&HostName> = held.iter().map(|lease| &lease.host).collect();
    assert_eq!(held, hosts(&["web1"]).iter().collect::<Vec<_>>());
    let kept = desk.open().work(number).unwrap().unwrap();
    assert_eq!((kept.queue_until, kept.hosts.len()), (Some(5000), 0));
}
