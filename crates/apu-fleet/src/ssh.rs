//! The way to hosts that we have: the system's ssh, with connections that are kept open for the next operation.
//!
//! A master is one `ssh` process that holds a connection; the next operation reaches it through its control socket
//! without starting a process. The openssh crate speaks to that socket. Its own way of starting masters does not fit: it
//! makes a directory with a random name for each, so that nobody finds the connection again, and it cannot be cancelled.

mod args;
mod config;
mod diagnose;
mod gates;
mod kept;
mod kex;
mod master;
mod probe;
mod route;
mod spawn;
mod uniform;

use std::fs::{self, DirBuilder, File};
use std::io::{self, Read};
use std::os::unix::fs::{DirBuilderExt, MetadataExt, PermissionsExt};
use std::path::{Path, PathBuf};
use std::pin::pin;
use std::sync::atomic::AtomicU32;
use std::sync::{Arc, OnceLock};
use std::time::Duration;

use apu_debian::UserName;
use apu_debian::debconf::Secret;
use apu_proto::Request;
use openssh::{Child, ChildStderr, ChildStdin, ChildStdout, Session, Stdio};
use sha2::{Digest, Sha256};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::sync::{OnceCell, Semaphore};
use tokio::time::timeout;

use self::gates::Gates;
use crate::host::Host;
use crate::reason::{ServerCause, ServerReason};
use crate::transport::{Answer, Transport};

pub use config::write_config;
pub use diagnose::diagnose;
pub use kex::KeyExchange;
pub use probe::offered_key;
pub use route::Route;
pub use spawn::Excerpt;

/// A kept connection that opens no channel within this time may be dead: a new one is tried beside it.
const STALE: Duration = Duration::from_secs(3);

/// How long the answers that go with a request, or some bytes of a file, may take to be sent.
const SEND_TIMEOUT: Duration = Duration::from_secs(60);

/// ssh adds a dot and 16 characters while it makes the socket, and a socket's path has at most 107.
const LONGEST_SOCKET: usize = 90;

/// How clients are reached, where the inventory does not say otherwise.
#[derive(Debug, Clone)]
pub struct SshOptions {
    /// The ssh program.
    pub program: PathBuf,
    /// The push user.
    pub user: UserName,
    /// The port of sshd; without one, what ssh's configuration says.
    pub port: Option<u16>,
    /// The push keys, in the order in which they are offered: two while one follows the other.
    pub keys: Vec<PathBuf>,
    /// The pinned host keys.
    pub known_hosts: PathBuf,
    /// A directory that only we can enter.
    pub run_directory: PathBuf,
    /// Which key exchange is offered first.
    pub key_exchange: KeyExchange,
    /// How long a host may take to answer.
    pub connect_timeout: Duration,
    /// How long an idle connection is kept; zero is not at all.
    pub keep_open: Duration,
    /// How many connections are kept at most; those used least lately are closed first.
    pub most_kept: usize,
    /// How many handshakes run at once.
    pub handshakes: usize,
}

/// The system's ssh.
#[derive(Debug)]
pub struct Ssh {
    options: SshOptions,
    sockets: PathBuf,
    /// What ssh reads in place of its own files, which it includes.
    config: PathBuf,
    /// Tells connections of these keys from those of others.
    key_mark: String,
    gate: Semaphore,
    gates: Gates,
    launches: AtomicU32,
    algorithms: OnceCell<Option<String>>,
    /// Whether ssh's configuration leads to every host alike.
    is_uniform: OnceLock<bool>,
}

impl Ssh {
    /// Makes the directories that it needs.
    ///
    /// # Errors
    /// Where they cannot be made, belong to somebody else, or lie too deep for a socket.
    pub fn new(options: SshOptions) -> io::Result<Self> {
        let sockets = options.run_directory.join("mux");
        for directory in [&options.run_directory, &sockets] {
            private(directory)?;
        }
        if sockets.as_os_str().len() + 40 > LONGEST_SOCKET {
            let text = format!("{}: too long a path for sockets", sockets.display());
            return Err(io::Error::new(io::ErrorKind::InvalidFilename, text));
        }
        let config = write_config(&options.run_directory, options.connect_timeout)?;
        let key_mark = options.keys.iter().map(|key| mark(key)).collect();
        Ok(Self {
            gate: Semaphore::new(options.handshakes),
            gates: Gates::default(),
            sockets,
            config,
            key_mark,
            launches: AtomicU32::new(0),
            algorithms: OnceCell::new(),
            is_uniform: OnceLock::new(),
            options,
        })
    }

    /// Ends a connection to `host` that was kept open, once nobody uses it any more.
    pub async fn hang_up(&self, host: &Host) {
        close(self.socket(host)).await;
    }

    /// Where a host's master listens: the same for everyone who would make the same connection.
    fn socket(&self, host: &Host) -> PathBuf {
        let options = &self.options;
        let mut hash = Sha256::new();
        let way = [
            host.to_string(),
            options.user.to_string(),
            options.port.map(|port| port.to_string()).unwrap_or_default(),
            options.known_hosts.display().to_string(),
            format!("{:?}", options.key_exchange),
            self.key_mark.clone(),
        ];
        for part in way {
            hash.update(part);
            hash.update([0]);
        }
        let hex: String = hash
            .finalize()
            .iter()
            .take(10)
            .map(|byte| format!("{byte:02x}"))
            .collect();
        self.sockets.join(hex)
    }

    async fn over(
        &self,
        socket: &Path,
        request: &Request,
        files: &[PathBuf],
        reused: bool,
    ) -> Result<SshAnswer, openssh::Error> {
        let session = Arc::new(Session::resume_mux(socket.into(), None));
        let mut command = session.clone().arc_raw_command(request.to_string());
        command
            .stdin(match request.answers() {
                None if files.is_empty() => Stdio::null(),
                _ => Stdio::piped(),
            })
            .stdout(Stdio::piped())
            .stderr(Stdio::piped());
        let mut child = command.spawn().await?;
        if let Some(stdin) = child.stdin().take() {
            let line = request
                .answers()
                .map(|answers| Secret::from(format!("{}\n", answers.line())));
            // A client that does not read it answers all the same; it is not waited for.
            tokio::spawn(send(stdin, line, files.to_vec()));
        }
        let (stdout, stderr) = (child.stdout().take(), child.stderr().take());
        let (Some(stdout), Some(stderr)) = (stdout, stderr) else {
            return Err(openssh::Error::Disconnected);
        };
        Ok(SshAnswer {
            child,
            stdout,
            stderr,
            reused,
            socket: socket.to_owned(),
            is_kept: !self.options.keep_open.is_zero(),
        })
    }
    /// Sends a request over a connection that was just made.
    async fn over_new(
        &self,
        socket: &Path,
        request: &Request,
        files: &[PathBuf],
    ) -> Result<SshAnswer, ServerReason> {
        let over = self.over(socket, request, files, false);
        match timeout(self.options.connect_timeout, over).await {
            Ok(Ok(answer)) => {
                self.let_go_of_the_oldest().await;
                Ok(answer)
            }
            Ok(Err(error)) => {
                Err(ServerReason::from(ServerCause::ConnectedAndFailed).detailed(error.to_string()))
            }
            Err(_) => Err(ServerCause::ConnectedAndSilent.into()),
        }
    }
}

/// Sends what goes with a request: a line, and then the bytes of files.
async fn send(mut stdin: ChildStdin, line: Option<Secret>, files: Vec<PathBuf>) -> io::Result<()> {
    if let Some(line) = line {
        timeout(SEND_TIMEOUT, stdin.write_all(line.expose().as_bytes())).await??;
    }
    let mut buffer = vec![0; 64 * 1024];
    for path in files {
        let mut file = File::open(path)?;
        loop {
            match file.read(&mut buffer)? {
                0 => break,
                length => timeout(SEND_TIMEOUT, stdin.write_all(&buffer[..length])).await??,
            }
        }
    }
    Ok(())
}

/// A key as a file: where it lies, and which of those that ever lay there it is.
fn mark(key: &Path) -> String {
    let which = fs::metadata(key).map(|key| format!("{}.{}.{}", key.ino(), key.mtime(), key.mtime_nsec()));
    format!("{}\0{}\0", key.display(), which.unwrap_or_default())
}

/// Makes a directory for us alone, or checks that it is one.
fn private(directory: &Path) -> io::Result<()> {
    DirBuilder::new().recursive(true).mode(0o700).create(directory)?;
    let found = fs::symlink_metadata(directory)?;
    // Whoever may write here could put a socket of their own in a master's place.
    if !found.is_dir() || found.mode() & 0o077 != 0 {
        fs::set_permissions(directory, fs::Permissions::from_mode(0o700))?;
    }
    Ok(())
}

impl Transport for Ssh {
    type Answer = SshAnswer;

    async fn ask(&self, host: &Host, request: &Request) -> Result<SshAnswer, ServerReason> {
        self.ask_sending(host, request, &[]).await
    }

    async fn ask_sending(
        &self,
        host: &Host,
        request: &Request,
        files: &[PathBuf],
    ) -> Result<SshAnswer, ServerReason> {
        let socket = self.socket(host);
        let reuse = self.over(&socket, request, files, true);
        let mut reuse = pin!(reuse);
        match timeout(STALE, &mut reuse).await {
            Ok(Ok(answer)) => {
                kept::touch(&socket);
                return Ok(answer);
            }
            // Nobody listens there, or nobody lets us in.
            Ok(Err(_)) => self.launch(host, &socket).await?,
            // The way may be dead, or the host only busy: whichever comes first.
            Err(_) => tokio::select! {
                launched = self.launch(host, &socket) => launched?,
                Ok(answer) = reuse => return Ok(answer),
            },
        }
        self.over_new(&socket, request, files).await
    }

    async fn ask_anew(&self, host: &Host, request: &Request) -> Result<SshAnswer, ServerReason> {
        let socket = self.socket(host);
        // The one before goes when its last channel is closed: else each new login would leave one behind.
        close(socket.clone()).await;
        self.launch(host, &socket).await?;
        self.over_new(&socket, request, &[]).await
    }
}

/// Asks a master to go once its last channel is closed.
async fn close(socket: PathBuf) {
    // A master that cannot be asked any more is gone, or goes when it has been idle.
    let _ = timeout(STALE, Session::resume_mux(socket.into(), None).close()).await;
}

/// A client's answer over ssh.
pub struct SshAnswer {
    child: Child<Arc<Session>>,
    stdout: ChildStdout,
    stderr: ChildStderr,
    reused: bool,
    /// The connection.
    socket: PathBuf,
    /// Whether it is kept for the next request.
    is_kept: bool,
}

impl Answer for SshAnswer {
    type Bytes = ChildStdout;

    fn reused(&self) -> bool {
        self.reused
    }

    fn bytes(&mut self) -> &mut ChildStdout {
        &mut self.stdout
    }

    async fn finish(self) {
        if !self.is_kept {
            self.let_go().await;
        }
    }

    async fn let_go(self) {
        close(self.socket.clone()).await;
    }

    async fn last_words(self) -> String {
        const LONGEST: u64 = 2048;
        let mut said = Vec::new();
        let mut stderr = self.stderr.take(LONGEST);
        let _ = timeout(Duration::from_secs(1), stderr.read_to_end(&mut said)).await;
        let mut words = String::from_utf8_lossy(&said).trim().to_owned();
        if words.is_empty() {
            words = match timeout(Duration::from_secs(1), self.child.wait()).await {
                Ok(Ok(status)) => status
                    .code()
                    .map_or_else(String::new, |code| format!("exit status {code}")),
                Ok(Err(error)) => error.to_string(),
                Err(_) => String::new(),
            };
        }
        if !self.is_kept {
            close(self.socket).await;
        }
        words
    }
}
