//! Identifies and checks the peer of a connection, and reads its request line, with the line of answers where that announces one and
//! the begin of what else it announces.

use std::fmt;
use std::io::{self, Read};
use std::net::Shutdown;
use std::os::fd::AsFd;
use std::os::linux::net::SocketAddrExt;
use std::os::unix::net::UnixStream;
use std::time::{Duration, Instant};

use apu_proto::{
    Action, AnswersError, Cause, KeyFingerprint, MAX_ANSWERS, MAX_REQUEST, Request, RequestError,
};
use nix::poll::{PollFd, PollFlags, PollTimeout, poll};

use crate::os::accounts;
use crate::os::paths::ClientPaths;
use crate::run::refusal::Refusal;

/// How long a peer may take to send its request.
const READ_TIMEOUT: Duration = Duration::from_secs(10);

/// The peer of a connection, as the log names it.
#[derive(Debug)]
pub(crate) struct Peer {
    pub(crate) user: u32,
    /// The fingerprint that the peer claims; nothing is decided by it.
    key: Option<KeyFingerprint>,
}

impl Peer {
    pub(crate) fn of(socket: &UnixStream, user: u32) -> Self {
        let name = socket.peer_addr().ok();
        let name = name.as_ref().and_then(|name| name.as_abstract_name());
        Self {
            user,
            key: name.and_then(KeyFingerprint::from_peer_name),
        }
    }
}

impl fmt::Display for Peer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "user {}", self.user)?;
        match &self.key {
            Some(key) => write!(f, " with the key {key}"),
            None => Ok(()),
        }
    }
}

/// Refuses every user except apu, for which the push key's forced command runs, and root.
pub(crate) fn check_peer(paths: &ClientPaths, user: u32) -> Result<(), Refusal> {
    if user == 0 {
        return Ok(());
    }
    match accounts::user_id(paths, "apu") {
        Ok(Some(apu)) if apu == user => Ok(()),
        Ok(_) => Err(Refusal::new(Cause::OtherCaller)),
        Err(error) => Err(Refusal::fault_at(
            Action::Read,
            &paths.path("/etc/passwd"),
            &error,
        )),
    }
}

/// A request, and what was read behind it of the .debs that it announces.
#[derive(Debug)]
pub(crate) struct Asked {
    pub(crate) request: Request,
    pub(crate) begun: Vec<u8>,
}

/// Reads exactly one line, and exactly one more where it announces answers. More after it, where it announces no .debs, or a missing
/// line end, makes it no request.
pub(crate) fn read_request(socket: &mut UnixStream) -> Result<Asked, Refusal> {
    let deadline = Instant::now() + READ_TIMEOUT;
    let mut bytes = Vec::new();
    let Some(line) = read_line(socket, deadline, &mut bytes, MAX_REQUEST)? else {
        return Err(Refusal::new(RequestError::TooLong));
    };
    let mut request = Request::parse(&line);
    if let Ok(announcing) = &request
        && announcing.answers_sha256().is_some()
    {
        let Some(answers) = read_line(socket, deadline, &mut bytes, MAX_ANSWERS)? else {
            return Err(Refusal::new(AnswersError::TooLong));
        };
        request = Ok(announcing.clone().announced(&answers).map_err(Refusal::new)?);
    }
    let announces_debs = |request: &Request| !request.debs_follow().is_empty();
    let more = !request.as_ref().is_ok_and(announces_debs) && (!bytes.is_empty() || is_readable(socket));
    let request = request.map_err(Refusal::new)?;
    if more {
        return Err(Refusal::new(Cause::MoreThanALine));
    }
    Ok(Asked {
        request,
        begun: bytes,
    })
}

/// Reads a line of at most `longest` bytes, given without its end; none where it is longer. `bytes` is what was read already, and
/// what was read behind the line.
fn read_line(
    socket: &mut UnixStream,
    deadline: Instant,
    bytes: &mut Vec<u8>,
    longest: usize,
) -> Result<Option<Vec<u8>>, Refusal> {
    let mut buffer = [0; MAX_REQUEST + 2];
    loop {
        if let Some(end) = bytes.iter().position(|&byte| byte == b'\n') {
            let rest = bytes.split_off(end + 1);
            let mut line = std::mem::replace(bytes, rest);
            line.truncate(end);
            return Ok((line.len() <= longest).then_some(line));
        }
        if bytes.len() > longest {
            return Ok(None);
        }
        let left = deadline.saturating_duration_since(Instant::now());
        if left.is_zero() {
            return Err(Refusal::new(Cause::NoRequest {
                seconds: READ_TIMEOUT.as_secs(),
            }));
        }
        socket
            .set_read_timeout(Some(left))
            .map_err(|error| Refusal::fault(Action::ReadRequest, &error))?;
        match socket.read(&mut buffer) {
            Ok(0) => return Err(Refusal::new(Cause::UnendedLine)),
            Ok(length) => bytes.extend_from_slice(&buffer[..length]),
            Err(error)
                if matches!(
                    error.kind(),
                    io::ErrorKind::Interrupted | io::ErrorKind::WouldBlock | io::ErrorKind::TimedOut
                ) => {}
            Err(error) => return Err(Refusal::fault(Action::ReadRequest, &error)),
        }
    }
}

/// Whether there are bytes to read now; the end of the stream is none.
fn is_readable(socket: &UnixStream) -> bool {
    let mut fds = [PollFd::new(socket.as_fd(), PollFlags::POLLIN)];
    let ready = poll(&mut fds, PollTimeout::ZERO).is_ok_and(|ready| ready > 0);
    // After the peer's shutdown the socket is readable and at its end.
    let at_end = || {
        let mut byte = [0];
        let mut socket = socket;
        matches!(socket.read(&mut byte), Ok(0))
    };
    ready && !at_end()
}

/// Reads a limited amount of what the peer still sends: closing a socket with unread bytes would discard the answer.
pub(crate) fn drain(socket: &mut UnixStream) {
    let _ = socket.shutdown(Shutdown::Write);
    let _ = socket.set_read_timeout(Some(Duration::from_millis(500)));
    let mut buffer = [0; 16 * 1024];
    for _ in 0..64 {
        if !matches!(socket.read(&mut buffer), Ok(1..)) {
            return;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use apu_proto::{Operation, ReasonCode};
    use sha2::Digest;
    use std::io::Write;

    fn read(bytes: &[u8], close: bool) -> Result<Request, Refusal> {
        asked(bytes, close).map(|asked| asked.request)
    }

    fn asked(bytes: &[u8], close: bool) -> Result<Asked, Refusal> {
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
            assert_eq!(read(b"apu/1 ping\n", close).unwrap().operation(), Operation::Ping);
        }
        for bytes in [
            &b"apu/1 ping"[..],
            b"",
            b"apu/1 ping\nid\n",
            b"apu/1 ping\n\n",
            b"apu/1 ping\r\n",
        ] {
            let refusal = read(bytes, true).unwrap_err();
            assert_eq!(
                refusal.result.reason.unwrap().code,
                ReasonCode::Grammar,
                "{bytes:?}"
            );
        }
    }

    #[test]
    fn what_follows_a_request_is_a_part_of_it_only_where_it_announces_debs() {
        let sum = "0".repeat(64);
        let take = format!("apu/1 take-debs run_id={} debs_follow={sum}:5\n", "1".repeat(32));
        let found = asked(format!("{take}he\nlo").as_bytes(), false).unwrap();
        assert_eq!(found.begun, b"he\nlo");
        let ask = take
            .replace("take-debs", "send-debs")
            .replace("follow", "sha256")
            .replace(":5", "");
        assert!(asked(ask.as_bytes(), false).unwrap().begun.is_empty());
        assert!(asked(format!("{ask}hello").as_bytes(), false).is_err());
    }

    #[test]
    fn answers_are_one_more_line_where_the_request_announces_them_and_nowhere_else() {
        let line = r#"{"salt":"01010101010101010101010101010101","answers":[{"owner":"aa","question":"aa/b","kind":"password","mark":"07070707070707070707070707070707","value":"hunter2"}]}"#;
        let sum = apu_debian::hex::encode(&sha2::Sha256::digest(line));
        let request = format!("apu/1 upgrade answers_sha256={sum}\n");
        let asked = read(format!("{request}{line}\n").as_bytes(), false).unwrap();
        assert_eq!(asked.answers().unwrap().all().len(), 1);
        for wrong in [
            request.clone(),
            format!("{request}{line}"),
            format!("{request}{line} \n"),
            format!("{request}{line}\nid\n"),
            format!("{request}{}\n", " ".repeat(MAX_ANSWERS + 1)),
            format!("apu/1 upgrade\n{line}\n"),
        ] {
            let refusal = read(wrong.as_bytes(), true).unwrap_err();
            let reason = refusal.result.reason.unwrap();
            assert_eq!(reason.code, ReasonCode::Grammar, "{wrong:.200}");
            assert!(!format!("{reason:?}").contains("hunter2"));
        }
    }

    #[test]
    fn a_line_is_read_to_4096_bytes_and_no_further() {
        let long = |length: usize| [&b"apu/1 "[..], &vec![b'a'; length - 6], b"\n"].concat();
        let text = |length| {
            let refusal = read(&long(length), false).unwrap_err();
            refusal.result.reason.unwrap().detail.concat()
        };
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
        assert_eq!(
            read_request(&mut here).unwrap().request.operation(),
            Operation::Ping
        );
        writer.join().unwrap();
    }

    #[test]
    fn the_key_is_told_where_the_caller_names_one_and_in_no_other_form() {
        let key = format!("SHA256:{}", "A".repeat(43));
        let named = |name: &str| {
            let address = std::os::unix::net::SocketAddr::from_abstract_name(name).unwrap();
            let listener = std::os::unix::net::UnixListener::bind_addr(&address).unwrap();
            let here = UnixStream::connect_addr(&address).unwrap();
            drop(listener);
            Peer::of(&here, 998).to_string()
        };
        let unique = std::process::id();
        assert_eq!(
            named(&format!("apu-key/{key}/{unique}")),
            format!("user 998 with the key {key}")
        );
        assert_eq!(named(&format!("apu-key/{key} and root/{unique}")), "user 998");
        assert_eq!(named(&format!("other/{unique}")), "user 998");
        let (here, _there) = UnixStream::pair().unwrap();
        assert_eq!(Peer::of(&here, 0).to_string(), "user 0");
    }

    #[test]
    fn only_apu_and_root_may_ask() {
        let root = tempfile::tempdir().unwrap();
        let paths = ClientPaths::below(root.path());
        std::fs::create_dir_all(paths.path("/etc")).unwrap();
        std::fs::write(
            paths.path("/etc/passwd"),
            "root:x:0:0::/:/bin/sh\napu:x:998:998::/:/bin/sh\n",
        )
        .unwrap();
        assert!(check_peer(&paths, 0).is_ok());
        assert!(check_peer(&paths, 998).is_ok());
        assert_eq!(
            check_peer(&paths, 1000).unwrap_err().result.reason.unwrap().code,
            ReasonCode::Caller
        );
    }
}
