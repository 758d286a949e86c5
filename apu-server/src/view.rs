//! What people see. Texts come from pure functions; only [`live`] writes by itself.

pub mod advice;
pub mod body;
pub mod changes;
pub mod clean;
pub mod columns;
pub mod conffile_diffs;
pub mod conffiles;
pub mod groups;
pub mod history;
pub mod holds;
mod host_table;
pub mod json;
pub mod live;
pub mod locks;
pub mod note;
pub mod paint;
pub mod plans;
#[cfg(test)]
mod pushed;
pub mod questions;
pub mod queue;
pub(crate) mod readiness;
pub mod reason;
pub mod reboots;
pub mod restarts;
pub mod run_diff;
pub mod run_facts;
pub mod run_report;
pub mod runs;
mod screen;
pub mod server_reason;
mod size;
mod stall;
pub mod status;
pub mod summary;
