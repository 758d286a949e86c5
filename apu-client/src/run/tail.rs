//! Reads a growing file line by line.

use std::fs::File;
use std::io::{self, Read, Seek, SeekFrom};
use std::path::Path;

use apu_proto::MAX_LINE;
use nix::errno::Errno;
use nix::fcntl::{FallocateFlags, fallocate};

/// A file that a program writes while it is read here.
#[derive(Debug)]
pub(crate) struct Tail {
    file: File,
    /// The start of a line whose end has not been written yet.
    rest: Vec<u8>,
    position: u64,
    /// How much of the file's start was freed on disk.
    released: u64,
}

impl Tail {
    /// A longer line is returned in parts.
    const MAX_PENDING: usize = 64 * 1024;
    /// Maximal number of bytes that one call of [`Self::lines`] reads.
    const MAX_READ: u64 = 1024 * 1024;

    pub(crate) fn open(path: &Path) -> io::Result<Self> {
        let file = File::open(path)?;
        Ok(Self {
            file,
            rest: Vec::new(),
            position: 0,
            released: 0,
        })
    }

    /// Returns the lines that were written since the last call, at most [`Self::MAX_READ`] bytes of them: a program may
    /// print faster than anybody reads. `all` includes a last line without an end.
    pub(crate) fn lines(&mut self, all: bool) -> Vec<String> {
        let mut lines = Vec::new();
        let mut buffer = vec![0; 64 * 1024];
        let mut read = 0;
        while read < Self::MAX_READ
            && let Ok(length @ 1..) = self.file.read(&mut buffer)
        {
            read += length as u64;
            self.position += length as u64;
            for &byte in &buffer[..length] {
                if byte == b'\n' || self.rest.len() >= Self::MAX_PENDING {
                    lines.extend(terminal_text(&self.rest));
                    self.rest.clear();
                }
                if byte != b'\n' {
                    self.rest.push(byte);
                }
            }
        }
        if all && !self.rest.is_empty() {
            lines.extend(terminal_text(&self.rest));
            self.rest.clear();
        }
        lines
    }

    /// Returns how much disk space the file uses, in bytes.
    pub(crate) fn disk_usage(&self) -> u64 {
        self.length() - self.released
    }

    /// Returns the file's length, or how much of it was read where the length is unknown.
    fn length(&self) -> u64 {
        self.file
            .metadata()
            .map_or(self.position, |metadata| metadata.len().max(self.position))
    }

    /// Whether the file has more than was read.
    pub(crate) fn has_unread(&self) -> bool {
        self.position < self.length()
    }

    /// Skips all but the last part of what was not read yet.
    pub(crate) fn skip_to_last(&mut self) -> io::Result<()> {
        let start = self
            .length()
            .saturating_sub(Self::MAX_READ / 2)
            .max(self.position);
        self.rest.clear();
        self.position = self.file.seek(SeekFrom::Start(start))?;
        Ok(())
    }

    /// Frees on disk what was read; `file` is the same file, open for writing. It is done by a hole (fallocate(2)): a
    /// program may write meanwhile, and truncating would lose what it wrote since the last read. Where the file system
    /// has no holes the file is truncated all the same, since a full disk is worse.
    pub(crate) fn release_read(&mut self, file: &File) {
        let hole = FallocateFlags::FALLOC_FL_PUNCH_HOLE | FallocateFlags::FALLOC_FL_KEEP_SIZE;
        if self.position == self.released {
            return;
        }
        let length = i64::try_from(self.position).unwrap_or(i64::MAX);
        match fallocate(file, hole, 0, length) {
            Ok(()) => self.released = self.position,
            // The next call tries again.
            Err(Errno::EINTR) => {}
            Err(_) => {
                if file.set_len(0).is_ok() && self.file.rewind().is_ok() {
                    (self.position, self.released) = (0, 0);
                }
            }
        }
    }
}

/// Returns a line as a terminal would show it, without what a carriage return overwrites; none where it is empty.
fn terminal_text(line: &[u8]) -> Option<String> {
    let text = String::from_utf8_lossy(line);
    let text = text.split('\r').rfind(|part| !part.trim().is_empty())?.trim_end();
    let end = (0..=text.len().min(MAX_LINE))
        .rev()
        .find(|&at| text.is_char_boundary(at))?;
    Some(text[..end].to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::io::Write;

    #[test]
    fn a_line_comes_out_when_its_end_has_come() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("output");
        let mut writer = File::create(&path).unwrap();
        let mut tail = Tail::open(&path).unwrap();
        writer.write_all(b"one\ntw").unwrap();
        assert_eq!(tail.lines(false), ["one"]);
        writer.write_all(b"o\n\nthree").unwrap();
        assert_eq!(tail.lines(false), ["two"]);
        assert_eq!(tail.lines(true), ["three"]);
        assert_eq!(tail.lines(true), Vec::<String>::new());
    }

    #[test]
    fn what_is_overwritten_or_no_text_is_made_fit_to_send() {
        assert_eq!(
            terminal_text(b"(Reading ... 5%\r(Reading ... 100%\r"),
            Some("(Reading ... 100%".into())
        );
        assert_eq!(terminal_text(b"\r"), None);
        assert_eq!(terminal_text(b"caf\xe9").as_deref(), Some("caf\u{fffd}"));
        assert_eq!(
            terminal_text(&vec![b'x'; 9999]).map(|line| line.len()),
            Some(MAX_LINE)
        );
        assert!(terminal_text("\u{e9}".repeat(9999).as_bytes()).is_some());
    }

    #[test]
    fn a_line_without_an_end_does_not_fill_the_memory() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("output");
        std::fs::write(&path, vec![b'x'; 300 * 1024]).unwrap();
        let mut tail = Tail::open(&path).unwrap();
        assert_eq!(tail.lines(false).len(), 4);
        assert!(tail.rest.len() <= Tail::MAX_PENDING);
    }

    #[test]
    fn a_program_that_prints_faster_than_it_is_read_does_not_fill_the_memory() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("output");
        std::fs::write(&path, "x\n".repeat(4 * 1024 * 1024)).unwrap();
        let mut tail = Tail::open(&path).unwrap();
        assert!(tail.lines(false).len() <= 600 * 1024);
        assert_eq!(tail.length(), 8 * 1024 * 1024);
    }

    #[test]
    fn nothing_is_lost_while_what_was_read_is_given_back() {
        use std::os::unix::fs::MetadataExt;
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("output");
        let file = File::options().create(true).append(true).open(&path).unwrap();
        let mut tail = Tail::open(&path).unwrap();
        let mut child = std::process::Command::new("/usr/bin/seq")
            .arg("1000000")
            .stdout(file.try_clone().unwrap())
            .spawn()
            .unwrap();
        let mut expected = 0;
        let mut hear = |tail: &mut Tail| {
            let lines = tail.lines(false);
            for line in &lines {
                expected += 1;
                assert_eq!(*line, expected.to_string());
            }
            lines.len()
        };
        while child.try_wait().unwrap().is_none() {
            hear(&mut tail);
            tail.release_read(&file);
        }
        while hear(&mut tail) > 0 {}
        assert_eq!(expected, 1_000_000);
        tail.release_read(&file);
        assert_eq!(tail.disk_usage(), 0);
        assert!(file.metadata().unwrap().blocks() <= 8);
    }
}
