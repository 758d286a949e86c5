//! Watches the health of a host after its change: logs in anew and asks for its checks, until it has stayed well for the soak
//! time.

use std::time::Duration;

use apu_proto::{Cause, Check, Frame, Operation, Reason, Request, RequestOption, RunId, Verdict, overall};
use tokio::time::{Instant, sleep, timeout};

use crate::host::Host;
use crate::outcome::{Ending, Outcome};
use crate::programs::{Programs, SERVER_CHECK};
use crate::reader::FrameReader;
use crate::reason::{HostReason, ServerAdvice, ServerCause, ServerReason};
use crate::reboot::is_going_down;
use crate::rollout::{Next, PATIENCE, PATIENCE_AFTER_REBOOT, Watch};
use crate::transport::{Answer, Transport};

/// What one look at a host showed.
struct Seen {
    verdict: Verdict,
    /// What the host says itself; empty where it said nothing.
    checks: Vec<Check>,
    /// Why it said nothing.
    reason: Option<HostReason>,
}

/// Watches a host whose run ended as `changed` for the soak time, and returns how it ended after all. One answer may take as long as
/// the limit. The administrator's check on this server counts as one more of the host's.
pub(crate) async fn watch_health<T: Transport>(
    transport: &T,
    host: &Host,
    run: RunId,
    changed: Ending,
    (soak, limit): (Duration, Duration),
    programs: Option<&Programs>,
) -> Ending {
    let begun = Instant::now();
    let is_reboot = is_going_down(&changed).is_some();
    let mut watch = Watch::new(
        soak,
        if is_reboot {
            PATIENCE_AFTER_REBOOT
        } else {
            PATIENCE
        },
    );
    loop {
        let asked = begun.elapsed();
        let mut seen = look(transport, host, run, limit).await;
        // A host that says nothing of itself is not made well by what is seen from here.
        if !seen.checks.is_empty()
            && let Some(programs) = programs
            && let Some(check) = programs.check(host).await
        {
            seen.checks.push(check);
            seen.verdict = overall(&seen.checks);
        }
        match watch.see(seen.verdict, asked, begun.elapsed()) {
            Next::LookAgain(pause) => sleep(pause).await,
            Next::Ended(verdict) => return judged(changed, verdict, seen),
        }
    }
}

async fn look<T: Transport>(transport: &T, host: &Host, run: RunId, limit: Duration) -> Seen {
    let unclear = |reason| Seen {
        verdict: Verdict::Inconclusive,
        checks: Vec::new(),
        reason,
    };
    let no_login = |why| Seen {
        verdict: Verdict::Fail,
        checks: Vec::new(),
        reason: Some(ServerReason::from(ServerCause::NoLoginAfterChange { why: Box::new(why) }).into()),
    };
    let Ok(request) = Request::new(Operation::Health, [RequestOption::RunId(run)], []) else {
        return unclear(Some(ServerCause::Bug.into()));
    };
    let mut answer = match timeout(limit, transport.ask_anew(host, &request)).await {
        Ok(Ok(answer)) => answer,
        Ok(Err(why)) => return no_login(why),
        Err(_) => return no_login(ServerCause::ConnectedAndSilent.into()),
    };
    let answered = timeout(limit, async {
        let mut frames = FrameReader::new(answer.bytes());
        while let Some(frame) = frames.next().await {
            if let Frame::Result(result) = frame {
                answer.finish().await;
                return Some(result);
            }
        }
        None
    });
    match answered.await {
        // It let us in, and its checks take longer than we wait.
        Err(_) => unclear(Some(ServerCause::ConnectedAndSilent.into())),
        Ok(None) => no_login(ServerCause::ConnectedAndFailed.into()),
        // Without checks it does not say: its policy forbids it, it is too old, or it is too busy.
        Ok(Some(result)) if result.checks().is_empty() => unclear(result.reason.map(HostReason::Client)),
        Ok(Some(result)) => Seen {
            verdict: overall(result.checks()),
            checks: result.checks().to_vec(),
            reason: None,
        },
    }
}

/// Why a host is not well: its own checks, or else the administrator's check on this server.
fn failed_checks(checks: &[Check]) -> HostReason {
    let failed = checks.iter().filter(|check| check.verdict == Verdict::Fail);
    let (from_here, own): (Vec<&Check>, Vec<&Check>) = failed.partition(|check| check.name == SERVER_CHECK);
    let detail: Vec<&str> = own.iter().map(|check| check.detail.as_str()).collect();
    match from_here.first() {
        Some(check) if own.is_empty() => ServerReason {
            detail: check.detail.lines().map(str::to_owned).collect(),
            ..ServerCause::CheckFailed.into()
        }
        .into(),
        _ => {
            let checks = own.iter().map(|check| check.name.clone()).collect();
            HostReason::Client(Reason::from(Cause::ChecksFailed { checks }).detailed(detail.join("\n")))
        }
    }
}

/// The ending of a host whose change is made, with what was seen last.
fn judged(changed: Ending, verdict: Verdict, seen: Seen) -> Ending {
    let mut ending = Ending {
        health: Some(verdict),
        ..changed
    };
    if !seen.checks.is_empty()
        && let Some(result) = &mut ending.result
    {
        result.replace_checks(seen.checks.clone());
    }
    match verdict {
        Verdict::Fail => {
            let reason = seen.reason.unwrap_or_else(|| failed_checks(&seen.checks));
            // Something was changed and something is wrong.
            ending.outcome = Outcome::Partial;
            ending.reason = Some(match reason {
                HostReason::Server(reason) => reason.advise(ServerAdvice::attach(ending.run)).into(),
                told => told,
            });
        }
        Verdict::Inconclusive => ending.reason = seen.reason,
        _ => {}
    }
    ending
}
