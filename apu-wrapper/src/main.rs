//! The forced command of the push key: sends one request to apu-client's socket and copies the answer back.
//!
//! It runs as user apu, without privileges and without a policy. It checks the request's grammar only to report a
//! mistake early; apu-client checks everything again. From its environment it reads `SSH_ORIGINAL_COMMAND` and, for the
//! client's log, the file in which sshd names the key that logged in. It takes no arguments.

mod connect;

use std::ffi::OsString;
use std::io::{self, Read, Write};
use std::os::unix::ffi::OsStringExt;
use std::process::ExitCode;

use apu_proto::{
    Action, Advice, Cause, ClientOutcome, FEATURES, Frame, PROTOCOL, Reason, Request, RunResult,
};

const SOCKET: &str = "/run/apu/apu.sock";

fn main() -> ExitCode {
    let line = std::env::var_os("SSH_ORIGINAL_COMMAND")
        .map(OsString::into_vec)
        .unwrap_or_default();
    if let Err(error) = Request::parse(&line) {
        let result = RunResult::because(ClientOutcome::Refused, error);
        return answer(result, ExitCode::from(2));
    }
    match carry(line) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            let cause = Cause::Fault {
                action: Action::ReachClient,
                object: Some(SOCKET.to_owned()),
            };
            let mut reason = Reason::from(cause).detailed(error.to_string());
            reason.advice = Some(Advice::RestartClient);
            answer(
                RunResult::because(ClientOutcome::Failed, reason),
                ExitCode::from(3),
            )
        }
    }
}

/// Sends the line and copies what comes back. A reader that has left is no error: the run, if there is one, belongs to
/// the client and goes on.
fn carry(mut line: Vec<u8>) -> io::Result<()> {
    line.push(b'\n');
    let mut socket = connect::connect(SOCKET)?;
    socket.write_all(&line)?;
    let _ = copy(&mut socket, &mut io::stdout().lock());
    Ok(())
}

/// Copies with plain reads and writes, and flushes each piece.
///
/// `io::copy` from a socket to a pipe is splice(2), which locks the pipe while it waits for the socket: sshd, which
/// reads that pipe, would then hang with all channels of its connection for as long as a run prints nothing.
fn copy(from: &mut impl Read, to: &mut impl Write) -> io::Result<()> {
    let mut buffer = [0; 64 * 1024];
    loop {
        match from.read(&mut buffer) {
            Ok(0) => return Ok(()),
            Ok(length) => {
                to.write_all(&buffer[..length])?;
                to.flush()?;
            }
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => return Err(error),
        }
    }
}

/// Writes the answer where apu-client cannot.
fn answer(result: RunResult, exit: ExitCode) -> ExitCode {
    let client = env!("CARGO_PKG_VERSION").to_owned();
    let hello = Frame::Hello {
        protocol: PROTOCOL.to_vec(),
        client,
        features: FEATURES.map(|feature| feature.to_string()).to_vec(),
        run: None,
    };
    let text = hello.to_line() + &Frame::Result(Box::new(result)).to_line();
    let _ = io::stdout().lock().write_all(text.as_bytes());
    exit
}
