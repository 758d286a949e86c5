//! The boundary between whoever may write to the socket and root: one connection, one request, one answer.

pub(crate) mod handle;
mod housekeeping;
pub(crate) mod listen;
mod peer;
mod slots;
