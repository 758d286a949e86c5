//! Accepts connections where systemd does not (`apu-client listen`). It starts a new handler process for each one and
//! does nothing else, so that no connection can harm the next.

use std::fs;
use std::io;
use std::os::fd::AsFd;
use std::os::unix::fs::{PermissionsExt, chown};
use std::os::unix::net::{UnixListener, UnixStream};
use std::path::Path;

use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use nix::sys::signal::{SigSet, Signal};
use nix::sys::signalfd::{SfdFlags, SignalFd};
use nix::sys::stat::{Mode, umask};
use nix::unistd::Pid;

use crate::os::accounts;
use crate::os::paths::ClientPaths;
use crate::os::spawn;
use crate::os::syslog;

/// Maximal number of handlers at once; further connections wait in the socket's queue.
const MAX_HANDLERS: usize = 64;

/// Serves the socket until SIGTERM or SIGINT. Runs go on without it.
pub(crate) fn listen(paths: &ClientPaths) -> io::Result<()> {
    std::env::set_current_dir("/")?;
    let socket = paths.path("/run/apu/apu.sock");
    let listener = bind(paths, &socket)?;
    let program = spawn::current_program()?;

    let mut handled = SigSet::empty();
    for signal in [Signal::SIGTERM, Signal::SIGINT, Signal::SIGCHLD, Signal::SIGHUP] {
        handled.add(signal);
    }
    handled.thread_block()?;
    let signals = SignalFd::with_flags(&handled, SfdFlags::SFD_CLOEXEC | SfdFlags::SFD_NONBLOCK)?;
    let mut handlers: Vec<Pid> = Vec::new();
    loop {
        let wanted = if handlers.len() < MAX_HANDLERS {
            PollFlags::POLLIN
        } else {
            PollFlags::empty()
        };
        let mut fds = [
            PollFd::new(signals.as_fd(), PollFlags::POLLIN),
            PollFd::new(listener.as_fd(), wanted),
        ];
        let _ = poll(&mut fds, PollTimeout::from(60_000_u16));
        let has_connection = fds[1]
            .revents()
            .is_some_and(|events| events.contains(PollFlags::POLLIN));
        while let Ok(Some(signal)) = signals.read_signal() {
            let is = |one: Signal| i32::try_from(signal.ssi_signo) == Ok(one as i32);
            if is(Signal::SIGTERM) || is(Signal::SIGINT) {
                let _ = fs::remove_file(&socket);
                return Ok(());
            }
        }
        handlers.retain(|pid| spawn::poll(*pid).is_none());
        if has_connection {
            match listener
                .accept()
                .and_then(|(connection, _)| start_handler(&program, &connection))
            {
                Ok(pid) => handlers.push(pid),
                Err(error) => {
                    syslog::log(&format!("cannot answer a connection: {error}"));
                    // Descriptors or processes are exhausted: wait instead of spinning.
                    std::thread::sleep(std::time::Duration::from_millis(100));
                }
            }
        }
    }
}

/// Starts a handler that inherits nothing but the connection.
fn start_handler(program: &str, connection: &UnixStream) -> io::Result<Pid> {
    let streams = spawn::Streams {
        stdin: Some(connection.as_fd()),
        stdout: Some(connection.as_fd()),
        ..spawn::Streams::default()
    };
    spawn::spawn(program, &["handle"], &[], streams)
}

/// Creates the socket. Only root and group apu can connect, from its first moment on.
fn bind(paths: &ClientPaths, socket: &Path) -> io::Result<UnixListener> {
    let group = accounts::group_id(paths, "apu")?
        .ok_or_else(|| io::Error::new(io::ErrorKind::NotFound, "there is no group apu"))?;
    if let Some(directory) = socket.parent() {
        fs::create_dir_all(directory)?;
        fs::set_permissions(directory, fs::Permissions::from_mode(0o755))?;
    }
    if UnixStream::connect(socket).is_ok() {
        let text = format!("somebody listens on {} already", socket.display());
        return Err(io::Error::new(io::ErrorKind::AddrInUse, text));
    }
    match fs::remove_file(socket) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
        _ => {}
    }
    let old = umask(Mode::from_bits_truncate(0o177));
    let listener = UnixListener::bind(socket);
    umask(old);
    let listener = listener?;
    chown(socket, Some(0), Some(group))?;
    fs::set_permissions(socket, fs::Permissions::from_mode(0o660))?;
    Ok(listener)
}
