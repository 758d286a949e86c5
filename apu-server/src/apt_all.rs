//! `apt-all TARGET OPERATION`: the button.

mod answered;
mod answers;
mod approve;
mod args;
mod audit;
mod begin;
mod candidate;
mod class_key;
mod command_line;
mod conffile;
mod conffile_diffs;
mod conffile_rules;
mod decision;
mod freeze;
mod hold_end;
mod hooks;
mod host_request;
mod maintenance;
mod min_age;
mod planned;
mod prepare;
mod protected;
mod protection;
mod push;
mod question;
mod queue;
mod reboot;
mod reboot_choice;
mod refresh_lists;
mod restart;
mod restart_choice;
mod resume;
mod rollout;
mod room;
mod show;
mod slot;
mod start;
mod stored;
mod turn;
mod young;

use std::process::ExitCode;

use apu_site::{Failure, Ui};
use clap::{CommandFactory, Parser};

pub use args::{ApplyOptions, Args, Shown};
pub(crate) use command_line::operation_of;
pub(crate) use conffile::carry_out_decision;
pub(crate) use maintenance::closed_now;
pub(crate) use question::ask as ask_on_terminal;
pub(crate) use queue::why_queued;
pub(crate) use resume::{repeat, resume};
pub(crate) use rollout::outlook;
pub(crate) use slot::{Asked, download, plan, refresh};
pub(crate) use start::Pushed;
pub(crate) use stored::apply_stored;
pub(crate) use turn::{Turn, take_turn};

use crate::context::Context;
use crate::program::{failed, finished};

/// Does what the words say; the exit status is what comes back.
fn carry_out(ui: &Ui, args: &Args) -> Result<u8, Failure> {
    let context = Context::enter(&args.root, "apt-all", ui)?;
    if args.prepare || args.questions {
        return prepare::prepare(&context, args);
    }
    start::push_in(&context, args, &args.target, None).map(|pushed| pushed.status)
}

/// Runs the program.
#[must_use]
pub fn main() -> ExitCode {
    let ui = Ui::of_process();
    match command_line::in_order(&Args::command(), std::env::args_os().collect()) {
        Ok(words) => finished(&ui, Args::try_parse_from(words), |args| carry_out(&ui, args)),
        Err(failure) => failed(&ui, &failure),
    }
}
