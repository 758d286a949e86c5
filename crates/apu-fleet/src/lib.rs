//! Classes of hosts, and the engine that runs an operation on them. Nothing here knows a terminal or a settings file.

mod class;
mod connections;
mod engine;
mod event;
mod frozen;
#[cfg(any(test, fuzzing))]
#[doc(hidden)]
pub mod fuzz;
mod health;
mod hook;
mod host;
mod instruction;
mod inventory;
mod known_hosts;
mod name;
mod narrow;
mod outcome;
mod programs;
mod published;
mod push_id;
mod range;
mod reader;
mod reason;
mod reboot;
mod reply;
mod report;
mod rollout;
mod run_state;
mod runner;
mod session;
mod sink;
mod span;
pub mod ssh;
mod target;
mod target_error;
mod task;
mod text;
mod transport;
mod words;

pub use class::{ClassFile, Entry, Fault, LineError};
pub use engine::{Batch, Carried, Closing, Limits};
pub use event::{Approval, EVENTS_VERSION, Event, PauseCause, Phase, TimedEvent, WaveVerdict, package_words};
pub use frozen::Frozen;
pub use hook::{Hook, ProgramEnd};
pub use host::{Host, Reboot};
pub use instruction::Instruction;
pub use inventory::{Inventory, is_a_copy};
pub use known_hosts::{HostKey, HostKeyError, KnownHosts, Pinned};
pub use name::{ClassName, HostName, Jump, NameError, parse_port};
pub use outcome::{Ending, Hint, Outcome};
pub use programs::{CHECK_LIMIT, HookFailure, Programs, SERVER_CHECK};
pub use published::PublishedArchive;
pub use push_id::{PushId, random_bits};
pub use range::{MAX_EXPANSION, RangeError, expand, fold};
pub use reader::{FrameReader, MAX_ANSWER};
pub use reason::{
    Code, HostReason, Lost, Place, ServerAction, ServerAdvice, ServerCause, ServerCode, ServerReason,
    StaleList, Work, WorkKind,
};
pub use rollout::{Canaries, Item, Rollout, Tested, Trial, WaveOptions, touches_login, waves};
pub use run_state::{HostState, Pause, RunState, Stage, WaveState};
pub use runner::{Announcement, Runner};
pub use sink::{Description, JsonLines, Sink, Sinks, json_in_ascii};
pub use span::span;
pub use target_error::TargetError;
pub use task::Task;
pub use text::TextError;
pub use transport::{Answer, Transport};
