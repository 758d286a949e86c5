//! Writes how much space files take, or is free.

/// A number of bytes in MB, or in GB from 10 GB on.
#[must_use]
pub(super) fn size(bytes: u64) -> String {
    const MEBI: u64 = 1 << 20;
    match bytes / MEBI {
        mebi @ 0..10_240 => format!("{mebi} MB"),
        mebi => format!("{} GB", mebi / 1024),
    }
}
