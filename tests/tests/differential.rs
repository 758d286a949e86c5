//! What apu makes of things beside what the real reader makes of them, over generated inputs: bounded here, longer where
//! `APU_DIFFERENTIAL_SETTINGS` says how many times as many (`make differential`).

#![allow(clippy::unwrap_used, reason = "a test that cannot go on fails")]

#[path = "differential/settings.rs"]
mod settings;
