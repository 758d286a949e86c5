//! The suites that run on fleets: one test binary, each module a topic, each test with a fleet of its own.

mod button;
mod dead;
mod harness;
mod hostile;
mod hurting;
mod sshd;
mod suites;
