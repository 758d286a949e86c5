//! Runs a push from its first event to its last: its phases, the question between them, and the sinks that all of them share.

use std::collections::HashMap;
use std::io;
use std::sync::Arc;

use apu_proto::{Operation, Request};
use jiff::Timestamp;
use tokio::sync::mpsc::UnboundedReceiver;
use tokio::time::Instant;

use crate::engine::{Batch, Limits, run_phase, seconds};
use crate::event::{Approval, EVENTS_VERSION, Event, Phase, TimedEvent, package_words};
use crate::host::Host;
use crate::instruction::Instruction;
use crate::name::HostName;
use crate::programs::HookFailure;
use crate::push_id::PushId;
use crate::rollout::Rollout;
use crate::run_state::RunState;
use crate::sink::Sinks;
use crate::task::Task;
use crate::transport::Transport;

/// What a push is about.
#[derive(Debug, Clone)]
pub struct Announcement {
    /// Its identity.
    pub push: PushId,
    /// The operation.
    pub operation: Operation,
    /// Its packages, as `name[:arch][=version]`.
    pub packages: Vec<String>,
    /// Every host, in the order of their turns.
    pub hosts: Vec<HostName>,
    /// Who pushes.
    pub by: String,
}

impl Announcement {
    /// A push of one request to these hosts.
    #[must_use]
    pub fn of(push: PushId, hosts: &[Host], request: &Request, by: String) -> Self {
        Self {
            push,
            operation: request.operation(),
            packages: package_words(request.packages()),
            hosts: hosts.iter().map(|host| host.name.clone()).collect(),
            by,
        }
    }
}

impl Batch {
    /// The same request for each host.
    #[must_use]
    pub fn of(phase: Phase, hosts: &[Host], request: &Request) -> Self {
        let task = |host: &Host| Task {
            host: host.clone(),
            request: request.clone(),
            trial: None,
        };
        Self {
            phase,
            operation: request.operation(),
            tasks: hosts.iter().map(task).collect(),
            carried: HashMap::new(),
            promoted: HashMap::new(),
            held: HashMap::new(),
            closings: HashMap::new(),
            rollout: Rollout::default(),
            programs: None,
            frozen: None,
            published: Vec::new(),
        }
    }
}

/// A push that is under way.
///
/// Ctrl-C counts for the whole push: a phase that begins after it starts no host.
pub struct Runner<'a, T> {
    transport: &'a Arc<T>,
    instructions: UnboundedReceiver<Instruction>,
    sinks: Sinks<'a>,
    /// What was told between two phases, for the next one.
    early: Vec<Instruction>,
    run: RunState,
    begun: Instant,
    /// When the phase began in which an administrator is asked.
    asked: Instant,
}

impl<'a, T: Transport> Runner<'a, T> {
    /// Announces the push.
    #[must_use]
    pub fn start(
        transport: &'a Arc<T>,
        instructions: UnboundedReceiver<Instruction>,
        sinks: Sinks<'a>,
        announcement: Announcement,
    ) -> Self {
        let Announcement {
            push,
            operation,
            packages,
            hosts,
            by,
        } = announcement;
        let begun = Instant::now();
        let mut runner = Self {
            transport,
            instructions,
            sinks,
            early: Vec::new(),
            run: RunState::new(push),
            begun,
            asked: begun,
        };
        runner.tell(Event::PushStarted {
            version: EVENTS_VERSION,
            operation,
            packages,
            hosts,
            by,
        });
        runner
    }

    /// Sends each host of the batch its request, within the limits, and waits until all have ended.
    pub async fn phase(&mut self, batch: Batch, limits: Limits) {
        let unknown = RunState::new(self.run.push);
        let run = std::mem::replace(&mut self.run, unknown);
        let (instructions, sinks) = (&mut self.instructions, &mut self.sinks);
        let so_far = (run, self.begun);
        let told = (std::mem::take(&mut self.early), instructions);
        self.run = run_phase(self.transport, so_far, batch, limits, told, sinks).await;
    }

    /// Waits for what is done between two phases; none where Ctrl-C came first, and then it is not waited for any more. What
    /// administrators tell meanwhile is for the next phase, the Ctrl-C too.
    pub async fn unless_stopped<R>(&mut self, work: impl Future<Output = R>) -> Option<R> {
        tokio::pin!(work);
        loop {
            tokio::select! {
                done = &mut work => return Some(done),
                Some(instruction) = self.instructions.recv() => {
                    self.early.push(instruction.clone());
                    if instruction == Instruction::Stop {
                        return None;
                    }
                }
            }
        }
    }

    /// How far the push is.
    #[must_use]
    pub const fn state(&self) -> &RunState {
        &self.run
    }

    /// Begins the phase in which an administrator is asked whether these hosts are to do it.
    ///
    /// Ctrl-C is for the one who asks: it comes out of the receiver that is returned.
    pub fn ask_approval(
        &mut self,
        operation: Operation,
        hosts: Vec<HostName>,
    ) -> &mut UnboundedReceiver<Instruction> {
        self.asked = Instant::now();
        self.tell(Event::PhaseStarted {
            phase: Phase::Approve,
            operation,
            hosts,
        });
        &mut self.instructions
    }

    /// Ends that phase with the answer.
    pub fn answered(&mut self, answer: Approval) {
        self.tell(Event::Answered { answer });
        self.tell(Event::PhaseFinished {
            phase: Phase::Approve,
            seconds: seconds(self.asked.elapsed()),
            outcomes: self.run.phase_outcomes(),
        });
    }

    /// Takes note of the number that the run has in the ledger.
    pub fn recorded(&mut self, number: u64) {
        self.tell(Event::Recorded { number });
    }

    /// Tells that a program of a hook about the whole run failed.
    pub fn tell_hook_failure(&mut self, failure: HookFailure) {
        self.tell(failure.event(None));
    }

    /// The sinks that have failed so far, with their errors.
    #[must_use]
    pub fn failed_sinks(&self) -> &[(String, io::Error)] {
        &self.sinks.failed
    }

    /// Ends the push with its exit status; returns the state in which it ended.
    pub fn finish(mut self, status: u8) -> RunState {
        self.tell(Event::PushFinished {
            status,
            seconds: seconds(self.begun.elapsed()),
            outcomes: self.run.outcomes(),
        });
        // No host is asked any more: a sink that must know says itself whether it has written all.
        let _ = self.sinks.settle();
        self.run
    }

    fn tell(&mut self, event: Event) {
        let event = TimedEvent {
            at: Timestamp::now(),
            push: self.run.push,
            event,
        };
        self.run.apply(&event);
        self.sinks.take(&event, &self.run);
    }
}
