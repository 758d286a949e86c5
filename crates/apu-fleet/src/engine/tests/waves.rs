//! Waves on hosts that follow a script: the watch of canaries' health decides over the others.

use apu_proto::{Answer, ClientOutcome, Frame, Plan, RunResult, Step, System, Transaction, Verdict};

use super::*;
use crate::rollout::{Rollout, Trial};
use crate::task::Task;

/// What a healthy client answers to `health`.
const WELL: &str = "{\"frame\":\"result\",\"outcome\":\"unchanged\",\"answer\":\"health\",\
    \"checks\":[{\"name\":\"dpkg\",\"verdict\":\"pass\"}]}\n";
const UNWELL: &str = "{\"frame\":\"result\",\"outcome\":\"failed\",\"answer\":\"health\",\
    \"checks\":[{\"name\":\"dpkg\",\"verdict\":\"pass\"},{\"name\":\"units\",\"verdict\":\"fail\",\"detail\":\"web.service\"}]}\n";
/// A client of before there was `health`.
const UNKNOWN: &str = "{\"frame\":\"result\",\"outcome\":\"refused\",\"answer\":\"plain\",\"reason\":{\"code\":\"grammar\",\"cause\":\"caller\"}}\n";

/// Pushes an upgrade to these hosts in waves, and what they do is all the same.
async fn roll_out<const N: usize>(
    acts: [(&'static str, Vec<Act>); N],
    waves: &[usize],
    soak: Duration,
) -> Ran {
    roll_out_each(acts.map(|(name, acts)| (name, acts, &["p"][..])), waves, soak).await
}

/// What a host is to do: remove these packages.
fn removal(packages: &[&str]) -> Trial {
    let step = |package: &&str| Step::Remove {
        package: format!("{package}:amd64").parse().unwrap(),
        old: "1".into(),
    };
    Trial {
        system: System::default(),
        transaction: Transaction::new(packages.iter().map(step).collect()),
        is_broken: false,
        too_young: Vec::new(),
        conffile_rules: Vec::new(),
    }
}

/// Pushes an upgrade to these hosts in waves; each changes its own packages.
async fn roll_out_each<const N: usize>(
    hosts: [(&'static str, Vec<Act>, &[&str]); N],
    waves: &[usize],
    soak: Duration,
) -> Ran {
    let trials = hosts
        .iter()
        .map(|(name, _, packages)| (*name, Arc::new(removal(packages))));
    let trials: HashMap<&str, Arc<Trial>> = trials.collect();
    let acts = hosts.map(|(name, acts, _)| (name, acts));
    let hosts: Vec<Host> = acts
        .iter()
        .map(|(name, _)| Host::plain(name.parse().unwrap()))
        .collect();
    let script = Arc::new(Script {
        acts: acts.into(),
        ..Script::default()
    });
    let request = Request::new(Operation::Upgrade, [RequestOption::RunId(run_id())], []).unwrap();
    let task = |host: &Host| Task {
        host: host.clone(),
        request: request.clone(),
        trial: Some(trials[host.name.as_str()].clone()),
    };
    let batch = Batch {
        tasks: hosts.iter().map(task).collect(),
        rollout: Rollout {
            waves: waves.to_vec(),
            soak,
            pause_limit: Duration::ZERO,
            check: None,
            freeze: Vec::new(),
        },
        ..Batch::of(Phase::Apply, &hosts, &request)
    };
    let mut events = Vec::new();
    let sinks = Sinks::default().with(Names(&mut events));
    let announcement = Announcement::of(PushId::from_bytes([1; 16]), &hosts, &request, "alice".into());
    // Nobody interrupts.
    let (_stop, stopped) = mpsc::unbounded_channel();
    let mut runner = Runner::start(&script, stopped, sinks, announcement);
    runner.phase(batch, LIMITS).await;
    let run_state = runner.finish(0);
    Ran {
        run_state,
        events,
        script,
    }
}

impl Ran {
    fn health(&self, host: &str) -> Option<Verdict> {
        self.run_state.ending(&host.parse().unwrap()).expect(host).health
    }

    fn outcomes<const N: usize>(&self, hosts: [&str; N]) -> [Outcome; N] {
        hosts.map(|host| self.outcome(host))
    }
}

#[tokio::test(start_paused = true)]
async fn the_others_follow_a_canary_that_is_well() {
    let acts = [
        ("a", vec![Act::Says(CHANGED), Act::Says(WELL)]),
        ("b", vec![]),
        ("c", vec![]),
    ];
    let ran = roll_out(acts, &[1, 2], Duration::ZERO).await;
    assert_eq!(ran.outcomes(["a", "b", "c"]), [Outcome::Changed; 3]);
    let health = format!("apu/1 health run_id={}", run_id());
    assert_eq!(ran.asked("a")[1..], [health]);
    assert_eq!((ran.health("a"), ran.health("b")), (Some(Verdict::Pass), None));
    // The last wave's own word is enough.
    assert_eq!(ran.asked("b").len(), 1);
    let named = |name: &str| ran.events.iter().position(|event| event == name).expect(name);
    assert!(named("checking a") < named("host-finished a"));
    assert!(
        named("host-finished a") < named("wave-finished") && named("wave-finished") < named("host-started b")
    );
    assert_eq!(
        ran.events.iter().filter(|event| *event == "wave-started").count(),
        2
    );
}

#[tokio::test(start_paused = true)]
async fn a_canary_stays_well_for_the_whole_soak_before_the_others_start() {
    let mut seen = vec![Act::Says(CHANGED)];
    // Well for 54 s, then not: it begins again.
    seen.extend(vec![Act::Says(WELL); 10]);
    seen.push(Act::Says(UNWELL));
    seen.extend(vec![Act::Says(WELL); 11]);
    let before = tokio::time::Instant::now();
    let ran = roll_out([("a", seen), ("b", vec![])], &[1, 1], Duration::from_secs(60)).await;
    assert_eq!(ran.outcomes(["a", "b"]), [Outcome::Changed; 2]);
    let took = before.elapsed();
    assert!(
        took > Duration::from_secs(126) && took < Duration::from_secs(140),
        "{took:?}"
    );
}

#[tokio::test(start_paused = true)]
async fn a_canary_whose_checks_fail_or_whose_sshd_is_gone_stops_the_others() {
    let mut unwell = vec![Act::Says(CHANGED)];
    unwell.extend(vec![Act::Says(UNWELL); 60]);
    let ran = roll_out([("a", unwell), ("b", vec![])], &[1, 1], Duration::ZERO).await;
    assert_eq!(ran.outcomes(["a", "b"]), [Outcome::Partial, Outcome::Skipped]);
    let ending = ran.run_state.ending(&"a".parse().unwrap()).unwrap();
    let Some(HostReason::Client(reason)) = &ending.reason else {
        panic!("{:?}", ending.reason)
    };
    assert_eq!(
        reason.cause,
        apu_proto::Cause::ChecksFailed {
            checks: vec!["units".into()]
        }
    );
    assert!(matches!(ran.why("b").cause, ServerCause::WaveFailed { .. }));
    assert!(ran.asked("b").is_empty());

    let mut gone = vec![Act::Says(CHANGED)];
    gone.extend(vec![Act::Unreachable; 60]);
    let ran = roll_out([("a", gone), ("b", vec![])], &[1, 1], Duration::ZERO).await;
    assert_eq!(ran.outcomes(["a", "b"]), [Outcome::Partial, Outcome::Skipped]);
    let why = ServerReason::from(ServerCause::ConnectionRefused);
    assert_eq!(
        ran.why("a").cause,
        ServerCause::NoLoginAfterChange { why: Box::new(why) }
    );
    assert_eq!(ran.why("a").advice, Some(ServerAdvice::Attach { run: run_id() }));
    assert!(ran.asked("b").is_empty());
}

#[tokio::test(start_paused = true)]
async fn a_canary_that_does_not_say_whether_it_is_well_stops_the_others_and_has_changed() {
    for act in [Act::Says(UNKNOWN), Act::Says(CHANGED)] {
        let mut unclear = vec![Act::Says(CHANGED)];
        unclear.extend(vec![act; 60]);
        let ran = roll_out([("a", unclear), ("b", vec![])], &[1, 1], Duration::ZERO).await;
        assert_eq!(ran.outcomes(["a", "b"]), [Outcome::Changed, Outcome::Skipped]);
        assert_eq!(ran.health("a"), Some(Verdict::Inconclusive));
        assert!(matches!(ran.why("b").cause, ServerCause::WaveInconclusive { .. }));
        assert!(ran.asked("b").is_empty());
    }
}

#[tokio::test(start_paused = true)]
async fn a_canary_that_is_silent_about_its_health_is_not_waited_for_without_end() {
    let acts = [("a", vec![Act::Says(CHANGED), Act::Hangs("")]), ("b", vec![])];
    let ran = roll_out(acts, &[1, 1], Duration::ZERO).await;
    assert_eq!(ran.outcomes(["a", "b"]), [Outcome::Changed, Outcome::Skipped]);
}

/// What a client answers to a dry run that would remove these packages.
fn would_remove(packages: &[&str]) -> &'static str {
    let plan = Plan {
        transaction: removal(packages).transaction,
        ..Plan::default()
    };
    let result = RunResult::new(ClientOutcome::Unchanged).with(Answer::Plan(Box::new(plan)));
    let frame = serde_json::to_string(&Frame::Result(Box::new(result))).unwrap();
    Box::leak(format!("{frame}\n").into_boxed_str())
}

#[tokio::test(start_paused = true)]
async fn a_host_of_a_later_wave_does_what_was_tested_and_leaves_the_rest() {
    let well = || vec![Act::Says(CHANGED), Act::Says(WELL)];
    let part = vec![Act::Says(would_remove(&["p"])), Act::Says(CHANGED)];
    let hosts = [
        ("a", well(), &["p"][..]),
        ("b", part, &["p", "q"]),
        ("c", vec![], &["q"]),
    ];
    let ran = roll_out_each(hosts, &[1, 2], Duration::ZERO).await;
    assert_eq!(
        ran.outcomes(["a", "b", "c"]),
        [Outcome::Changed, Outcome::Changed, Outcome::Skipped]
    );
    let id = removal(&["p"]).transaction.id();
    assert_eq!(
        ran.asked("b"),
        [
            "apu/1 upgrade dry_run=yes hold_packages=q".to_owned(),
            format!(
                "apu/1 upgrade run_id={} hold_packages=q plan_sha256={id}",
                run_id()
            ),
        ]
    );
    assert!(ran.events.contains(&"held-back b".to_owned()), "{:?}", ran.events);
    assert!(ran.asked("c").is_empty());
}

#[tokio::test(start_paused = true)]
async fn what_a_host_would_do_beyond_what_was_tested_and_approved_is_not_asked_for() {
    for (would, untested) in [
        // In spite of the hold, what was tested and not approved, and nothing.
        (&["p", "q"][..], "q"),
        (&["p", "r"], "r"),
        (&[], "q"),
    ] {
        let well = vec![Act::Says(CHANGED), Act::Says(WELL)];
        let acts = vec![Act::Says(would_remove(would)), Act::Says(CHANGED)];
        let hosts = [
            ("a", well.clone(), &["p"][..]),
            ("c", well, &["r"]),
            ("b", acts, &["p", "q"]),
        ];
        let ran = roll_out_each(hosts, &[2, 1], Duration::ZERO).await;
        assert_eq!(
            ran.outcomes(["a", "c", "b"]),
            [Outcome::Changed, Outcome::Changed, Outcome::Skipped],
            "{would:?}"
        );
        let packages = vec![format!("{untested}:amd64").parse().unwrap()];
        assert_eq!(ran.why("b").cause, ServerCause::Untested { packages, more: 0 });
        assert_eq!(ran.asked("b").len(), 1, "{would:?}");
    }
    // One that cannot say it is not asked for it either.
    for (act, outcome) in [
        (Act::Unreachable, Outcome::Unreachable),
        (Act::Says(UNKNOWN), Outcome::Refused),
    ] {
        let well = vec![Act::Says(CHANGED), Act::Says(WELL)];
        let hosts = [("a", well, &["p"][..]), ("b", vec![act], &["p", "q"])];
        let ran = roll_out_each(hosts, &[1, 1], Duration::ZERO).await;
        assert_eq!(ran.outcome("b"), outcome);
        assert_eq!(ran.asked("b").len(), 1);
    }
}
