//! The ledger as apt-all uses it: opened for a run to be recorded, the hosts of a run as a target, and who holds a host.

use std::collections::BTreeSet;
use std::fs::DirBuilder;
use std::os::unix::fs::DirBuilderExt;

use apu_archive::quote;
use apu_fleet::{HostName, Outcome, ServerAdvice, ServerCause, ServerReason, fold, package_words};
use apu_ledger::{Conflict, Ledger, LedgerError, RunRef, RunRefError, RunStatus};
use apu_proto::Request;
use apu_site::{Failure, Site};
use jiff::Timestamp;

/// Opens the ledger where there is one. To look at runs makes none.
///
/// # Errors
/// Where it cannot be read.
pub(crate) fn known(site: &Site) -> Result<Option<Ledger>, LedgerError> {
    let path = site.ledger();
    match path.try_exists()? {
        true => Ledger::open(&path).map(Some),
        false => Ok(None),
    }
}

/// Opens the ledger of a site for a run to be recorded; one is made where there is none.
///
/// # Errors
/// Where it cannot be read and written, or a later apu has written it.
pub(crate) fn made(site: &Site) -> Result<Ledger, LedgerError> {
    DirBuilder::new()
        .recursive(true)
        .mode(0o755)
        .create(site.state())?;
    Ledger::open(&site.ledger())
}

/// The hosts that a word such as `412:failed` means: those of the run that ended so, or all of them where it is `412`. `failed` are
/// all that were asked and did not end well.
pub(crate) fn hosts_of(site: &Site, word: &str) -> Result<Vec<HostName>, String> {
    let (run, how) = word
        .split_once(':')
        .map_or((word, None), |(run, how)| (run, Some(how)));
    let is_word = |how: &str| Outcome::ALL.iter().any(|outcome| outcome.as_str() == how);
    if let Some(how) = how.filter(|how| !is_word(how)) {
        let words = Outcome::ALL.map(Outcome::as_str).join(", ");
        return Err(format!("a host ends as one of {words}, and not {how:?}"));
    }
    let named: RunRef = run.parse().map_err(|error: RunRefError| error.to_string())?;
    let found = || match known(site)? {
        Some(ledger) => ledger.attempts(ledger.find(&named)?.number),
        None => Err(LedgerError::NoRun(run.to_owned())),
    };
    let attempts = found().map_err(|error| error.to_string())?;
    let hosts = attempts
        .into_iter()
        .filter(|attempt| how.is_none_or(|how| is_meant(attempt.outcome, how)));
    let hosts: Vec<HostName> = hosts.map(|attempt| attempt.host).collect();
    if hosts.is_empty() {
        let ended = how.map(|how| format!(" that ended {how}")).unwrap_or_default();
        return Err(format!("run {run} has no host{ended}"));
    }
    Ok(hosts)
}

/// Whether a host that ended so is meant by the word.
pub(crate) fn is_meant(outcome: Option<Outcome>, how: &str) -> bool {
    match outcome {
        None => false,
        Some(outcome) => outcome.as_str() == how || (how == Outcome::Failed.as_str() && outcome.is_failure()),
    }
}

/// Why a host is not asked that another run holds, or another one of whose exclusive group.
pub(crate) fn reason(conflict: &Conflict, request: &Request) -> ServerReason {
    let lease = &conflict.lease;
    let other = lease.exclusive.clone().filter(|_| lease.host != conflict.host);
    let (run, operation, by) = (
        lease.run.number.to_string(),
        lease.run.operation.clone(),
        lease.run.by.clone(),
    );
    if lease.run.status == RunStatus::Running {
        let advice = ServerAdvice::WaitForRun {
            run: run.clone(),
            operation: request.operation(),
            packages: package_words(request.packages()),
        };
        let cause = match other {
            Some(group) => ServerCause::GroupHeldByRun {
                host: lease.host.to_string(),
                group,
                run,
                operation,
                by,
            },
            None => ServerCause::HeldByRun { run, operation, by },
        };
        return ServerReason::from(cause).advise(advice);
    }
    let advice = ServerAdvice::ResumeRun { run: run.clone() };
    let cause = match other {
        Some(group) => ServerCause::GroupUnknownSinceRun {
            host: lease.host.to_string(),
            group,
            run,
            operation,
            by,
        },
        None => ServerCause::UnknownSinceRun { run, operation, by },
    };
    ServerReason::from(cause).advise(advice)
}

/// Says which hosts another run holds that are in the way: the first of those runs, with all of its hosts.
pub(crate) fn held(conflicts: &[Conflict], now: Timestamp) -> Failure {
    let Some(Conflict { lease: first, host }) = conflicts.first() else {
        return Failure::machine("another run holds the hosts");
    };
    let run = &first.run;
    let names: BTreeSet<&HostName> = (conflicts.iter())
        .map(|conflict| &conflict.lease)
        .filter(|lease| lease.run.number == run.number)
        .map(|lease| &lease.host)
        .collect();
    let group = match &first.exclusive {
        Some(group) if first.host != *host => {
            format!("; no other host of the exclusive group {group} changes meanwhile")
        }
        _ => String::new(),
    };
    let hosts = fold(names.iter().map(|host| host.as_str()));
    let is = if names.len() == 1 { "is" } else { "are" };
    let ago = now.duration_since(first.since).as_secs();
    let ago = apu_fleet::span(u64::try_from(ago).unwrap_or_default());
    let (operation, by) = (&run.operation, quote(&run.by));
    if run.status == RunStatus::Running {
        let pid = run
            .owner
            .as_ref()
            .map(|owner| format!(", process {}", owner.pid))
            .unwrap_or_default();
        return Failure::machine(format!("{hosts} {is} at work in run {}", run.number))
            .why(format!("{by} began it {ago} ago: {operation}{pid}{group}"))
            .advise(format!("apu wait {}", run.number));
    }
    Failure::machine(format!(
        "what became of {hosts} in run {} is not known",
        run.number
    ))
    .why(format!(
        "{by} began it {ago} ago, and apt-all was killed there: {operation}{group}"
    ))
    .advise(format!(
        "apu resume {}, which finds out and goes on, or apu unlock {hosts}",
        run.number
    ))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn failed_means_whoever_was_asked_and_is_not_well() {
        let meant = |how: &str| {
            let all = Outcome::ALL
                .into_iter()
                .filter(|outcome| is_meant(Some(*outcome), how));
            all.map(Outcome::as_str).collect::<Vec<_>>().join(" ")
        };
        assert_eq!(
            meant("failed"),
            "partial stale refused drifted failed lost timed-out"
        );
        assert_eq!(meant("unreachable"), "unreachable");
        assert_eq!(meant("lost"), "lost");
        assert!(!is_meant(None, "failed"));
    }

    #[test]
    fn a_word_that_means_no_run_says_why() {
        let directory = tempfile::tempdir().unwrap();
        let site = Site::below(directory.path());
        let why = |word: &str| hosts_of(&site, word).unwrap_err();
        assert_eq!(why("412"), "there is no run 412");
        assert!(why("x").starts_with("a run is a number"), "{}", why("x"));
        assert!(
            why("412:broken").starts_with("a host ends as one of changed, "),
            "{}",
            why("412:broken")
        );
    }
}
