//! `apu-client run ID`: carries out one run, once, whatever becomes of the connection that asked for it.

pub(crate) mod active;
mod conffiles;
mod context;
mod debconf;
mod exec;
pub(crate) mod follow;
mod interrupted;
mod outcome;
mod packages;
pub(crate) mod planning;
pub(crate) mod policy;
pub(crate) mod preflight;
pub(crate) mod refusal;
mod repair;
pub(crate) mod run_dir;
pub(crate) mod site_archives;
pub(crate) mod supervise;
mod tail;
mod update;
mod waiting;
