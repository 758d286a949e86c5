//! Has the holds that are over taken off before something is planned or shown, where systemd is PID 1 by a unit of its own.
//!
//! The process that answers a connection is confined and changes nothing of the system itself.

use std::io;
use std::time::Duration;

use apu_proto::Note;

use crate::os::paths::ClientPaths;
use crate::os::spawn;
use crate::run::ended_holds::{notes, past_holds};

const UNIT: &str = "apu-holds.service";

/// Longer than dpkg's lock is waited for and dpkg may take.
const TIMEOUT: Duration = Duration::from_secs(180);

/// Has the holds that are over taken off, and returns what is to be told of that.
pub(super) fn end_holds(paths: &ClientPaths) -> Vec<Note> {
    let ended = past_holds(paths).and_then(|past| {
        if past.is_empty() {
            return Ok(Vec::new());
        }
        start(paths)?;
        match past_holds(paths)?.over.first() {
            None => Ok(notes(past)),
            Some(package) => Err(io::Error::other(format!(
                "{package} is still on hold; another package manager may be at work"
            ))),
        }
    });
    ended.unwrap_or_else(|error| {
        let said = error.to_string();
        vec![Note::HoldsNotEnded { said }]
    })
}

fn start(paths: &ClientPaths) -> io::Result<()> {
    let program = spawn::current_program()?;
    let (program, arguments) = if paths.path("/run/systemd/system").is_dir() {
        ("/bin/systemctl", ["start", UNIT].as_slice())
    } else {
        (program.as_str(), ["holds"].as_slice())
    };
    let environment = ["PATH=/usr/sbin:/usr/bin:/sbin:/bin"];
    let started = spawn::capture(program, arguments, &environment, TIMEOUT)?;
    if started.succeeded() {
        return Ok(());
    }
    Err(io::Error::other(started.stderr.trim().to_owned()))
}
