//! Reads what a host answers to one request: to its result, to its end without one, or until its connection is let go.

use apu_debian::Version;
use apu_proto::{ClientOutcome, Frame, ReasonCode, Request, RunResult};

use crate::connections::Connections;
use crate::outcome::{Ending, Outcome};
use crate::reader::FrameReader;
use crate::reason::{Lost, ServerAdvice, ServerCause, ServerReason};
use crate::report::{Report, Reporter};
use crate::task::Task;
use crate::transport::Answer;

/// What a client says of itself in `hello`.
#[derive(Default)]
struct Client {
    version: String,
    features: Vec<String>,
}

/// What came of one answer.
pub(crate) struct Reply {
    pub(crate) result: Option<Box<RunResult>>,
    client: Client,
    /// Whether the client sent anything that it could have said.
    pub(crate) has_answered: bool,
    /// Whether the connection went to another host, while the run was silent.
    pub(crate) is_let_go: bool,
    pub(crate) words: String,
    pub(crate) garbage: u64,
    /// How the first line that was no frame begins.
    stray: String,
}

/// How the answers about one run are read, one after the other.
#[derive(Default)]
pub(crate) struct Reading<'a> {
    /// How many frames of the run's log were told: each answer has it from its start.
    pub(crate) told: u64,
    /// Whether the client has said that it has the run.
    pub(crate) has_begun: bool,
    /// Whether it is of no interest that the client answers: nothing was wrong before.
    pub(crate) is_quiet: bool,
    /// For whose requests a silent run lets its connection go, if it does.
    pub(crate) let_go_for: Option<&'a Connections>,
}

impl Reading<'_> {
    /// Waits until the connection is to be let go, which is never before the client has the run.
    async fn is_to_let_go(&self) {
        match self.let_go_for {
            Some(connections) if self.has_begun => connections.are_wanted().await,
            _ => std::future::pending().await,
        }
    }
}

/// Reads an answer to its result, to its end without one, or until it is let go.
pub(crate) async fn read_reply<A: Answer>(
    mut answer: A,
    reporter: &Reporter,
    reading: &mut Reading<'_>,
) -> Reply {
    let reused = answer.reused();
    if !reading.is_quiet {
        reporter.tell(Report::Connected { reused }).await;
    }
    let mut frames = FrameReader::new(answer.bytes());
    let mut client = Client::default();
    let mut result = None;
    let mut has_answered = false;
    let mut is_let_go = false;
    let mut of_log = 0;
    loop {
        let frame = tokio::select! {
            biased;
            frame = frames.next() => frame,
            () = reading.is_to_let_go() => {
                is_let_go = true;
                None
            }
        };
        let Some(frame) = frame else { break };
        has_answered = true;
        match frame {
            Frame::Result(last) => {
                result = Some(last);
                break;
            }
            Frame::Hello {
                client: ref version,
                ref features,
                run,
                ..
            } => {
                client = Client {
                    version: version.clone(),
                    features: features.clone(),
                };
                reading.has_begun |= run.is_some();
                if !reading.is_quiet {
                    reporter.tell(Report::Frame(frame)).await;
                }
            }
            frame => {
                of_log += 1;
                if of_log > reading.told {
                    reading.told = of_log;
                    reporter.tell(Report::Frame(frame)).await;
                }
            }
        }
    }
    let garbage = frames.garbage;
    let stray = std::mem::take(&mut frames.stray);
    let words = if is_let_go {
        answer.let_go().await;
        String::new()
    } else if result.is_some() {
        answer.finish().await;
        String::new()
    } else {
        answer.last_words().await
    };
    Reply {
        result,
        client,
        has_answered,
        is_let_go,
        words,
        garbage,
        stray,
    }
}

impl Reply {
    pub(crate) fn knows_no_run(&self) -> bool {
        let reason = self.result.as_ref().and_then(|result| result.reason.as_ref());
        reason.is_some_and(|reason| reason.code == ReasonCode::UnknownRun)
    }

    /// Whether all that came was something that no apu-client says, as by a login shell that refuses.
    pub(crate) fn is_a_stranger_s(&self) -> bool {
        !self.has_answered && !self.stray.is_empty()
    }

    pub(crate) fn lost(&self) -> Lost {
        let said = if self.is_a_stranger_s() {
            self.stray.as_str()
        } else {
            ""
        };
        let said: Vec<&str> = [said, self.words.trim()]
            .into_iter()
            .filter(|words| !words.is_empty())
            .collect();
        Lost {
            said: said.join(": "),
            then: None,
        }
    }

    /// Why the client could not do what was asked: it lacks a part of the protocol, as `hello` tells, and took the request for
    /// something else or answered in a form that says nothing here.
    fn too_old(&self, task: &Task) -> Option<ServerReason> {
        let result = self.result.as_ref()?;
        let too_old = old_client(&task.request, &self.client.version, &self.client.features)?;
        let is_grammar = (result.reason.as_ref()).is_some_and(|reason| reason.code == ReasonCode::Grammar);
        // Another reason is the client's own, and comes first.
        let says_nothing = task.request.is_dry_run() && result.reason.is_none();
        if !(is_grammar || result.outcome == ClientOutcome::Drifted || says_nothing) {
            return None;
        }
        Some(too_old)
    }

    pub(crate) fn ending(self, task: &Task) -> Ending {
        let run = task.request.run_id();
        let too_old = self.too_old(task);
        let lost = self.lost();
        let mut ending = match self.result {
            Some(result) => Ending::of_result(result, run),
            None => {
                let reason = ServerReason::from(ServerCause::Lost(lost)).advise(ServerAdvice::attach(run));
                Ending::without_result(Outcome::Lost, reason, run)
            }
        };
        ending.garbage = self.garbage;
        if let Some(too_old) = too_old {
            ending.outcome = Outcome::Refused;
            ending.reason = Some(too_old.into());
        }
        ending
    }
}

/// What a client lacks of the protocol that a request takes, by what it says of itself; none where it lacks nothing.
pub(crate) fn old_client(request: &Request, version: &str, features: &[String]) -> Option<ServerReason> {
    let feature = request.missing_feature(features)?;
    let version: Option<Version> = version.parse().ok();
    let cause = ServerCause::OldClient {
        version: version.map(|version| version.to_string()),
        feature: feature.to_string(),
    };
    Some(ServerReason::from(cause).advise(ServerAdvice::NewerClient))
}

#[cfg(test)]
mod tests {
    use apu_proto::{Cause, FEATURES, Operation, RequestOption};

    use crate::host::Host;
    use crate::reason::{HostReason, ServerCode};

    use super::*;

    fn reply(cause: Cause, features: &[String]) -> Reply {
        Reply {
            result: Some(Box::new(RunResult::because(ClientOutcome::Refused, cause))),
            client: Client {
                version: "0.0.9".to_owned(),
                features: features.to_vec(),
            },
            has_answered: true,
            is_let_go: false,
            words: String::new(),
            garbage: 0,
            stray: String::new(),
        }
    }

    #[test]
    fn a_client_that_lacks_a_feature_is_too_old_and_one_that_has_it_refuses_for_itself() {
        let task = Task {
            host: Host::plain("web1".parse().unwrap()),
            request: Request::new(Operation::Update, [RequestOption::ListsOfSite], []).unwrap(),
            trial: None,
        };
        let all = FEATURES.map(|feature| feature.to_string());
        let why = |cause, features: &[String]| {
            let ending = reply(cause, features).ending(&task);
            assert_eq!(ending.outcome, Outcome::Refused);
            ending.reason.unwrap()
        };
        let old = ServerCause::OldClient {
            version: Some("0.0.9".into()),
            feature: "lists-of-site".into(),
        };
        let old = ServerReason::from(old).advise(ServerAdvice::NewerClient);
        assert_eq!(why(Cause::Malformed, &[]), old.into());
        for (cause, features) in [(Cause::Malformed, &all[..]), (Cause::OnHold, &[])] {
            assert_eq!(why(cause.clone(), features), HostReason::Client(cause.into()));
        }
    }

    #[test]
    fn the_reason_of_an_old_client_comes_before_its_age_where_it_has_one() {
        let task = Task {
            host: Host::plain("web1".parse().unwrap()),
            request: Request::new(Operation::Upgrade, [RequestOption::DryRun], []).unwrap(),
            trial: None,
        };
        let locked = reply(Cause::OnHold, &[]).ending(&task);
        assert_eq!(locked.reason, Some(HostReason::Client(Cause::OnHold.into())));
        let mut silent = reply(Cause::OnHold, &[]);
        silent.result = Some(Box::new(RunResult::new(ClientOutcome::Unchanged)));
        let ending = silent.ending(&task);
        assert_eq!(ending.outcome, Outcome::Refused);
        assert!(
            matches!(ending.reason, Some(HostReason::Server(reason)) if reason.code == ServerCode::OldClient)
        );
    }
}
