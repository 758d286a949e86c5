//! The engine: carries out what [`decide`] decides in a phase of a push. The only task that owns the state of the push; a
//! task per host at work reports to it.

mod batch;
mod decide;
mod not_started;
mod schedule;

use std::collections::HashMap;
use std::ops::ControlFlow;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use jiff::Timestamp;
use tokio::sync::mpsc;
use tokio::task::{AbortHandle, Id, JoinSet};
use tokio::time::Instant;

pub use self::batch::{Batch, Carried, Closing, Limits};
pub(crate) use self::decide::seconds;
use self::decide::{Action, Input, Moment, State};
use self::schedule::Schedule;
use crate::connections::Connections;
use crate::frozen::Frozen;
use crate::instruction::Instruction;
use crate::outcome::{Ending, Outcome};
use crate::programs::Programs;
use crate::reason::ServerCause;
use crate::report::{Report, Reporter};
use crate::run_state::RunState;
use crate::session::{Course, run_host};
use crate::sink::Sinks;
use crate::task::Task;
use crate::transport::Transport;

/// How often sinks that show time passing are called.
const TICK: Duration = Duration::from_millis(200);

/// The most reports that are taken as of one moment: a Ctrl-C need not wait for more.
const AT_ONCE: usize = 256;

/// Runs a phase of the push that is in this state and began at `begun`; returns its state after the phase.
///
/// `early` is what administrators have told before it, and `instructions` what they tell meanwhile.
pub(crate) async fn run_phase<T: Transport>(
    transport: &Arc<T>,
    (run, begun): (RunState, Instant),
    batch: Batch,
    limits: Limits,
    (early, instructions): (Vec<Instruction>, &mut mpsc::UnboundedReceiver<Instruction>),
    sinks: &mut Sinks<'_>,
) -> RunState {
    let moment = || Moment {
        at: Timestamp::now(),
        elapsed: begun.elapsed(),
    };
    let schedule = Schedule {
        parallel: limits.parallel,
        max_failures: limits.max_failures,
    };
    let (to, mut reports) = mpsc::channel(AT_ONCE);
    let mut workers = Workers {
        transport,
        timeout: limits.timeout,
        programs: batch.programs.clone(),
        frozen: batch.frozen.clone(),
        is_stopped: Arc::default(),
        connections: Arc::new(Connections::new(limits.connections)),
        to,
        tasks: JoinSet::new(),
        indices: HashMap::new(),
        handles: HashMap::new(),
    };
    let (mut state, actions) = State::begin(run, batch, schedule, moment());
    let _ = workers.carry_out(actions, &state, sinks);
    // A signal may have come between two phases: the task that forwards it has its turn before any host has.
    for _ in 0..3 {
        tokio::task::yield_now().await;
    }
    let mut early = early.into_iter();
    while let Some(instruction) = early.next().or_else(|| instructions.try_recv().ok()) {
        let actions = state.on(Input::Told(instruction), moment());
        let _ = workers.carry_out(actions, &state, sinks);
    }
    let mut listening = true;
    let mut ticks = tokio::time::interval(TICK);
    ticks.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
    let mut input = Input::Go;
    loop {
        let mut actions = state.on(input, moment());
        workers
            .is_stopped
            .store(state.run().interrupts > 0, Ordering::Relaxed);
        // What hosts have told meanwhile is of the same moment: many that end together are one write to the disk.
        for _ in 0..AT_ONCE {
            let Ok((index, report)) = reports.try_recv() else {
                break;
            };
            actions.extend(state.on(Input::Report(index, report), moment()));
        }
        if workers.carry_out(actions, &state, sinks).is_break() {
            return state.into_run();
        }
        input = loop {
            tokio::select! {
                instruction = instructions.recv(), if listening => match instruction {
                    Some(instruction) => break Input::Told(instruction),
                    None => listening = false,
                },
                _ = ticks.tick(), if sinks.want_ticks() || state.run().pause.is_some() => {
                    sinks.tick(state.run());
                    if state.run().pause.is_some() {
                        break Input::Tick;
                    }
                }
                Some((index, report)) = reports.recv() => break Input::Report(index, report),
                Some(joined) = workers.tasks.join_next_with_id() => {
                    // A worker ends after its last report, unless it is broken; nobody may wait for it then.
                    if let Err(error) = joined
                        && error.is_panic()
                        && let Some(&index) = workers.indices.get(&error.id())
                    {
                        break Input::WorkerDied(index);
                    }
                }
            }
        };
    }
}

/// The tasks that run hosts: one for each host at work.
struct Workers<'a, T> {
    transport: &'a Arc<T>,
    timeout: Duration,
    programs: Option<Arc<Programs>>,
    frozen: Option<Arc<Frozen>>,
    /// Whether Ctrl-C was pressed: a host that waits for its first hook is not asked then.
    is_stopped: Arc<AtomicBool>,
    connections: Arc<Connections>,
    to: mpsc::Sender<(usize, Report)>,
    tasks: JoinSet<()>,
    /// Which host a task runs.
    indices: HashMap<Id, usize>,
    handles: HashMap<usize, AbortHandle>,
}

impl<T: Transport> Workers<'_, T> {
    /// Does what was decided; breaks where the phase has ended. No host is asked before every sink has what it must not lose.
    fn carry_out(&mut self, actions: Vec<Action>, state: &State, sinks: &mut Sinks<'_>) -> ControlFlow<()> {
        for action in &actions {
            if let Action::Emit(event) = action {
                sinks.take(event, state.run());
            }
        }
        let settled = sinks.settle();
        for action in actions {
            match action {
                Action::Emit(_) => {}
                Action::Start(index) => match &settled {
                    Ok(()) => {
                        let task = state.task(index).clone();
                        let course = Course {
                            limit: self.timeout,
                            soak: state.soak(index),
                            programs: self.programs.clone(),
                            frozen: self.frozen.clone(),
                            is_giver: self.frozen.as_ref().is_some_and(|frozen| frozen.is_giver(index)),
                            narrowed: state.narrowed(index),
                            is_open: state.is_open(index),
                            is_stopped: self.is_stopped.clone(),
                            connections: self.connections.clone(),
                        };
                        self.start(index, task, course);
                    }
                    Err(why) => self.refuse(index, why.clone()),
                },
                Action::Leave(index) => {
                    if let Some(handle) = self.handles.remove(&index) {
                        handle.abort();
                    }
                }
                Action::Stop => return ControlFlow::Break(()),
            }
        }
        ControlFlow::Continue(())
    }

    fn start(&mut self, index: usize, task: Task, course: Course) {
        let transport = self.transport.clone();
        let reporter = self.reporter(index);
        self.spawn(index, async move {
            run_host(&*transport, &task, &course, &reporter).await;
        });
    }

    /// Ends a host that was about to be asked.
    fn refuse(&mut self, index: usize, why: String) {
        let reporter = self.reporter(index);
        let ending = Ending::without_result(Outcome::Skipped, ServerCause::NotRecorded { why }, None);
        self.spawn(index, async move { reporter.end(ending).await });
    }

    fn reporter(&self, index: usize) -> Reporter {
        Reporter {
            index,
            to: self.to.clone(),
        }
    }

    fn spawn(&mut self, index: usize, work: impl Future<Output = ()> + Send + 'static) {
        let handle = self.tasks.spawn(work);
        self.indices.insert(handle.id(), index);
        self.handles.insert(index, handle);
    }
}

#[cfg(test)]
mod tests;
