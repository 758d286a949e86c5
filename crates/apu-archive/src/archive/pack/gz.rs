//! One gzip member (RFC 1952) of pieces that were packed apart. An extra field of its header says how long each packed
//! piece is, as dictzip does it; readers pass over it.

use std::io::{self, Write};

use flate2::write::DeflateEncoder;
use flate2::{Compression, Crc};

/// Magic, deflate, a header with an extra field, no time, no hint, no system.
const HEAD: [u8; 10] = [0x1f, 0x8b, 8, 4, 0, 0, 0, 0, 0, 255];

/// The extra field's two letters.
const OURS: [u8; 2] = *b"ap";

/// An empty last block of deflate.
const END: [u8; 2] = [3, 0];

/// Crc32 and length.
const TAIL: usize = 8;

/// A piece as deflate that ends at a byte and refers to nothing before it.
pub(super) fn piece(text: &[u8]) -> io::Result<Vec<u8>> {
    let mut encoder = DeflateEncoder::new(Vec::new(), Compression::new(6));
    encoder.write_all(text)?;
    encoder.flush()?;
    Ok(std::mem::take(encoder.get_mut()))
}

/// The file of these pieces of `text`.
pub(super) fn join(text: &[u8], pieces: &[&[u8]]) -> Vec<u8> {
    let packed: usize = pieces.iter().map(|piece| piece.len()).sum();
    let lengths = pieces.len() * 4;
    let mut file = Vec::with_capacity(HEAD.len() + lengths + packed + 64);
    file.extend(HEAD);
    // What does not fit into the field is packed anew each time.
    let lengths = if lengths + 4 <= usize::from(u16::MAX) {
        lengths
    } else {
        0
    };
    file.extend(le16(lengths + 4));
    file.extend(OURS);
    file.extend(le16(lengths));
    for piece in pieces.iter().take(lengths / 4) {
        file.extend(le32(piece.len()));
    }
    for piece in pieces {
        file.extend_from_slice(piece);
    }
    file.extend(END);
    let mut crc = Crc::new();
    crc.update(text);
    file.extend(crc.sum().to_le_bytes());
    file.extend(le32(text.len()));
    file
}

/// The pieces of a file that [`join`] made.
pub(super) fn split(file: &[u8]) -> Option<Vec<&[u8]>> {
    let rest = file.strip_prefix(&HEAD)?;
    let (extra, rest) = rest.split_first_chunk()?;
    let (ours, rest) = rest.split_first_chunk()?;
    let (lengths, rest) = rest.split_first_chunk()?;
    let lengths = usize::from(u16::from_le_bytes(*lengths));
    if *ours != OURS || usize::from(u16::from_le_bytes(*extra)) != lengths + 4 || lengths == 0 {
        return None;
    }
    let (lengths, mut rest) = rest.split_at_checked(lengths)?;
    let mut pieces = Vec::with_capacity(lengths.len() / 4);
    for length in lengths.chunks_exact(4) {
        let length = u32::from_le_bytes(length.try_into().ok()?);
        let (piece, after) = rest.split_at_checked(usize::try_from(length).ok()?)?;
        pieces.push(piece);
        rest = after;
    }
    (rest.len() == END.len() + TAIL).then_some(pieces)
}

fn le16(number: usize) -> [u8; 2] {
    u16::try_from(number).unwrap_or(u16::MAX).to_le_bytes()
}

/// Modulo 2³², as the format wants it.
fn le32(number: usize) -> [u8; 4] {
    let [a, b, c, d, ..] = (number as u64).to_le_bytes();
    [a, b, c, d]
}

#[cfg(test)]
mod tests {
    use std::io::{Read, Write};
    use std::process::{Command, Stdio};

    use super::{join, piece, split};

    #[test]
    fn gzip_reads_what_is_joined_and_it_falls_into_its_pieces() {
        let parts: [&[u8]; 3] = [&b"Package: a\n".repeat(1000), b"", &b"Package: b\n".repeat(7)];
        let pieces = parts.map(|part| piece(part).unwrap());
        let pieces = pieces.each_ref().map(Vec::as_slice);
        let file = join(&parts.concat(), &pieces);
        assert_eq!(split(&file).unwrap(), pieces);
        let mut text = Vec::new();
        // The reader of one member alone: it must not be several.
        flate2::read::GzDecoder::new(&file[..])
            .read_to_end(&mut text)
            .unwrap();
        assert_eq!(text, parts.concat());
        let mut gzip = Command::new("gzip")
            .arg("-dc")
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        gzip.stdin.take().unwrap().write_all(&file).unwrap();
        let output = gzip.wait_with_output().unwrap();
        assert!(output.status.success());
        assert_eq!(output.stdout, parts.concat());
    }

    #[test]
    fn a_foreign_file_has_no_pieces() {
        let mut encoder = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::new(6));
        encoder.write_all(b"text").unwrap();
        assert_eq!(split(&encoder.finish().unwrap()), None);
        let file = join(b"text", &[&piece(b"text").unwrap()]);
        for length in 0..file.len() {
            assert_eq!(split(&file[..length]), None, "cut after {length}");
        }
    }
}
