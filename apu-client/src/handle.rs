//! `apu-client handle`: one connection, one request, one answer. This process is the boundary between whoever may write
//! to the socket and root.

use std::fs::File;
use std::io::{self, Read, Write};
use std::os::fd::AsFd;
use std::os::unix::net::UnixStream;
use std::time::{Duration, Instant};

use apu_proto::{ClientOutcome, Frame, Operation, PROTOCOL, ReasonCode, Request, RunId, RunResult};
use nix::sys::socket::{getsockopt, sockopt::PeerCredentials};

use crate::caller::{drain, judge_caller, read_request};
use crate::dpkg::Database;
use crate::follow::LATEST_BEGIN;
use crate::housekeeping::make_room;
use crate::record::{Claim, Record};
use crate::run::{configuration, preflight};
use crate::site::Site;
use crate::verdict::{Stop, failed, own_fault, refused};
use crate::{check, follow, launch, planning, status, syslog};

/// How long one that does not read keeps this process.
const SLOWEST_READER: Duration = Duration::from_secs(120);

/// Answers the connection that is our standard input.
pub(crate) fn handle(site: &Site) -> io::Result<()> {
    let stdin = io::stdin();
    let caller = getsockopt(&stdin, PeerCredentials)?.uid();
    let mut socket = UnixStream::from(stdin.as_fd().try_clone_to_owned()?);
    socket.set_write_timeout(Some(SLOWEST_READER))?;

    let answer = judge_caller(site, caller)
        .and_then(|()| read_request(&mut socket))
        .and_then(|request| {
            answer(site, &mut socket, caller, &request).map_err(|mut stop| {
                stop.operation = Some(request.operation);
                stop
            })
        });
    match answer {
        Ok(()) => Ok(()),
        Err(stop) => {
            let why = stop.reason.as_ref().map_or("", |reason| reason.text.as_str());
            syslog::tell(&format!("refused a request of user {caller}: {why}"));
            let given = give(&mut socket, None, *stop);
            drain(&mut socket);
            given
        }
    }
}

fn answer(site: &Site, socket: &mut UnixStream, caller: u32, request: &Request) -> Result<(), Stop> {
    let started = Instant::now();
    let operation = request.operation;
    if operation == Operation::Ping {
        let mut result = RunResult::new(ClientOutcome::Unchanged);
        result.operation = Some(operation);
        let _ = give(socket, None, result);
        return Ok(());
    }
    let answered = match operation {
        Operation::Attach => return attach(site, socket, caller, request),
        _ if operation.is_a_run() && !request.dry_run => match configuration(site, request) {
            Ok(_) => return run(site, socket, caller, request),
            Err(stop) => Err(stop),
        },
        _ => in_place(site, request),
    };
    finish(
        socket,
        caller,
        request,
        started,
        answered.unwrap_or_else(|stop| *stop),
    );
    Ok(())
}

/// What is answered without a record: it changes nothing.
fn in_place(site: &Site, request: &Request) -> Result<RunResult, Stop> {
    let policy = configuration(site, request)?;
    match request.operation {
        Operation::Status => status::status(site),
        Operation::Check => check::check(site),
        _ => {
            preflight(site, request.operation)?;
            let database = Database::read(&site.dpkg())
                .map_err(|error| own_fault("cannot read dpkg's database", &error))?;
            let (call, plan) = planning::plan(site, request, policy.conffiles, &database)?;
            let mut found = plan.transaction();
            if request.plan.is_some_and(|approved| approved != found.id()) {
                return Err(crate::run::drifted(found));
            }
            if !found.steps().is_empty() {
                found.sizes = planning::sizes(&call, policy.conffiles);
            }
            let mut result = RunResult::new(ClientOutcome::Unchanged);
            result.marked_manual = planning::automatic(request, &database)?;
            result.kept_back.clone_from(&found.kept_back);
            result.broken = database.broken();
            result.transaction = Some(found);
            result.reboot_required = site.reboot_required();
            Ok(result)
        }
    }
}

fn finish(socket: &mut UnixStream, caller: u32, request: &Request, started: Instant, mut result: RunResult) {
    result.operation = Some(request.operation);
    result.seconds = (started.elapsed().as_secs_f64() * 1000.0).round() / 1000.0;
    syslog::tell(&format!("user {caller} asked, {:?}: {request}", result.outcome));
    let _ = give(socket, None, result);
}

/// Makes the request a run, or finds the run that it already is, and follows it.
fn run(site: &Site, socket: &mut UnixStream, caller: u32, request: &Request) -> Result<(), Stop> {
    let id = match request.run_id {
        Some(id) => id,
        None => new_id().map_err(|error| own_fault("cannot make a run's id", &error))?,
    };
    let asked = Request {
        run_id: Some(id),
        ..request.clone()
    };
    if Record::find(site, id).is_none() {
        make_room(site)?;
    }
    let claim = Record::claim(site, id, &asked.to_string())
        .map_err(|error| own_fault("cannot make the run's record", &error))?;
    let record = match claim {
        Claim::New(record) => {
            syslog::tell(&format!("user {caller} started a run: {asked}"));
            record
        }
        Claim::Known(record) => {
            let known = record
                .request()
                .map_err(|error| own_fault("cannot read the run's record", &error))?;
            if !is_same(&known, &asked) {
                return Err(refused(
                    ReasonCode::Policy,
                    "this run's id was used for another request",
                ));
            }
            record
        }
    };
    if !record.has_begun() {
        start(site, id).map_err(|error| own_fault("cannot start the run", &error))?;
    }
    greet(socket, Some(id)).map_or(Ok(()), |()| follow::follow(site, &record, socket, LATEST_BEGIN))
}

/// The same request may be willing to wait for another time.
fn is_same(known: &str, asked: &Request) -> bool {
    let patient = |request: &Request| Request {
        lock_wait: None,
        ..request.clone()
    };
    Request::parse(known.as_bytes()).is_ok_and(|known| patient(&known) == patient(asked))
}

fn attach(site: &Site, socket: &mut UnixStream, caller: u32, request: &Request) -> Result<(), Stop> {
    let id = request
        .run_id
        .ok_or_else(|| refused(ReasonCode::Grammar, "attach names no run"))?;
    syslog::tell(&format!("user {caller} asked: {request}"));
    let Some(record) = Record::find(site, id) else {
        return Err(failed(
            ReasonCode::UnknownRun,
            format!("this client knows no run {id}"),
        ));
    };
    greet(socket, Some(id)).map_or(Ok(()), |()| {
        follow::follow(site, &record, socket, LATEST_BEGIN.saturating_sub(record.age()))
    })
}

fn new_id() -> io::Result<RunId> {
    let mut bytes = [0; 16];
    File::open("/dev/urandom")?.read_exact(&mut bytes)?;
    Ok(RunId::from_bytes(bytes))
}

/// Starts the run's supervisor where it belongs to the machine and not to this connection: in a unit of its own under
/// systemd, else as a process that makes its own session.
fn start(site: &Site, id: RunId) -> io::Result<()> {
    if site.path("/run/systemd/system").is_dir() {
        let arguments = [
            "start".to_owned(),
            "--no-block".to_owned(),
            format!("apu-run@{id}.service"),
        ];
        let environment = ["PATH=/usr/sbin:/usr/bin:/sbin:/bin"];
        let started = launch::capture(
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
    launch::start(
        &launch::own_program()?,
        &arguments,
        &[],
        launch::Streams::default(),
    )
    .map(drop)
}

fn hello(run: Option<RunId>) -> String {
    let client = env!("CARGO_PKG_VERSION").to_owned();
    Frame::Hello {
        protocol: PROTOCOL.to_vec(),
        client,
        run,
    }
    .to_line()
}

fn greet(socket: &mut UnixStream, run: Option<RunId>) -> Option<()> {
    // A caller that went away is no error.
    socket.write_all(hello(run).as_bytes()).ok()
}

/// The whole answer at once.
fn give(socket: &mut UnixStream, run: Option<RunId>, result: RunResult) -> io::Result<()> {
    let text = hello(run) + &Frame::Result(Box::new(result)).to_line();
    socket.write_all(text.as_bytes())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_same_request_is_the_same_run_and_another_is_not() {
        let request = |line: &str| Request::parse(line.as_bytes()).unwrap();
        let known = "apu/1 install run_id=0123456789abcdef0123456789abcdef vim";
        assert!(is_same(known, &request(known)));
        assert!(is_same(
            known,
            &request("apu/1 install run_id=0123456789abcdef0123456789abcdef lock_wait=5 vim")
        ));
        assert!(!is_same(
            known,
            &request("apu/1 install run_id=0123456789abcdef0123456789abcdef nano")
        ));
    }
}
