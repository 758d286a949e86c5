//! Starts ssh without a terminal, so that it can ask nobody, and keeps a bounded part of what it says.

use std::collections::VecDeque;
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::time::Duration;
use std::{fs, io};

use nix::sys::stat::Mode;
use nix::unistd::mkfifo;
use tokio::io::{AsyncRead, AsyncReadExt};
use tokio::net::unix::pipe::{OpenOptions, Receiver};
use tokio::process::{ChildStderr, Command};
use tokio::time::timeout;

/// What is kept of the beginning and of the end of what ssh says. It dies of what it says last.
const HEAD: usize = 4 * 1024;
const TAIL: usize = 16 * 1024;

/// A command for this ssh in a session of its own: neither it nor the ssh of a jump host finds a terminal to ask on, and a
/// Ctrl-C at our terminal is ours. A connection that others may use must not end by it.
///
/// The first argument of setsid(1) is the program; more can be added.
pub(super) fn command(program: &Path) -> Command {
    let mut command = Command::new("/usr/bin/setsid");
    command
        .arg(program)
        .env("LC_ALL", "C")
        // ssh starts a ProxyCommand by it.
        .env("SHELL", "/bin/sh")
        .env("SSH_ASKPASS_REQUIRE", "never")
        .env_remove("SSH_ASKPASS")
        .env_remove("DISPLAY")
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(Stdio::piped())
        .kill_on_drop(true);
    command
}

/// What a program has said by now, in bounded memory.
#[derive(Debug, Default)]
pub struct Excerpt {
    head: Vec<u8>,
    tail: VecDeque<u8>,
    left_out: u64,
}

impl Excerpt {
    /// Takes more.
    pub fn take(&mut self, bytes: &[u8]) {
        let (first, rest) = bytes.split_at(bytes.len().min(HEAD - self.head.len()));
        self.head.extend_from_slice(first);
        self.tail.extend(rest);
        let much = self.tail.len().saturating_sub(TAIL);
        self.tail.drain(..much);
        self.left_out += much as u64;
    }

    /// Everything that comes out of a process, to its end.
    pub async fn of(mut output: impl AsyncRead + Unpin) -> Self {
        let mut excerpt = Self::default();
        let mut bytes = [0; 4096];
        while let Ok(count @ 1..) = output.read(&mut bytes).await {
            excerpt.take(&bytes[..count]);
        }
        excerpt
    }

    /// The text, with a line for what was left out.
    #[must_use]
    pub fn text(&self) -> String {
        let mut bytes = self.head.clone();
        if self.left_out > 0 {
            bytes.extend_from_slice(format!("\n… {} bytes …\n", self.left_out).as_bytes());
        }
        bytes.extend(&self.tail);
        String::from_utf8_lossy(&bytes).into_owned()
    }
}

/// A named pipe for what the ssh of a jump host says: the ssh of the host, which starts it, takes its standard error away
/// where it is to become a master.
pub(super) struct NamedPipe {
    path: PathBuf,
    reader: Receiver,
}

impl NamedPipe {
    pub(super) fn new(path: PathBuf) -> io::Result<Self> {
        mkfifo(&path, Mode::S_IRUSR | Mode::S_IWUSR)?;
        // Open for both, it has no end before a writer has come.
        match OpenOptions::new().read_write(true).open_receiver(&path) {
            Ok(reader) => Ok(Self { path, reader }),
            Err(error) => {
                let _ = fs::remove_file(&path);
                Err(error)
            }
        }
    }
}

impl Drop for NamedPipe {
    fn drop(&mut self) {
        let _ = fs::remove_file(&self.path);
    }
}

/// Listens to what a process says, and to what is said on the way to it.
pub(super) struct Ear {
    stderr: Option<ChildStderr>,
    heard: Excerpt,
    way: Option<NamedPipe>,
    on_the_way: Excerpt,
}

impl Ear {
    pub(super) fn at(stderr: Option<ChildStderr>, way: Option<NamedPipe>) -> Self {
        Self {
            stderr,
            heard: Excerpt::default(),
            way,
            on_the_way: Excerpt::default(),
        }
    }

    /// Whether more may come.
    pub(super) const fn is_open(&self) -> bool {
        self.stderr.is_some()
    }

    /// Waits for more. Cancelling loses nothing.
    pub(super) async fn hear(&mut self) {
        let mut bytes = [0; 4096];
        let Some(stderr) = &mut self.stderr else { return };
        let Some(way) = &mut self.way else {
            match stderr.read(&mut bytes).await {
                Ok(count) if count > 0 => self.heard.take(&bytes[..count]),
                _ => self.stderr = None,
            }
            return;
        };
        let mut of_the_way = [0; 4096];
        tokio::select! {
            read = stderr.read(&mut bytes) => match read {
                Ok(count) if count > 0 => self.heard.take(&bytes[..count]),
                _ => self.stderr = None,
            },
            read = way.reader.read(&mut of_the_way) => match read {
                Ok(count) if count > 0 => self.on_the_way.take(&of_the_way[..count]),
                _ => self.way = None,
            },
        }
    }

    /// Everything that was said, once the process has ended; another process may still hold the other end.
    pub(super) async fn all(mut self) -> String {
        let rest = async {
            while self.is_open() {
                self.hear().await;
            }
        };
        let _ = timeout(Duration::from_secs(1), rest).await;
        // Those on the way have ended before it has: what they said is there.
        let mut bytes = [0; 4096];
        while let Some(way) = &mut self.way
            && let Ok(count @ 1..) = way.reader.try_read(&mut bytes)
        {
            self.on_the_way.take(&bytes[..count]);
        }
        match self.on_the_way.text() {
            words if words.is_empty() => self.heard.text(),
            words => format!("{words}\n{}", self.heard.text()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_beginning_and_the_end_of_fifty_megabytes_are_kept_in_little_memory() {
        let mut excerpt = Excerpt::default();
        excerpt.take(b"first\n");
        for _ in 0..50_000 {
            excerpt.take(&[b'x'; 1024]);
        }
        excerpt.take(b"\nlast");
        let text = excerpt.text();
        assert!(text.starts_with("first\n") && text.ends_with("\nlast"));
        assert!(text.len() < HEAD + TAIL + 100, "{}", text.len());
        assert!(text.contains(" bytes …"));
        assert!(excerpt.tail.capacity() < 4 * TAIL);

        let mut short = Excerpt::default();
        short.take(b"a\n");
        short.take(&[b'b'; HEAD]);
        assert_eq!(short.text(), format!("a\n{}", "b".repeat(HEAD)));
    }

    #[tokio::test]
    async fn what_is_started_has_a_session_of_its_own_and_so_no_terminal() {
        let mut sh = command(Path::new("/bin/sh"));
        // The sixth field of its stat is its session; see proc_pid_stat(5).
        let ask = "cut -d ' ' -f 6 /proc/$$/stat >&2; echo $$ >&2";
        let mut child = sh.args(["-c", ask]).spawn().unwrap();
        let ear = Ear::at(child.stderr.take(), None);
        child.wait().await.unwrap();
        let said = ear.all().await;
        let words: Vec<&str> = said.split_whitespace().collect();
        assert_eq!(words.len(), 2, "{said}");
        assert_eq!(words[0], words[1], "{said}");
    }

    #[tokio::test]
    async fn what_is_said_on_the_way_is_heard_first_and_its_pipe_is_removed() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("said");
        let way = NamedPipe::new(path.clone()).unwrap();
        let mut sh = command(Path::new("/bin/sh"));
        let script = format!("echo outer >&2; echo jump >{}; exit 1", path.display());
        let mut child = sh.args(["-c", &script]).spawn().unwrap();
        let ear = Ear::at(child.stderr.take(), Some(way));
        child.wait().await.unwrap();
        assert_eq!(ear.all().await, "jump\n\nouter\n");
        assert!(!path.exists());
    }
}
