//! The body of an answer: a text, or a part of a file that is read piece by piece.

use std::fs::File;
use std::io;
use std::os::unix::fs::FileExt;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};

use hyper::body::{Body, Bytes, Frame, SizeHint};
use tokio::task::{JoinHandle, spawn_blocking};

use super::activity::Busy;

/// Bytes read at once. A connection holds two pieces at most: one that is read and one that is sent.
const PIECE: u64 = 32 * 1024;

/// Sends `left` bytes of `file` from `at` on; without a file, nothing.
#[derive(Debug)]
pub(super) struct Part {
    file: Option<Arc<File>>,
    at: u64,
    left: u64,
    reading: Option<JoinHandle<io::Result<Bytes>>>,
    /// While this body is there, its connection is not idle.
    _busy: Busy,
}

impl Part {
    pub(super) fn of(file: File, at: u64, left: u64, busy: Busy) -> Self {
        Self {
            file: Some(Arc::new(file)),
            at,
            left,
            reading: None,
            _busy: busy,
        }
    }

    pub(super) fn empty(busy: Busy) -> Self {
        Self {
            file: None,
            at: 0,
            left: 0,
            reading: None,
            _busy: busy,
        }
    }
}

fn read(file: &File, at: u64, length: u64) -> io::Result<Bytes> {
    let mut piece = vec![0; usize::try_from(length).map_err(io::Error::other)?];
    file.read_exact_at(&mut piece, at)?;
    Ok(piece.into())
}

impl Body for Part {
    type Data = Bytes;
    type Error = io::Error;

    fn poll_frame(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<io::Result<Frame<Bytes>>>> {
        let part = self.get_mut();
        let Some(file) = part.file.as_ref().filter(|_| part.left > 0) else {
            return Poll::Ready(None);
        };
        let length = part.left.min(PIECE);
        let at = part.at;
        let reading = part.reading.get_or_insert_with(|| {
            let file = Arc::clone(file);
            spawn_blocking(move || read(&file, at, length))
        });
        let piece = ready!(Pin::new(reading).poll(cx));
        part.reading = None;
        // A file that became shorter ends the connection: what was promised cannot be sent.
        let piece = piece.unwrap_or_else(|error| Err(io::Error::other(error)));
        if piece.is_ok() {
            part.at += length;
            part.left -= length;
        } else {
            part.left = 0;
        }
        Poll::Ready(Some(piece.map(Frame::data)))
    }

    fn is_end_stream(&self) -> bool {
        self.left == 0
    }

    fn size_hint(&self) -> SizeHint {
        SizeHint::with_exact(self.left)
    }
}
