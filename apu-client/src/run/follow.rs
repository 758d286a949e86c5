//! Sends a run's log to one reader, from the start to the result. The reader may leave at any time.

use std::fs::File;
use std::io::{self, Read, Write};
use std::os::fd::AsFd;
use std::os::unix::net::UnixStream;
use std::time::{Duration, Instant};

use apu_proto::{Action, Cause, ClientOutcome, Frame, MAX_FRAME, RunResult};
use nix::poll::{PollFd, PollFlags, PollTimeout, poll};

use super::interrupted::conclude_interrupted;
use super::refusal::Refusal;
use super::run_dir::RunDir;
use crate::os::changes::Changes;
use crate::os::paths::ClientPaths;

/// How long a started run may take to begin.
pub(crate) const BEGIN_TIMEOUT: Duration = Duration::from_secs(60);
/// How often to check whether somebody still carries out the run.
const LIVENESS_INTERVAL: Duration = Duration::from_millis(1000);

/// Sends the run's frames to `socket`, the result last. A run that has not begun after `begin_timeout` gets a failed
/// result.
pub(crate) fn follow(
    paths: &ClientPaths,
    run_dir: &RunDir,
    socket: &mut UnixStream,
    begin_timeout: Duration,
) -> Result<(), Refusal> {
    let fault = |error: io::Error| Refusal::fault(Action::FollowRun, &error);
    let changes = Changes::of_folder(&run_dir.path("")).ok();
    let begun = Instant::now();
    let mut checked = begun;
    let mut frames = Frames::default();
    loop {
        for line in frames.next(run_dir).map_err(fault)? {
            let is_last = matches!(Frame::from_line(line.as_bytes()), Ok(Frame::Result(_)));
            if socket.write_all(line.as_bytes()).is_err() || is_last {
                return Ok(());
            }
        }
        if checked.elapsed() >= LIVENESS_INTERVAL {
            checked = Instant::now();
            if let Some(result) =
                check_liveness(paths, run_dir, begun.elapsed() >= begin_timeout).map_err(fault)?
            {
                // The log may have got its result meanwhile.
                let missing = frames.next(run_dir).map_err(fault)?;
                let result = Frame::Result(Box::new(result)).to_line();
                let text: String = missing
                    .into_iter()
                    .filter(|line| !is_result(line))
                    .chain([result])
                    .collect();
                let _ = socket.write_all(text.as_bytes());
                return Ok(());
            }
        }
        if reader_has_left(socket, changes.as_ref()) {
            return Ok(());
        }
    }
}

fn is_result(line: &str) -> bool {
    matches!(Frame::from_line(line.as_bytes()), Ok(Frame::Result(_)))
}

/// Returns none while somebody carries out the run, else its result. A run whose supervisor died is concluded first.
pub(crate) fn check_liveness(
    paths: &ClientPaths,
    run_dir: &RunDir,
    begin_timed_out: bool,
) -> io::Result<Option<RunResult>> {
    let Some(_idle) = run_dir.try_lock()? else {
        return Ok(None);
    };
    if let Some(result) = run_dir.result() {
        return Ok(Some(result));
    }
    if run_dir.has_begun() {
        return match conclude_interrupted(paths, run_dir) {
            Ok(()) => Ok(run_dir.result()),
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => Ok(None),
            Err(error) => Err(error),
        };
    }
    if !begin_timed_out {
        return Ok(None);
    }
    let mut result = RunResult::because(ClientOutcome::Failed, Cause::NeverBegun);
    result.operation = run_dir.request()?.operation();
    // The log exists from here on, so the run can never begin.
    let mut log = run_dir.start_log()?;
    run_dir.finish(&mut log, result)?;
    Ok(run_dir.result())
}

/// Waits for the log to grow, and returns whether the reader has left. A reader that only closed its sending side has
/// not.
fn reader_has_left(socket: &UnixStream, changes: Option<&Changes>) -> bool {
    let mut fds = vec![PollFd::new(socket.as_fd(), PollFlags::empty())];
    fds.extend(changes.map(|changes| PollFd::new(changes.as_fd(), PollFlags::POLLIN)));
    let pause: u16 = if changes.is_some() { 1000 } else { 100 };
    let _ = poll(&mut fds, PollTimeout::from(pause));
    let gone = PollFlags::POLLHUP | PollFlags::POLLERR | PollFlags::POLLNVAL;
    let left = fds[0].revents().is_some_and(|events| events.intersects(gone));
    if let Some(changes) = changes {
        changes.take();
    }
    left
}

/// Reads the complete frames of a growing log.
#[derive(Debug, Default)]
struct Frames {
    file: Option<File>,
    rest: Vec<u8>,
}

impl Frames {
    /// Returns the frames that were added since the last call, as lines. Skips lines that are no frame: a full disk or
    /// a power cut may have torn them.
    fn next(&mut self, run_dir: &RunDir) -> io::Result<Vec<String>> {
        if self.file.is_none() {
            self.file = match File::open(run_dir.path("log")) {
                Ok(file) => Some(file),
                Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Vec::new()),
                Err(error) => return Err(error),
            };
        }
        let mut lines = Vec::new();
        let Some(file) = &mut self.file else {
            return Ok(lines);
        };
        let mut part = Vec::new();
        Read::by_ref(file).take(MAX_FRAME as u64).read_to_end(&mut part)?;
        self.rest.extend_from_slice(&part);
        let mut start = 0;
        while let Some(length) = self.rest[start..].iter().position(|&byte| byte == b'\n') {
            let line = &self.rest[start..=start + length];
            if Frame::from_line(line).is_ok() {
                lines.push(String::from_utf8_lossy(line).into_owned());
            }
            start += length + 1;
        }
        self.rest.drain(..start);
        Ok(lines)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::run::run_dir::Claim;
    use std::io::BufRead;

    fn run_dir(paths: &ClientPaths) -> RunDir {
        let id = "0123456789abcdef0123456789abcdef".parse().unwrap();
        match RunDir::claim(paths, id, "apu/1 update").unwrap() {
            Claim::New(run_dir) | Claim::Existing(run_dir) => run_dir,
        }
    }

    fn line(text: &str) -> Frame {
        Frame::Line { text: text.into() }
    }

    #[test]
    fn a_reader_gets_everything_from_the_start_to_the_result() {
        let root = tempfile::tempdir().unwrap();
        let paths = ClientPaths::below(root.path());
        let run = run_dir(&paths);
        let working = run.try_lock().unwrap();
        let mut log = run.start_log().unwrap();
        log.frame(&line("before"));
        let (mut here, there) = UnixStream::pair().unwrap();
        let reader = std::thread::spawn(move || {
            let lines = io::BufReader::new(there).lines();
            lines.map_while(Result::ok).collect::<Vec<_>>()
        });
        let writer = std::thread::spawn(move || {
            std::thread::sleep(Duration::from_millis(50));
            log.frame(&line("after"));
            run.finish(&mut log, RunResult::new(ClientOutcome::Changed))
                .unwrap();
            drop(working);
        });
        follow(&paths, &run_dir(&paths), &mut here, BEGIN_TIMEOUT).unwrap();
        drop(here);
        writer.join().unwrap();
        let lines = reader.join().unwrap();
        assert_eq!(lines.len(), 3, "{lines:?}");
        assert!(lines[2].contains("\"changed\""));
    }

    #[test]
    fn a_torn_line_is_passed_over() {
        let root = tempfile::tempdir().unwrap();
        let paths = ClientPaths::below(root.path());
        let run = run_dir(&paths);
        std::fs::write(
            run.path("log"),
            "{\"frame\":\"line\",\"te\n{\"frame\":\"line\",\"text\":\"x\"}\n{\"fra",
        )
        .unwrap();
        let mut frames = Frames::default();
        assert_eq!(frames.next(&run).unwrap().len(), 1);
        assert_eq!(frames.next(&run).unwrap().len(), 0);
    }

    #[test]
    fn a_reader_that_leaves_ends_only_the_following() {
        let root = tempfile::tempdir().unwrap();
        let paths = ClientPaths::below(root.path());
        let run = run_dir(&paths);
        let _working = run.try_lock().unwrap();
        run.start_log().unwrap();
        let (mut here, there) = UnixStream::pair().unwrap();
        drop(there);
        let started = Instant::now();
        follow(&paths, &run, &mut here, BEGIN_TIMEOUT).unwrap();
        assert!(started.elapsed() < Duration::from_secs(5));
        assert!(run.result().is_none());
    }
}
