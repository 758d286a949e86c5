//! Reboots of hosts that follow a script: a fresh login to another boot ends one well, and nothing else does.

use apu_proto::{System, Transaction, Verdict};

use super::*;
use crate::rollout::{Rollout, Trial};
use crate::task::Task;

/// It goes down, from the boot a.
const GOES_DOWN: &str = "{\"frame\":\"result\",\"outcome\":\"changed\",\"operation\":\"reboot\",\"answer\":\"reboot\",\
    \"boot_id\":\"a\",\"kernel\":\"6.1.0-1-amd64\",\"reasons\":[{\"why\":\"dbus\"}]}\n";
/// What it answers in the boot of before, and in another one.
const BOOT_A: &str = "{\"frame\":\"result\",\"outcome\":\"unchanged\",\"answer\":\"reboot\",\"boot_id\":\"a\",\"kernel\":\"k\"}\n";
const BOOT_B: &str = "{\"frame\":\"result\",\"outcome\":\"unchanged\",\"answer\":\"reboot\",\"boot_id\":\"b\",\"kernel\":\"k\"}\n";
/// The same, and it needs one more.
const BOOT_B_AGAIN: &str = "{\"frame\":\"result\",\"outcome\":\"unchanged\",\"answer\":\"reboot\",\"boot_id\":\"b\",\"kernel\":\"k\",\
    \"reasons\":[{\"why\":\"microcode\"}]}\n";
const NOT_NEEDED: &str = "{\"frame\":\"result\",\"outcome\":\"unchanged\",\"operation\":\"reboot\",\"answer\":\"reboot\",\
    \"boot_id\":\"a\",\"kernel\":\"k\"}\n";
const WELL: &str = "{\"frame\":\"result\",\"outcome\":\"unchanged\",\"answer\":\"health\",\
    \"checks\":[{\"name\":\"dpkg\",\"verdict\":\"pass\"}]}\n";
const UNWELL: &str = "{\"frame\":\"result\",\"outcome\":\"failed\",\"answer\":\"health\",\
    \"checks\":[{\"name\":\"units\",\"verdict\":\"fail\",\"detail\":\"web.service\"}]}\n";

const LIMIT: Duration = Duration::from_secs(600);

async fn reboot<const N: usize>(hosts: [(&'static str, &str, Vec<Act>); N], waves: &[usize]) -> Ran {
    carry_out(Operation::Reboot, hosts, waves).await
}

/// Has these hosts do it, each of its exclusive group where it has one, in these waves.
pub(super) async fn carry_out<const N: usize>(
    operation: Operation,
    hosts: [(&'static str, &str, Vec<Act>); N],
    waves: &[usize],
) -> Ran {
    let of = |(name, group, _): &(&'static str, &str, Vec<Act>)| Host {
        exclusive: group.parse().ok(),
        ..Host::plain(name.parse().unwrap())
    };
    let named: Vec<Host> = hosts.iter().map(of).collect();
    let acts = hosts.map(|(name, _, acts)| (name, acts));
    let script = Arc::new(Script {
        acts: acts.into(),
        ..Script::default()
    });
    let request = Request::new(operation, [RequestOption::RunId(run_id())], []).unwrap();
    let trial = Arc::new(Trial {
        system: System::default(),
        transaction: Transaction::default(),
        is_broken: false,
        too_young: Vec::new(),
        conffile_rules: Vec::new(),
    });
    let task = |host: &Host| Task {
        host: host.clone(),
        request: request.clone(),
        trial: Some(trial.clone()),
    };
    let batch = Batch {
        tasks: named.iter().map(task).collect(),
        rollout: Rollout {
            waves: waves.to_vec(),
            ..Rollout::default()
        },
        ..Batch::of(Phase::Apply, &named, &request)
    };
    let mut events = Vec::new();
    let sinks = Sinks::default().with(Names(&mut events));
    let announcement = Announcement::of(PushId::from_bytes([1; 16]), &named, &request, "alice".into());
    let (_stop, stopped) = mpsc::unbounded_channel();
    let mut runner = Runner::start(&script, stopped, sinks, announcement);
    let limits = Limits {
        timeout: LIMIT,
        ..LIMITS
    };
    runner.phase(batch, limits).await;
    let run_state = runner.finish(0);
    Ran {
        run_state,
        events,
        script,
    }
}

fn comes_back() -> Vec<Act> {
    vec![
        Act::Says(GOES_DOWN),
        Act::Unreachable,
        Act::Says(BOOT_B),
        Act::Says(WELL),
    ]
}

fn stays_away() -> Vec<Act> {
    let mut acts = vec![Act::Says(GOES_DOWN)];
    acts.resize(200, Act::Unreachable);
    acts
}

#[tokio::test(start_paused = true)]
async fn a_host_has_rebooted_when_another_boot_answers_and_its_checks_pass() {
    let acts = vec![
        Act::Says(GOES_DOWN),
        // Its sshd still answers, then it is away, then it starts and says little.
        Act::Says(BOOT_A),
        Act::Unreachable,
        Act::Says(""),
        Act::Says(BOOT_B_AGAIN),
        Act::Says(WELL),
    ];
    let ran = reboot([("a", "", acts)], &[]).await;
    assert_eq!(ran.outcome("a"), Outcome::Changed);
    let ending = ran.run_state.ending(&"a".parse().unwrap()).unwrap();
    assert_eq!(ending.verdict(), Some(Verdict::Pass));
    let result = ending.result.as_ref().unwrap();
    assert!(result.reboot_required, "it needs another one");
    assert_eq!(result.reboot().unwrap().boot_id, "a");
    let asked = ran.asked("a");
    assert_eq!(asked[1..5], ["apu/1 reboot dry_run=yes"; 4]);
    assert_eq!(asked[5..], [format!("apu/1 health run_id={}", run_id())]);
    let place = |name: &str| ran.events.iter().position(|event| event == name).unwrap();
    assert!(place("rebooting a") < place("checking a") && place("checking a") < place("host-finished a"));
}

#[tokio::test(start_paused = true)]
async fn a_host_that_needs_none_is_not_waited_for() {
    let ran = reboot([("a", "", vec![Act::Says(NOT_NEEDED)])], &[]).await;
    assert_eq!((ran.outcome("a"), ran.asked("a").len()), (Outcome::Unchanged, 1));
}

#[tokio::test(start_paused = true)]
async fn a_host_that_is_away_keeps_its_group_and_no_other_waiting() {
    let hosts = [
        ("a1", "a", stays_away()),
        ("a2", "a", comes_back()),
        ("a3", "a", comes_back()),
        ("b1", "b", comes_back()),
        ("b2", "b", comes_back()),
        ("c", "", comes_back()),
    ];
    let begun = tokio::time::Instant::now();
    let ran = reboot(hosts, &[]).await;
    assert!(begun.elapsed() < LIMIT * 2, "it ends");
    assert_eq!(ran.outcome("a1"), Outcome::Failed);
    let ServerCause::NotBack {
        seconds,
        why: Some(why),
    } = ran.why("a1").cause
    else {
        panic!("{:?}", ran.why("a1"));
    };
    assert!(seconds == 600 && why.cause == ServerCause::ConnectionRefused);
    for host in ["a2", "a3"] {
        assert_eq!(ran.outcome(host), Outcome::Skipped);
        let by = "a1".parse().unwrap();
        let group = "a".to_owned();
        assert_eq!(ran.why(host).cause, ServerCause::GroupAtWork { group, by });
        assert!(ran.asked(host).is_empty());
    }
    for host in ["b1", "b2", "c"] {
        assert_eq!(ran.outcome(host), Outcome::Changed);
    }
    let place = |name: &str| ran.events.iter().position(|event| event == name).unwrap();
    assert!(
        place("host-finished b1") < place("host-started b2"),
        "one after the other"
    );
}

#[tokio::test(start_paused = true)]
async fn the_boot_of_before_and_another_host_key_are_no_reboot() {
    let stays = std::iter::once(Act::Says(GOES_DOWN)).chain(std::iter::repeat_n(Act::Says(BOOT_A), 200));
    let hosts = [
        ("a", "", stays.collect()),
        (
            "b",
            "",
            vec![Act::Says(GOES_DOWN), Act::Stranger, Act::Says(BOOT_B)],
        ),
    ];
    let ran = reboot(hosts, &[]).await;
    assert_eq!([ran.outcome("a"), ran.outcome("b")], [Outcome::Failed; 2]);
    assert!(matches!(
        ran.why("a").cause,
        ServerCause::NotBack { why: None, .. }
    ));
    let ServerCause::NotBack { why: Some(why), .. } = ran.why("b").cause else {
        panic!("{:?}", ran.why("b"));
    };
    assert_eq!(
        (why.cause, ran.asked("b").len()),
        (ServerCause::HostKeyChanged, 2)
    );
}

#[tokio::test(start_paused = true)]
async fn a_host_that_goes_down_before_its_answer_came_is_asked_for_it_when_it_is_back() {
    let hosts = [
        (
            "a",
            "",
            vec![
                Act::Says(HELLO),
                Act::Unreachable,
                Act::Says(GOES_DOWN),
                Act::Says(BOOT_B),
                Act::Says(WELL),
            ],
        ),
        (
            "b",
            "",
            std::iter::once(Act::Says(HELLO))
                .chain(std::iter::repeat_n(Act::Unreachable, 200))
                .collect(),
        ),
    ];
    let ran = reboot(hosts, &[]).await;
    assert_eq!(ran.outcome("a"), Outcome::Changed);
    assert_eq!(ran.asked("a")[1], format!("apu/1 attach run_id={}", run_id()));
    assert_eq!(ran.outcome("b"), Outcome::Failed);
    assert!(matches!(
        ran.why("b").cause,
        ServerCause::NotBack { why: Some(_), .. }
    ));
}

#[tokio::test(start_paused = true)]
async fn a_canary_that_does_not_come_back_well_stops_the_others() {
    let unwell = [Act::Says(GOES_DOWN), Act::Says(BOOT_B)].into_iter();
    let unwell: Vec<Act> = unwell
        .chain(std::iter::repeat_n(Act::Says(UNWELL), 300))
        .collect();
    for canary in [stays_away(), unwell] {
        let ran = reboot([("a", "", canary), ("b", "", comes_back())], &[1, 1]).await;
        assert!(!ran.outcome("a").is_well());
        assert_eq!(ran.outcome("b"), Outcome::Skipped);
        assert!(matches!(ran.why("b").cause, ServerCause::WaveFailed { .. }));
    }
    let ran = reboot([("a", "", comes_back()), ("b", "", comes_back())], &[1, 1]).await;
    assert_eq!([ran.outcome("a"), ran.outcome("b")], [Outcome::Changed; 2]);
}
