//! The compressions that a .deb's members may have, and how much memory unpacking one may take.

use std::io::{self, BufReader, Read};

use liblzma::read::XzDecoder;
use liblzma::stream::{CONCATENATED, Stream};

/// How a member is compressed. bzip2 and lzma are gone from Debian since 2014.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Compression {
    /// Not at all.
    None,
    /// gzip
    Gz,
    /// xz
    Xz,
    /// Zstandard
    Zst,
}

/// How much memory a decoder may have. Every client needs as much to install the package.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Memory {
    /// 20 MiB: what dpkg-deb makes unasked needs half of it.
    Usual,
    /// 68 MiB: what `xz -9` makes. One decoder at a time has it.
    Large,
}

impl Compression {
    /// By the ending after `.tar`.
    pub(super) fn of(ending: &str) -> Option<Self> {
        match ending {
            "" => Some(Self::None),
            ".gz" => Some(Self::Gz),
            ".xz" => Some(Self::Xz),
            ".zst" => Some(Self::Zst),
            _ => None,
        }
    }

    /// What `reader` holds, unpacked.
    pub(super) fn reader<'a>(self, reader: impl Read + 'a, memory: Memory) -> Box<dyn Read + 'a> {
        let failed = |error: io::Error| -> Box<dyn Read> { Box::new(Failed(Some(error))) };
        let (bytes, window) = match memory {
            Memory::Usual => (20 << 20, 24),
            Memory::Large => (68 << 20, 26),
        };
        match self {
            Self::None => Box::new(BufReader::with_capacity(64 << 10, reader)),
            Self::Gz => Box::new(flate2::read::MultiGzDecoder::new(reader)),
            Self::Xz => match Stream::new_stream_decoder(bytes, CONCATENATED) {
                Ok(stream) => Box::new(XzDecoder::new_stream(reader, stream)),
                Err(error) => failed(error.into()),
            },
            Self::Zst => {
                let limited = zstd::stream::read::Decoder::new(reader).and_then(|mut decoder| {
                    decoder.window_log_max(window)?;
                    Ok(decoder)
                });
                match limited {
                    Ok(decoder) => Box::new(decoder),
                    Err(error) => failed(error),
                }
            }
        }
    }
}

/// Whether a decoder stopped because it would need more memory.
pub(super) fn wants_memory(error: &io::Error) -> bool {
    let inner = error.get_ref();
    let by_xz = inner.and_then(|inner| inner.downcast_ref::<liblzma::stream::Error>());
    // zstd's own words are all that tells.
    matches!(by_xz, Some(liblzma::stream::Error::MemLimit)) || error.to_string().contains("too much memory")
}

/// A decoder that could not be made says so on the first read.
struct Failed(Option<io::Error>);

impl Read for Failed {
    fn read(&mut self, _: &mut [u8]) -> io::Result<usize> {
        Err(self.0.take().unwrap_or_else(|| io::Error::other("no decoder")))
    }
}

/// Stops a reader that gives more than a .deb's member may unpack to.
pub(super) struct Bounded<R> {
    reader: R,
    left: u64,
    limit: u64,
}

impl<R> Bounded<R> {
    pub(super) fn new(reader: R, limit: u64) -> Self {
        Self {
            reader,
            left: limit,
            limit,
        }
    }
}

impl<R: Read> Read for Bounded<R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let count = self.reader.read(buffer)?;
        self.left = self.left.checked_sub(count as u64).ok_or_else(|| {
            let limit = self.limit >> 20;
            io::Error::other(format!(
                "it unpacks to more than {limit} MiB, which its size does not explain"
            ))
        })?;
        Ok(count)
    }
}

#[cfg(test)]
mod tests {
    use std::io::{Read, Write};

    use super::{Bounded, Compression, Memory, wants_memory};

    #[test]
    fn a_window_larger_than_the_memory_is_told_as_that() {
        let mut encoder = zstd::stream::write::Encoder::new(Vec::new(), 1).unwrap();
        encoder.long_distance_matching(true).unwrap();
        encoder.window_log(25).unwrap();
        let zeros = vec![0; 1 << 20];
        for _ in 0..40 {
            encoder.write_all(&zeros).unwrap();
        }
        let packed = encoder.finish().unwrap();
        let read = |memory| {
            std::io::copy(
                &mut Compression::Zst.reader(&packed[..], memory),
                &mut std::io::sink(),
            )
        };
        assert!(wants_memory(&read(Memory::Usual).unwrap_err()));
        assert_eq!(read(Memory::Large).unwrap(), 40 << 20);

        let mut options = liblzma::stream::LzmaOptions::new_preset(0).unwrap();
        options.dict_size(32 << 20);
        let mut filters = liblzma::stream::Filters::new();
        filters.lzma2(&options);
        let stream =
            liblzma::stream::Stream::new_stream_encoder(&filters, liblzma::stream::Check::Crc64).unwrap();
        let mut encoder = liblzma::write::XzEncoder::new_stream(Vec::new(), stream);
        encoder.write_all(b"x").unwrap();
        let packed = encoder.finish().unwrap();
        let read = |memory| {
            let mut text = Vec::new();
            Compression::Xz
                .reader(&packed[..], memory)
                .read_to_end(&mut text)
                .map(|_| text)
        };
        assert!(wants_memory(&read(Memory::Usual).unwrap_err()));
        assert_eq!(read(Memory::Large).unwrap(), b"x");
    }

    #[test]
    fn what_unpacks_to_more_than_it_may_is_stopped() {
        let mut reader = Bounded::new(std::io::repeat(0), 1 << 20);
        let error = std::io::copy(&mut reader, &mut std::io::sink()).unwrap_err();
        assert!(
            error.to_string().starts_with("it unpacks to more than 1 MiB"),
            "{error}"
        );
        assert!(!wants_memory(&error));
    }
}
