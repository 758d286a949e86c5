//! Waits for a host after its reboot: logs in anew until another boot answers, or the time is over.

mod coming_back;

use std::time::Duration;

use apu_proto::{Frame, Operation, RebootReport, Request};
use tokio::time::{Instant, sleep, timeout};

use self::coming_back::{ComingBack, Next};
use crate::event::package_words;
use crate::host::Host;
use crate::outcome::{Ending, Outcome};
use crate::reader::FrameReader;
use crate::reason::{ServerAdvice, ServerCause, ServerReason};
use crate::task::Task;
use crate::transport::{Answer, Transport};

/// How long one look may take.
const LOOK: Duration = Duration::from_secs(60);

/// The boot that the host was in, where it has said that it goes down now.
pub(crate) fn is_going_down(ending: &Ending) -> Option<&RebootReport> {
    let result = ending.result.as_ref()?;
    result.reboot().filter(|_| ending.outcome == Outcome::Changed)
}

/// Waits until another boot of the host answers a fresh login, for what is left of the whole limit; returns how the reboot ended.
pub(crate) async fn come_back<T: Transport>(
    transport: &T,
    task: &Task,
    going: Ending,
    (limit, whole): (Duration, Duration),
    may_pass: impl Fn(&ServerReason) -> bool,
) -> Ending {
    let Some(before) = is_going_down(&going) else {
        return going;
    };
    let begun = Instant::now();
    let mut waited = ComingBack::new(&before.boot_id, limit);
    sleep(waited.first_pause()).await;
    loop {
        let left = limit.saturating_sub(begun.elapsed());
        let seen = look(transport, &task.host, LOOK.min(left.max(Duration::from_secs(1)))).await;
        let boot_id = seen.as_ref().ok().map(|report| report.boot_id.as_str());
        let hopeless = seen.as_ref().is_err_and(|why| !may_pass(why));
        match (waited.see(boot_id, begun.elapsed()), seen) {
            (Next::Back, Ok(report)) => return back(going, &report),
            (Next::LookAgain(pause), _) if !hopeless => sleep(pause).await,
            (_, seen) => {
                let why = seen.err().map(Box::new);
                return not_back(task, Some(going), whole, why);
            }
        }
    }
}

/// The end of a host that is in another boot now.
fn back(mut going: Ending, report: &RebootReport) -> Ending {
    if let Some(result) = &mut going.result {
        result.reboot_required = report.is_needed();
    }
    going
}

/// The end of a host that did not come back; `why` is why it could not be asked last, and none where the boot of before answered.
pub(crate) fn not_back(
    task: &Task,
    going: Option<Ending>,
    limit: Duration,
    why: Option<Box<ServerReason>>,
) -> Ending {
    let cause = ServerCause::NotBack {
        seconds: limit.as_secs(),
        why,
    };
    let reason = ServerReason::from(cause).advise(ServerAdvice::MendAndRepeat {
        operation: Operation::Reboot,
        packages: package_words(task.request.packages()),
    });
    Ending {
        result: going.and_then(|going| going.result),
        ..Ending::without_result(Outcome::Failed, reason, task.request.run_id())
    }
}

/// Which boot the host is in, by a login that works now.
async fn look<T: Transport>(
    transport: &T,
    host: &Host,
    limit: Duration,
) -> Result<RebootReport, ServerReason> {
    let request = Request::reboot_needed();
    let asked = async {
        let mut answer = transport.ask_anew(host, &request).await?;
        let mut frames = FrameReader::new(answer.bytes());
        while let Some(frame) = frames.next().await {
            if let Frame::Result(result) = frame {
                answer.finish().await;
                // Without a report it is starting or stopping, or another machine.
                return Ok(result.reboot().cloned().unwrap_or_default());
            }
        }
        Err(ServerCause::ConnectedAndFailed.into())
    };
    match timeout(limit, asked).await {
        Ok(seen) => seen,
        Err(_) => Err(ServerCause::ConnectedAndSilent.into()),
    }
}
