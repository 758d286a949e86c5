//! The engine against hosts that follow a script. [`Script`] stands for ssh and the client behind it, nothing else.

use std::collections::HashMap;
use std::num::NonZeroUsize;
use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering};

use apu_proto::{Operation, Request, RequestOption, RunId};
use tokio::io::{AsyncWriteExt, DuplexStream, duplex};

use super::*;
use crate::event::{Phase, TimedEvent};
use crate::host::Host;
use crate::outcome::Outcome;
use crate::push_id::PushId;
use crate::reason::{HostReason, Lost, ServerAdvice, ServerCause, ServerReason, WorkKind};
use crate::runner::{Announcement, Runner};
use crate::transport::Answer;

mod connections;
mod reboots;
mod restarts;
mod waves;

/// What a host does with one request after the other.
#[derive(Clone)]
enum Act {
    Unreachable,
    /// It shows another host key.
    Stranger,
    Says(&'static str),
    SaysAfter(Duration, &'static str),
    Hangs(&'static str),
    Panics,
}

#[derive(Default)]
struct Script {
    acts: HashMap<&'static str, Vec<Act>>,
    asked: Mutex<Vec<(String, String)>>,
    running: Arc<AtomicUsize>,
    most: AtomicUsize,
}

struct Scripted(DuplexStream, Arc<AtomicUsize>);

impl Drop for Scripted {
    fn drop(&mut self) {
        self.1.fetch_sub(1, Ordering::SeqCst);
    }
}

impl Answer for Scripted {
    type Bytes = DuplexStream;

    fn reused(&self) -> bool {
        false
    }

    fn bytes(&mut self) -> &mut DuplexStream {
        &mut self.0
    }

    async fn finish(self) {}

    async fn let_go(self) {}

    async fn last_words(self) -> String {
        "it hung up".to_owned()
    }
}

impl Transport for Script {
    type Answer = Scripted;

    async fn ask(&self, host: &Host, request: &Request) -> Result<Scripted, ServerReason> {
        let name = host.name.as_str();
        let mut asked = self.asked.lock().unwrap();
        let before = asked.iter().filter(|(other, _)| other == name).count();
        asked.push((name.to_owned(), request.to_string()));
        drop(asked);
        let act = self.acts.get(name).and_then(|acts| acts.get(before)).cloned();
        let act = act.unwrap_or(Act::SaysAfter(Duration::from_millis(50), CHANGED));
        if matches!(act, Act::Unreachable) {
            return Err(ServerCause::ConnectionRefused.into());
        }
        if matches!(act, Act::Stranger) {
            return Err(ServerCause::HostKeyChanged.into());
        }
        let now = self.running.fetch_add(1, Ordering::SeqCst) + 1;
        self.most.fetch_max(now, Ordering::SeqCst);
        let (ours, mut theirs) = duplex(1 << 16);
        tokio::spawn(async move {
            let (pause, text, hang) = match act {
                Act::Says(text) => (Duration::ZERO, text, false),
                Act::SaysAfter(pause, text) => (pause, text, false),
                Act::Hangs(text) => (Duration::ZERO, text, true),
                Act::Panics | Act::Unreachable | Act::Stranger => (Duration::ZERO, "", false),
            };
            tokio::time::sleep(pause).await;
            let _ = theirs.write_all(text.as_bytes()).await;
            if hang {
                std::future::pending::<()>().await;
            }
        });
        if self
            .acts
            .get(name)
            .is_some_and(|acts| matches!(acts.get(before), Some(Act::Panics)))
        {
            panic!("a worker breaks, as a bug would do it");
        }
        Ok(Scripted(ours, self.running.clone()))
    }

    async fn ask_anew(&self, host: &Host, request: &Request) -> Result<Scripted, ServerReason> {
        self.ask(host, request).await
    }
}

const CHANGED: &str = "{\"frame\":\"result\",\"outcome\":\"changed\",\"answer\":\"plain\"}\n";
const HELLO: &str = "{\"frame\":\"hello\",\"protocol\":[1],\"client\":\"0.1.0\"}\n";
/// What a client of before `apu-plan/1` answers to a dry run.
const OLD_PLAN: &str = "{\"frame\":\"hello\",\"protocol\":[1],\"client\":\"0.0.9\"}\n\
    {\"frame\":\"result\",\"outcome\":\"unchanged\",\"operation\":\"upgrade\",\"seconds\":0.1,\
    \"transaction\":{\"steps\":[{\"action\":\"remove\",\"package\":\"a:amd64\",\"old\":\"1\"}],\"kept_back\":[]}}\n";
const INSTALLS: &str =
    "{\"frame\":\"progress\",\"phase\":\"install\",\"percent\":50.0,\"package\":\"pkg-a\"}\n";
const UNKNOWN_RUN: &str = "{\"frame\":\"result\",\"outcome\":\"failed\",\"answer\":\"plain\",\"reason\":{\"code\":\"unknown-run\",\"cause\":\"caller\"}}\n";

fn run_id() -> RunId {
    RunId::from_bytes(*b"0123456789abcdef")
}

/// Pushes an update to these hosts, in one phase.
async fn update(
    script: &Arc<Script>,
    names: &[&str],
    limits: Limits,
    stops: mpsc::UnboundedReceiver<Instruction>,
    sinks: Sinks<'_>,
) -> RunState {
    let hosts: Vec<Host> = names
        .iter()
        .map(|name| Host::plain(name.parse().unwrap()))
        .collect();
    let request = Request::new(Operation::Update, [RequestOption::RunId(run_id())], []).unwrap();
    let push = PushId::from_bytes([1; 16]);
    let announcement = Announcement::of(push, &hosts, &request, "alice".into());
    let mut runner = Runner::start(script, stops, sinks, announcement);
    runner
        .phase(Batch::of(Phase::Apply, &hosts, &request), limits)
        .await;
    runner.finish(0)
}

/// Keeps the names of events.
struct Names<'a>(&'a mut Vec<String>);

impl crate::sink::Sink for Names<'_> {
    fn name(&self) -> &str {
        "names"
    }

    fn take(&mut self, event: &TimedEvent, _: &RunState) -> std::io::Result<()> {
        let json = serde_json::to_value(event)?;
        let host = json["host"].as_str().unwrap_or_default();
        self.0.push(
            format!("{} {host}", json["event"].as_str().unwrap_or_default())
                .trim()
                .to_owned(),
        );
        Ok(())
    }
}

struct Ran {
    run_state: RunState,
    events: Vec<String>,
    script: Arc<Script>,
}

impl Ran {
    fn outcome(&self, host: &str) -> Outcome {
        self.run_state.ending(&host.parse().unwrap()).expect(host).outcome
    }

    fn why(&self, host: &str) -> ServerReason {
        let ending = self.run_state.ending(&host.parse().unwrap()).expect(host);
        match ending.reason.clone() {
            Some(HostReason::Server(reason)) => reason,
            other => panic!("{other:?}"),
        }
    }

    fn asked(&self, host: &str) -> Vec<String> {
        let asked = self.script.asked.lock().unwrap();
        asked
            .iter()
            .filter(|(name, _)| name == host)
            .map(|(_, line)| line.clone())
            .collect()
    }
}

const LIMITS: Limits = Limits {
    parallel: NonZeroUsize::new(50).unwrap(),
    connections: NonZeroUsize::new(50).unwrap(),
    timeout: Duration::from_secs(60),
    max_failures: None,
};

async fn play<const N: usize>(acts: [(&'static str, Vec<Act>); N], limits: Limits) -> Ran {
    play_and_stop(acts, limits, &[]).await
}

async fn play_and_stop<const N: usize>(
    acts: [(&'static str, Vec<Act>); N],
    limits: Limits,
    stops: &[Duration],
) -> Ran {
    let names: Vec<&str> = acts.iter().map(|(name, _)| *name).collect();
    let script = Arc::new(Script {
        acts: acts.clone().into(),
        ..Script::default()
    });
    let (stop, stopped) = mpsc::unbounded_channel();
    for pause in stops.iter().copied() {
        let stop = stop.clone();
        tokio::spawn(async move {
            tokio::time::sleep(pause).await;
            let _ = stop.send(Instruction::Stop);
        });
    }
    let mut events = Vec::new();
    let sinks = Sinks::default().with(Names(&mut events));
    let run_state = update(&script, &names, limits, stopped, sinks).await;
    Ran {
        run_state,
        events,
        script,
    }
}

#[tokio::test(start_paused = true)]
async fn a_dead_host_does_not_hold_up_the_others() {
    let ran = play(
        [("a", vec![]), ("b", vec![Act::Unreachable]), ("c", vec![])],
        LIMITS,
    )
    .await;
    assert_eq!(
        [ran.outcome("a"), ran.outcome("b"), ran.outcome("c")],
        [Outcome::Changed, Outcome::Unreachable, Outcome::Changed]
    );
    assert!(!ran.run_state.all_well());
    assert_eq!(
        ran.asked("b").len(),
        1,
        "a host that cannot be reached is tried once"
    );
}

#[tokio::test(start_paused = true)]
async fn no_more_hosts_than_allowed_work_at_once() {
    let limits = Limits {
        parallel: NonZeroUsize::new(2).unwrap(),
        ..LIMITS
    };
    let ran = play(
        [
            ("a", vec![]),
            ("b", vec![]),
            ("c", vec![]),
            ("d", vec![]),
            ("e", vec![]),
        ],
        limits,
    )
    .await;
    assert_eq!(ran.script.most.load(Ordering::SeqCst), 2);
    assert!(ran.run_state.all_well());
}

#[tokio::test(start_paused = true)]
async fn events_tell_the_story_in_order() {
    let ran = play([("a", vec![Act::Says(HELLO), Act::Says(CHANGED)])], LIMITS).await;
    let expected = [
        "push-started",
        "phase-started",
        "host-started a",
        "connected a",
        "hello a",
        "reconnecting a",
        "connected a",
        "host-finished a",
        "phase-finished",
        "push-finished",
    ];
    assert_eq!(ran.events, expected);
}

#[tokio::test(start_paused = true)]
async fn only_a_result_counts_and_a_lost_run_is_attached_to() {
    let ran = play(
        [
            ("back", vec![Act::Says(HELLO), Act::Says(CHANGED)]),
            ("away", vec![Act::Says(HELLO), Act::Unreachable, Act::Unreachable]),
            ("mute", vec![Act::Says("done, all is well\n"), Act::Says("")]),
            ("early", vec![Act::Says(""), Act::Says(UNKNOWN_RUN)]),
        ],
        LIMITS,
    )
    .await;
    assert_eq!(ran.outcome("back"), Outcome::Changed);
    assert_eq!(
        ran.asked("back"),
        [
            format!("apu/1 update run_id={}", run_id()),
            format!("apu/1 attach run_id={}", run_id())
        ]
    );
    assert_eq!(ran.outcome("away"), Outcome::Changed);
    assert_eq!(ran.asked("away").len(), 4);
    assert_eq!(ran.outcome("mute"), Outcome::Changed);
    assert_eq!(ran.run_state.ending(&"mute".parse().unwrap()).unwrap().garbage, 1);
    assert_eq!(ran.outcome("early"), Outcome::Failed);
    assert_eq!(
        ran.why("early").cause,
        ServerCause::LostBeforeBegin(Lost {
            said: "it hung up".into(),
            then: None,
        })
    );
}

#[tokio::test(start_paused = true)]
async fn a_run_is_asked_for_until_the_time_is_up_and_ever_less_often() {
    let never = [vec![Act::Says(HELLO)], vec![Act::Unreachable; 99]].concat();
    let limits = Limits {
        timeout: Duration::from_secs(3600),
        ..LIMITS
    };
    let cut = [vec![Act::Says(HELLO); 20], vec![Act::Says(CHANGED)]].concat();
    let ran = play([("never", never), ("cut", cut)], limits).await;
    assert_eq!(ran.outcome("never"), Outcome::TimedOut);
    let (asked, why) = (ran.asked("never").len(), ran.why("never"));
    assert!((50..70).contains(&asked), "{asked}");
    let ServerCause::TimeUp { lost: Some(lost), .. } = why.cause else {
        panic!("{why:?}");
    };
    assert_eq!(lost.said, "it hung up");
    assert_eq!(lost.then, Some(Box::new(ServerCause::ConnectionRefused.into())));
    assert_eq!(ran.outcome("cut"), Outcome::Changed);
    assert_eq!(ran.asked("cut").len(), 21);
}

#[tokio::test(start_paused = true)]
async fn what_no_further_try_can_mend_ends_the_wait() {
    let ran = play([("other", vec![Act::Says(HELLO), Act::Stranger])], LIMITS).await;
    assert_eq!(ran.outcome("other"), Outcome::Lost);
    assert_eq!(ran.asked("other").len(), 2);
    assert_eq!(
        ran.why("other").cause,
        ServerCause::Lost(Lost {
            said: "it hung up".into(),
            then: Some(Box::new(ServerCause::HostKeyChanged.into())),
        })
    );
}

#[tokio::test(start_paused = true)]
async fn what_is_no_apu_client_is_asked_twice_and_its_words_are_told() {
    const SHELL: &str = "This account is currently not available.\n";
    let ran = play([("shell", vec![Act::Says(SHELL); 99])], LIMITS).await;
    assert_eq!(ran.outcome("shell"), Outcome::Lost);
    assert_eq!(ran.asked("shell").len(), 2);
    assert_eq!(
        ran.why("shell").cause,
        ServerCause::Lost(Lost {
            said: "This account is currently not available.: it hung up".into(),
            then: None,
        })
    );
}

#[tokio::test(start_paused = true)]
async fn a_time_limit_stops_waiting_and_says_how_to_come_back() {
    let ran = play([("slow", vec![Act::Hangs(INSTALLS)]), ("quick", vec![])], LIMITS).await;
    assert_eq!(ran.outcome("slow"), Outcome::TimedOut);
    let why = ran.why("slow");
    assert_eq!(why.advice, Some(ServerAdvice::Attach { run: run_id() }));
    let time_up = ServerCause::TimeUp {
        seconds: 60.0,
        goes_on: true,
        lost: None,
    };
    assert_eq!(why.cause, time_up);
    let work = why.work.unwrap();
    assert_eq!((work.kind, work.about.as_str()), (WorkKind::Install, "pkg-a"));
    assert_eq!(ran.outcome("quick"), Outcome::Changed);
}

#[tokio::test(start_paused = true)]
async fn ctrl_c_begins_nothing_new_and_waits_for_what_runs() {
    let limits = Limits {
        parallel: NonZeroUsize::new(1).unwrap(),
        ..LIMITS
    };
    let slow = Act::SaysAfter(Duration::from_secs(5), CHANGED);
    let acts = [("a", vec![slow]), ("b", vec![]), ("c", vec![])];
    let ran = play_and_stop(acts, limits, &[Duration::from_secs(1)]).await;
    assert_eq!(
        [ran.outcome("a"), ran.outcome("b"), ran.outcome("c")],
        [Outcome::Changed, Outcome::Skipped, Outcome::Skipped]
    );
    assert!(ran.asked("b").is_empty());
    assert_eq!(ran.run_state.interrupts, 1);
}

#[tokio::test(start_paused = true)]
async fn a_ctrl_c_that_came_before_the_first_start_starts_nothing() {
    let script = Arc::new(Script::default());
    let (stop, stopped) = mpsc::unbounded_channel();
    stop.send(Instruction::Stop).unwrap();
    let run_state = update(&script, &["a", "b"], LIMITS, stopped, Sinks::default()).await;
    let outcomes: Vec<Outcome> = run_state.endings().map(|(_, ending)| ending.outcome).collect();
    assert_eq!(outcomes, [Outcome::Skipped, Outcome::Skipped]);
    assert_eq!(script.most.load(Ordering::SeqCst), 0);
}

#[tokio::test(start_paused = true)]
async fn ctrl_c_twice_leaves() {
    let acts = [("a", vec![Act::Hangs(HELLO)])];
    let ran = play_and_stop(acts, LIMITS, &[Duration::from_secs(1), Duration::from_secs(2)]).await;
    assert_eq!(ran.outcome("a"), Outcome::Lost);
    assert_eq!(
        (ran.why("a").cause, ran.why("a").work.unwrap().kind),
        (ServerCause::LeftAtWork, WorkKind::Silent)
    );
    assert!(ran.run_state.seconds < 3.0);
}

#[tokio::test(start_paused = true)]
async fn a_broken_worker_is_not_waited_for() {
    let ran = play([("a", vec![Act::Panics]), ("b", vec![])], LIMITS).await;
    assert_eq!(
        [ran.outcome("a"), ran.outcome("b")],
        [Outcome::Lost, Outcome::Changed]
    );
}

/// Asks one host for a plan; how it ended.
async fn plan(script: &Arc<Script>, host: &str) -> Ending {
    let hosts = [Host::plain(host.parse().unwrap())];
    let request = Request::new(Operation::Upgrade, [RequestOption::DryRun], []).unwrap();
    let announcement = Announcement::of(PushId::from_bytes([1; 16]), &hosts, &request, "alice".into());
    let (_keep, stops) = mpsc::unbounded_channel();
    let mut runner = Runner::start(script, stops, Sinks::default(), announcement);
    runner
        .phase(Batch::of(Phase::Plan, &hosts, &request), LIMITS)
        .await;
    runner.finish(0).ending(&hosts[0].name).unwrap().clone()
}

#[tokio::test(start_paused = true)]
async fn the_plan_of_an_old_client_is_never_taken_for_nothing_to_do() {
    let script = Arc::new(Script {
        acts: [("old", vec![Act::Says(OLD_PLAN)])].into(),
        ..Script::default()
    });
    let ending = plan(&script, "old").await;
    assert_eq!(ending.outcome, Outcome::Refused);
    let too_old = ServerCause::OldClient {
        version: Some("0.0.9".into()),
        feature: "apu-plan/1".into(),
    };
    let expected = ServerReason::from(too_old).advise(ServerAdvice::NewerClient);
    assert_eq!(ending.reason, Some(expected.into()));
}

/// A sink that must know what is about to happen, on a disk that is full from the second start on.
struct Disk {
    starts: Vec<String>,
}

impl crate::sink::Sink for Disk {
    fn name(&self) -> &str {
        "the ledger"
    }

    fn take(&mut self, event: &TimedEvent, _: &RunState) -> std::io::Result<()> {
        if let crate::event::Event::HostStarted { host, .. } = &event.event {
            self.starts.push(host.to_string());
        }
        Ok(())
    }

    fn settle(&mut self) -> std::io::Result<()> {
        match self.starts.len() {
            0 | 1 => Ok(()),
            _ => Err(std::io::ErrorKind::StorageFull.into()),
        }
    }
}

#[tokio::test(start_paused = true)]
async fn no_host_is_asked_before_that_is_written_down() {
    let script = Arc::new(Script::default());
    let limits = Limits {
        parallel: NonZeroUsize::new(1).unwrap(),
        ..LIMITS
    };
    let (_stop, stops) = mpsc::unbounded_channel();
    let sinks = Sinks::default().with(Disk { starts: Vec::new() });
    let run = update(&script, &["web1", "web2", "web3"], limits, stops, sinks).await;
    let asked: Vec<String> = script
        .asked
        .lock()
        .unwrap()
        .iter()
        .map(|(host, _)| host.clone())
        .collect();
    assert_eq!(asked, ["web1"]);
    let ends: Vec<(Outcome, bool)> = run
        .endings()
        .map(|(_, ending)| {
            let is_about_it = matches!(
                &ending.reason,
                Some(HostReason::Server(ServerReason { cause: ServerCause::NotRecorded { why }, .. }))
                    if why.starts_with("the ledger: ")
            );
            (ending.outcome, is_about_it)
        })
        .collect();
    assert_eq!(
        ends,
        [
            (Outcome::Changed, false),
            (Outcome::Skipped, true),
            (Outcome::Skipped, true)
        ]
    );
}

/// Counts how often it has to write down what happened.
struct Writes<'a>(&'a mut usize);

impl crate::sink::Sink for Writes<'_> {
    fn name(&self) -> &str {
        "writes"
    }

    fn take(&mut self, _: &TimedEvent, _: &RunState) -> std::io::Result<()> {
        Ok(())
    }

    fn settle(&mut self) -> std::io::Result<()> {
        *self.0 += 1;
        Ok(())
    }
}

#[tokio::test(start_paused = true)]
async fn hosts_that_end_together_are_written_down_together() {
    let names: Vec<String> = (0..40).map(|host| format!("web{host}")).collect();
    let names: Vec<&str> = names.iter().map(String::as_str).collect();
    let (_stop, stops) = mpsc::unbounded_channel();
    let mut writes = 0;
    let sinks = Sinks::default().with(Writes(&mut writes));
    let run = update(&Arc::new(Script::default()), &names, LIMITS, stops, sinks).await;
    assert_eq!(run.outcomes(), [(Outcome::Changed, 40)].into());
    assert!(writes < 15, "{writes}");
}

/// Counts its ticks.
struct Ticks<'a> {
    wanted: bool,
    ticks: &'a mut usize,
}

impl crate::sink::Sink for Ticks<'_> {
    fn name(&self) -> &str {
        "ticks"
    }

    fn take(&mut self, _: &TimedEvent, _: &RunState) -> std::io::Result<()> {
        Ok(())
    }

    fn tick(&mut self, _: &RunState) {
        *self.ticks += 1;
    }

    fn wants_ticks(&self) -> bool {
        self.wanted
    }
}

#[tokio::test(start_paused = true)]
async fn time_passes_unseen_where_no_sink_wants_to_see_it() {
    let script = Arc::new(Script {
        acts: [("web1", vec![Act::SaysAfter(Duration::from_secs(10), CHANGED)])].into(),
        ..Script::default()
    });
    let mut ticks = [0; 2];
    for (ticks, wanted) in ticks.iter_mut().zip([true, false]) {
        let (_stop, stops) = mpsc::unbounded_channel();
        let sinks = Sinks::default().with(Ticks { wanted, ticks });
        script.asked.lock().unwrap().clear();
        let run = update(&script, &["web1"], LIMITS, stops, sinks).await;
        assert_eq!(run.outcomes(), [(Outcome::Changed, 1)].into());
    }
    assert!(ticks[0] > 40 && ticks[1] == 0, "{ticks:?}");
}

#[tokio::test(start_paused = true)]
async fn what_is_told_between_two_phases_is_for_the_next_one() {
    let hosts = [Host::plain("a".parse().unwrap())];
    let script = Arc::new(Script::default());
    let request = Request::new(Operation::Update, [RequestOption::RunId(run_id())], []).unwrap();
    let announcement = Announcement::of(PushId::from_bytes([1; 16]), &hosts, &request, "alice".into());
    let (tell, told) = mpsc::unbounded_channel();
    let mut runner = Runner::start(&script, told, Sinks::default(), announcement);
    assert_eq!(runner.unless_stopped(async { 7 }).await, Some(7));
    tell.send(Instruction::Pause { by: "alice".into() }).unwrap();
    tell.send(Instruction::Stop).unwrap();
    // It would never end.
    assert_eq!(runner.unless_stopped(std::future::pending::<()>()).await, None);
    runner
        .phase(Batch::of(Phase::Apply, &hosts, &request), LIMITS)
        .await;
    let run = runner.finish(130);
    assert_eq!(run.interrupts, 1);
    assert_eq!(run.ending(&hosts[0].name).unwrap().outcome, Outcome::Skipped);
    assert!(script.asked.lock().unwrap().is_empty());
}
