//! Says why a host of a phase was not started, and what to do about it.

use super::schedule::StopReason;
use crate::event::package_words;
use crate::name::HostName;
use crate::reason::{MOST_NAMED, ServerAdvice, ServerCause, ServerReason};
use crate::task::Task;

/// Why a host was not started, in which wave of how many, and what to do about it.
pub(super) fn not_started(reason: &StopReason, (wave, waves): (usize, usize), task: &Task) -> ServerReason {
    let (operation, packages) = (task.request.operation(), package_words(task.request.packages()));
    let first = |hosts: &[HostName]| {
        let more = hosts.len().saturating_sub(MOST_NAMED);
        (hosts.iter().take(MOST_NAMED).cloned().collect(), more)
    };
    match reason {
        StopReason::Interrupted => ServerCause::NotStarted.into(),
        StopReason::Failures {
            failed,
            hosts,
            allowed,
        } => {
            let (failed, hosts, allowed) = (*failed, *hosts, *allowed);
            let cause = ServerCause::MaxFailures {
                failed,
                hosts,
                allowed,
            };
            ServerReason::from(cause).advise(ServerAdvice::MendAndRepeat { operation, packages })
        }
        StopReason::WaveFailed(failed) => {
            let (hosts, more) = first(failed);
            let cause = ServerCause::WaveFailed {
                wave,
                waves,
                hosts,
                more,
            };
            ServerReason::from(cause).advise(ServerAdvice::MendAndRepeat { operation, packages })
        }
        StopReason::NotResumed { by } => {
            let by = by.clone();
            ServerCause::NotResumed { by }.into()
        }
        StopReason::Inconclusive(unclear) => {
            let (hosts, more): (Vec<HostName>, usize) = first(unclear);
            let advice = ServerAdvice::LookAndRepeat {
                hosts: hosts.clone(),
                operation,
                packages,
            };
            let cause = ServerCause::WaveInconclusive {
                wave,
                waves,
                hosts,
                more,
            };
            ServerReason::from(cause).advise(advice)
        }
    }
}
