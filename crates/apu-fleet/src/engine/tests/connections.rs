//! More hosts at work than connections: a run that is silent lets its own go, and is asked for again.

use super::*;

/// What a client says at once of a run: that it has it, and the first frame of its log.
const BEGUN: &str = "{\"frame\":\"hello\",\"protocol\":[1],\"client\":\"0.1.0\",\"run\":\"30313233343536373839616263646566\"}\n\
    {\"frame\":\"line\",\"text\":\"one\"}\n";
/// What it says of the same run once that has ended.
const ENDED: &str = "{\"frame\":\"hello\",\"protocol\":[1],\"client\":\"0.1.0\",\"run\":\"30313233343536373839616263646566\"}\n\
    {\"frame\":\"line\",\"text\":\"one\"}\n{\"frame\":\"line\",\"text\":\"two\"}\n\
    {\"frame\":\"result\",\"outcome\":\"changed\",\"answer\":\"plain\"}\n";

fn limits(connections: usize) -> Limits {
    Limits {
        connections: NonZeroUsize::new(connections).unwrap(),
        ..LIMITS
    }
}

fn of<'a>(ran: &'a Ran, host: &str) -> Vec<&'a str> {
    let of_host = |event: &&String| event.ends_with(&format!(" {host}"));
    ran.events.iter().filter(of_host).map(String::as_str).collect()
}

#[tokio::test(start_paused = true)]
async fn a_silent_run_lets_its_connection_go_to_a_host_that_waits_and_is_asked_for_again() {
    let silent = || vec![Act::Hangs(BEGUN), Act::Hangs(BEGUN), Act::Says(ENDED)];
    let ran = play([("a", silent()), ("b", silent()), ("c", silent())], limits(1)).await;
    assert_eq!(ran.script.most.load(Ordering::SeqCst), 1);
    for host in ["a", "b", "c"] {
        assert_eq!(ran.outcome(host), Outcome::Changed, "{host}");
        assert_eq!(
            ran.asked(host)[1..],
            vec![format!("apu/1 attach run_id={}", run_id()); 2]
        );
        // Nothing was wrong, and what the log had before is not told twice.
        let expected = [
            "host-started",
            "connected",
            "hello",
            "line",
            "line",
            "host-finished",
        ];
        assert_eq!(of(&ran, host), expected.map(|event| format!("{event} {host}")));
    }
}

#[tokio::test(start_paused = true)]
async fn a_silent_run_keeps_its_connection_while_no_other_host_waits_for_one() {
    let ran = play([("a", vec![Act::Hangs(BEGUN)]), ("b", vec![])], limits(2)).await;
    assert_eq!(ran.outcome("a"), Outcome::TimedOut);
    assert_eq!(ran.asked("a").len(), 1);
}

#[tokio::test(start_paused = true)]
async fn what_the_client_has_not_taken_on_yet_is_not_let_go() {
    let ran = play([("a", vec![Act::Hangs(HELLO)]), ("b", vec![])], limits(1)).await;
    assert_eq!(ran.outcome("a"), Outcome::TimedOut);
    assert_eq!(ran.asked("a").len(), 1);
    assert_eq!(ran.outcome("b"), Outcome::Changed);
}

#[tokio::test(start_paused = true)]
async fn a_host_that_cannot_be_reached_after_it_was_let_go_is_told_as_one_whose_connection_broke() {
    let away = vec![
        Act::Hangs(BEGUN),
        Act::Unreachable,
        Act::Unreachable,
        Act::Says(ENDED),
    ];
    let ran = play([("a", away), ("b", vec![])], limits(1)).await;
    assert_eq!(ran.outcome("a"), Outcome::Changed);
    let expected = [
        "host-started",
        "connected",
        "hello",
        "line",
        "reconnecting",
        "connected",
        "hello",
        "line",
        "host-finished",
    ];
    assert_eq!(of(&ran, "a"), expected.map(|event| format!("{event} a")));
}

#[tokio::test(start_paused = true)]
async fn a_log_is_told_once_however_often_the_connection_breaks() {
    let ran = play(
        [("a", vec![Act::Says(BEGUN), Act::Says(BEGUN), Act::Says(ENDED)])],
        LIMITS,
    )
    .await;
    let lines = of(&ran, "a").into_iter().filter(|event| *event == "line a");
    assert_eq!(lines.count(), 2, "{:?}", ran.events);
}

/// How a plan ended of a host that does this, and how often it was asked.
async fn plan_of(acts: Vec<Act>) -> (Outcome, usize) {
    let script = Arc::new(Script {
        acts: [("a", acts)].into(),
        ..Script::default()
    });
    let outcome = plan(&script, "a").await.outcome;
    let asked = script.asked.lock().unwrap();
    assert!(
        asked.iter().all(|(_, line)| line == "apu/1 upgrade dry_run=yes"),
        "{asked:?}"
    );
    (outcome, asked.len())
}

#[tokio::test(start_paused = true)]
async fn a_plan_whose_connection_breaks_is_asked_for_again_a_few_times() {
    let cut = || Act::Says(HELLO);
    // An answer is an answer, though this one is of a client that is too old for plans.
    let answered = plan_of(vec![cut(), Act::Unreachable, Act::Says(OLD_PLAN)]).await;
    assert_eq!(answered, (Outcome::Refused, 3));
    assert_eq!(plan_of(vec![cut(), cut(), cut()]).await, (Outcome::Lost, 3));
    let gone = vec![cut(), Act::Unreachable, Act::Unreachable];
    assert_eq!(plan_of(gone).await, (Outcome::Unreachable, 3));
    assert_eq!(
        plan_of(vec![cut(), Act::Stranger]).await,
        (Outcome::Unreachable, 2)
    );
    // What was never reached is asked once, and what no apu-client says twice.
    assert_eq!(plan_of(vec![Act::Unreachable]).await, (Outcome::Unreachable, 1));
    assert_eq!(plan_of(vec![Act::Says("welcome\n")]).await, (Outcome::Lost, 1));
}

#[tokio::test(start_paused = true)]
async fn a_host_that_waits_for_a_connection_at_ctrl_c_is_not_asked_any_more() {
    let works = vec![Act::SaysAfter(Duration::from_secs(10), CHANGED)];
    let acts = [("a", works), ("b", vec![]), ("c", vec![])];
    let ran = play_and_stop(acts, limits(1), &[Duration::from_secs(5)]).await;
    assert_eq!(ran.outcome("a"), Outcome::Changed);
    for host in ["b", "c"] {
        assert_eq!(ran.outcome(host), Outcome::Skipped, "{host}");
        assert_eq!(ran.why(host).cause, ServerCause::NotStarted);
        assert_eq!(ran.asked(host), [""; 0]);
    }
}

#[tokio::test(start_paused = true)]
async fn a_host_that_may_be_at_work_already_is_asked_for_its_end_also_after_ctrl_c() {
    let script = Arc::new(Script {
        acts: [("a", vec![Act::SaysAfter(Duration::from_secs(10), CHANGED)])].into(),
        ..Script::default()
    });
    let hosts = ["a", "b"].map(|name| Host::plain(name.parse().unwrap()));
    let request = Request::new(Operation::Update, [RequestOption::RunId(run_id())], []).unwrap();
    let announcement = Announcement::of(PushId::from_bytes([1; 16]), &hosts, &request, "alice".into());
    let (stop, stops) = mpsc::unbounded_channel();
    tokio::spawn(async move {
        tokio::time::sleep(Duration::from_secs(5)).await;
        let _ = stop.send(Instruction::Stop);
    });
    let mut batch = Batch::of(Phase::Apply, &hosts, &request);
    batch.carried = hosts
        .iter()
        .map(|host| (host.name.clone(), Carried::Open))
        .collect();
    let mut runner = Runner::start(&script, stops, Sinks::default(), announcement);
    runner.phase(batch, limits(1)).await;
    let state = runner.finish(0);
    assert_eq!(state.ending(&hosts[1].name).unwrap().outcome, Outcome::Changed);
}
