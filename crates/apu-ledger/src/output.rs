//! What hosts print, packed: kept as it is, and cleaned only where it is shown.

use std::io::{self, Read};

/// How much of one host's output is gathered before it is packed, in bytes.
pub(crate) const PART: usize = 64 * 1024;

/// How much of one host's output is kept, in bytes; the client itself keeps all of it.
pub(crate) const MOST: usize = 4 << 20;

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
}
