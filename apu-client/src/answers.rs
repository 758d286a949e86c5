//! What is answered without a run: it changes nothing.

pub(crate) mod check;
mod kernel;
mod security;
pub(crate) mod status;
