//! Reads frames from what a host sends: bounded, and with everything that is no frame passed over and counted.

use apu_proto::{Frame, MAX_FRAME};
use tokio::io::{AsyncBufReadExt, AsyncRead, BufReader};

/// The most bytes of one answer. A run's whole output is far smaller.
pub const MAX_ANSWER: u64 = 256 * 1024 * 1024;

/// Frames from bytes.
pub struct FrameReader<R> {
    bytes: BufReader<R>,
    line: Vec<u8>,
    left: u64,
    /// Lines that were no frames.
    pub garbage: u64,
    /// How the first of them begins, not to be trusted.
    pub stray: String,
}

/// The most of a line that is kept although it is no frame.
const LONGEST_STRAY: usize = 300;

impl<R: AsyncRead + Unpin> FrameReader<R> {
    /// Reads frames from `bytes`.
    pub fn new(bytes: R) -> Self {
        Self {
            bytes: BufReader::new(bytes),
            line: Vec::new(),
            left: MAX_ANSWER,
            garbage: 0,
            stray: String::new(),
        }
    }

    /// The next frame that is known; none at the end, which is also where the answer is too long or cannot be read.
    ///
    /// Cancelling loses nothing: a part of a line is kept.
    pub async fn next(&mut self) -> Option<Frame> {
        loop {
            let buffer = self.bytes.fill_buf().await.unwrap_or_default();
            if buffer.is_empty() || self.left == 0 {
                // A last line without its end was cut off, whatever it looks like.
                return None;
            }
            let end = buffer.iter().position(|byte| *byte == b'\n');
            let taken = end.map_or(buffer.len(), |end| end + 1);
            // A line beyond the limit keeps one byte more than the limit, so that its end finds it too long.
            let room = (MAX_FRAME + 1).saturating_sub(self.line.len());
            self.line.extend_from_slice(&buffer[..taken.min(room)]);
            self.bytes.consume(taken);
            self.left = self.left.saturating_sub(taken as u64);
            if end.is_none() {
                continue;
            }
            let frame = (self.line.len() <= MAX_FRAME)
                .then(|| Frame::from_line(&self.line).ok())
                .flatten();
            if frame.is_none() && self.stray.is_empty() {
                let beginning = &self.line[..self.line.len().min(LONGEST_STRAY)];
                String::from_utf8_lossy(beginning)
                    .trim()
                    .clone_into(&mut self.stray);
            }
            self.line.clear();
            if self.line.capacity() > 1024 * 1024 {
                self.line = Vec::new();
            }
            match frame {
                Some(Frame::Unknown) => {}
                Some(frame) => return Some(frame),
                None => self.garbage += 1,
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use apu_proto::ClientOutcome;

    async fn read(bytes: &[u8]) -> (Vec<Frame>, u64) {
        let mut reader = FrameReader::new(bytes);
        let mut frames = Vec::new();
        while let Some(frame) = reader.next().await {
            frames.push(frame);
        }
        (frames, reader.garbage)
    }

    #[tokio::test]
    async fn what_is_no_frame_is_passed_over_and_counted() {
        let result = "{\"frame\":\"result\",\"outcome\":\"changed\",\"answer\":\"plain\"}\n";
        let text = format!("motd\n{{\"frame\":\"line\"}}\n\u{1b}]0;x\n{{\"frame\":\"later\"}}\n{result}");
        let (frames, garbage) = read(text.as_bytes()).await;
        assert!(
            matches!(&frames[..], [Frame::Result(result)] if result.outcome == ClientOutcome::Changed),
            "{frames:?}"
        );
        assert_eq!(garbage, 3);
        let mut reader = FrameReader::new(text.as_bytes());
        while reader.next().await.is_some() {}
        assert_eq!(reader.stray, "motd");
    }

    #[tokio::test]
    async fn a_result_that_was_cut_off_is_none() {
        assert_eq!(
            read(b"{\"frame\":\"result\",\"outcome\":\"changed\",\"answer\":\"plain\"}").await,
            (vec![], 0)
        );
    }

    #[tokio::test]
    async fn a_line_without_end_takes_no_memory_and_hides_nothing_after_it() {
        let mut bytes = vec![b' '; 3 * MAX_FRAME];
        bytes.extend_from_slice(b"\n{\"frame\":\"line\",\"text\":\"x\"}\n");
        let (frames, garbage) = read(&bytes).await;
        assert_eq!(frames, [Frame::Line { text: "x".into() }]);
        assert_eq!(garbage, 1);
    }
}
