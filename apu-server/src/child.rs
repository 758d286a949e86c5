//! Runs a program of this machine with a text to read, a time limit, and a bound on what it may say.

use std::io;
use std::process::{ExitStatus, Stdio};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use tokio::io::{AsyncRead, AsyncReadExt, AsyncWriteExt};
use tokio::process::Command;
use tokio::task::JoinHandle;
use tokio::time::timeout;

/// The most bytes that are kept of either stream.
const MOST: usize = 64 << 10;

/// How long what a program has said is waited for once it has ended: a child of it may hold its streams for ever.
const LAST_WORDS: Duration = Duration::from_millis(500);

/// How a program ended, and what it said.
#[derive(Debug)]
pub(crate) struct Ended {
    pub(crate) status: ExitStatus,
    pub(crate) out: String,
    pub(crate) errors: String,
}

/// Runs a program to its end. It is killed where that takes longer than `limit`.
///
/// # Errors
/// Where it cannot be started, or takes too long.
pub(crate) fn run(program: &mut Command, input: &[u8], limit: Duration) -> io::Result<Ended> {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()?;
    runtime.block_on(async {
        let mut child = (program.stdin(Stdio::piped()).stdout(Stdio::piped()))
            .stderr(Stdio::piped())
            .kill_on_drop(true)
            .spawn()?;
        let (out, errors) = (Heard::of(child.stdout.take()), Heard::of(child.stderr.take()));
        let stdin = child.stdin.take();
        let work = async {
            let write = async {
                if let Some(mut stdin) = stdin {
                    // One that does not read to the end says so by its status.
                    let _ = stdin.write_all(input).await;
                }
            };
            let ((), status) = tokio::join!(write, child.wait());
            status
        };
        let Ok(status) = timeout(limit, work).await else {
            let seconds = limit.as_secs();
            return Err(io::Error::new(
                io::ErrorKind::TimedOut,
                format!("it took longer than {seconds} s"),
            ));
        };
        Ok(Ended {
            status: status?,
            out: out.text().await,
            errors: errors.text().await,
        })
    })
}

/// What a stream has said so far.
struct Heard {
    bytes: Arc<Mutex<Vec<u8>>>,
    reader: Option<JoinHandle<()>>,
}

impl Heard {
    fn of(stream: Option<impl AsyncRead + Unpin + Send + 'static>) -> Self {
        let bytes = Arc::new(Mutex::new(Vec::new()));
        let kept = Arc::clone(&bytes);
        let reader = stream.map(|mut stream| {
            tokio::spawn(async move {
                let mut part = [0; 4096];
                while let Ok(length @ 1..) = stream.read(&mut part).await {
                    let mut kept = kept.lock().unwrap_or_else(PoisonError::into_inner);
                    let room = MOST.saturating_sub(kept.len()).min(length);
                    kept.extend_from_slice(&part[..room]);
                }
            })
        });
        Self { bytes, reader }
    }

    async fn text(self) -> String {
        if let Some(reader) = self.reader {
            let _ = timeout(LAST_WORDS, reader).await;
        }
        let bytes = self.bytes.lock().unwrap_or_else(PoisonError::into_inner);
        String::from_utf8_lossy(&bytes).into_owned()
    }
}

#[cfg(test)]
mod tests {
    use std::time::Instant;

    use super::*;

    fn sh(script: &str, input: &[u8], limit: Duration) -> io::Result<Ended> {
        run(Command::new("sh").args(["-c", script]), input, limit)
    }

    const LONG: Duration = Duration::from_secs(60);

    #[test]
    fn a_program_reads_its_text_and_is_heard() {
        let ended = sh("cat; echo no >&2; exit 3", b"text", LONG).unwrap();
        assert_eq!(
            (ended.status.code(), ended.out.as_str(), ended.errors.as_str()),
            (Some(3), "text", "no\n")
        );
        // Nobody reads a text that is larger than a pipe.
        assert!(sh("exit 0", &vec![b'x'; 1 << 20], LONG).unwrap().status.success());
    }

    #[test]
    fn a_program_that_never_ends_or_never_stops_talking_is_bounded() {
        let begin = Instant::now();
        let error = sh("exec sleep 1000", b"", Duration::from_millis(100)).unwrap_err();
        assert_eq!(error.kind(), io::ErrorKind::TimedOut);
        let ended = sh("head -c 1000000 /dev/zero", b"", LONG).unwrap();
        assert_eq!(ended.out.len(), MOST);
        // A child of it goes on, with its streams.
        let ended = sh("sleep 1000 & echo $!", b"", LONG).unwrap();
        assert!(begin.elapsed() < LONG);
        let kill = sh(&format!("kill {}", ended.out.trim()), b"", LONG);
        assert!(kill.unwrap().status.success());
    }
}
