//! The outer archive of a .deb: ar(5) as dpkg reads it, nothing of it guessed.

use std::fs::File;
use std::io::{self, Read};
use std::os::unix::fs::FileExt;

use thiserror::Error;

const MAGIC: &[u8; 8] = b"!<arch>\n";
const HEADER: u64 = 60;

/// No .deb has more members; an archive that has is not one.
const MOST_MEMBERS: usize = 32;

/// Why a file is not an ar archive.
#[derive(Debug, Error)]
pub enum ArError {
    /// It could not be read.
    #[error("cannot be read")]
    Read(#[from] io::Error),
    /// It does not start as one.
    #[error("not a .deb: it does not start with {:?}", String::from_utf8_lossy(MAGIC))]
    NotAr,
    /// It ends in the middle.
    #[error("truncated: it ends after {length} bytes, but needs at least {needed}")]
    Truncated {
        /// How long it is.
        length: u64,
        /// How long it says it is.
        needed: u64,
    },
    /// A member's header is no header.
    #[error("the ar member at byte {0} has a damaged header")]
    Header(u64),
    /// More members than any .deb has.
    #[error("it has more than {MOST_MEMBERS} ar members")]
    TooMany,
}

/// One member: a name and where its bytes are.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Member {
    /// Its name.
    pub(super) name: String,
    start: u64,
    /// In bytes.
    pub(super) size: u64,
}

impl Member {
    /// Its bytes.
    pub(super) fn reader<'a>(&self, file: &'a File) -> impl Read + use<'a> {
        Section {
            file,
            at: self.start,
            end: self.start + self.size,
        }
    }
}

/// All bytes of a file, from its start.
pub(super) fn whole(file: &File) -> impl Read + use<'_> {
    Section {
        file,
        at: 0,
        end: u64::MAX,
    }
}

struct Section<'a> {
    file: &'a File,
    at: u64,
    end: u64,
}

impl Read for Section<'_> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let left = usize::try_from(self.end - self.at)
            .unwrap_or(usize::MAX)
            .min(buffer.len());
        let count = self.file.read_at(&mut buffer[..left], self.at)?;
        self.at += count as u64;
        Ok(count)
    }
}

/// All members of an archive, which ends exactly with its last one.
pub(super) fn members(file: &File) -> Result<Vec<Member>, ArError> {
    let length = file.metadata()?.len();
    let need = |needed| {
        if length < needed {
            Err(ArError::Truncated { length, needed })
        } else {
            Ok(())
        }
    };
    let mut magic = [0; MAGIC.len()];
    need(MAGIC.len() as u64)?;
    file.read_exact_at(&mut magic, 0)?;
    if &magic != MAGIC {
        return Err(ArError::NotAr);
    }
    let mut members = Vec::new();
    let mut at = MAGIC.len() as u64;
    while at < length {
        need(at + HEADER)?;
        let mut header = [0; HEADER as usize];
        file.read_exact_at(&mut header, at)?;
        let (name, size) = parse_header(&header).ok_or(ArError::Header(at))?;
        let start = at + HEADER;
        need(start + size)?;
        members.push(Member { name, start, size });
        if members.len() > MOST_MEMBERS {
            return Err(ArError::TooMany);
        }
        // Members start at even places; the last one's filling byte may be missing.
        at = (start + size).next_multiple_of(2);
    }
    Ok(members)
}

/// Name and size; the other numbers of the header mean nothing in a .deb.
fn parse_header(header: &[u8; HEADER as usize]) -> Option<(String, u64)> {
    if &header[58..] != b"`\n" {
        return None;
    }
    let name = std::str::from_utf8(&header[..16]).ok()?.trim_end_matches(' ');
    let name = name.strip_suffix('/').unwrap_or(name);
    let usual = |byte: u8| byte.is_ascii_alphanumeric() || b"._-+".contains(&byte);
    if name.is_empty() || !name.bytes().all(usual) {
        return None;
    }
    let size = std::str::from_utf8(&header[48..58]).ok()?.trim_end_matches(' ');
    if !size.bytes().all(|byte| byte.is_ascii_digit()) {
        return None;
    }
    Some((name.to_owned(), size.parse().ok()?))
}

/// Appends a member to the archive `out`, which starts with [`start`].
pub(super) fn append(out: &mut Vec<u8>, name: &str, mtime: u64, bytes: &[u8]) {
    let header = format!(
        "{name:<16}{mtime:<12}{:<6}{:<6}{:<8}{:<10}`\n",
        0,
        0,
        "100644",
        bytes.len()
    );
    out.extend_from_slice(header.as_bytes());
    out.extend_from_slice(bytes);
    if bytes.len() % 2 == 1 {
        out.push(b'\n');
    }
}

/// How an archive starts.
pub(super) fn start() -> Vec<u8> {
    MAGIC.to_vec()
}

#[cfg(test)]
mod tests {
    use std::io::{Read, Write};

    use super::{ArError, append, members, start};

    fn file(bytes: &[u8]) -> std::fs::File {
        let mut file = tempfile::tempfile().unwrap();
        file.write_all(bytes).unwrap();
        file
    }

    #[test]
    fn what_is_appended_is_read_back() {
        let mut bytes = start();
        append(&mut bytes, "debian-binary", 0, b"2.0\n");
        append(&mut bytes, "odd", 0, b"abc");
        let file = file(&bytes);
        let members = members(&file).unwrap();
        assert_eq!(members.len(), 2);
        let mut text = String::new();
        members[1].reader(&file).read_to_string(&mut text).unwrap();
        assert_eq!(text, "abc");
    }

    #[test]
    fn names_with_slashes_and_sizes_that_are_no_numbers_are_refused() {
        for (name, from, to) in [
            ("../../evil", "", ""),
            ("a", "3         `", "-3        `"),
            ("a", "3         `", "0x3       `"),
        ] {
            let mut bytes = start();
            append(&mut bytes, name, 0, b"abc");
            let bytes = if from.is_empty() {
                bytes
            } else {
                String::from_utf8(bytes).unwrap().replace(from, to).into_bytes()
            };
            assert!(
                matches!(members(&file(&bytes)), Err(ArError::Header(8))),
                "{name} {to}"
            );
        }
    }
}
