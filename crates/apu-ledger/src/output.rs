//! What hosts print, packed: kept as it is, and cleaned only where it is shown.

use std::io::{self, Read};
use std::slice::Chunks;

use crate::limit::begin_of;

/// How much of one host's output is gathered before it is packed, and the most that one part holds, in bytes.
pub(crate) const PART: usize = 64 * 1024;

/// How much of one host's output is kept, in bytes; the client itself keeps all of it.
pub(crate) const MOST: usize = 4 << 20;

/// What a host printed that is not on the disk yet.
#[derive(Debug, Default)]
pub(crate) struct Output {
    text: Vec<u8>,
    /// How much there is of it already, in bytes.
    length: usize,
    /// Whether the host has ended: it prints nothing more, unless it has another turn.
    pub(crate) is_over: bool,
}

impl Output {
    /// Adds a line; cuts it where too much would be kept, and keeps nothing after that.
    pub(crate) fn add(&mut self, line: &str) {
        self.is_over = false;
        let Some(left) = MOST.checked_sub(self.length + 1) else {
            return;
        };
        let kept = begin_of(line, left);
        self.text.extend_from_slice(kept.as_bytes());
        self.text.push(b'\n');
        self.length = if kept.len() < line.len() {
            MOST
        } else {
            self.length + kept.len() + 1
        };
    }

    /// Whether there is something to write: a whole part, or with `all` anything.
    pub(crate) fn is_waiting(&self, all: bool) -> bool {
        self.text.len() >= PART || (all && !self.text.is_empty())
    }

    /// What is to be written, none of it longer than a part.
    pub(crate) fn parts(&self) -> Chunks<'_, u8> {
        self.text.chunks(PART)
    }

    /// Takes note that all of it is written.
    pub(crate) fn set_written(&mut self) {
        // Its memory goes, too.
        self.text = Vec::new();
    }
}

/// Packs a part of what a host printed.
pub(crate) fn pack(text: &[u8]) -> io::Result<Vec<u8>> {
    zstd::encode_all(text, 1)
}

/// Unpacks what is at most so long.
pub(crate) fn unpack(packed: &[u8], most: u64) -> io::Result<Vec<u8>> {
    let mut text = Vec::new();
    zstd::Decoder::new(packed)?
        .take(most + 1)
        .read_to_end(&mut text)?;
    if text.len() as u64 > most {
        return Err(io::Error::other(format!("it is longer than {most} bytes")));
    }
    Ok(text)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_would_fill_the_memory_is_not_unpacked() {
        let packed = pack(&vec![0; 100_000]).unwrap();
        assert_eq!(unpack(&packed, 100_000).unwrap().len(), 100_000);
        assert!(unpack(&packed, 99_999).is_err());
    }

    #[test]
    fn a_line_is_cut_where_too_much_would_be_kept_and_no_part_is_longer_than_one() {
        let mut output = Output::default();
        output.add("first");
        output.add(&"é".repeat(MOST));
        output.add("last");
        let parts: Vec<&[u8]> = output.parts().collect();
        assert!(parts.iter().all(|part| part.len() <= PART));
        let text = String::from_utf8(parts.concat()).unwrap();
        assert!(text.starts_with("first\né") && text.ends_with("é\n"));
        assert!((MOST - 2..=MOST).contains(&text.len()), "{}", text.len());
        output.set_written();
        assert_eq!(output.text.capacity(), 0);
        output.add("last");
        assert!(!output.is_waiting(true));
    }

    #[test]
    fn as_much_is_kept_as_fits() {
        let mut output = Output::default();
        for _ in 0..MOST {
            output.add("0123456");
        }
        assert_eq!(output.text.len(), MOST);
    }
}
