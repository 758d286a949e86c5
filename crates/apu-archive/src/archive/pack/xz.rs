//! One .xz stream of blocks that were packed apart, as `xz --threads` writes it. The format is that of
//! <https://tukaani.org/xz/xz-file-format.txt>.

use std::io::{self, Write};

use flate2::Crc;
use liblzma::stream::{Check, Filters, LzmaOptions, Stream};
use liblzma::write::XzEncoder;

use super::chunks::LONGEST;

/// In bytes. Less is not faster.
const SHORTEST_LOOK_BACK: usize = 64 << 10;

const HEADER: usize = 12;
const FOOTER: usize = 12;

/// One block, as it stands in a file.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Block<'a> {
    /// With the bytes that fill it up to a multiple of four.
    bytes: &'a [u8],
    /// Without them.
    length: u64,
    /// How long its text is.
    pub(super) text: u64,
}

/// A stream of one block.
pub(super) fn stream(text: &[u8], level: u32) -> io::Result<Vec<u8>> {
    let mut options = LzmaOptions::new_preset(level)?;
    // What looks back further than a piece goes only costs time, to set up and to clear.
    let length = text.len().next_power_of_two().clamp(SHORTEST_LOOK_BACK, LONGEST);
    options.dict_size(u32::try_from(length).unwrap_or(u32::MAX));
    let mut filters = Filters::new();
    filters.lzma2(&options);
    let encoder = Stream::new_stream_encoder(&filters, Check::Crc64)?;
    let mut encoder = XzEncoder::new_stream(Vec::new(), encoder);
    encoder.write_all(text)?;
    encoder.finish()
}

/// The stream of these blocks, which come from streams with the same header; `like` is one of those.
pub(super) fn join(like: &[u8], blocks: &[Block<'_>]) -> Option<Vec<u8>> {
    let header = like.get(..HEADER)?;
    let packed: usize = blocks.iter().map(|block| block.bytes.len()).sum();
    let mut file = Vec::with_capacity(packed + blocks.len() * 16 + 64);
    file.extend_from_slice(header);
    let mut index = vec![0];
    number(&mut index, blocks.len() as u64);
    for block in blocks {
        file.extend_from_slice(block.bytes);
        number(&mut index, block.length);
        number(&mut index, block.text);
    }
    index.resize(index.len().next_multiple_of(4), 0);
    index.extend(crc32(&index));
    // Its length in units of four, less one, then the flags of the header.
    let mut about = u32::try_from(index.len() / 4 - 1).ok()?.to_le_bytes().to_vec();
    about.extend_from_slice(&header[6..8]);
    file.extend(index);
    file.extend(crc32(&about));
    file.extend(about);
    file.extend(*b"YZ");
    Some(file)
}

/// The blocks of a file that holds one stream.
pub(super) fn split(file: &[u8]) -> Option<Vec<Block<'_>>> {
    let footer_at = file.len().checked_sub(FOOTER)?;
    let (before, footer) = file.split_at(footer_at);
    let units = u32::from_le_bytes(footer.get(4..8)?.try_into().ok()?);
    let index_length = (usize::try_from(units).ok()? + 1) * 4;
    let (before, index) = before.split_at(before.len().checked_sub(index_length)?);
    let mut rest = before.get(HEADER..)?;
    let mut index = index.strip_prefix(&[0])?;
    let count = take_number(&mut index)?;
    let mut blocks = Vec::new();
    for _ in 0..count {
        let (length, text) = (take_number(&mut index)?, take_number(&mut index)?);
        let whole = usize::try_from(length).ok()?.checked_next_multiple_of(4)?;
        let (bytes, after) = rest.split_at_checked(whole)?;
        blocks.push(Block { bytes, length, text });
        rest = after;
    }
    (footer.ends_with(b"YZ") && rest.is_empty()).then_some(blocks)
}

/// Seven bits a byte, the lowest first.
fn number(out: &mut Vec<u8>, mut number: u64) {
    while number >= 0x80 {
        out.push(number.to_le_bytes()[0] | 0x80);
        number >>= 7;
    }
    out.push(number.to_le_bytes()[0]);
}

fn take_number(bytes: &mut &[u8]) -> Option<u64> {
    let mut number = 0;
    for shift in (0..63).step_by(7) {
        let (&byte, rest) = bytes.split_first()?;
        *bytes = rest;
        number |= u64::from(byte & 0x7f) << shift;
        if byte & 0x80 == 0 {
            return Some(number);
        }
    }
    None
}

fn crc32(bytes: &[u8]) -> [u8; 4] {
    let mut crc = Crc::new();
    crc.update(bytes);
    crc.sum().to_le_bytes()
}

#[cfg(test)]
mod tests {
    use std::io::{Read, Write};
    use std::process::{Command, Stdio};

    use liblzma::read::XzDecoder;

    use super::{join, split, stream};

    #[test]
    fn xz_reads_what_is_joined_and_it_falls_into_its_blocks() {
        let parts: [&[u8]; 3] = [&b"Package: a\n".repeat(20_000), b"x", &b"Package: b\n".repeat(7)];
        let streams = parts.map(|part| stream(part, 1).unwrap());
        let blocks: Vec<_> = streams.iter().flat_map(|stream| split(stream).unwrap()).collect();
        assert_eq!(blocks.len(), 3);
        let file = join(&streams[0], &blocks).unwrap();
        assert_eq!(split(&file).unwrap(), blocks);
        assert_eq!(
            join(&streams[1], &split(&streams[1]).unwrap()).unwrap(),
            streams[1]
        );
        let mut text = Vec::new();
        // The reader of one stream alone: it must not be several.
        XzDecoder::new(&file[..]).read_to_end(&mut text).unwrap();
        assert_eq!(text, parts.concat());
        let mut xz = Command::new("xz")
            .arg("-dc")
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        xz.stdin.take().unwrap().write_all(&file).unwrap();
        let output = xz.wait_with_output().unwrap();
        assert!(output.status.success());
        assert_eq!(output.stdout, parts.concat());
    }

    #[test]
    fn an_empty_text_is_a_stream_too() {
        let empty = stream(b"", 6).unwrap();
        let blocks = split(&empty).unwrap();
        assert_eq!(join(&empty, &blocks).unwrap(), empty);
    }

    #[test]
    fn what_is_cut_has_no_blocks() {
        let file = stream(b"text", 1).unwrap();
        for length in 0..file.len() {
            assert_eq!(split(&file[..length]), None, "cut after {length}");
        }
    }
}
