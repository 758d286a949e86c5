//! The programs of the server: `apt-all`, the button, and `apu` for everything else.

mod answers;
pub mod apt_all;
pub mod apu;
mod audit_line;
mod child;
pub mod context;
pub mod failure;
pub mod frozen;
pub mod interrupt;
mod ledger;
mod notices;
mod one_phase;
mod program;
mod published;
mod readiness;
pub mod repo;
pub mod serve;
pub mod setup;
mod slots;
pub mod stored_plans;
pub mod syslog;
pub mod view;
mod who;
