//! Answers one connection: checks the peer and the request, then answers at once or starts a run and follows it.
//!
//! This process (`apu-client handle`) runs as root and is the boundary to everybody who can write to the socket.

use std::io::{self, Write};
use std::os::fd::AsFd;
use std::os::unix::net::UnixStream;
use std::time::{Duration, Instant};

use apu_proto::{
    Action, Advice, Cause, ClientOutcome, FEATURES, Frame, Operation, PROTOCOL, Request, RequestError,
    RequestOption, RunId, RunResult,
};
use nix::sys::socket::{getsockopt, sockopt::PeerCredentials};

use super::debs;
use super::housekeeping::{is_for_apu_data, make_room};
use super::peer::{Asked, Peer, check_peer, drain, read_request};
use super::slots::{self, Kind, Slot};
use crate::answers;
use crate::os::paths::ClientPaths;
use crate::os::spawn;
use crate::os::syslog;
use crate::run::answers_file;
use crate::run::follow::{self, BEGIN_TIMEOUT};
use crate::run::preflight::read_policy;
use crate::run::refusal::Refusal;
use crate::run::run_dir::{Claim, RunDir, random_id};

/// How long a peer that does not read may block this process.
const WRITE_TIMEOUT: Duration = Duration::from_secs(120);

/// How long a request that needs no run waits for a slot.
const ANSWER_SLOT_TIMEOUT: Duration = Duration::from_secs(60);

/// Answers the connection on standard input.
pub(crate) fn handle(paths: &ClientPaths) -> io::Result<()> {
    let stdin = io::stdin();
    let user = getsockopt(&stdin, PeerCredentials)?.uid();
    let mut socket = UnixStream::from(stdin.as_fd().try_clone_to_owned()?);
    let peer = &Peer::of(&socket, user);
    socket.set_write_timeout(Some(WRITE_TIMEOUT))?;

    let answer = check_peer(paths, user)
        .and_then(|()| admit(paths, user))
        .and_then(|admission| Ok((read_request(&mut socket)?, admission)))
        .and_then(|(Asked { request, begun }, admission)| {
            if !admission.admits(&request) {
                // Attaching without an answer does not end the run; the server tries again.
                return match request.operation() {
                    Operation::Attach => Ok(()),
                    _ => Err(too_many()),
                };
            }
            answer(paths, &mut socket, peer, (&request, &begun)).map_err(|mut refusal| {
                refusal.result.operation = Some(request.operation());
                refusal
            })
        });
    match answer {
        Ok(()) => Ok(()),
        Err(refusal) => {
            // Facts and no sentence: the one place that makes sentences is on the server.
            let why = serde_json::to_string(&refusal.result.reason).unwrap_or_default();
            syslog::log(&format!("refused a request of {peer}: {why}"));
            let sent = send_result(&mut socket, None, *refusal.result);
            drain(&mut socket);
            sent
        }
    }
}

/// How a request was admitted beside the other requests of the push key.
enum Admission {
    /// Root needs no slot.
    Root,
    Regular(#[allow(dead_code)] Slot),
    Reserved(#[allow(dead_code)] Slot),
    Full,
}

impl Admission {
    /// Whether the request may be answered: a reserved slot is for few kinds of requests.
    fn admits(&self, request: &Request) -> bool {
        match self {
            Self::Root | Self::Regular(_) => true,
            Self::Reserved(_) => {
                matches!(request.operation(), Operation::Ping | Operation::Attach) || is_for_apu_data(request)
            }
            Self::Full => false,
        }
    }
}

fn admit(paths: &ClientPaths, user: u32) -> Result<Admission, Refusal> {
    if user == 0 {
        return Ok(Admission::Root);
    }
    let take = |kind| {
        slots::take(paths, kind, Duration::ZERO)
            .map_err(|error| Refusal::fault(Action::CountRequests, &error))
    };
    if let Some(slot) = take(Kind::Any)? {
        return Ok(Admission::Regular(slot));
    }
    Ok(take(Kind::Reserved)?.map_or(Admission::Full, Admission::Reserved))
}

fn too_many() -> Refusal {
    Refusal::failed(Cause::TooManyRequests)
}

fn answer(
    paths: &ClientPaths,
    socket: &mut UnixStream,
    peer: &Peer,
    (request, begun): (&Request, &[u8]),
) -> Result<(), Refusal> {
    let started = Instant::now();
    let operation = request.operation();
    if operation == Operation::Ping {
        let mut result = RunResult::new(ClientOutcome::Unchanged);
        result.operation = Some(operation);
        let _ = send_result(socket, None, result);
        return Ok(());
    }
    let answered = match operation {
        Operation::Attach => return attach(paths, socket, peer, request),
        Operation::SendDebs => {
            syslog::log(&format!("{peer} asked: {request}"));
            return debs::send(paths, socket, &hello(request.run_id()), request);
        }
        // Its refusal leaves bytes behind that have to be read.
        Operation::TakeDebs => Ok(debs::take(paths, socket, begun, request)?),
        _ if operation.is_a_run() && !request.is_dry_run() => {
            match read_policy(paths, request).and_then(|_| check_removal(peer.user, request)) {
                Ok(()) => return run(paths, socket, peer, request),
                Err(refusal) => Err(refusal),
            }
        }
        _ => wait_for_answer_slot(paths, peer.user, operation)
            .and_then(|_slot| answers::answer(paths, request)),
    };
    send_answer(
        socket,
        peer,
        request,
        started,
        answered.unwrap_or_else(|refusal| *refusal.result),
    );
    Ok(())
}

/// Refuses a removal over the push key without a plan: somebody must have seen which packages go.
fn check_removal(user: u32, request: &Request) -> Result<(), Refusal> {
    if user == 0 || !request.allows_removal() || request.plan().is_some() || request.is_download_only() {
        return Ok(());
    }
    Err(Refusal::new(Cause::RemovalWithoutPlan).advise(Advice::NewerServer))
}

/// Waits for a slot for a request that needs no run; root needs none.
fn wait_for_answer_slot(
    paths: &ClientPaths,
    user: u32,
    operation: Operation,
) -> Result<Option<Slot>, Refusal> {
    if user == 0 {
        return Ok(None);
    }
    match slots::take(paths, Kind::without_run(operation), ANSWER_SLOT_TIMEOUT) {
        Ok(Some(slot)) => Ok(Some(slot)),
        Ok(None) => Err(too_many()),
        Err(error) => Err(Refusal::fault(Action::CountRequests, &error)),
    }
}

fn send_answer(
    socket: &mut UnixStream,
    peer: &Peer,
    request: &Request,
    started: Instant,
    mut result: RunResult,
) {
    result.operation = Some(request.operation());
    result.seconds = (started.elapsed().as_secs_f64() * 1000.0).round() / 1000.0;
    syslog::log(&format!("{peer} asked, {:?}: {request}", result.outcome));
    let _ = send_result(socket, None, result);
}

/// Starts a run for the request, or finds the run that has its id, and follows it.
fn run(paths: &ClientPaths, socket: &mut UnixStream, peer: &Peer, request: &Request) -> Result<(), Refusal> {
    let id = match request.run_id() {
        Some(id) => id,
        None => random_id().map_err(|error| Refusal::fault(Action::MakeRunId, &error))?,
    };
    let asked = match request.run_id() {
        Some(_) => request.clone(),
        None => (request.clone().with([RequestOption::RunId(id)])).map_err(Refusal::new)?,
    };
    if RunDir::find(paths, id).is_none() {
        make_room(paths, peer.user, request)?;
    }
    let claim = RunDir::claim(paths, id, &asked.to_string())
        .map_err(|error| Refusal::fault(Action::MakeRunRecord, &error))?;
    let run_dir = match claim {
        Claim::New(run_dir) => {
            run_dir
                .save("caller", &peer.user)
                .map_err(|error| Refusal::fault(Action::MakeRunRecord, &error))?;
            syslog::log(&format!("{peer} started a run: {asked}"));
            run_dir
        }
        Claim::Existing(run_dir) => {
            let known = run_dir
                .request()
                .map_err(|error| Refusal::fault(Action::ReadRunRecord, &error))?;
            if !known.request.is_ok_and(|known| is_same_request(&known, &asked)) {
                return Err(Refusal::new(Cause::RunIdReused));
            }
            run_dir
        }
    };
    if !run_dir.has_begun() {
        answers_file::hand_over(paths, id, request)
            .map_err(|error| Refusal::fault(Action::MakeRunRecord, &error))?;
        start_supervisor(paths, id).map_err(|error| Refusal::fault(Action::StartRun, &error))?;
    }
    send_hello(socket, Some(id)).map_or(Ok(()), |()| {
        follow::follow(paths, &run_dir, socket, BEGIN_TIMEOUT)
    })
}

/// Whether two requests are the same, apart from how long they would wait. Answers are sent with another salt each time: of a request
/// with a plan they are a part of that.
fn is_same_request(known: &Request, asked: &Request) -> bool {
    let bare = |request: &Request| request.clone().without_lock_wait().without_answers();
    bare(known) == bare(asked) && (known.plan().is_some() || known.answers_sha256() == asked.answers_sha256())
}

fn attach(
    paths: &ClientPaths,
    socket: &mut UnixStream,
    peer: &Peer,
    request: &Request,
) -> Result<(), Refusal> {
    let id = request
        .run_id()
        .ok_or_else(|| Refusal::new(RequestError::NoRun))?;
    syslog::log(&format!("{peer} asked: {request}"));
    let Some(run_dir) = RunDir::find(paths, id) else {
        return Err(Refusal::failed(Cause::UnknownRun { run: id }));
    };
    send_hello(socket, Some(id)).map_or(Ok(()), |()| {
        follow::follow(
            paths,
            &run_dir,
            socket,
            BEGIN_TIMEOUT.saturating_sub(run_dir.age()),
        )
    })
}

/// Starts the run's supervisor so that it outlives this connection: in a unit of its own under systemd, else as a
/// process that creates its own session.
fn start_supervisor(paths: &ClientPaths, id: RunId) -> io::Result<()> {
    if paths.path("/run/systemd/system").is_dir() {
        let arguments = [
            "start".to_owned(),
            "--no-block".to_owned(),
            format!("apu-run@{id}.service"),
        ];
        let environment = ["PATH=/usr/sbin:/usr/bin:/sbin:/bin"];
        let started = spawn::capture(
            "/bin/systemctl",
            &arguments,
            &environment,
            Duration::from_secs(60),
        )?;
        if !started.succeeded() {
            return Err(io::Error::other(started.stderr.trim().to_owned()));
        }
        return Ok(());
    }
    let arguments = ["run".to_owned(), id.to_string()];
    spawn::spawn(
        &spawn::current_program()?,
        &arguments,
        &[],
        spawn::Streams::default(),
    )
    .map(drop)
}

fn hello(run: Option<RunId>) -> String {
    let client = env!("CARGO_PKG_VERSION").to_owned();
    Frame::Hello {
        protocol: PROTOCOL.to_vec(),
        client,
        features: FEATURES.map(|feature| feature.to_string()).to_vec(),
        run,
    }
    .to_line()
}

fn send_hello(socket: &mut UnixStream, run: Option<RunId>) -> Option<()> {
    // A peer that has left is no error.
    socket.write_all(hello(run).as_bytes()).ok()
}

/// Sends a whole answer: hello and result.
fn send_result(socket: &mut UnixStream, run: Option<RunId>, result: RunResult) -> io::Result<()> {
    let text = hello(run) + &Frame::Result(Box::new(result)).to_line();
    socket.write_all(text.as_bytes())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_push_key_removes_packages_only_with_a_plans_hash() {
        let is_allowed = |user: u32, words: &str| {
            let request = Request::parse(format!("apu/1 {words}").as_bytes()).unwrap();
            check_removal(user, &request).is_ok()
        };
        let hash = "0".repeat(64);
        assert!(!is_allowed(998, "install allow_remove=yes vim"));
        assert!(!is_allowed(998, "dist-upgrade allow_remove=yes"));
        assert!(is_allowed(
            998,
            &format!("dist-upgrade allow_remove=yes plan_sha256={hash}")
        ));
        assert!(is_allowed(0, "dist-upgrade allow_remove=yes"));
        assert!(is_allowed(998, "dist-upgrade allow_remove=yes download_only=yes"));
        assert!(is_allowed(998, "dist-upgrade"));
    }

    #[test]
    fn the_same_request_is_the_same_run_and_another_is_not() {
        let request = |line: &str| Request::parse(line.as_bytes()).unwrap();
        let known = request("apu/1 install run_id=0123456789abcdef0123456789abcdef vim");
        assert!(is_same_request(&known, &known));
        assert!(is_same_request(
            &known,
            &request("apu/1 install run_id=0123456789abcdef0123456789abcdef lock_wait=5 vim")
        ));
        assert!(!is_same_request(
            &known,
            &request("apu/1 install run_id=0123456789abcdef0123456789abcdef nano")
        ));
        let sum = |digit: &str| format!("answers_sha256={}", digit.repeat(64));
        let upgrade = |words: &str| request(&format!("apu/1 upgrade run_id={} {words}", "0".repeat(32)));
        let plan = format!("plan_sha256={}", "1".repeat(64));
        let planned = |digit: &str| upgrade(&format!("{plan} {}", sum(digit)));
        assert!(is_same_request(&planned("2"), &planned("3")));
        assert!(!is_same_request(&upgrade(&sum("2")), &upgrade(&sum("3"))));
    }
}
