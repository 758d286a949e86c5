//! A connection whose other side has to read: one that takes nothing, or next to nothing, is closed.

use std::io;
use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::Duration;

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::time::{Instant, Sleep, sleep_until};

/// How slowly a client may read.
#[derive(Debug, Clone, Copy)]
pub(super) struct Pace {
    /// In each such time in which we have to wait for it,
    pub(super) window: Duration,
    /// the client has to take this many bytes.
    pub(super) bytes: usize,
}

/// A wait for the client's next request, between two answers, is longer than this; a wait for it to read is seen to go on.
const PAUSE: Duration = Duration::from_secs(5);

/// A stream whose writes fail where the other side reads more slowly than a [`Pace`].
#[derive(Debug)]
pub(super) struct Stall<S> {
    stream: S,
    pace: Pace,
    end: Pin<Box<Sleep>>,
    moved: usize,
    is_waiting: bool,
    last: Instant,
}

impl<S> Stall<S> {
    pub(super) fn new(stream: S, pace: Pace) -> Self {
        let now = Instant::now();
        Self {
            stream,
            pace,
            end: Box::pin(sleep_until(now + pace.window)),
            moved: 0,
            is_waiting: false,
            last: now,
        }
    }

    fn check(&mut self, cx: &mut Context<'_>, written: Poll<io::Result<usize>>) -> Poll<io::Result<usize>> {
        if let Poll::Ready(result) = written {
            self.is_waiting = false;
            self.last = Instant::now();
            self.moved = self.moved.saturating_add(*result.as_ref().unwrap_or(&0));
            return Poll::Ready(result);
        }
        let now = Instant::now();
        if !self.is_waiting && now - self.last > PAUSE {
            self.begin(now);
        }
        self.is_waiting = true;
        while self.end.as_mut().poll(cx).is_ready() {
            if self.moved < self.pace.bytes {
                return Poll::Ready(Err(io::Error::new(
                    io::ErrorKind::TimedOut,
                    "the client does not read",
                )));
            }
            self.begin(now);
        }
        Poll::Pending
    }

    fn begin(&mut self, now: Instant) {
        self.moved = 0;
        self.end.as_mut().reset(now + self.pace.window);
    }
}

impl<S: AsyncRead + Unpin> AsyncRead for Stall<S> {
    fn poll_read(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        Pin::new(&mut self.get_mut().stream).poll_read(cx, buffer)
    }
}

impl<S: AsyncWrite + Unpin> AsyncWrite for Stall<S> {
    fn poll_write(self: Pin<&mut Self>, cx: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        let stall = self.get_mut();
        let written = Pin::new(&mut stall.stream).poll_write(cx, bytes);
        stall.check(cx, written)
    }

    fn poll_write_vectored(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        pieces: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        let stall = self.get_mut();
        let written = Pin::new(&mut stall.stream).poll_write_vectored(cx, pieces);
        stall.check(cx, written)
    }

    fn is_write_vectored(&self) -> bool {
        self.stream.is_write_vectored()
    }

    fn poll_flush(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.get_mut().stream).poll_flush(cx)
    }

    fn poll_shutdown(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.get_mut().stream).poll_shutdown(cx)
    }
}

#[cfg(test)]
mod tests {
    use tokio::io::{AsyncReadExt, AsyncWriteExt, duplex};
    use tokio::runtime::{Builder, Runtime};
    use tokio::time::sleep;

    use super::*;

    const PACE: Pace = Pace {
        window: Duration::from_millis(300),
        bytes: 100,
    };

    fn runtime() -> Runtime {
        Builder::new_current_thread().enable_all().build().unwrap()
    }

    #[test]
    fn one_that_reads_nothing_or_next_to_nothing_is_left() {
        runtime().block_on(async {
            for drip in [0, 1] {
                let (here, mut there) = duplex(64);
                let mut stall = Stall::new(here, PACE);
                let reader = tokio::spawn(async move {
                    let mut byte = [0];
                    loop {
                        sleep(Duration::from_millis(20)).await;
                        if drip > 0 && there.read_exact(&mut byte).await.is_err() {
                            break;
                        }
                    }
                });
                let error = stall.write_all(&[0; 100_000]).await.unwrap_err();
                assert_eq!(error.kind(), io::ErrorKind::TimedOut, "{drip}");
                reader.abort();
            }
        });
    }

    #[test]
    fn one_that_reads_on_is_served_however_long_it_takes() {
        runtime().block_on(async {
            let (here, mut there) = duplex(512);
            let mut stall = Stall::new(here, PACE);
            let reader = tokio::spawn(async move {
                let mut piece = [0; 512];
                let mut read = 0;
                while read < 20 * 512 {
                    sleep(Duration::from_millis(50)).await;
                    read += there.read(&mut piece).await.unwrap();
                }
            });
            stall.write_all(&[0; 20 * 512]).await.unwrap();
            reader.await.unwrap();
        });
    }
}
