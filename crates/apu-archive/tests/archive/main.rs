//! What an archive promises to its clients and to its administrator, kept with real files.

#![allow(clippy::unwrap_used, reason = "a test that cannot go on fails")]

mod compared;
mod contents;
mod flat;
mod place;
mod planted;
mod refused;
mod suites;
