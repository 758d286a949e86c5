//! What apu promises of systemd, on a machine whose PID 1 it is: each module a topic, each test with a machine of its own.

#![allow(clippy::unwrap_used, reason = "a test that cannot go on fails")]

#[path = "systemd/activation.rs"]
mod activation;
#[path = "systemd/hardening.rs"]
mod hardening;
#[path = "systemd/harness.rs"]
mod harness;
#[path = "systemd/health.rs"]
mod health;
#[path = "systemd/holds.rs"]
mod holds;
#[path = "systemd/lifetime.rs"]
mod lifetime;
#[path = "systemd/power.rs"]
mod power;
#[path = "systemd/reboots.rs"]
mod reboots;
#[path = "systemd/restarts.rs"]
mod restarts;
#[path = "systemd/services.rs"]
mod services;
#[path = "systemd/serving.rs"]
mod serving;
#[path = "systemd/slow_run.rs"]
mod slow_run;
