//! Keeps what the server does: a run for each press of the button, what became of each of its hosts, and which host is at work
//! for whom. SQLite in one file, behind this interface alone; one writer at a time.
//!
//! What is to be started is on the disk before a host is asked, and how a host ended before anything follows from it. So a
//! server that is killed at any moment has lost nothing that a client has reported.

mod begin;
mod carried;
mod check;
mod counts;
mod ends;
mod error;
mod first_seen;
mod instruction;
mod lease;
mod ledger;
mod limit;
mod output;
mod owner;
mod queue;
mod read;
mod recorder;
mod retention;
mod run;
mod schema;
mod work;

pub use self::begin::{BeginError, NewRun};
pub use self::counts::Outcomes;
pub use self::ends::RunEnds;
pub use self::error::LedgerError;
pub use self::instruction::Told;
pub use self::lease::{Conflict, Lease};
pub use self::ledger::Ledger;
pub use self::owner::Owner;
pub use self::queue::Queued;
pub use self::read::Attempt;
pub use self::recorder::Recorder;
pub use self::retention::Retention;
pub use self::run::{Paused, Run, RunNumber, RunRef, RunRefError, RunStatus};
pub use self::work::Work;
