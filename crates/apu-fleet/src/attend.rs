//! One host from its turn to its last word: asks, follows the answer, and asks once more for a run whose connection broke.

use std::time::Duration;

use apu_proto::{Frame, Operation, ReasonCode, Request, RunId, RunResult};
use tokio::sync::mpsc::Sender;
use tokio::time::{Instant, sleep, timeout_at};

use crate::host::Host;
use crate::outcome::{Code, Ending, Obstacle, Outcome, Why};
use crate::reader::FrameReader;
use crate::transport::{Answer, Transport};

/// How long a lost connection is given before the run is asked for again: sshd may just be restarting.
const BREATH: Duration = Duration::from_secs(2);

/// A host and what is asked of it.
#[derive(Debug, Clone)]
pub struct Task {
    /// The host.
    pub host: Host,
    /// What is asked.
    pub request: Request,
}

/// What is told about a host while it works.
pub(crate) enum Report {
    Connected { reused: bool },
    Frame(Frame),
    Again(String),
    Ended(Ending),
}

/// Tells everything about one host to the task that decides.
pub(crate) struct Reporter {
    pub(crate) place: usize,
    pub(crate) to: Sender<(usize, Report)>,
}

impl Reporter {
    /// Nobody listens any more once everything is decided; then there is nothing to tell either.
    async fn tell(&self, report: Report) {
        let _ = self.to.send((self.place, report)).await;
    }
}

pub(crate) async fn attend<T: Transport>(transport: &T, task: &Task, limit: Duration, reporter: &Reporter) {
    let run = task.request.run_id;
    let ending = match timeout_at(Instant::now() + limit, converse(transport, task, reporter)).await {
        Ok(ending) => ending,
        Err(_) => {
            let text = format!(
                "no result within {} s; what was begun there goes on",
                limit.as_secs_f64()
            );
            let why = Why::here(Obstacle::TimeUp, text, attach_advice(&task.host, run));
            Ending::without_result(Outcome::TimedOut, why, run)
        }
    };
    reporter.tell(Report::Ended(ending)).await;
}

/// The command that looks for a run later.
pub(crate) fn attach_advice(host: &Host, run: Option<RunId>) -> String {
    run.map_or_else(String::new, |run| format!("apu attach {} {run}", host.name))
}

async fn converse<T: Transport>(transport: &T, task: &Task, reporter: &Reporter) -> Ending {
    let run = task.request.run_id;
    let answer = match transport.ask(&task.host, &task.request).await {
        Ok(answer) => answer,
        Err(why) => return Ending::without_result(Outcome::Unreachable, why, None),
    };
    let first = follow(answer, reporter).await;
    let Some(run_id) = run.filter(|_| first.result.is_none() && task.request.operation != Operation::Attach)
    else {
        return first.ending(&task.host, run);
    };

    reporter.tell(Report::Again(first.words.clone())).await;
    sleep(BREATH).await;
    let attach = Request {
        run_id: Some(run_id),
        ..Request::new(Operation::Attach)
    };
    let mut ending = match transport.ask(&task.host, &attach).await {
        Ok(answer) => follow(answer, reporter).await.ending(&task.host, run),
        Err(why) => {
            let text = format!("{}; and then: {}", first.lost(), why.text);
            let why = Why::here(Obstacle::Lost, text, attach_advice(&task.host, run));
            Ending::without_result(Outcome::Lost, why, run)
        }
    };
    if ending
        .reason
        .as_ref()
        .is_some_and(|why| why.code == Code::Client(ReasonCode::UnknownRun))
    {
        let text = format!("{}, before the run began: nothing was done", first.lost());
        ending = Ending::without_result(Outcome::Failed, Why::here(Obstacle::Lost, text, ""), None);
    }
    ending.garbage += first.garbage;
    ending
}

/// What came of one answer.
struct Followed {
    result: Option<Box<RunResult>>,
    words: String,
    garbage: u64,
}

/// Reads an answer to its result, or to its end without one.
async fn follow<A: Answer>(mut answer: A, reporter: &Reporter) -> Followed {
    let reused = answer.reused();
    reporter.tell(Report::Connected { reused }).await;
    let mut frames = FrameReader::new(answer.bytes());
    let mut result = None;
    while let Some(frame) = frames.next().await {
        match frame {
            Frame::Result(last) => {
                result = Some(last);
                break;
            }
            frame => reporter.tell(Report::Frame(frame)).await,
        }
    }
    let garbage = frames.garbage;
    let words = match result {
        Some(_) => {
            answer.finish().await;
            String::new()
        }
        None => answer.last_words().await,
    };
    Followed {
        result,
        words,
        garbage,
    }
}

impl Followed {
    fn lost(&self) -> String {
        match self.words.trim() {
            "" => "the connection ended without a result".to_owned(),
            words => format!("the connection ended without a result: {words}"),
        }
    }

    fn ending(self, host: &Host, run: Option<RunId>) -> Ending {
        let lost = self.lost();
        let mut ending = match self.result {
            Some(result) => Ending::of_result(result, run),
            None => {
                let why = Why::here(Obstacle::Lost, lost, attach_advice(host, run));
                Ending::without_result(Outcome::Lost, why, run)
            }
        };
        ending.garbage = self.garbage;
        ending
    }
}
