//! Reads the one line with answers that a request announces, from the caller's connection.

use std::fs::File;
use std::io::{self, Read};
use std::os::fd::AsFd;
use std::time::{Duration, Instant};

use apu_proto::{AnswersError, MAX_ANSWERS};
use nix::errno::Errno;
use nix::poll::{PollFd, PollFlags, PollTimeout, poll};

/// How long the line may take to come.
const LIMIT: Duration = Duration::from_secs(10);

/// Reads the line from standard input, past its buffer: it is waited for by its descriptor.
///
/// # Errors
/// As [`read_line`].
pub(crate) fn from_caller() -> Result<Vec<u8>, AnswersError> {
    let stdin = io::stdin()
        .as_fd()
        .try_clone_to_owned()
        .map_err(|_| AnswersError::Missing)?;
    read_line(&mut File::from(stdin), LIMIT)
}

/// Reads a line to its end, and nothing that could stand behind it.
///
/// # Errors
/// Where it does not come in time, has no end, or is too long.
fn read_line(from: &mut (impl Read + AsFd), limit: Duration) -> Result<Vec<u8>, AnswersError> {
    let deadline = Instant::now() + limit;
    let mut line = Vec::new();
    let mut buffer = [0; 16 * 1024];
    loop {
        let left = deadline.saturating_duration_since(Instant::now());
        if left.is_zero() {
            return Err(AnswersError::Missing);
        }
        let mut fds = [PollFd::new(from.as_fd(), PollFlags::POLLIN)];
        let wait = PollTimeout::try_from(left).unwrap_or(PollTimeout::MAX);
        match poll(&mut fds, wait) {
            Ok(0) | Err(Errno::EINTR) => continue,
            Err(_) => return Err(AnswersError::Missing),
            Ok(_) => {}
        }
        let length = match from.read(&mut buffer) {
            Ok(0) => return Err(AnswersError::Missing),
            Ok(length) => length,
            Err(error) if error.kind() == io::ErrorKind::Interrupted => continue,
            Err(_) => return Err(AnswersError::Missing),
        };
        line.extend_from_slice(&buffer[..length]);
        let end = line.iter().position(|byte| *byte == b'\n');
        if end.unwrap_or(line.len()) > MAX_ANSWERS {
            return Err(AnswersError::TooLong);
        }
        if let Some(end) = end {
            // What stands behind the line is no part of a request.
            line.truncate(end + 1);
            return Ok(line);
        }
    }
}

#[cfg(test)]
mod tests {
    use std::io::Write;

    use super::*;

    fn read(bytes: &[u8]) -> Result<Vec<u8>, AnswersError> {
        let (mut reader, mut writer) = io::pipe().unwrap();
        let bytes = bytes.to_vec();
        let writing = std::thread::spawn(move || {
            let _ = writer.write_all(&bytes);
        });
        let read = read_line(&mut reader, Duration::from_secs(20));
        drop(reader);
        writing.join().unwrap();
        read
    }

    #[test]
    fn one_line_is_read_and_a_longer_one_or_none_is_refused() {
        assert_eq!(read(b"{}\nmore\n"), Ok(b"{}\n".to_vec()));
        assert_eq!(read(b"{}"), Err(AnswersError::Missing));
        assert_eq!(read(b""), Err(AnswersError::Missing));
        let long = [&vec![b'x'; MAX_ANSWERS][..], b"\n"].concat();
        assert_eq!(read(&long).map(|line| line.len()), Ok(MAX_ANSWERS + 1));
        assert_eq!(read(&[b"x", &long[..]].concat()), Err(AnswersError::TooLong));
        assert_eq!(read(&vec![b'x'; 10 * MAX_ANSWERS]), Err(AnswersError::TooLong));
    }

    #[test]
    fn a_line_that_does_not_come_is_not_waited_for_for_ever() {
        let (mut reader, writer) = io::pipe().unwrap();
        let missing = read_line(&mut reader, Duration::from_millis(50));
        assert_eq!(missing, Err(AnswersError::Missing));
        drop(writer);
    }
}
