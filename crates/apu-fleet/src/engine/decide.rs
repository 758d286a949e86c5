//! Decides what happens next in a phase of a push: a function of its state, an input and the time, without I/O or a clock.

use std::time::Duration;

use apu_proto::{Frame, Operation};
use jiff::Timestamp;

use super::batch::Batch;
use super::schedule::{Next, Schedule, StopReason};
use crate::event::{Event, Phase, TimedEvent, package_words};
use crate::outcome::{Ending, Outcome};
use crate::published::{self, PublishedArchive};
use crate::reason::{HostReason, ServerAdvice, ServerCause, ServerCode, ServerReason};
use crate::run_state::RunState;
use crate::session::{Report, Task, attach_advice};

/// The time, as both clocks have it.
#[derive(Debug, Clone, Copy)]
pub(super) struct Moment {
    /// In UTC.
    pub(super) at: Timestamp,
    /// Since the push began, on a clock that nobody sets.
    pub(super) elapsed: Duration,
}

/// Something that happened.
#[derive(Debug, Clone)]
pub(super) enum Input {
    /// All interrupts that came before the first start have been given: hosts may start.
    Go,
    /// A host at work reports.
    Report(usize, Report),
    /// The worker of a host ended without its last report.
    WorkerDied(usize),
    /// An administrator's Ctrl-C.
    Interrupt,
}

/// Something to be done, in this order.
#[derive(Debug, Clone, PartialEq)]
pub(super) enum Action {
    /// Give the event to the sinks.
    Emit(TimedEvent),
    /// Send a host its request.
    Start(usize),
    /// Stop waiting for a host; what was begun there goes on.
    Leave(usize),
    /// Every host of the phase has ended.
    Stop,
}

/// A phase from its first event to its last.
#[derive(Debug, Clone)]
pub(super) struct State {
    run: RunState,
    schedule: Schedule,
    phase: Phase,
    tasks: Vec<Task>,
    operation: Operation,
    published: Vec<PublishedArchive>,
    /// When the phase began, as [`Moment::elapsed`].
    begun: Duration,
    /// When each host started, the same way.
    started: Vec<Duration>,
    may_start: bool,
    is_over: bool,
}

impl State {
    /// Announces a phase of the push that is in this state. No host starts before [`Input::Go`].
    pub(super) fn begin(run: RunState, batch: Batch, schedule: Schedule, now: Moment) -> (Self, Vec<Action>) {
        let Batch {
            phase,
            operation,
            tasks,
            published,
        } = batch;
        let mut state = Self {
            run,
            schedule,
            phase,
            begun: now.elapsed,
            started: vec![now.elapsed; tasks.len()],
            tasks,
            operation,
            published,
            may_start: false,
            is_over: false,
        };
        let started = Event::PhaseStarted {
            phase,
            operation,
            hosts: state.tasks.iter().map(|task| task.host.name.clone()).collect(),
        };
        let mut actions = Vec::new();
        state.emit(started, now, &mut actions);
        (state, actions)
    }

    /// Takes note of what happened, and decides what is to be done.
    pub(super) fn on(&mut self, input: Input, now: Moment) -> Vec<Action> {
        let mut actions = Vec::new();
        if self.is_over {
            return actions;
        }
        let only_tells = matches!(&input, Input::Report(_, report) if !matches!(report, Report::Ended(_)));
        match input {
            Input::Go => self.may_start = true,
            Input::Report(host, report) => self.hear(host, report, now, &mut actions),
            Input::WorkerDied(host) => {
                let ending = Ending::without_result(Outcome::Lost, ServerCause::Bug, None);
                self.end(host, ending, now, &mut actions);
            }
            Input::Interrupt => {
                let times = self.run.interrupts + 1;
                self.emit(Event::Interrupted { times }, now, &mut actions);
                if times > 1 {
                    self.leave(now, &mut actions);
                }
            }
        }
        if self.may_start && !only_tells {
            self.advance(now, &mut actions);
        }
        actions
    }

    /// How far the push is.
    pub(super) const fn run(&self) -> &RunState {
        &self.run
    }

    pub(super) fn into_run(self) -> RunState {
        self.run
    }

    /// What is asked of a host.
    pub(super) fn task(&self, host: usize) -> &Task {
        &self.tasks[host]
    }

    fn emit(&mut self, event: Event, now: Moment, actions: &mut Vec<Action>) {
        let event = TimedEvent {
            at: now.at,
            push: self.run.push,
            event,
        };
        self.run.apply(&event);
        actions.push(Action::Emit(event));
    }

    /// Starts what may start, ends what will not start any more, and stops when all hosts have ended.
    fn advance(&mut self, now: Moment, actions: &mut Vec<Action>) {
        loop {
            match self.schedule.next(&self.run) {
                Next::Start(host) => self.start(host, now, actions),
                Next::Stop(reason) => {
                    self.skip_queued(reason, now, actions);
                    break;
                }
                Next::Wait => break,
            }
        }
        if self.run.next_queued().is_none() && self.run.running() == 0 {
            let finished = Event::PhaseFinished {
                phase: self.phase,
                seconds: seconds(now.elapsed.saturating_sub(self.begun)),
                outcomes: self.run.phase_outcomes(),
            };
            self.emit(finished, now, actions);
            actions.push(Action::Stop);
            self.is_over = true;
        }
    }

    fn start(&mut self, host: usize, now: Moment, actions: &mut Vec<Action>) {
        self.started[host] = now.elapsed;
        let task = &self.tasks[host];
        let start = Event::HostStarted {
            host: task.host.name.clone(),
            run: task.request.run_id(),
        };
        self.emit(start, now, actions);
        actions.push(Action::Start(host));
    }

    fn hear(&mut self, index: usize, report: Report, now: Moment, actions: &mut Vec<Action>) {
        if !self.run.is_running(index) {
            return;
        }
        let host = self.tasks[index].host.name.clone();
        let event = match report {
            Report::Ended(ending) => return self.end(index, *ending, now, actions),
            Report::Connected { reused } => Event::Connected { host, reused },
            Report::Reconnecting(text) => Event::Reconnecting { host, text },
            Report::Frame(frame) => match frame {
                Frame::Hello { client, .. } => Event::Hello { host, client },
                Frame::Waiting { lock, holder } => Event::Waiting { host, lock, holder },
                Frame::Progress {
                    phase: activity,
                    percent,
                    package,
                } => Event::Progress {
                    host,
                    activity,
                    percent,
                    package,
                },
                Frame::Line { text } => Event::Line { host, text },
                Frame::Result(_) | Frame::Unknown => return,
            },
        };
        self.emit(event, now, actions);
    }

    fn end(&mut self, index: usize, mut ending: Ending, now: Moment, actions: &mut Vec<Action>) {
        if !self.run.is_running(index) {
            return;
        }
        published::mark_stale(&mut ending, self.operation, &self.published);
        let host = self.tasks[index].host.name.clone();
        if let Some(HostReason::Server(reason)) = ending.reason.as_mut()
            && matches!(reason.code, ServerCode::TimeUp | ServerCode::Interrupted)
        {
            reason.work = self.run.work(&host, now.at);
        }
        let finished = Event::HostFinished {
            host,
            seconds: seconds(now.elapsed.saturating_sub(self.started[index])),
            ending: Box::new(ending),
        };
        self.emit(finished, now, actions);
    }

    fn skip_queued(&mut self, reason: StopReason, now: Moment, actions: &mut Vec<Action>) {
        while let Some(index) = self.run.next_queued() {
            let why = not_started(reason, &self.tasks[index]);
            let skipped = Event::HostFinished {
                host: self.tasks[index].host.name.clone(),
                seconds: 0.0,
                ending: Box::new(Ending::without_result(Outcome::Skipped, why, None)),
            };
            self.emit(skipped, now, actions);
        }
    }

    /// Gives up waiting for everything that is at work.
    fn leave(&mut self, now: Moment, actions: &mut Vec<Action>) {
        for index in 0..self.tasks.len() {
            if !self.run.is_running(index) {
                continue;
            }
            actions.push(Action::Leave(index));
            let request = &self.tasks[index].request;
            let reason = ServerReason::from(ServerCause::LeftAtWork).advise(attach_advice(request.run_id()));
            let ending = Ending::without_result(Outcome::Lost, reason, request.run_id());
            self.end(index, ending, now, actions);
        }
    }
}

/// Why a host was not started, and what to do about it.
fn not_started(reason: StopReason, task: &Task) -> ServerReason {
    match reason {
        StopReason::Interrupted => ServerCause::NotStarted.into(),
        StopReason::Failures {
            failed,
            hosts,
            allowed,
        } => {
            let cause = ServerCause::MaxFailures {
                failed,
                hosts,
                allowed,
            };
            ServerReason::from(cause).advise(ServerAdvice::MendAndRepeat {
                operation: task.request.operation(),
                packages: package_words(task.request.packages()),
            })
        }
    }
}

/// In milliseconds' precision, as events have them.
pub(crate) fn seconds(duration: Duration) -> f64 {
    (duration.as_secs_f64() * 1000.0).round() / 1000.0
}

#[cfg(test)]
mod tests;
