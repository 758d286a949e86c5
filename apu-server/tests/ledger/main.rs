//! The commands that read the ledger, on runs that were recorded as apt-all records them.

#![allow(clippy::unwrap_used, reason = "a test that cannot go on fails")]

mod held;
mod large;
mod manual;
mod recorded;
mod shown;
mod under_way;
