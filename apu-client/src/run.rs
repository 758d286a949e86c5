//! Runs: requests that change the machine and that outlive the connection that asked for them.

pub(crate) mod active;
pub(crate) mod approval;
pub(crate) mod conffiles;
mod context;
mod debconf;
mod download;
mod exec;
pub(crate) mod follow;
pub(crate) mod health;
mod held;
mod interrupted;
mod outcome;
mod packages;
mod plan_cache;
pub(crate) mod planning;
pub(crate) mod policy;
pub(crate) mod preflight;
pub(crate) mod refusal;
mod repair;
pub(crate) mod run_dir;
mod selection;
mod simulation;
pub(crate) mod site_archives;
pub(crate) mod supervise;
mod tail;
mod update;
mod waiting;
