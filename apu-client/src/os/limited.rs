//! Runs a program of somebody else's within limits of time and output, in a process group that ends with it.

use std::fs::File;
use std::io::{self, Read};
use std::os::fd::AsFd;
use std::time::{Duration, Instant};

use nix::errno::Errno;
use nix::fcntl::{FcntlArg, OFlag, fcntl};
use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use nix::sys::signal::{Signal, killpg};
use nix::sys::wait::{Id, WaitPidFlag, WaitStatus, waitid};
use nix::unistd::{Pid, pipe2};

use super::spawn::{self, Exit, Streams};

/// How long a killed program is waited for.
const REAP_TIMEOUT: Duration = Duration::from_secs(5);

/// The limits of a program.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Limits {
    pub(crate) time: Duration,
    /// The most bytes that it may print.
    pub(crate) output: usize,
}

/// How a program ended within its limits, or at one of them.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum End {
    Exited(Exit),
    /// Its time was over.
    Late,
    /// It printed too much.
    TooLong,
    /// The caller stopped it.
    Stopped,
}

/// A program that has ended, and what it printed on both streams.
#[derive(Debug)]
pub(crate) struct Ended {
    pub(crate) end: End,
    pub(crate) output: String,
}

/// Runs a program to its end or to a limit. Whatever is left of its process group then is killed: a background child holds
/// nothing up. `is_stopped` is asked again and again meanwhile.
pub(crate) fn run<S: AsRef<str>>(
    program: &str,
    arguments: &[S],
    environment: &[&str],
    limits: Limits,
    is_stopped: &mut dyn FnMut() -> bool,
) -> io::Result<Ended> {
    // A pipe and no file: what is printed takes no more room than is read, and `>/dev/stderr` does not truncate it.
    let (reader, writer) = pipe2(OFlag::O_CLOEXEC)?;
    fcntl(&reader, FcntlArg::F_SETFL(OFlag::O_NONBLOCK))?;
    let streams = Streams {
        stdout: Some(writer.as_fd()),
        stderr: Some(writer.as_fd()),
        ..Streams::default()
    };
    let begun = Instant::now();
    let deadline = begun + limits.time;
    let leader = spawn::spawn_leader(program, arguments, environment, streams)?;
    drop(writer);
    let mut output = Output {
        reader: Some(File::from(reader)),
        bytes: Vec::new(),
        most: limits.output,
    };
    let end = loop {
        if output.read_new() {
            break End::TooLong;
        }
        if has_ended(leader) {
            break End::Exited(Exit::Unknown);
        }
        if Instant::now() >= deadline {
            break End::Late;
        }
        if is_stopped() {
            break End::Stopped;
        }
        output.wait(spawn::nap(begun.elapsed()));
    };
    // The leader is not reaped yet, so its number is no other group's.
    let _ = killpg(leader, Signal::SIGKILL);
    let exit = reap(leader);
    let end = match end {
        End::Exited(_) if output.read_new() => End::TooLong,
        End::Exited(_) => End::Exited(exit),
        other => other,
    };
    Ok(Ended {
        end,
        output: String::from_utf8_lossy(&output.bytes).into_owned(),
    })
}

/// Whether the program has ended; it stays to be reaped.
fn has_ended(leader: Pid) -> bool {
    let flags = WaitPidFlag::WEXITED | WaitPidFlag::WNOHANG | WaitPidFlag::WNOWAIT;
    loop {
        match waitid(Id::Pid(leader), flags) {
            Ok(WaitStatus::StillAlive) => return false,
            Err(Errno::EINTR) => {}
            _ => return true,
        }
    }
}

fn reap(leader: Pid) -> Exit {
    let deadline = Instant::now() + REAP_TIMEOUT;
    loop {
        if let Some(exit) = spawn::poll(leader) {
            return exit;
        }
        // In a system call that no signal ends, such as on a dead disk: it is left, and reaped by PID 1 once we are gone.
        if Instant::now() >= deadline {
            return Exit::Unknown;
        }
        std::thread::sleep(Duration::from_millis(1));
    }
}

/// What a program printed so far.
struct Output {
    /// The reading end of the pipe; none after the end of the output.
    reader: Option<File>,
    bytes: Vec<u8>,
    most: usize,
}

impl Output {
    /// Reads what is there, and returns whether it is too much.
    fn read_new(&mut self) -> bool {
        let mut buffer = [0; 4096];
        while let Some(reader) = &mut self.reader {
            match reader.read(&mut buffer) {
                Ok(0) => self.reader = None,
                Ok(count) => {
                    let room = self.most - self.bytes.len();
                    self.bytes.extend(&buffer[..count.min(room)]);
                    if count > room {
                        return true;
                    }
                }
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => return false,
                Err(_) => self.reader = None,
            }
        }
        false
    }

    /// Waits for so long, or until more was printed.
    fn wait(&self, nap: Duration) {
        match &self.reader {
            Some(reader) => {
                let mut fds = [PollFd::new(reader.as_fd(), PollFlags::POLLIN)];
                let _ = poll(&mut fds, PollTimeout::try_from(nap).unwrap_or(PollTimeout::ZERO));
            }
            None => std::thread::sleep(nap),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn shell_until(script: &str, time: Duration, is_stopped: &mut dyn FnMut() -> bool) -> Ended {
        let limits = Limits { time, output: 65536 };
        let environment = ["PATH=/usr/bin:/bin"];
        run("/bin/sh", &["-c", script], &environment, limits, is_stopped).unwrap()
    }

    fn shell(script: &str, time: Duration) -> Ended {
        shell_until(script, time, &mut || false)
    }

    const MINUTE: Duration = Duration::from_secs(60);

    /// Whether a process still sleeps for so many seconds. One that was killed may need a moment to end.
    fn is_asleep(seconds: &str) -> bool {
        for _ in 0..100 {
            if !is_there(seconds) {
                return false;
            }
            std::thread::sleep(Duration::from_millis(50));
        }
        true
    }

    fn is_there(seconds: &str) -> bool {
        let command = format!("sleep\0{seconds}\0");
        let processes = std::fs::read_dir("/proc").unwrap().flatten();
        let mut commands = processes.filter_map(|entry| std::fs::read(entry.path().join("cmdline")).ok());
        commands.any(|found| found == command.as_bytes())
    }

    #[test]
    fn both_streams_are_kept_in_their_order_with_the_exit_status() {
        let ended = shell("echo one; echo two >&2; echo three; exit 7", MINUTE);
        assert_eq!(ended.output, "one\ntwo\nthree\n");
        assert_eq!(ended.end, End::Exited(Exit::Code(7)));
        assert_eq!(shell("kill -9 $$", MINUTE).end, End::Exited(Exit::Signal(9)));
    }

    #[test]
    fn a_program_that_hangs_ends_in_its_time_with_its_children() {
        let begun = Instant::now();
        let ended = shell(
            "echo waiting; sleep 86391 & sleep 86392",
            Duration::from_millis(300),
        );
        assert_eq!((ended.end, ended.output.as_str()), (End::Late, "waiting\n"));
        assert!(begun.elapsed() < Duration::from_secs(20));
        assert!(!is_asleep("86391") && !is_asleep("86392"));
    }

    #[test]
    fn a_child_that_is_left_behind_holds_nothing_up_and_is_ended() {
        let begun = Instant::now();
        let ended = shell("sleep 86393 & echo done", MINUTE);
        assert_eq!(
            (ended.end, ended.output.as_str()),
            (End::Exited(Exit::Code(0)), "done\n")
        );
        assert!(begun.elapsed() < Duration::from_secs(20));
        assert!(!is_asleep("86393"));
        // One that leaves the group goes on, and holds nothing up either.
        let ended = shell("setsid sleep 3 & echo done", MINUTE);
        assert_eq!(ended.end, End::Exited(Exit::Code(0)));
        assert!(begun.elapsed() < Duration::from_secs(20));
    }

    #[test]
    fn a_program_that_prints_without_end_is_ended_at_its_bound() {
        let ended = shell("yes", MINUTE);
        assert_eq!((ended.end, ended.output.len()), (End::TooLong, 65536));
        let ended = shell("head -c 65537 /dev/zero", MINUTE);
        assert_eq!((ended.end, ended.output.len()), (End::TooLong, 65536));
        let ended = shell("head -c 65536 /dev/zero", MINUTE);
        assert_eq!(
            (ended.end, ended.output.len()),
            (End::Exited(Exit::Code(0)), 65536)
        );
    }

    #[test]
    fn a_program_without_output_is_waited_for() {
        let ended = shell("exec >&- 2>&-; sleep 0.2; exit 3", MINUTE);
        assert_eq!(ended.end, End::Exited(Exit::Code(3)));
    }

    #[test]
    fn the_caller_can_stop_it() {
        let begun = Instant::now();
        let mut asked = 0;
        let ended = shell_until("sleep 86394", MINUTE, &mut || {
            asked += 1;
            asked > 3
        });
        assert_eq!(ended.end, End::Stopped);
        assert!(begun.elapsed() < Duration::from_secs(20) && !is_asleep("86394"));
    }
}
