//! The one task that decides: whose turn it is, when to stop, and what happened, told as events.

use std::collections::{HashMap, VecDeque};
use std::num::NonZeroUsize;
use std::sync::Arc;
use std::time::Duration;

use apu_proto::{Frame, Operation};
use tokio::sync::mpsc;
use tokio::task::{Id, JoinSet};
use tokio::time::Instant;

use crate::event::{EVENTS_VERSION, Event, Purpose, Stamped, now, package_words};
use crate::outcome::{Code, Ending, Obstacle, Outcome, Why};
use crate::published::{self, PublishedArchive};
use crate::run_state::RunState;
use crate::session::{Report, Reporter, Task, attach_advice, run_host};
use crate::sink::Sinks;
use crate::transport::Transport;

/// How often sinks that show time passing are called.
const TICK: Duration = Duration::from_millis(200);

/// How much at once, and how long.
#[derive(Debug, Clone, Copy)]
pub struct Limits {
    /// Hosts at work at once.
    pub parallel: NonZeroUsize,
    /// How long one host is waited for.
    pub timeout: Duration,
}

/// Everything that is asked in one go.
#[derive(Debug, Clone)]
pub struct Job {
    /// For a plan or to be done.
    pub purpose: Purpose,
    /// The operation, the same for all.
    pub operation: Operation,
    /// The hosts in the order of their turns, with what is asked of each.
    pub tasks: Vec<Task>,
    /// What this server has published, for `update` to be compared with; empty where nothing is to be compared.
    pub published: Vec<PublishedArchive>,
}

/// Asks all hosts of a job and tells what happens as events; returns the state in which all of them have ended.
///
/// Each message of `stops` is one Ctrl-C: the first begins nothing new, the second waits for nothing more. What was
/// begun on a client goes on there.
pub async fn run<T: Transport>(
    transport: &Arc<T>,
    job: Job,
    limits: Limits,
    stops: &mut mpsc::UnboundedReceiver<()>,
    sinks: &mut Sinks<'_>,
) -> RunState {
    let begun = Instant::now();
    let mut deciding = Deciding {
        run_state: RunState::default(),
        sinks,
        queue: (0..job.tasks.len()).collect(),
        running: HashMap::new(),
        tasks: job.tasks,
        operation: job.operation,
        published: job.published,
    };
    let packages = deciding
        .tasks
        .first()
        .map(|task| package_words(&task.request.packages));
    deciding.tell(Event::Begin {
        version: EVENTS_VERSION,
        purpose: job.purpose,
        operation: job.operation,
        packages: packages.unwrap_or_default(),
        hosts: deciding.tasks.iter().map(|task| task.host.name.clone()).collect(),
    });

    let (to, mut reports) = mpsc::channel(256);
    let mut workers = JoinSet::new();
    let mut places: HashMap<Id, usize> = HashMap::new();
    let mut times = 0;
    let mut listening = true;
    let mut ticks = tokio::time::interval(TICK);
    ticks.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
    // A signal may have come between two rounds: the task that forwards it has its turn before any host has.
    for _ in 0..3 {
        tokio::task::yield_now().await;
    }
    while stops.try_recv().is_ok() {
        times += 1;
        deciding.tell(Event::Interrupt { times });
        deciding.skip_the_queue();
    }
    loop {
        while times == 0 && deciding.running.len() < limits.parallel.get() {
            let Some(place) = deciding.queue.pop_front() else {
                break;
            };
            let (transport, to, task) = (transport.clone(), to.clone(), deciding.start(place));
            let reporter = Reporter { place, to };
            let worker =
                workers.spawn(async move { run_host(&*transport, &task, limits.timeout, &reporter).await });
            places.insert(worker.id(), place);
        }
        if deciding.running.is_empty() {
            break;
        }
        tokio::select! {
            stop = stops.recv(), if listening => {
                if stop.is_none() {
                    listening = false;
                    continue;
                }
                times += 1;
                deciding.tell(Event::Interrupt { times });
                deciding.skip_the_queue();
                if times > 1 {
                    workers.abort_all();
                    deciding.leave();
                }
            }
            _ = ticks.tick() => deciding.sinks.tick(),
            Some((place, report)) = reports.recv() => deciding.hear(place, report),
            Some(joined) = workers.join_next_with_id() => {
                // A worker ends after its last report, unless it is broken; nobody may wait for it then.
                if let Err(error) = joined
                    && let Some(&place) = places.get(&error.id())
                    && error.is_panic()
                {
                    let why = Why::here(Obstacle::Here, "apt-all itself failed here, which is a bug", "");
                    deciding.end(place, Ending::without_result(Outcome::Lost, why, None));
                }
            }
        }
    }
    let outcomes = deciding.run_state.outcomes();
    deciding.tell(Event::Done {
        seconds: seconds_since(begun),
        outcomes,
    });
    deciding.run_state
}

fn seconds_since(begun: Instant) -> f64 {
    (begun.elapsed().as_secs_f64() * 1000.0).round() / 1000.0
}

struct Deciding<'a, 'b> {
    run_state: RunState,
    sinks: &'a mut Sinks<'b>,
    tasks: Vec<Task>,
    operation: Operation,
    published: Vec<PublishedArchive>,
    queue: VecDeque<usize>,
    running: HashMap<usize, Instant>,
}

impl Deciding<'_, '_> {
    fn tell(&mut self, event: Event) {
        let event = Stamped::now(event);
        self.run_state.apply(&event);
        self.sinks.take(&event);
    }

    fn start(&mut self, place: usize) -> Task {
        let task = self.tasks[place].clone();
        self.running.insert(place, Instant::now());
        self.tell(Event::Start {
            host: task.host.name.clone(),
            run: task.request.run_id,
        });
        task
    }

    fn hear(&mut self, place: usize, report: Report) {
        if !self.running.contains_key(&place) {
            return;
        }
        let host = self.tasks[place].host.name.clone();
        match report {
            Report::Connected { reused } => self.tell(Event::Connected { host, reused }),
            Report::Again(text) => self.tell(Event::Again { host, text }),
            Report::Ended(ending) => self.end(place, ending),
            Report::Frame(frame) => match frame {
                Frame::Hello { client, .. } => self.tell(Event::Hello { host, client }),
                Frame::Waiting { lock, holder } => self.tell(Event::Waiting { host, lock, holder }),
                Frame::Progress {
                    phase,
                    percent,
                    package,
                } => {
                    self.tell(Event::Progress {
                        host,
                        phase,
                        percent,
                        package,
                    });
                }
                Frame::Line { text } => self.tell(Event::Line { host, text }),
                Frame::Result(_) | Frame::Unknown => {}
            },
        }
    }

    fn end(&mut self, place: usize, mut ending: Ending) {
        let Some(begun) = self.running.remove(&place) else {
            return;
        };
        published::judge(&mut ending, self.operation, &self.published);
        let host = self.tasks[place].host.name.clone();
        if let Some(why) = ending.reason.as_mut()
            && matches!(why.code, Code::Here(Obstacle::TimeUp | Obstacle::Interrupted))
            && let Some(words) = self.run_state.why_not_ended(&host, now())
        {
            why.text += &format!("; {words}");
        }
        let seconds = seconds_since(begun);
        self.tell(Event::End {
            host,
            seconds,
            ending,
        });
    }

    fn skip_the_queue(&mut self) {
        for place in std::mem::take(&mut self.queue) {
            let why = Why::here(Obstacle::Interrupted, "interrupted before its turn", "");
            let host = self.tasks[place].host.name.clone();
            let ending = Ending::without_result(Outcome::Skipped, why, None);
            self.tell(Event::End {
                host,
                seconds: 0.0,
                ending,
            });
        }
    }

    /// Gives up waiting for everything that still runs.
    fn leave(&mut self) {
        let mut places: Vec<usize> = self.running.keys().copied().collect();
        places.sort_unstable();
        for place in places {
            let Task { host, request } = &self.tasks[place];
            let text = "left while it was at work; what was begun there goes on";
            let why = Why::here(Obstacle::Interrupted, text, attach_advice(host, request.run_id));
            self.end(place, Ending::without_result(Outcome::Lost, why, request.run_id));
        }
    }
}

#[cfg(test)]
mod tests;
