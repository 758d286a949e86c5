//! What the push key, a login on a client, or a forged request can do there: only what the protocol names.
//!
//! What was started is the kernel's word, what was changed is dpkg's database and /etc before and after. Where a test
//! proves that something is refused, the same test proves that it would notice if it were not.

#![allow(clippy::unwrap_used, reason = "a test that cannot go on fails")]

#[path = "../../data/corpus.rs"]
mod corpus;

mod answer;
mod battery;
mod callers;
mod door;
mod held;
mod keys;
mod layers;
mod line;
mod names;
mod sessions;
mod settings;
mod surroundings;
