//! The forced command of the push key: sends one request to apu-client's socket and copies the answer back.
//!
//! It runs as user apu, without privileges and without a policy. It checks the request's grammar only to report a
//! mistake early; apu-client checks everything again. From its environment it reads `SSH_ORIGINAL_COMMAND` and, for the
//! client's log, the file in which sshd names the key that logged in. From standard input it reads one line where the request
//! announces answers to debconf's questions, the bytes of the .debs that it announces, and nothing else. It takes no arguments.

mod announced;
mod connect;

use std::ffi::OsString;
use std::io::{self, Read, Write};
use std::net::Shutdown;
use std::os::fd::{AsFd, BorrowedFd};
use std::os::unix::ffi::OsStringExt;
use std::os::unix::net::UnixStream;
use std::process::ExitCode;
use std::thread;

use apu_proto::{
    Action, Advice, Cause, ClientOutcome, FEATURES, Frame, PROTOCOL, Reason, Request, RunResult,
};
use nix::errno::Errno;
use nix::poll::{PollFd, PollFlags, PollTimeout, poll};

const SOCKET: &str = "/run/apu/apu.sock";

fn main() -> ExitCode {
    let line = std::env::var_os("SSH_ORIGINAL_COMMAND")
        .map(OsString::into_vec)
        .unwrap_or_default();
    let refused = |reason| {
        answer(
            RunResult::because(ClientOutcome::Refused, reason),
            ExitCode::from(2),
        )
    };
    let request = match Request::parse(&line) {
        Err(error) => return refused(Reason::from(error)),
        Ok(request) => request,
    };
    let answers = match request.answers_sha256() {
        None => Vec::new(),
        Some(_) => match announced::from_caller() {
            Err(error) => return refused(Reason::from(error)),
            Ok(answers) => answers,
        },
    };
    let bytes = request.debs_follow().iter().map(|deb| deb.size).sum();
    match carry(line, &answers, bytes) {
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

/// Sends the line, the line of answers where there is one, and so many bytes of standard input, and copies what comes back. A reader that
/// has left is no error: the run, if there is one, belongs to the client and goes on.
fn carry(mut line: Vec<u8>, answers: &[u8], bytes: u64) -> io::Result<()> {
    line.push(b'\n');
    line.extend_from_slice(answers);
    let mut socket = connect::connect(SOCKET)?;
    socket.write_all(&line)?;
    if bytes > 0 {
        let socket = socket.try_clone()?;
        // Beside the answer, which a client may give before it has read all of them.
        thread::spawn(move || send_bytes(&mut io::stdin().lock(), socket, bytes));
    }
    let _ = copy(&mut socket, &mut io::stdout().lock());
    Ok(())
}

/// Sends so many bytes, or as many as there are: the client finds out what is missing.
fn send_bytes(from: &mut impl Read, mut to: UnixStream, bytes: u64) {
    let mut from = from.take(bytes);
    let mut buffer = [0; 64 * 1024];
    loop {
        match from.read(&mut buffer) {
            Ok(0) => break,
            Ok(length) if to.write_all(&buffer[..length]).is_ok() => {}
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            _ => return,
        }
    }
    let _ = to.shutdown(Shutdown::Write);
}

/// Copies with plain reads and writes, and flushes each piece; ends where the reader has left, also while there is nothing to copy:
/// sshd would keep the connection for as long as a silent run takes.
///
/// `io::copy` from a socket to a pipe is splice(2), which locks the pipe while it waits for the socket: sshd, which
/// reads that pipe, would then hang with all channels of its connection for as long as a run prints nothing.
fn copy(from: &mut (impl Read + AsFd), to: &mut (impl Write + AsFd)) -> io::Result<()> {
    let mut buffer = [0; 64 * 1024];
    loop {
        if !wait_for_more(from.as_fd(), to.as_fd())? {
            return Ok(());
        }
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

/// Waits for something to read, or its end; false where nobody reads what is written any more.
fn wait_for_more(from: BorrowedFd<'_>, to: BorrowedFd<'_>) -> io::Result<bool> {
    let mut fds = [
        PollFd::new(from, PollFlags::POLLIN),
        // Errors are told without being asked for.
        PollFd::new(to, PollFlags::empty()),
    ];
    loop {
        match poll(&mut fds, PollTimeout::NONE) {
            Err(Errno::EINTR) => {}
            Err(error) => return Err(error.into()),
            Ok(_) => return Ok(fds[1].any() != Some(true)),
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

#[cfg(test)]
mod tests {
    use std::sync::mpsc;
    use std::thread;
    use std::time::Duration;

    use super::*;

    /// Copies from a client that has said `hello` and says nothing more, until its reader leaves.
    fn copies_until<R: Read + Send + 'static>(mut writer: impl Write + AsFd + Send + 'static, mut reader: R) {
        let (mut client, mut socket) = UnixStream::pair().unwrap();
        let (ended, end) = mpsc::channel();
        let copying = thread::spawn(move || {
            copy(&mut socket, &mut writer).unwrap();
            ended.send(()).unwrap();
        });
        client.write_all(b"hello").unwrap();
        let mut hello = [0; 5];
        reader.read_exact(&mut hello).unwrap();
        assert_eq!(&hello, b"hello");
        // While somebody reads, it goes on.
        assert!(end.recv_timeout(Duration::from_millis(100)).is_err());
        drop(reader);
        end.recv_timeout(Duration::from_secs(20)).expect("it ends");
        copying.join().unwrap();
    }

    #[test]
    fn a_reader_that_has_left_is_noticed_while_the_client_is_silent() {
        let (reader, writer) = io::pipe().unwrap();
        copies_until(writer, reader);
        let (writer, reader) = UnixStream::pair().unwrap();
        copies_until(writer, reader);
    }

    #[test]
    fn no_more_than_what_was_announced_is_sent_and_its_end_is_told() {
        for (given, sent) in [("abcdef", "abcd"), ("ab", "ab")] {
            let (mut client, socket) = UnixStream::pair().unwrap();
            send_bytes(&mut given.as_bytes(), socket, 4);
            let mut text = String::new();
            client.read_to_string(&mut text).unwrap();
            assert_eq!(text, sent);
        }
    }

    #[test]
    fn all_that_the_client_has_said_is_copied_before_its_end_counts() {
        let (mut client, mut socket) = UnixStream::pair().unwrap();
        client.write_all(&[b'x'; 100_000]).unwrap();
        drop(client);
        let (mut reader, mut writer) = io::pipe().unwrap();
        let reading = thread::spawn(move || {
            let mut text = Vec::new();
            reader.read_to_end(&mut text).unwrap();
            text.len()
        });
        copy(&mut socket, &mut writer).unwrap();
        drop(writer);
        assert_eq!(reading.join().unwrap(), 100_000);
    }
}
