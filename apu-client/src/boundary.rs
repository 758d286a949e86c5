//! The trust boundary: each connection to the socket is one request of a peer that may be hostile, and one answer.

mod debs;
pub(crate) mod handle;
mod housekeeping;
pub(crate) mod listen;
mod peer;
mod slots;
