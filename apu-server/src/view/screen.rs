//! How large the terminal is that a text goes to.

use std::os::fd::AsFd;

use terminal_size::{Height, Width, terminal_size_of};

/// Rows and columns that every terminal has, and what a log is written for.
pub const USUAL: (usize, usize) = (24, 80);

/// Rows and columns of the terminal behind a stream; none where it is no terminal, or does not know.
#[must_use]
pub fn size(stream: &impl AsFd) -> Option<(usize, usize)> {
    let (Width(columns), Height(rows)) = terminal_size_of(stream)?;
    (columns > 0 && rows > 0).then(|| (usize::from(rows), usize::from(columns)))
}

/// The columns of the terminal behind a stream, or those of a log.
#[must_use]
pub fn width(stream: &impl AsFd) -> usize {
    size(stream).map_or(USUAL.1, |(_, columns)| columns)
}
