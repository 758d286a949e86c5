//! The compressions that a .deb's members may have.

use std::io::{self, Read};

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

/// An xz stream may ask for gigabytes; none that dpkg-deb makes needs a tenth of this.
const XZ_MEMORY: u64 = 1 << 30;

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
    pub(super) fn reader<'a>(self, reader: impl Read + 'a) -> Box<dyn Read + 'a> {
        let failed = |error: io::Error| -> Box<dyn Read> { Box::new(Failed(Some(error))) };
        match self {
            Self::None => Box::new(reader),
            Self::Gz => Box::new(flate2::read::MultiGzDecoder::new(reader)),
            Self::Xz => match Stream::new_stream_decoder(XZ_MEMORY, CONCATENATED) {
                Ok(stream) => Box::new(XzDecoder::new_stream(reader, stream)),
                Err(error) => failed(error.into()),
            },
            Self::Zst => match zstd::stream::read::Decoder::new(reader) {
                Ok(decoder) => Box::new(decoder),
                Err(error) => failed(error),
            },
        }
    }
}

/// A decoder that could not be made says so on the first read.
struct Failed(Option<io::Error>);

impl Read for Failed {
    fn read(&mut self, _: &mut [u8]) -> io::Result<usize> {
        Err(self.0.take().unwrap_or_else(|| io::Error::other("no decoder")))
    }
}
