//! Says which host may start next, or why no more may: the one place that knows the limits of a push.

use std::collections::HashMap;
use std::num::NonZeroUsize;
use std::ops::Range;
use std::time::Duration;

use apu_proto::Verdict;

use crate::name::{ClassName, HostName};
use crate::outcome::{Ending, Outcome};
use crate::run_state::{HostState, RunState};

/// How long a pause lasts that an administrator wanted.
pub(super) const LONGEST_PAUSE: Duration = Duration::from_secs(24 * 3600);

/// The limits on starting hosts.
#[derive(Debug, Clone, Copy)]
pub(super) struct Schedule {
    /// Hosts at work at once.
    pub(super) parallel: NonZeroUsize,
    /// So many hosts of the push may fail; without it, every host of the last wave has its turn.
    pub(super) max_failures: Option<usize>,
}

/// The wave whose hosts may start.
#[derive(Debug, Clone)]
pub(super) struct Wave<'a> {
    /// Its hosts, counted in the order of the phase.
    pub(super) hosts: Range<usize>,
    /// Whether no other follows.
    pub(super) is_last: bool,
    /// Whether an administrator promoted the wave.
    pub(super) is_promoted: bool,
    /// The exclusive group of each host of the phase; empty where they do not matter.
    pub(super) groups: &'a [Option<ClassName>],
}

/// What may happen next.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Next {
    /// This host may start.
    Start(usize),
    /// This host will not start: another one of its exclusive group may still be at work.
    Blocked {
        /// The host.
        host: usize,
        /// The other one.
        by: usize,
    },
    /// No host may start now; what is at work goes on.
    Wait,
    /// The wave has passed: those of the next one may start.
    Advance,
    /// Whether these hosts are well cannot be told: an administrator decides.
    Pause(Vec<HostName>),
    /// No host will start any more.
    Stop(StopReason),
}

/// Why no host will start any more.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum StopReason {
    /// An administrator's Ctrl-C.
    Interrupted,
    /// More hosts failed than may.
    Failures {
        /// So many, by then.
        failed: usize,
        /// Of so many.
        hosts: usize,
        /// So many may.
        allowed: usize,
    },
    /// Hosts of a wave that others wait for did not end well.
    WaveFailed(Vec<HostName>),
    /// Whether hosts of such a wave are well cannot be told, and nobody decided in time.
    Inconclusive(Vec<HostName>),
    /// An administrator wanted a pause, and nobody ended it in time.
    NotResumed {
        /// Who.
        by: String,
    },
}

impl Schedule {
    /// What may happen next in this state.
    pub(super) fn next(self, run: &RunState, wave: &Wave<'_>) -> Next {
        if run.interrupts > 0 {
            return Next::Stop(StopReason::Interrupted);
        }
        let failed = run.failed();
        if let Some(allowed) = self.max_failures.filter(|allowed| failed > *allowed) {
            return Next::Stop(StopReason::Failures {
                failed,
                hosts: run.hosts().len(),
                allowed,
            });
        }
        if !wave.is_last && self.max_failures.is_none() {
            let failed = hosts_of(run, wave, fails_wave);
            if !failed.is_empty() {
                return Next::Stop(StopReason::WaveFailed(failed));
            }
        }
        match self.next_of_wave(run, wave) {
            Next::Start(_) | Next::Blocked { .. } | Next::Advance if run.pause.is_some() => Next::Wait,
            next => next,
        }
    }

    /// The same where nothing stops the push.
    fn next_of_wave(self, run: &RunState, wave: &Wave<'_>) -> Next {
        let blocking = blocking(run, wave.groups);
        let by = |host: usize| {
            let group = wave.groups.get(host)?.as_ref()?;
            blocking.get(group).copied()
        };
        let mut queued = run.queued().take_while(|host| *host < wave.hosts.end).peekable();
        let first = queued.peek().copied();
        let is_spent = self.is_budget_spent(run, wave);
        let may_start = |host: &usize| by(*host).is_none() && !(is_spent && is_budgeted(*host, wave));
        match (queued.find(may_start), first) {
            (Some(host), _) if run.busy() < self.parallel.get() => Next::Start(host),
            (Some(_), _) => Next::Wait,
            _ if run.running() > 0 => Next::Wait,
            (None, Some(host)) => by(host).map_or(Next::Wait, |by| Next::Blocked { host, by }),
            (None, None) if wave.is_last => Next::Wait,
            (None, None) => {
                let unclear = hosts_of(run, wave, |ending| {
                    ending.verdict() == Some(Verdict::Inconclusive)
                });
                if unclear.is_empty() || wave.is_promoted {
                    Next::Advance
                } else {
                    Next::Pause(unclear)
                }
            }
        }
    }
}

impl Schedule {
    /// Whether the budgeted hosts at work are as many as may still fail: with all of them failed, the limit would be passed by one.
    fn is_budget_spent(self, run: &RunState, wave: &Wave<'_>) -> bool {
        let Some(allowed) = self.max_failures else {
            return false;
        };
        let at_work = run.phase_hosts().enumerate().filter(|(host, (_, state))| {
            is_budgeted(*host, wave) && matches!(state, HostState::Running { .. })
        });
        run.failed() + at_work.count() > allowed
    }
}

/// Whether a host may only start while all of its kind that are at work could fail without more than one failure too many: one that
/// others wait for, or one of an exclusive group.
fn is_budgeted(host: usize, wave: &Wave<'_>) -> bool {
    !wave.is_last || wave.groups.get(host).is_some_and(Option::is_some)
}

/// The host of each exclusive group that is at work, or is not known to be well after its turn: no other of the group changes then.
fn blocking<'a>(run: &RunState, groups: &'a [Option<ClassName>]) -> HashMap<&'a ClassName, usize> {
    let may_be_down = |state: &HostState| match state {
        HostState::Queued => false,
        HostState::Running { .. } => true,
        HostState::Ended { ending, .. } => match ending.outcome {
            // Nothing was done there.
            Outcome::Skipped | Outcome::Refused | Outcome::Drifted => false,
            Outcome::Unchanged | Outcome::Changed => {
                ending.verdict().is_some_and(|verdict| verdict != Verdict::Pass)
            }
            _ => true,
        },
    };
    let hosts = groups.iter().zip(run.phase_hosts()).enumerate();
    let of_host =
        |(index, (group, (_, state))): (usize, (&'a Option<ClassName>, (&HostName, &HostState)))| {
            Some((group.as_ref().filter(|_| may_be_down(state))?, index))
        };
    hosts.filter_map(of_host).collect()
}

/// Whether a host of a wave that others wait for stops them.
pub(super) fn fails_wave(ending: &Ending) -> bool {
    ending.outcome.is_failure() || ending.verdict() == Some(Verdict::Fail)
}

/// The hosts of a wave that ended so.
pub(super) fn hosts_of(run: &RunState, wave: &Wave<'_>, is_so: impl Fn(&Ending) -> bool) -> Vec<HostName> {
    let hosts = run.phase_endings().skip(wave.hosts.start).take(wave.hosts.len());
    let hosts = hosts.filter(|(_, ending)| ending.is_some_and(&is_so));
    hosts.map(|(host, _)| host.clone()).collect()
}
