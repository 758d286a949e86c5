//! `apu-client handle`: one connection, one request, one answer. This process is the boundary between whoever may write
//! to the socket and root.

use std::fs::File;
use std::io::{self, Read, Write};
use std::net::Shutdown;
use std::os::fd::AsFd;
use std::os::unix::net::UnixStream;
use std::time::{Duration, Instant};

use apu_proto::{
    ClientOutcome, Frame, MAX_REQUEST, Operation, PROTOCOL, ReasonCode, Request, RunId, RunResult,
};
use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use nix::sys::socket::{getsockopt, sockopt::PeerCredentials};

use crate::dpkg::Database;
use crate::follow::LATEST_BEGIN;
use crate::record::{self, Claim, Record};
use crate::run::{configuration, preflight};
use crate::site::Site;
use crate::verdict::{Stop, failed, own_fault, refused};
use crate::{accounts, check, follow, launch, planning, status, syslog};

/// How long a caller may take to say what it wants.
const PATIENCE: Duration = Duration::from_secs(10);
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

/// Reads what the caller still says, within bounds: closing a socket with unread bytes takes the answer back.
fn drain(socket: &mut UnixStream) {
    let _ = socket.shutdown(Shutdown::Write);
    let _ = socket.set_read_timeout(Some(Duration::from_millis(500)));
    let mut buffer = [0; 16 * 1024];
    for _ in 0..64 {
        if !matches!(socket.read(&mut buffer), Ok(1..)) {
            return;
        }
    }
}

fn judge_caller(site: &Site, caller: u32) -> Result<(), Stop> {
    if caller == 0 {
        return Ok(());
    }
    match accounts::user_id(site, "apu") {
        Ok(Some(apu)) if apu == caller => Ok(()),
        Ok(_) => Err(refused(ReasonCode::Caller, "only user apu and root may ask")),
        Err(error) => Err(own_fault("cannot read /etc/passwd", &error)),
    }
}

/// Reads exactly one line: what comes after it, and what has no end, is no request.
fn read_request(socket: &mut UnixStream) -> Result<Request, Stop> {
    let grammar = |text: String| refused(ReasonCode::Grammar, text);
    let deadline = Instant::now() + PATIENCE;
    let mut line = Vec::new();
    let mut buffer = [0; MAX_REQUEST + 2];
    loop {
        let left = deadline.saturating_duration_since(Instant::now());
        if left.is_zero() {
            return Err(grammar(format!(
                "no request came within {} s",
                PATIENCE.as_secs()
            )));
        }
        socket
            .set_read_timeout(Some(left))
            .map_err(|error| own_fault("cannot read the request", &error))?;
        let length = match socket.read(&mut buffer) {
            Ok(0) => return Err(grammar("the request's line has no end".into())),
            Ok(length) => length,
            Err(error) if error.kind() == io::ErrorKind::Interrupted => continue,
            Err(error) if matches!(error.kind(), io::ErrorKind::WouldBlock | io::ErrorKind::TimedOut) => {
                continue;
            }
            Err(error) => return Err(own_fault("cannot read the request", &error)),
        };
        line.extend_from_slice(&buffer[..length]);
        if let Some(end) = line.iter().position(|&byte| byte == b'\n') {
            let more = end + 1 < line.len() || is_readable(socket);
            line.truncate(end);
            let request = Request::parse(&line).map_err(|error| grammar(error.to_string()))?;
            if more {
                return Err(grammar("there is more after the request's line".into()));
            }
            return Ok(request);
        }
        if line.len() > MAX_REQUEST {
            return Err(grammar(apu_proto::RequestError::TooLong.to_string()));
        }
    }
}

/// Whether there is something to read now; the end of what the caller says is nothing.
fn is_readable(socket: &UnixStream) -> bool {
    let mut fds = [PollFd::new(socket.as_fd(), PollFlags::POLLIN)];
    let ready = poll(&mut fds, PollTimeout::ZERO).is_ok_and(|ready| ready > 0);
    // After a shutdown the socket reads as ready and at its end.
    let at_end = || {
        let mut byte = [0];
        let mut socket = socket;
        matches!(socket.read(&mut byte), Ok(0))
    };
    ready && !at_end()
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
    let result = match operation {
        Operation::Attach => return attach(site, socket, caller, request),
        _ if operation.is_a_run() && !request.dry_run => {
            let decided = configuration(site, request);
            return match decided {
                Ok(_) => run(site, socket, caller, request),
                Err(stop) => {
                    finish(socket, caller, request, started, *stop);
                    Ok(())
                }
            };
        }
        _ => in_place(site, request).unwrap_or_else(|stop| *stop),
    };
    finish(socket, caller, request, started, result);
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
            let (_, plan) = planning::plan(site, request, policy.conffiles, &database)?;
            let found = plan.transaction();
            if request.plan.is_some_and(|approved| approved != found.id()) {
                return Err(crate::run::drifted(found));
            }
            let mut result = RunResult::new(ClientOutcome::Unchanged);
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
    let claim = Record::claim(site, id, &asked.to_string())
        .map_err(|error| own_fault("cannot make the run's record", &error))?;
    let record = match claim {
        Claim::New(record) => {
            syslog::tell(&format!("user {caller} started a run: {asked}"));
            record::prune(site);
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

    fn read(bytes: &[u8], close: bool) -> Result<Request, Stop> {
        let (mut here, mut there) = UnixStream::pair().unwrap();
        there.write_all(bytes).unwrap();
        if close {
            there.shutdown(std::net::Shutdown::Write).unwrap();
        }
        read_request(&mut here)
    }

    #[test]
    fn a_request_is_one_line_with_its_end() {
        for close in [false, true] {
            assert_eq!(read(b"apu/1 ping\n", close).unwrap().operation, Operation::Ping);
        }
        for bytes in [
            &b"apu/1 ping"[..],
            b"",
            b"apu/1 ping\nid\n",
            b"apu/1 ping\n\n",
            b"apu/1 ping\r\n",
        ] {
            let stop = read(bytes, true).unwrap_err();
            assert_eq!(stop.reason.unwrap().code, ReasonCode::Grammar, "{bytes:?}");
        }
    }

    #[test]
    fn a_line_is_read_to_4096_bytes_and_no_further() {
        let long = |length: usize| [&b"apu/1 "[..], &vec![b'a'; length - 6], b"\n"].concat();
        let text = |length| read(&long(length), false).unwrap_err().reason.unwrap().text;
        assert!(
            text(MAX_REQUEST).contains("is not an operation"),
            "{}",
            text(MAX_REQUEST)
        );
        assert!(text(MAX_REQUEST + 1).contains("longer than"));
        assert!(text(100_000).contains("longer than"));
    }

    #[test]
    fn a_request_in_pieces_is_put_together() {
        let (mut here, mut there) = UnixStream::pair().unwrap();
        let writer = std::thread::spawn(move || {
            for piece in ["apu/1", " pi", "ng\n"] {
                there.write_all(piece.as_bytes()).unwrap();
                std::thread::sleep(Duration::from_millis(20));
            }
        });
        assert_eq!(read_request(&mut here).unwrap().operation, Operation::Ping);
        writer.join().unwrap();
    }

    #[test]
    fn only_apu_and_root_may_ask() {
        let root = tempfile::tempdir().unwrap();
        let site = Site::below(root.path());
        std::fs::create_dir_all(site.path("/etc")).unwrap();
        std::fs::write(
            site.path("/etc/passwd"),
            "root:x:0:0::/:/bin/sh\napu:x:998:998::/:/bin/sh\n",
        )
        .unwrap();
        assert!(judge_caller(&site, 0).is_ok());
        assert!(judge_caller(&site, 998).is_ok());
        assert_eq!(
            judge_caller(&site, 1000).unwrap_err().reason.unwrap().code,
            ReasonCode::Caller
        );
    }

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
