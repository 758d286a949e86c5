//! A push of the views' tests, and what is told of it.

use apu_fleet::{Event, HostName, Phase, PushId, RunState, TimedEvent};
use apu_proto::Operation;
use jiff::Timestamp;

/// The state of a push.
pub(super) struct Pushed(pub(super) RunState);

impl Pushed {
    /// One with these hosts in a phase that has begun.
    pub(super) fn new(operation: Operation, phase: Phase, hosts: Vec<HostName>) -> Self {
        let mut pushed = Self(RunState::new(PushId::from_bytes([1; 16])));
        pushed.tell(
            0,
            Event::PushStarted {
                version: 1,
                operation,
                packages: vec![],
                hosts: hosts.clone(),
                by: String::new(),
            },
        );
        pushed.tell(
            0,
            Event::PhaseStarted {
                phase,
                operation,
                hosts,
            },
        );
        pushed
    }

    /// Tells it something at this second.
    pub(super) fn tell(&mut self, second: i64, event: Event) -> TimedEvent {
        let timed = TimedEvent {
            at: at(second),
            push: self.0.push,
            event,
        };
        self.0.apply(&timed);
        timed
    }
}

/// A second.
pub(super) fn at(second: i64) -> Timestamp {
    Timestamp::from_second(second).unwrap()
}
