//! A small web server inside a fleet's network: serves folders, counts what was asked for, and misbehaves on demand.

mod answer;

use std::fs::File;
use std::io::{self, BufReader, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread::{self, JoinHandle};
use std::time::Duration;

use anyhow::{Context, Result};
use nix::sched::{CloneFlags, setns};
use nix::unistd::Pid;

use answer::{Asked, Content};

/// How the server answers.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Manner {
    /// As it should.
    #[default]
    Well,
    /// As it should, over a long line: a third of a second until an answer begins, then 4 MB a second.
    Slowly,
    /// `503` to everything.
    Unavailable,
    /// Takes a request and never answers it.
    Silent,
}

/// One answer of the server.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Answered {
    /// What was asked for.
    pub path: String,
    /// The HTTP status.
    pub status: u16,
    /// How much of it was sent, head and body.
    pub bytes: usize,
    /// Whether that is all of it, since the client did not go away meanwhile.
    pub whole: bool,
}

/// What the server does now; the threads that answer look at it for each request.
#[derive(Default)]
struct State {
    root: PathBuf,
    manner: Manner,
    asked: Vec<String>,
    answered: Vec<Answered>,
    over: bool,
}

/// A web server, until it is dropped.
pub struct Web {
    state: Arc<Mutex<State>>,
    address: SocketAddr,
    network: PathBuf,
    listening: Option<JoinHandle<()>>,
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
        let listening = thread::spawn(move || {
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
            listening: Some(listening),
        })
    }

    /// The folder that it serves.
    #[must_use]
    pub fn folder(&self) -> PathBuf {
        lock(&self.state).root.clone()
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

    /// The answers that were given so far, in their order.
    #[must_use]
    pub fn answered(&self) -> Vec<Answered> {
        lock(&self.state).answered.clone()
    }
}

impl Drop for Web {
    fn drop(&mut self) {
        lock(&self.state).over = true;
        let address = self.address;
        // Wakes the thread that accepts; where the fleet is gone already there is nobody to wake.
        let woken = inside(&self.network, move || TcpStream::connect(address).map(drop));
        // The address is free for another when this returns.
        if let (Ok(()), Some(listening)) = (woken, self.listening.take()) {
            let _ = listening.join();
        }
    }
}

/// Runs something on a thread inside a network namespace; sockets stay where they were made.
pub(crate) fn inside<T: Send + 'static>(
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
    while let Some(asked) = Asked::read(&mut reader)? {
        let (manner, file) = {
            let mut state = lock(state);
            state.asked.push(asked.path.clone());
            (state.manner, below(&state.root, &asked.path))
        };
        let content = match manner {
            Manner::Silent => {
                thread::sleep(Duration::from_secs(3600));
                return Ok(());
            }
            Manner::Unavailable => Err(503),
            Manner::Well | Manner::Slowly => file.and_then(|file| Content::read(&file)).ok_or(404),
        };
        let (status, bytes) = answer::to(&asked, content);
        send(
            &mut stream,
            &bytes,
            manner,
            &Ledger::open(state, asked.path, status),
        )?;
    }
    Ok(())
}

/// What of one answer was sent so far.
struct Ledger<'a> {
    state: &'a Mutex<State>,
    place: usize,
}

impl<'a> Ledger<'a> {
    fn open(state: &'a Mutex<State>, path: String, status: u16) -> Self {
        let answered = &mut lock(state).answered;
        answered.push(Answered {
            path,
            status,
            bytes: 0,
            whole: false,
        });
        let place = answered.len() - 1;
        Self { state, place }
    }

    fn note(&self, bytes: usize, whole: bool) {
        if let Some(answered) = lock(self.state).answered.get_mut(self.place) {
            (answered.bytes, answered.whole) = (bytes, whole);
        }
    }
}

fn send(stream: &mut TcpStream, bytes: &[u8], manner: Manner, ledger: &Ledger<'_>) -> io::Result<()> {
    let slowly = manner == Manner::Slowly;
    if slowly {
        thread::sleep(Duration::from_millis(300));
    }
    let mut sent = 0;
    for part in bytes.chunks(100_000) {
        // Noted first: who has all of it may look at once.
        ledger.note(sent + part.len(), sent + part.len() == bytes.len());
        if let Err(error) = stream.write_all(part) {
            ledger.note(sent, false);
            return Err(error);
        }
        sent += part.len();
        if slowly {
            thread::sleep(Duration::from_millis(25));
        }
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_path_leads_out_of_the_root() {
        assert_eq!(below(Path::new("/srv"), "/a//b"), Some(PathBuf::from("/srv/a/b")));
        assert_eq!(below(Path::new("/srv"), "/a/../../etc/passwd"), None);
    }
}
