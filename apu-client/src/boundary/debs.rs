//! Sends the .debs that a run has kept, and takes those that a run is to install.

use std::io::{self, Read, Write};
use std::os::unix::net::UnixStream;
use std::time::Duration;

use apu_proto::{
    Cause, ClientOutcome, Frame, MAX_DEB_SIZE, Request, RequestError, RunId, RunResult, SentDeb,
};

use crate::os::paths::ClientPaths;
use crate::run::kept_debs;
use crate::run::preflight::read_policy;
use crate::run::refusal::Refusal;
use crate::run::run_dir::RunDir;
use crate::run::taken_debs;

/// How long the next bytes of a .deb may take to come.
const IDLE: Duration = Duration::from_secs(60);

/// Sends the kept .debs that the request names behind a frame that tells their sizes, or nothing of them where one is missing.
/// `hello` is the frame before.
///
/// # Errors
/// Where the policy forbids it, or the run has not kept one of them.
pub(super) fn send(
    paths: &ClientPaths,
    socket: &mut UnixStream,
    hello: &str,
    request: &Request,
) -> Result<(), Refusal> {
    read_policy(paths, request)?;
    let run = run_of(request)?;
    let run_dir = RunDir::find(paths, run).ok_or_else(|| Refusal::failed(Cause::UnknownRun { run }))?;
    let mut files = Vec::new();
    let mut debs = Vec::new();
    for sha256 in request.debs().iter().copied() {
        let kept = kept_debs::open(&run_dir, sha256).filter(|(_, size)| *size <= MAX_DEB_SIZE);
        let (file, size) = kept.ok_or_else(|| Refusal::failed(Cause::DebNotKept { sha256 }))?;
        debs.push(SentDeb { sha256, size });
        files.push(file.take(size));
    }
    let head = format!("{hello}{}", Frame::Debs { debs }.to_line());
    // A peer that has left is no error.
    let _ = send_all(socket, head.as_bytes(), files);
    Ok(())
}

fn send_all(socket: &mut UnixStream, head: &[u8], files: Vec<impl Read>) -> io::Result<()> {
    socket.write_all(head)?;
    let mut buffer = [0; 64 * 1024];
    for mut file in files {
        loop {
            match file.read(&mut buffer)? {
                0 => break,
                length => socket.write_all(&buffer[..length])?,
            }
        }
    }
    Ok(())
}

/// Takes the .debs whose bytes follow the request; `begun` is what was read of them already.
///
/// # Errors
/// Where the policy forbids it, there is no room, or other bytes come than were announced.
pub(super) fn take(
    paths: &ClientPaths,
    socket: &mut UnixStream,
    begun: &[u8],
    request: &Request,
) -> Result<RunResult, Refusal> {
    read_policy(paths, request)?;
    let run = run_of(request)?;
    if RunDir::find(paths, run).is_some() {
        return Err(Refusal::new(Cause::RunIdReused));
    }
    let timeout = socket.set_read_timeout(Some(IDLE));
    timeout.map_err(|error| Refusal::fault(apu_proto::Action::ReadRequest, &error))?;
    taken_debs::take(paths, run, request.debs_follow(), &mut begun.chain(socket))?;
    Ok(RunResult::new(ClientOutcome::Unchanged))
}

fn run_of(request: &Request) -> Result<RunId, Refusal> {
    let none = || Refusal::new(RequestError::NoDebs(request.operation()));
    request.run_id().ok_or_else(none)
}
