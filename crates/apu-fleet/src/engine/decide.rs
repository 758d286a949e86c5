//! Decides what happens next in a phase of a push: a function of its state, an input and the time, without I/O or a clock.

mod carried;
mod pause;

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use apu_debian::PackageKey;
use apu_proto::{Frame, Operation, StalledProcess, Verdict};
use jiff::Timestamp;

use super::batch::{Batch, Carried, Closing};
use super::not_started::not_started;
use super::schedule::{LONGEST_PAUSE, Next, Schedule, StopReason, Wave, fails_wave, hosts_of};
use crate::event::{Event, Phase, TimedEvent, WaveVerdict, package_words};
use crate::instruction::Instruction;
use crate::name::{ClassName, HostName};
use crate::narrow::{Narrowed, held_back};
use crate::outcome::{Ending, Outcome};
use crate::published::{self, PublishedArchive};
use crate::reason::{HostReason, ServerAdvice, ServerCause, ServerCode, ServerReason};
use crate::report::Report;
use crate::rollout::{Rollout, Tested, touches_login};
use crate::run_state::RunState;
use crate::task::Task;

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
    /// What an administrator says.
    Told(Instruction),
    /// Time has passed. It comes only while the push is paused.
    Tick,
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
    tasks: Arc<[Task]>,
    /// What is known of hosts from the run that this one goes on with.
    carried: HashMap<HostName, Carried>,
    /// The first wave, counted from 0, in which that was not looked at.
    carried_until: usize,
    /// The hosts that are not asked, each with why.
    held: HashMap<HostName, ServerReason>,
    /// The hosts that may begin only for a while.
    closings: HashMap<HostName, Closing>,
    operation: Operation,
    rollout: Rollout,
    /// The exclusive group of each host; empty where nothing is disturbed.
    groups: Vec<Option<ClassName>>,
    /// The wave whose hosts may start, counted from 0.
    wave: usize,
    /// The wave, counted from 1, that an administrator let pass last.
    promoted: Option<usize>,
    /// The same of the run that this one goes on with: which waves, and who it was.
    promoted_before: HashMap<usize, String>,
    /// When a decision is waited for no longer, as [`Moment::elapsed`].
    pause_ends: Duration,
    /// What the canaries have tested.
    tested: Tested,
    /// The hosts that do not do all of their plan.
    narrowed: HashMap<usize, Narrowed>,
    /// How the changes ended of the hosts whose health is watched.
    applied: HashMap<usize, Ending>,
    published: Vec<PublishedArchive>,
    /// When the phase began, as [`Moment::elapsed`].
    begun: Duration,
    /// When each host started, the same way.
    started: Vec<Duration>,
    may_start: bool,
    /// Why no host starts any more.
    stopped: Option<StopReason>,
    is_over: bool,
}

impl State {
    /// Announces a phase of the push that is in this state. No host starts before [`Input::Go`].
    pub(super) fn begin(run: RunState, batch: Batch, schedule: Schedule, now: Moment) -> (Self, Vec<Action>) {
        let Batch {
            phase,
            operation,
            tasks,
            carried,
            promoted,
            held,
            closings,
            rollout,
            programs: _,
            frozen: _,
            published,
        } = batch;
        let groups = if phase == Phase::Apply && operation.is_planned() {
            tasks.iter().map(|task| task.host.exclusive.clone()).collect()
        } else {
            Vec::new()
        };
        let mut state = Self {
            run,
            schedule,
            phase,
            begun: now.elapsed,
            started: vec![now.elapsed; tasks.len()],
            tasks: tasks.into(),
            carried,
            carried_until: 0,
            held,
            closings,
            operation,
            rollout,
            groups,
            wave: 0,
            promoted: None,
            promoted_before: promoted,
            // A pause that an earlier phase left is as long as any.
            pause_ends: now.elapsed + LONGEST_PAUSE,
            tested: Tested::default(),
            narrowed: HashMap::new(),
            applied: HashMap::new(),
            published,
            may_start: false,
            stopped: None,
            is_over: false,
        };
        let started = Event::PhaseStarted {
            phase,
            operation,
            hosts: state.tasks.iter().map(|task| task.host.name.clone()).collect(),
        };
        let mut actions = Vec::new();
        state.emit(started, now, &mut actions);
        state.announce_wave(now, &mut actions);
        (state, actions)
    }

    /// Takes note of what happened, and decides what is to be done.
    pub(super) fn on(&mut self, input: Input, now: Moment) -> Vec<Action> {
        let mut actions = Vec::new();
        if self.is_over {
            return actions;
        }
        let only_tells = matches!(&input, Input::Report(_, report) if !matches!(report, Report::Applied(_) | Report::Ended(_)));
        match input {
            Input::Go => self.may_start = true,
            Input::Report(host, report) => self.hear(host, report, now, &mut actions),
            Input::WorkerDied(host) => {
                let ending = Ending::without_result(Outcome::Lost, ServerCause::Bug, None);
                self.end(host, ending, now, &mut actions);
            }
            Input::Told(Instruction::Stop) => {
                let times = self.run.interrupts + 1;
                self.emit(Event::Interrupted { times }, now, &mut actions);
                self.stop_watching(now, &mut actions);
                if times > 1 {
                    self.leave(now, &mut actions);
                }
            }
            Input::Told(instruction) => self.instruct(instruction, now, &mut actions),
            Input::Tick => {}
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

    /// For how long the health of a host is watched after its change, before it has an outcome; none where its own word is
    /// enough.
    pub(super) fn soak(&self, host: usize) -> Option<Duration> {
        if self.rollout.wave_of(host) + 1 < self.rollout.number() {
            return Some(self.rollout.soak);
        }
        if matches!(self.operation, Operation::Reboot | Operation::RestartServices) {
            // Another boot, or services that have started, are not yet a machine that does its work.
            return Some(Duration::ZERO);
        }
        let trial = self.tasks[host].trial.as_ref()?;
        let is_looked_at = self.rollout.check.is_some() || touches_login(&trial.transaction);
        is_looked_at.then_some(Duration::ZERO)
    }

    /// What a host does not do of its plan; none where it does all of it.
    pub(super) fn narrowed(&self, host: usize) -> Option<Narrowed> {
        self.narrowed.get(&host).cloned()
    }

    /// Whether a host may have begun in the run that this one goes on with.
    pub(super) fn is_open(&self, host: usize) -> bool {
        let name = &self.tasks[host].host.name;
        matches!(self.carried.get(name), Some(Carried::Open))
    }

    fn current_wave(&self) -> Wave<'_> {
        Wave {
            hosts: self.rollout.range(self.wave, self.tasks.len()),
            is_last: self.wave + 1 == self.rollout.number(),
            is_promoted: self.is_promoted(),
            groups: &self.groups,
        }
    }

    fn announce_wave(&mut self, now: Moment, actions: &mut Vec<Action>) {
        if self.rollout.is_at_once() {
            return;
        }
        let wave = self.current_wave();
        let started = Event::WaveStarted {
            wave: self.wave + 1,
            waves: self.rollout.number(),
            soak: if wave.is_last {
                0.0
            } else {
                seconds(self.rollout.soak)
            },
            hosts: (self.tasks[wave.hosts].iter())
                .map(|task| task.host.name.clone())
                .collect(),
        };
        self.emit(started, now, actions);
    }

    /// What became of the wave in which the phase ends.
    fn last_verdict(&self) -> WaveVerdict {
        match &self.stopped {
            Some(StopReason::Interrupted | StopReason::NotResumed { .. }) => WaveVerdict::Interrupted,
            Some(StopReason::Failures { .. } | StopReason::WaveFailed(_)) => WaveVerdict::Failed,
            Some(StopReason::Inconclusive(_)) => WaveVerdict::Inconclusive,
            // Nothing waits for the last wave: it is over as it is.
            None if hosts_of(&self.run, &self.current_wave(), fails_wave).is_empty() => WaveVerdict::Passed,
            None => WaveVerdict::Failed,
        }
    }

    /// Ends the current wave, all of whose hosts have ended.
    fn finish_wave(&mut self, verdict: WaveVerdict, now: Moment, actions: &mut Vec<Action>) {
        if self.rollout.is_at_once() {
            return;
        }
        let finished = Event::WaveFinished {
            wave: self.wave + 1,
            waves: self.rollout.number(),
            verdict,
        };
        self.emit(finished, now, actions);
    }

    /// Starts what may start, ends what will not start any more, and stops when all hosts have ended.
    fn advance(&mut self, now: Moment, actions: &mut Vec<Action>) {
        // What stopped the others once does so for good, also where a pause ends later.
        while self.stopped.is_none() {
            self.take_carried(now, actions);
            let next = self.schedule.next(&self.run, &self.current_wave());
            match self.overdue(now).map_or(next, Next::Stop) {
                Next::Start(host) => match self.held(host, now).or_else(|| self.untested(host)) {
                    Some(why) => self.skip(host, why, now, actions),
                    None => self.start(host, now, actions),
                },
                Next::Blocked { host, by } => {
                    let why = self.blocked(host, by);
                    self.skip(host, why, now, actions);
                }
                Next::Stop(reason) => {
                    self.stop(reason, now, actions);
                    break;
                }
                Next::Pause(hosts) if self.has_no_pause() => {
                    self.stop(StopReason::Inconclusive(hosts), now, actions);
                    break;
                }
                Next::Pause(_) if self.run.pause.is_some() => break,
                Next::Pause(hosts) => self.pause(hosts, now, actions),
                Next::Advance => {
                    self.pass_wave(now, actions);
                    self.wave += 1;
                    self.announce_wave(now, actions);
                }
                Next::Wait => break,
            }
        }
        if self.run.next_queued().is_none() && self.run.running() == 0 {
            self.finish_wave(self.last_verdict(), now, actions);
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

    /// Why a host does not start: another one of its exclusive group may be at work.
    fn blocked(&self, host: usize, by: usize) -> ServerReason {
        let task = &self.tasks[host];
        let by = self.tasks[by].host.name.clone();
        let advice = ServerAdvice::LookAndRepeat {
            hosts: vec![by.clone()],
            operation: task.request.operation(),
            packages: package_words(task.request.packages()),
        };
        let group = task
            .host
            .exclusive
            .as_ref()
            .map(ToString::to_string)
            .unwrap_or_default();
        ServerReason::from(ServerCause::GroupAtWork { group, by }).advise(advice)
    }

    /// Why a host does not start: another run is at work there, or its maintenance window is closed.
    fn held(&self, host: usize, now: Moment) -> Option<ServerReason> {
        let host = &self.tasks[host].host.name;
        let closed = || {
            let closing = self
                .closings
                .get(host)
                .filter(|closing| now.elapsed >= closing.at);
            closing.map(|closing| closing.why.clone())
        };
        self.held.get(host).cloned().or_else(closed)
    }

    /// Why a host of a later wave does not start: no canary has tested what it would do.
    fn untested(&self, host: usize) -> Option<ServerReason> {
        if self.wave == 0 {
            return None;
        }
        let task = &self.tasks[host];
        // Without a plan of the host, nothing of what it would do counts as tested.
        let missing = match &task.trial {
            Some(trial) => self.tested.missing(trial),
            None => Vec::new(),
        };
        if task.trial.is_some() && (missing.is_empty() || held_back(task, &missing).is_some()) {
            return None;
        }
        Some(
            ServerReason::from(ServerCause::untested(missing)).advise(ServerAdvice::RepeatAlone {
                operation: task.request.operation(),
                packages: package_words(task.request.packages()),
            }),
        )
    }

    /// Takes note of what the host leaves as it is, since no canary has tested it.
    fn narrow(&mut self, host: usize, now: Moment, actions: &mut Vec<Action>) {
        let task = &self.tasks[host];
        let Some(trial) = task.trial.as_ref().filter(|_| self.wave > 0) else {
            return;
        };
        let missing = self.tested.missing(trial);
        let Some(packages) = held_back(task, &missing).filter(|packages| !packages.is_empty()) else {
            return;
        };
        let packages: Vec<PackageKey> = packages.into_iter().cloned().collect();
        let name = task.host.name.clone();
        let narrowed = Narrowed {
            packages: packages.clone(),
            tested: Arc::new(self.tested.clone()),
        };
        self.narrowed.insert(host, narrowed);
        self.emit(Event::HeldBack { host: name, packages }, now, actions);
    }

    fn start(&mut self, host: usize, now: Moment, actions: &mut Vec<Action>) {
        self.narrow(host, now, actions);
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
        // A host whose change is made tells nothing more itself before it ends.
        let is_its_own = !matches!(report, Report::Ended(_) | Report::Hook(_) | Report::HookFailed(_));
        let is_over = self.applied.contains_key(&index) && is_its_own;
        if is_over || !self.run.is_running(index) {
            return;
        }
        let host = self.tasks[index].host.name.clone();
        let event = match report {
            Report::Ended(ending) => return self.end(index, *ending, now, actions),
            Report::Applied(ending) => {
                self.applied.insert(index, *ending);
                let soak = seconds(self.soak(index).unwrap_or_default());
                Event::Checking { host, soak }
            }
            Report::Hook(hook) => Event::HookStarted { host, hook },
            Report::HookFailed(failure) => failure.event(Some(host)),
            Report::Connected { reused } => Event::Connected { host, reused },
            Report::Reconnecting(text) => Event::Reconnecting { host, text },
            Report::Rebooting => Event::Rebooting { host },
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
                Frame::Stalled {
                    seconds,
                    mut processes,
                } => {
                    processes.truncate(StalledProcess::MOST);
                    Event::Stalled {
                        host,
                        seconds,
                        processes,
                    }
                }
                Frame::Debs { .. } | Frame::Result(_) | Frame::Unknown => return,
            },
        };
        self.emit(event, now, actions);
        if self.run.interrupts > 0 {
            self.stop_watching(now, actions);
        }
    }

    fn end(&mut self, index: usize, mut ending: Ending, now: Moment, actions: &mut Vec<Action>) {
        if !self.run.is_running(index) {
            return;
        }
        self.applied.remove(&index);
        let host = &self.tasks[index].host.name;
        if let Some(HostReason::Server(reason)) = ending.reason.as_mut()
            && matches!(reason.code, ServerCode::TimeUp | ServerCode::Interrupted)
        {
            reason.work = self.run.work(host, now.at);
        }
        // It was asked before, so that more is not known than that it cannot be reached now.
        let was_open = matches!(self.carried.get(host), Some(Carried::Open));
        if was_open && ending.outcome == Outcome::Unreachable {
            ending.outcome = Outcome::Lost;
            ending.run = self.tasks[index].request.run_id();
        }
        self.finish(index, ending, now, actions);
    }

    fn finish(&mut self, index: usize, mut ending: Ending, now: Moment, actions: &mut Vec<Action>) {
        published::mark_stale(&mut ending, self.operation, &self.published);
        // A host of a later wave adds nothing: what it does was tested before it started, and what was not it leaves as it is.
        if !self.rollout.is_at_once()
            && self.rollout.wave_of(index) == 0
            && ending.outcome == Outcome::Changed
            && ending.verdict() == Some(Verdict::Pass)
            && let Some(trial) = self.tasks[index].trial.as_ref()
            // What a repair did there is not what the others do.
            && !trial.is_broken
        {
            self.tested.add(trial);
        }
        let host = self.tasks[index].host.name.clone();
        let finished = Event::HostFinished {
            host,
            seconds: seconds(now.elapsed.saturating_sub(self.started[index])),
            ending: Box::new(ending),
        };
        self.emit(finished, now, actions);
    }

    fn skip(&mut self, index: usize, why: ServerReason, now: Moment, actions: &mut Vec<Action>) {
        let skipped = Event::HostFinished {
            host: self.tasks[index].host.name.clone(),
            seconds: 0.0,
            ending: Box::new(Ending::without_result(Outcome::Skipped, why, None)),
        };
        self.emit(skipped, now, actions);
    }

    /// Lets no host start any more.
    fn stop(&mut self, reason: StopReason, now: Moment, actions: &mut Vec<Action>) {
        let of = (self.wave + 1, self.rollout.number());
        while let Some(index) = self.run.next_queued() {
            if self.take_carried_host(index, now, actions) {
                continue;
            }
            let why = not_started(&reason, of, &self.tasks[index]);
            self.skip(index, why, now, actions);
        }
        self.stopped = Some(reason);
    }

    /// Ends the hosts whose change is made: nobody waits for their health any more.
    fn stop_watching(&mut self, now: Moment, actions: &mut Vec<Action>) {
        let mut applied: Vec<(usize, Ending)> = self.applied.drain().collect();
        applied.sort_by_key(|(index, _)| *index);
        for (index, mut ending) in applied {
            actions.push(Action::Leave(index));
            ending.health = Some(Verdict::Inconclusive);
            self.end(index, ending, now, actions);
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
            let reason =
                ServerReason::from(ServerCause::LeftAtWork).advise(ServerAdvice::attach(request.run_id()));
            let ending = Ending::without_result(Outcome::Lost, reason, request.run_id());
            self.end(index, ending, now, actions);
        }
    }
}

/// In milliseconds' precision, as events have them.
pub(crate) fn seconds(duration: Duration) -> f64 {
    (duration.as_secs_f64() * 1000.0).round() / 1000.0
}

#[cfg(test)]
mod tests;
