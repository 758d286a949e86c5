//! How far a .deb is read.

/// How far a .deb is read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Depth {
    /// Its members and control.tar.
    Control,
    /// All of it.
    Whole,
}
