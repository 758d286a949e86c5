//! A small web server inside a fleet's network: serves folders, counts what was asked for, and misbehaves on demand.

use std::fs::{self, File};
use std::io::{self, BufRead, BufReader, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread;
use std::time::Duration;

use anyhow::{Context, Result};
use nix::sched::{CloneFlags, setns};
use nix::unistd::Pid;

/// How the server answers.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Manner {
    /// As it should.
    #[default]
    Well,
    /// `503` to everything.
    Unavailable,
    /// Takes a request and never answers it.
    Silent,
}

/// What the server does now; the threads that answer look at it for each request.
#[derive(Default)]
struct State {
    root: PathBuf,
    manner: Manner,
    asked: Vec<String>,
    over: bool,
}

/// A web server, until it is dropped.
pub struct Web {
    state: Arc<Mutex<State>>,
    address: SocketAddr,
    network: PathBuf,
}

impl Web {
    /// Serves `root` at an address of the network of process `pid`.
    pub(crate) fn serve(pid: Pid, address: &str, root: PathBuf) -> Result<Self> {
        let network = PathBuf::from(format!("/proc/{pid}/ns/net"));
        let address: SocketAddr = address.parse()?;
        let state = Arc::new(Mutex::new(State {
            root,
            ..State::default()
        }));
        let listener = inside(&network, move || TcpListener::bind(address))
            .with_context(|| format!("cannot listen at {address}"))?;
        let shared = Arc::clone(&state);
        thread::spawn(move || {
            for stream in listener.incoming().flatten() {
                if lock(&shared).over {
                    return;
                }
                let shared = Arc::clone(&shared);
                // A client that goes away is its own affair.
                thread::spawn(move || drop(converse(stream, &shared)));
            }
        });
        Ok(Self {
            state,
            address,
            network,
        })
    }

    /// Serves another folder from the next request on.
    pub fn serve_instead(&self, root: PathBuf) {
        lock(&self.state).root = root;
    }

    /// Answers in another manner from the next request on.
    pub fn behave(&self, manner: Manner) {
        lock(&self.state).manner = manner;
    }

    /// The paths that were asked for so far, in their order.
    #[must_use]
    pub fn asked(&self) -> Vec<String> {
        lock(&self.state).asked.clone()
    }
}

impl Drop for Web {
    fn drop(&mut self) {
        lock(&self.state).over = true;
        let address = self.address;
        // Wakes the thread that accepts; where the fleet is gone already there is nobody to wake.
        let _ = inside(&self.network, move || TcpStream::connect(address).map(drop));
    }
}

/// Runs something on a thread inside a network namespace; sockets stay where they were made.
fn inside<T: Send + 'static>(
    network: &Path,
    action: impl FnOnce() -> io::Result<T> + Send + 'static,
) -> Result<T> {
    let namespace = File::open(network)?;
    let thread = thread::spawn(move || -> Result<T> {
        setns(namespace, CloneFlags::CLONE_NEWNET)?;
        Ok(action()?)
    });
    thread
        .join()
        .map_err(|_| anyhow::anyhow!("the thread in the network panicked"))?
}

fn lock(state: &Mutex<State>) -> MutexGuard<'_, State> {
    state.lock().unwrap_or_else(PoisonError::into_inner)
}

fn converse(stream: TcpStream, state: &Mutex<State>) -> io::Result<()> {
    stream.set_nodelay(true)?;
    let mut reader = BufReader::new(stream.try_clone()?);
    let mut stream = stream;
    let mut line = String::new();
    while reader.read_line(&mut line)? > 0 {
        let path = line.split(' ').nth(1).map(decoded).unwrap_or_default();
        let only_head = line.starts_with("HEAD ");
        loop {
            line.clear();
            if reader.read_line(&mut line)? == 0 || line == "\r\n" {
                break;
            }
        }
        line.clear();
        let (manner, file) = {
            let mut state = lock(state);
            state.asked.push(path.clone());
            (state.manner, below(&state.root, &path))
        };
        let bytes = file.and_then(|file| fs::read(file).ok());
        let (status, body) = match (manner, bytes) {
            (Manner::Silent, _) => {
                thread::sleep(Duration::from_secs(3600));
                return Ok(());
            }
            (Manner::Unavailable, _) => ("503 Service Unavailable", Vec::new()),
            (Manner::Well, None) => ("404 Not Found", Vec::new()),
            (Manner::Well, Some(body)) => ("200 OK", body),
        };
        let mut answer = format!("HTTP/1.1 {status}\r\nContent-Length: {}\r\n\r\n", body.len()).into_bytes();
        if !only_head {
            answer.extend(body);
        }
        stream.write_all(&answer)?;
    }
    Ok(())
}

/// The file that a path names below a root; nothing for one that leads out of it.
fn below(root: &Path, path: &str) -> Option<PathBuf> {
    let parts = path.split('/').filter(|part| !part.is_empty());
    parts
        .clone()
        .all(|part| part != "..")
        .then(|| parts.fold(root.to_owned(), |path, part| path.join(part)))
}

/// `%2b` is a `+`: apt encodes it in the names of packages.
fn decoded(path: &str) -> String {
    let mut parts = path.split('%');
    let mut text = parts.next().unwrap_or_default().to_owned();
    for part in parts {
        match part
            .get(..2)
            .and_then(|digits| u8::from_str_radix(digits, 16).ok())
        {
            Some(byte) => {
                text.push(char::from(byte));
                text.push_str(&part[2..]);
            }
            None => {
                text.push('%');
                text.push_str(part);
            }
        }
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_plus_arrives_encoded() {
        assert_eq!(decoded("/pool/pkg-x%2b_1.0.deb"), "/pool/pkg-x+_1.0.deb");
        assert_eq!(decoded("/100%"), "/100%");
    }

    #[test]
    fn no_path_leads_out_of_the_root() {
        assert_eq!(below(Path::new("/srv"), "/a//b"), Some(PathBuf::from("/srv/a/b")));
        assert_eq!(below(Path::new("/srv"), "/a/../../etc/passwd"), None);
    }
}
