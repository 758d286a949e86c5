//! What came of one round, and of all rounds of a push.

use std::io;

use apu_fleet::{Ending, HostName, RunState};
use apu_proto::{ClientOutcome, Transaction};

/// How everything ended: each host once, and how long it took.
#[derive(Default)]
pub(super) struct Ended {
    pub(super) endings: Vec<(HostName, Ending)>,
    pub(super) seconds: f64,
    pub(super) interrupted: bool,
    /// Where the output went wrong.
    pub(super) failed: Vec<(String, io::Error)>,
}

impl Ended {
    pub(super) fn of(run_state: &RunState, failed: Vec<(String, io::Error)>) -> Self {
        Self {
            endings: run_state
                .endings()
                .map(|(host, ending)| (host.clone(), ending.clone()))
                .collect(),
            seconds: run_state.seconds.unwrap_or_default(),
            interrupted: run_state.interrupts > 0,
            // What goes to standard output is told when the program ends.
            failed: failed
                .into_iter()
                .filter(|(sink, _)| sink == "terminal")
                .collect(),
        }
    }

    /// Takes in what came before it: the hosts that only that has an end of, its time, and its faults.
    pub(super) fn after(mut self, before: Self) -> Self {
        let earlier = before.endings.into_iter();
        let alone: Vec<_> = earlier
            .filter(|(host, _)| self.endings.iter().all(|(other, _)| other != host))
            .collect();
        self.endings.extend(alone);
        self.seconds += before.seconds;
        self.interrupted |= before.interrupted;
        self.failed.extend(before.failed);
        self
    }

    /// Whether a host would mark packages as installed manually: a change without a step of a transaction.
    pub(super) fn marks(&self, host: &HostName) -> bool {
        self.marked().any(|(other, _)| other == host)
    }

    /// The packages that hosts mark, or would mark, as installed manually.
    pub(super) fn marked(&self) -> impl Iterator<Item = (&HostName, &[String])> {
        self.endings.iter().filter_map(|(host, ending)| {
            let marked = ending.result.as_ref()?.marked_manual.as_slice();
            (!marked.is_empty()).then_some((host, marked))
        })
    }

    /// How many hosts count as failures.
    pub(super) fn failed(&self) -> usize {
        let endings = self.endings.iter();
        endings.filter(|(_, ending)| ending.outcome.is_failure()).count()
    }

    pub(super) fn status(&self) -> u8 {
        if self.interrupted {
            130
        } else if self.endings.iter().any(|(_, ending)| !ending.outcome.is_well()) {
            1
        } else if self.failed.is_empty() {
            0
        } else {
            3
        }
    }
}

pub(super) fn transactions_of(planned: &Ended) -> impl Iterator<Item = (&HostName, &Transaction)> {
    planned
        .endings
        .iter()
        .filter_map(|(host, ending)| Some((host, transaction_of(ending)?)))
}

/// What a host would do, if it could answer that well.
pub(super) fn transaction_of(ending: &Ending) -> Option<&Transaction> {
    let result = ending
        .result
        .as_ref()
        .filter(|result| result.outcome == ClientOutcome::Unchanged)?;
    result.transaction.as_ref()
}
