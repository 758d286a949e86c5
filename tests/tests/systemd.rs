//! What apu promises of systemd, on a machine whose PID 1 it is.

#[path = "systemd/harness.rs"]
mod harness;
