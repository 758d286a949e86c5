//! Runs one request on one host: sends it, streams the reply, and attaches again for as long as the time limit allows when
//! the connection breaks, or was let go while the run was silent.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use apu_proto::{Operation, Request, Verdict};
use tokio::sync::SemaphorePermit;
use tokio::time::{Instant, sleep, timeout_at};

use crate::connections::Connections;
use crate::frozen::Frozen;
use crate::health::watch_health;
use crate::hook::Hook;
use crate::narrow::{Narrowed, narrow};
use crate::outcome::{Ending, Outcome};
use crate::programs::{About, HookFailure, Programs};
use crate::reason::{Lost, ServerAdvice, ServerCause, ServerCode, ServerReason};
use crate::reboot::{come_back, is_going_down, not_back};
use crate::reply::{Reading, Reply, read_reply};
use crate::report::{Report, Reporter};
use crate::task::Task;
use crate::transport::Transport;

/// The first pause before a run whose connection broke is asked for again: sshd may just be restarting.
const FIRST_PAUSE: Duration = Duration::from_secs(2);
/// Each further pause is twice as long, up to this.
const LONGEST_PAUSE: Duration = Duration::from_secs(60);

/// The pauses after which a request that changes nothing is asked again when its connection breaks.
const PAUSES: [Duration; 2] = [FIRST_PAUSE, FIRST_PAUSE.saturating_mul(2)];

/// How a host is run.
#[derive(Debug, Clone)]
pub(crate) struct Course {
    /// How long it is waited for.
    pub(crate) limit: Duration,
    /// For how long its health is watched after a change, before it has an outcome; none where its own word is enough.
    pub(crate) soak: Option<Duration>,
    /// The programs that are called about it.
    pub(crate) programs: Option<Arc<Programs>>,
    /// The .debs that canaries give for later waves.
    pub(crate) frozen: Option<Arc<Frozen>>,
    /// Whether it is one that gives.
    pub(crate) is_giver: bool,
    /// What it does not do of its plan.
    pub(crate) narrowed: Option<Narrowed>,
    /// Whether the host may have begun already, in the run that this one goes on with.
    pub(crate) is_open: bool,
    /// Whether nothing new is begun any more.
    pub(crate) is_stopped: Arc<AtomicBool>,
    /// The connections that its requests share with those of other hosts.
    pub(crate) connections: Arc<Connections>,
}

impl Course {
    /// Whether nothing is to be begun on the host any more, and nothing was: Ctrl-C came while it waited.
    fn is_left_out(&self) -> bool {
        self.is_stopped.load(Ordering::Relaxed) && !self.is_open
    }

    /// The .debs that the host gets before its request.
    fn takes(&self) -> Option<&Frozen> {
        self.frozen.as_deref().filter(|_| !self.is_giver)
    }

    fn has_hooks(&self) -> bool {
        (self.programs.as_ref()).is_some_and(|programs| programs.has(Hook::BeforeHost))
    }
}

/// Runs a host to its end, with the hooks before and after it. The one after it is called also where the one before it failed: what
/// that had begun is to be taken back.
pub(crate) async fn run_host<T: Transport>(transport: &T, task: &Task, course: &Course, reporter: &Reporter) {
    let ending = match call_hook(Hook::BeforeHost, course, task, None, reporter).await {
        Err(failure) => Ending::without_result(Outcome::Skipped, ServerReason::from(failure), None),
        // Ctrl-C came while the hook was at work: nothing is begun here yet.
        Ok(()) if course.has_hooks() && course.is_left_out() => {
            Ending::without_result(Outcome::Skipped, ServerCause::NotStarted, None)
        }
        Ok(()) => {
            let ending = change(transport, task, course, reporter).await;
            freeze(transport, task, course, &ending).await;
            ending
        }
    };
    let outcome = Some(ending.outcome);
    if let Err(failure) = call_hook(Hook::AfterHost, course, task, outcome, reporter).await {
        reporter.tell(Report::HookFailed(Box::new(failure))).await;
    }
    reporter.end(ending).await;
}

/// Has a canary that is well give what it has installed, before its end is known: what was not given then, no other process asks for.
async fn freeze<T: Transport>(transport: &T, task: &Task, course: &Course, ending: &Ending) {
    let is_well = ending.outcome == Outcome::Changed && ending.verdict() != Some(Verdict::Fail);
    if let (Some(frozen), Some(run)) = (&course.frozen, task.request.run_id())
        && course.is_giver
        && is_well
    {
        let _connection = course.connections.take().await;
        frozen.freeze(transport, task, run, course.limit).await;
    }
}

/// Calls the programs of a hook about a host.
async fn call_hook(
    hook: Hook,
    course: &Course,
    task: &Task,
    outcome: Option<Outcome>,
    reporter: &Reporter,
) -> Result<(), HookFailure> {
    let Some(programs) = course.programs.as_ref().filter(|programs| programs.has(hook)) else {
        return Ok(());
    };
    reporter.tell(Report::Hook(hook)).await;
    let about = About {
        host: Some(&task.host),
        outcome,
    };
    programs.call(hook, about, String::new()).await
}

/// Sends a host its request, and watches its health after a change.
async fn change<T: Transport>(transport: &T, task: &Task, course: &Course, reporter: &Reporter) -> Ending {
    let limit = course.limit;
    let mut narrower = None;
    if (course.narrowed.is_some() || course.takes().is_some())
        && course.is_open
        && let Some(ending) = has_begun(transport, task, reporter, course).await
    {
        return watched(transport, task, course, reporter, ending).await;
    }
    if let Some(narrowed) = &course.narrowed {
        let connection = course.connections.take().await;
        let narrowing = narrow(transport, task, narrowed, limit).await;
        drop(connection);
        match narrowing {
            Ok(task) => narrower = Some(task),
            Err(ending) => return *ending,
        }
    }
    let task = narrower.as_ref().unwrap_or(task);
    if let Some(frozen) = course.takes() {
        let _connection = course.connections.take().await;
        if let Err(ending) = frozen.give(transport, task, limit).await {
            return *ending;
        }
    }
    let run = task.request.run_id();
    let mut trouble = None;
    // The time that it is waited for begins when it can be asked.
    let connection = course.connections.take().await;
    if course.is_left_out() {
        return Ending::without_result(Outcome::Skipped, ServerCause::NotStarted, None);
    }
    let begun = Instant::now();
    let exchange = send_request(transport, task, reporter, course, connection, &mut trouble);
    let ending = match timeout_at(begun + limit, exchange).await {
        Ok(ending) => ending,
        // It went down before its answer had come.
        Err(_) if task.request.operation() == Operation::Reboot && trouble.is_some() => {
            let why = trouble.and_then(|lost| lost.then);
            not_back(task, None, limit, why)
        }
        Err(_) => {
            let cause = ServerCause::TimeUp {
                seconds: limit.as_secs_f64(),
                goes_on: run.is_some(),
                lost: trouble,
            };
            let reason = ServerReason::from(cause).advise(ServerAdvice::attach(run));
            Ending::without_result(Outcome::TimedOut, reason, run)
        }
    };
    let ending = if is_going_down(&ending).is_some() {
        reporter.tell(Report::Rebooting).await;
        let left = limit.saturating_sub(begun.elapsed());
        come_back(transport, task, ending, (left, limit), |why| may_pass(why.code)).await
    } else {
        ending
    };
    watched(transport, task, course, reporter, ending).await
}

/// How a run ended that the client has begun already; none where it knows no such run.
async fn has_begun<T: Transport>(
    transport: &T,
    task: &Task,
    reporter: &Reporter,
    course: &Course,
) -> Option<Ending> {
    let run = task.request.run_id()?;
    let limit = course.limit;
    let _connection = course.connections.take().await;
    let ask = async {
        let answer = match transport.ask(&task.host, &Request::attach(run)).await {
            Ok(answer) => answer,
            Err(why) => return Some(Ending::without_result(Outcome::Unreachable, why, None)),
        };
        let reply = read_reply(answer, reporter, &mut Reading::default()).await;
        (!reply.knows_no_run()).then(|| reply.ending(task))
    };
    timeout_at(Instant::now() + limit, ask).await.unwrap_or_else(|_| {
        let cause = ServerCause::TimeUp {
            seconds: limit.as_secs_f64(),
            goes_on: true,
            lost: None,
        };
        let reason = ServerReason::from(cause).advise(ServerAdvice::attach(Some(run)));
        Some(Ending::without_result(Outcome::TimedOut, reason, Some(run)))
    })
}

/// Watches the health of a host that has changed, where that is wanted.
async fn watched<T: Transport>(
    transport: &T,
    task: &Task,
    course: &Course,
    reporter: &Reporter,
    ending: Ending,
) -> Ending {
    match (course.soak, ending.run) {
        (Some(soak), Some(run)) if ending.outcome == Outcome::Changed => {
            reporter.tell(Report::Applied(Box::new(ending.clone()))).await;
            let programs = course.programs.as_deref();
            watch_health(transport, &task.host, run, ending, (soak, course.limit), programs).await
        }
        _ => ending,
    }
}

/// Sends the request over this connection and returns the host's result. A run whose connection breaks or is let go is asked for
/// until it has one; `trouble` is why it has none yet.
async fn send_request<T: Transport>(
    transport: &T,
    task: &Task,
    reporter: &Reporter,
    course: &Course,
    connection: Option<SemaphorePermit<'_>>,
    trouble: &mut Option<Lost>,
) -> Ending {
    let run = task.request.run_id();
    // A request about a run is none itself: what the run ended with is no answer to it.
    let run_id = run.filter(|_| task.request.operation().is_a_run());
    let answer = match transport.ask(&task.host, &task.request).await {
        Ok(answer) => answer,
        Err(why) => return Ending::without_result(Outcome::Unreachable, why, None),
    };
    let mut reading = Reading {
        let_go_for: run_id.map(|_| &*course.connections),
        ..Reading::default()
    };
    let mut last = read_reply(answer, reporter, &mut reading).await;
    drop(connection);
    let Some(run_id) = run_id else {
        return match ask_again(transport, task, reporter, course, (last, &mut reading), trouble).await {
            Ok(last) => last.ending(task),
            Err(why) => Ending::without_result(Outcome::Unreachable, why, None),
        };
    };

    let attach = Request::attach(run_id);
    let mut garbage = 0;
    let mut strangers = 0;
    let mut pause = FIRST_PAUSE;
    while last.result.is_none() {
        let lost = last.lost();
        strangers = if last.is_a_stranger_s() { strangers + 1 } else { 0 };
        if strangers > 1 {
            // What answers twice with lines that are no frames is not apu-client: a third try would not help.
            return last.ending(task);
        }
        reading.is_quiet = last.is_let_go;
        *trouble = (!last.is_let_go).then(|| lost.clone());
        if !last.is_let_go {
            reporter.tell(Report::Reconnecting(last.words.clone())).await;
        }
        garbage += last.garbage;
        let told_before = reading.told;
        last = loop {
            sleep(pause).await;
            pause = LONGEST_PAUSE.min(pause * 2);
            let _connection = course.connections.take().await;
            match transport.ask(&task.host, &attach).await {
                Ok(answer) => break read_reply(answer, reporter, &mut reading).await,
                Err(why) => {
                    let passes = may_pass(why.code);
                    if std::mem::take(&mut reading.is_quiet) {
                        reporter.tell(Report::Reconnecting(why.detail.join("\n"))).await;
                    }
                    let lost = Lost {
                        then: Some(Box::new(why)),
                        ..lost.clone()
                    };
                    if !passes {
                        let reason =
                            ServerReason::from(ServerCause::Lost(lost)).advise(ServerAdvice::attach(run));
                        return Ending::without_result(Outcome::Lost, reason, run);
                    }
                    *trouble = Some(lost);
                }
            }
        };
        // A client that knew the run and knows it no more says so itself.
        if last.knows_no_run() && !reading.has_begun {
            return Ending::without_result(Outcome::Failed, ServerCause::LostBeforeBegin(lost), None);
        }
        if reading.told > told_before || (last.has_answered && !last.is_let_go) {
            pause = FIRST_PAUSE;
        }
    }
    let mut ending = last.ending(task);
    ending.garbage += garbage;
    ending
}

/// Asks a few times more for an answer whose connection broke: the request changes nothing.
///
/// # Errors
/// Why the host could not be asked the last time.
async fn ask_again<T: Transport>(
    transport: &T,
    task: &Task,
    reporter: &Reporter,
    course: &Course,
    (mut last, reading): (Reply, &mut Reading<'_>),
    trouble: &mut Option<Lost>,
) -> Result<Reply, ServerReason> {
    let mut answered = Ok(());
    for pause in PAUSES {
        if answered.is_ok() {
            if last.result.is_some() || last.is_a_stranger_s() {
                break;
            }
            *trouble = Some(last.lost());
            reporter.tell(Report::Reconnecting(last.words.clone())).await;
        }
        sleep(pause).await;
        let _connection = course.connections.take().await;
        answered = match transport.ask(&task.host, &task.request).await {
            Ok(answer) => {
                last = read_reply(answer, reporter, reading).await;
                Ok(())
            }
            Err(why) if may_pass(why.code) => Err(why),
            Err(why) => return Err(why),
        };
    }
    answered.map(|()| last)
}

/// Whether another try may succeed without anybody's help: the host may be starting again, or the network be down.
const fn may_pass(code: ServerCode) -> bool {
    !matches!(
        code,
        ServerCode::ChangedHostKey
            | ServerCode::UnknownHostKey
            | ServerCode::NoCommonAlgorithm
            | ServerCode::Here
            | ServerCode::Interrupted
    )
}
