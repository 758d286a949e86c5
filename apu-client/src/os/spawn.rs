//! Starts other programs with a constant environment, default signals, `/dev/null` as standard input, and only the
//! descriptors that the caller names.
//!
//! `std::process` passes on the signal mask and ignored signals, and cannot pass a fourth descriptor; `posix_spawn`
//! does both without unsafe code here. A program that ignores SIGCHLD breaks apt.

use std::ffi::CString;
use std::fmt;
use std::fs::File;
use std::io::{self, Read, Seek, Write};
use std::os::fd::{AsFd, AsRawFd, BorrowedFd};
use std::time::{Duration, Instant};

use nix::errno::Errno;
use nix::spawn::{PosixSpawnAttr, PosixSpawnFileActions, PosixSpawnFlags, posix_spawn};
use nix::sys::memfd::{MFdFlags, memfd_create};
use nix::sys::signal::{SigSet, Signal, kill};
use nix::sys::wait::{WaitPidFlag, WaitStatus, waitpid};
use nix::unistd::Pid;

/// The number of the descriptor that [`Streams::status`] becomes.
pub(crate) const STATUS_FD: i32 = 3;

/// The streams of a program; a missing one is `/dev/null`.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct Streams<'a> {
    pub(crate) stdin: Option<BorrowedFd<'a>>,
    pub(crate) stdout: Option<BorrowedFd<'a>>,
    pub(crate) stderr: Option<BorrowedFd<'a>>,
    /// Becomes descriptor [`STATUS_FD`].
    pub(crate) status: Option<BorrowedFd<'a>>,
}

/// How a program exited.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Exit {
    /// With an exit status.
    Code(i32),
    /// By a signal.
    Signal(i32),
    /// Unknown: somebody else reaped it.
    Unknown,
}

impl Exit {
    /// Returns the exit status as a shell shows it.
    pub(crate) fn code(self) -> Option<i32> {
        match self {
            Self::Code(code) => Some(code),
            Self::Signal(signal) => Some(128 + signal),
            Self::Unknown => None,
        }
    }
}

impl fmt::Display for Exit {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Code(code) => write!(formatter, "exit status {code}"),
            Self::Signal(signal) => write!(formatter, "signal {signal}"),
            Self::Unknown => formatter.write_str("an unknown exit status"),
        }
    }
}

/// Starts `program`, an absolute path, without waiting for it.
pub(crate) fn spawn<S: AsRef<str>>(
    program: &str,
    arguments: &[S],
    environment: &[&str],
    streams: Streams<'_>,
) -> io::Result<Pid> {
    start(program, arguments, environment, streams, PosixSpawnFlags::empty())
}

/// The same, as the leader of a process group of its own.
pub(crate) fn spawn_leader<S: AsRef<str>>(
    program: &str,
    arguments: &[S],
    environment: &[&str],
    streams: Streams<'_>,
) -> io::Result<Pid> {
    // The group's number is 0 unless another is set: that of the new process.
    let flags = PosixSpawnFlags::POSIX_SPAWN_SETPGROUP;
    start(program, arguments, environment, streams, flags)
}

fn start<S: AsRef<str>>(
    program: &str,
    arguments: &[S],
    environment: &[&str],
    streams: Streams<'_>,
    flags: PosixSpawnFlags,
) -> io::Result<Pid> {
    let null = File::options().read(true).write(true).open("/dev/null")?;
    let mut actions = PosixSpawnFileActions::init()?;
    for (fd, stream) in [streams.stdin, streams.stdout, streams.stderr]
        .into_iter()
        .enumerate()
    {
        let source = stream.map_or(null.as_raw_fd(), |stream| stream.as_raw_fd());
        actions.add_dup2(source, i32::try_from(fd).unwrap_or_default())?;
    }
    // Last, since it may land on a descriptor that is a source above.
    if let Some(status) = streams.status {
        actions.add_dup2(status.as_raw_fd(), STATUS_FD)?;
    }

    let mut attributes = PosixSpawnAttr::init()?;
    let mut defaults = SigSet::all();
    defaults.remove(Signal::SIGKILL);
    defaults.remove(Signal::SIGSTOP);
    attributes.set_sigdefault(&defaults)?;
    attributes.set_sigmask(&SigSet::empty())?;
    let signals = PosixSpawnFlags::POSIX_SPAWN_SETSIGDEF | PosixSpawnFlags::POSIX_SPAWN_SETSIGMASK;
    attributes.set_flags(flags | signals)?;

    let words = |words: Vec<&str>| {
        let words: Result<Vec<CString>, _> = words.into_iter().map(CString::new).collect();
        words.map_err(io::Error::other)
    };
    let argv = std::iter::once(program).chain(arguments.iter().map(AsRef::as_ref));
    let argv = words(argv.collect())?;
    let envp = words(environment.to_vec())?;
    Ok(posix_spawn(program, &actions, &attributes, &argv, &envp)?)
}

/// Returns how long a program is left alone before it is looked at again, after it has run for so long: a twentieth of that, so that
/// one that takes minutes costs no processor time meanwhile.
pub(crate) fn nap(elapsed: Duration) -> Duration {
    (elapsed / 20).clamp(Duration::from_millis(1), Duration::from_millis(250))
}

/// Returns how a started program exited; none while it runs.
pub(crate) fn poll(pid: Pid) -> Option<Exit> {
    loop {
        return match waitpid(pid, Some(WaitPidFlag::WNOHANG)) {
            Ok(WaitStatus::Exited(_, code)) => Some(Exit::Code(code)),
            Ok(WaitStatus::Signaled(_, signal, _)) => Some(Exit::Signal(signal as i32)),
            Ok(_) => None,
            Err(Errno::EINTR) => continue,
            Err(_) => Some(Exit::Unknown),
        };
    }
}

/// Returns the path of this program, or of the program that an upgrade has replaced it with.
pub(crate) fn current_program() -> io::Result<String> {
    let path = std::env::current_exe()?;
    let path = path
        .to_str()
        .ok_or_else(|| io::Error::other("the program's path is no text"))?;
    Ok(path.trim_end_matches(" (deleted)").to_owned())
}

/// What a program printed, and how it exited.
#[derive(Debug)]
pub(crate) struct Captured {
    pub(crate) exit: Exit,
    pub(crate) stdout: String,
    pub(crate) stderr: String,
}

impl Captured {
    pub(crate) fn succeeded(&self) -> bool {
        self.exit == Exit::Code(0)
    }
}

/// Maximal output of a captured program in bytes: it is kept in memory.
const MAX_CAPTURED: u64 = 64 * 1024 * 1024;

/// Runs a program that changes nothing and returns what it printed. Kills it after `limit`, or if it prints too much.
pub(crate) fn capture<S: AsRef<str>>(
    program: &str,
    arguments: &[S],
    environment: &[&str],
    limit: Duration,
) -> io::Result<Captured> {
    capture_with(program, arguments, environment, limit, None)
}

/// The same of a program that reads a text from its standard input, and that may be killed at any time.
pub(crate) fn capture_fed<S: AsRef<str>>(
    program: &str,
    arguments: &[S],
    environment: &[&str],
    limit: Duration,
    input: &str,
) -> io::Result<Captured> {
    let mut stdin = File::from(memfd_create(c"stdin", MFdFlags::MFD_CLOEXEC)?);
    stdin.write_all(input.as_bytes())?;
    stdin.rewind()?;
    capture_with(program, arguments, environment, limit, Some(stdin.as_fd()))
}

fn capture_with<S: AsRef<str>>(
    program: &str,
    arguments: &[S],
    environment: &[&str],
    limit: Duration,
    stdin: Option<BorrowedFd<'_>>,
) -> io::Result<Captured> {
    // Memory files never fill up and never block, unlike pipes.
    let mut stdout = File::from(memfd_create(c"stdout", MFdFlags::MFD_CLOEXEC)?);
    let mut stderr = File::from(memfd_create(c"stderr", MFdFlags::MFD_CLOEXEC)?);
    let streams = Streams {
        stdin,
        stdout: Some(stdout.as_fd()),
        stderr: Some(stderr.as_fd()),
        ..Streams::default()
    };
    let pid = spawn(program, arguments, environment, streams)?;
    let begun = Instant::now();
    let deadline = begun + limit;
    let length = |file: &File| file.metadata().map_or(u64::MAX, |metadata| metadata.len());
    let exit = loop {
        if let Some(exit) = poll(pid) {
            break exit;
        }
        let is_late = Instant::now() >= deadline;
        if is_late || length(&stdout).saturating_add(length(&stderr)) > MAX_CAPTURED {
            let _ = kill(pid, Signal::SIGKILL);
            let _ = waitpid(pid, None);
            let text = if is_late {
                format!("{program} did not end within {} s", limit.as_secs())
            } else {
                format!("{program} printed more than {MAX_CAPTURED} bytes")
            };
            return Err(io::Error::new(io::ErrorKind::TimedOut, text));
        }
        std::thread::sleep(nap(begun.elapsed()));
    };
    let text = |file: &mut File| -> io::Result<String> {
        let mut bytes = Vec::new();
        file.rewind()?;
        Read::by_ref(file).take(MAX_CAPTURED).read_to_end(&mut bytes)?;
        Ok(String::from_utf8_lossy(&bytes).into_owned())
    };
    Ok(Captured {
        exit,
        stdout: text(&mut stdout)?,
        stderr: text(&mut stderr)?,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn shell(script: &str, limit: Duration) -> io::Result<Captured> {
        capture("/bin/sh", &["-c", script], &["ONLY=this"], limit)
    }

    #[test]
    fn a_program_that_takes_long_is_looked_at_rarely() {
        let mut at = Duration::ZERO;
        let mut looks = 0;
        while at < Duration::from_secs(60) {
            at += nap(at);
            looks += 1;
        }
        assert!(looks < 400, "{looks}");
        assert_eq!(nap(Duration::from_millis(10)), Duration::from_millis(1));
    }

    #[test]
    fn a_program_sees_only_the_environment_it_is_given() {
        let captured = shell(
            "/usr/bin/env | grep -v ^PWD= | grep -v ^_=",
            Duration::from_secs(9),
        )
        .unwrap();
        assert_eq!(captured.stdout, "ONLY=this\n");
    }

    #[test]
    fn standard_input_is_at_its_end() {
        let captured = shell("read x; echo $? >&2; exit 7", Duration::from_secs(9)).unwrap();
        assert_eq!((captured.stderr.as_str(), captured.exit.code()), ("1\n", Some(7)));
    }

    #[test]
    fn a_program_reads_what_it_is_fed_and_then_the_end() {
        let arguments = ["-c", "/bin/cat; /bin/cat"];
        let fed = capture_fed("/bin/sh", &arguments, &[], Duration::from_secs(9), "one\ntwo\n").unwrap();
        assert_eq!(fed.stdout, "one\ntwo\n");
    }

    #[test]
    fn signals_that_we_block_are_not_blocked_in_the_program() {
        let blocked = std::thread::spawn(|| {
            SigSet::all().thread_block().unwrap();
            shell("kill -TERM $$; echo survived", Duration::from_secs(9)).unwrap()
        });
        let captured = blocked.join().unwrap();
        assert_eq!((captured.stdout.as_str(), captured.exit), ("", Exit::Signal(15)));
    }

    #[test]
    fn a_program_that_does_not_end_is_ended() {
        let error = shell("exec sleep 60", Duration::from_millis(50)).unwrap_err();
        assert_eq!(error.kind(), io::ErrorKind::TimedOut);
    }

    #[test]
    fn a_program_that_prints_without_end_is_ended() {
        let error = shell("exec /usr/bin/yes", Duration::from_secs(300)).unwrap_err();
        assert!(error.to_string().contains("printed more than"), "{error}");
    }
}
