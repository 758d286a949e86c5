//! One call of apt-all: what it said of each host, and what the test expects of that.

use std::collections::BTreeMap;
use std::io;
use std::process::{Command, Output, Stdio};
use std::thread::{self, JoinHandle};

use apu_proto::{Advice, Note};
use apu_server::view::advice::advice_text;
use apu_server::view::note::note_text;
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use serde_json::Value;

use crate::sandbox::only_child;
use crate::tool::Finished;

/// An apt-all that is still at work. What it says is read meanwhile: a full pipe would stop it.
pub struct Running {
    id: u32,
    ends: JoinHandle<io::Result<Output>>,
}

/// A text of an event; empty where it has none.
fn text_of(value: &Value) -> &str {
    value.as_str().unwrap_or_default()
}

impl Running {
    #[track_caller]
    pub(crate) fn start(mut command: Command) -> Self {
        command
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped());
        let child = command.spawn().expect("nsenter runs");
        Self {
            id: child.id(),
            ends: thread::spawn(|| child.wait_with_output()),
        }
    }

    /// Waits for its end.
    #[track_caller]
    pub fn finish(self) -> Run {
        let output = self.ends.join().expect("a thread that waits");
        Run::read(output.expect("apt-all ends").into())
    }

    /// Whether it has ended.
    #[must_use]
    pub fn has_ended(&self) -> bool {
        self.ends.is_finished()
    }

    /// Sends apt-all itself a signal.
    #[track_caller]
    pub fn signal(&self, signal: Signal) {
        kill(self.pid(), signal).expect("apt-all runs");
    }

    /// Kills apt-all where it has not ended yet.
    pub fn kill(&self) {
        if let Ok(pid) = only_child(self.id) {
            // It may end at this very moment.
            let _ = kill(pid, Signal::SIGKILL);
        }
    }

    /// apt-all's process, as this machine counts.
    #[track_caller]
    #[must_use]
    pub fn pid(&self) -> Pid {
        // The command is nsenter, which stays outside and has apt-all as its one child.
        only_child(self.id).expect("apt-all runs")
    }
}

/// What apt-all said and how it ended.
#[derive(Debug, Clone)]
pub struct Run {
    finished: Finished,
    events: Vec<Value>,
    ends: BTreeMap<String, Value>,
}

impl Run {
    #[track_caller]
    fn read(finished: Finished) -> Self {
        // A plan comes first and what is done after it: a host's last word is the one that counts.
        let events: Vec<Value> = finished
            .stdout
            .lines()
            .map(|line| {
                serde_json::from_str(line).unwrap_or_else(|error| {
                    panic!("not an event: {line}: {error}\nstderr: {}", finished.stderr)
                })
            })
            .collect();
        let ended = events.iter().filter(|event| event["event"] == "host-finished");
        let ends = ended.map(|event| {
            (
                event["host"].as_str().unwrap_or_default().to_owned(),
                event.clone(),
            )
        });
        Self {
            ends: ends.collect(),
            finished,
            events,
        }
    }

    /// A host ended with this outcome.
    #[track_caller]
    pub fn ended(&self, host: &str, outcome: &str) -> &Self {
        let end = self.end_of(host);
        assert!(
            end["outcome"] == outcome,
            "{host} should have ended {outcome}:\n{end:#}\n{}",
            self.finished.stderr
        );
        self
    }

    /// Every host that took part ended with this outcome.
    #[track_caller]
    pub fn all_ended(&self, outcome: &str) -> &Self {
        assert!(!self.ends.is_empty(), "no host ended: {self:?}");
        for host in self.ends.keys() {
            self.ended(host, outcome);
        }
        self
    }

    /// apt-all ended with this exit status.
    #[track_caller]
    pub fn exited(&self, code: i32) -> &Self {
        assert!(
            self.finished.code == code,
            "exit status {} instead of {code}\nstdout: {}\nstderr: {}",
            self.finished.code,
            self.finished.stdout,
            self.finished.stderr
        );
        self
    }

    /// The reason that it gave for a host's end contains this: its facts, or the words for people.
    #[track_caller]
    pub fn because(&self, host: &str, part: &str) -> &Self {
        let end = self.end_of(host);
        // What the client suggests is in its own result, as a fact.
        let advice = serde_json::from_value::<Advice>(end["result"]["reason"]["advice"].clone());
        let advice = advice.map_or(String::new(), |advice| advice_text(&advice, host));
        let (text, own) = (text_of(&end["text"]), text_of(&end["try"]));
        let said = format!("{}\n{text}\n{own}\n{advice}", end["reason"]);
        assert!(
            said.contains(part),
            "no {part:?} in the reason of {host}:\n{end:#}"
        );
        self
    }

    /// The notes of a client's answer as people read them, a line each.
    #[track_caller]
    #[must_use]
    pub fn notes(&self, host: &str) -> String {
        let notes: Vec<Note> = serde_json::from_value(self.answer(host)["notes"].clone()).unwrap_or_default();
        notes.iter().map(|note| note_text(note) + "\n").collect()
    }

    /// What the client itself answered: the fields of apu-proto's `RunResult`.
    #[track_caller]
    #[must_use]
    pub fn answer(&self, host: &str) -> &Value {
        let answer = &self.end_of(host)["result"];
        assert!(
            answer.is_object(),
            "{host} gave no answer:\n{:#}",
            self.end_of(host)
        );
        answer
    }

    /// The event with which a host ended.
    #[track_caller]
    #[must_use]
    pub fn end_of(&self, host: &str) -> &Value {
        self.ends
            .get(host)
            .unwrap_or_else(|| panic!("{host} did not end: {self:?}"))
    }

    /// The hosts that ended, each with its outcome.
    pub fn outcomes(&self) -> impl Iterator<Item = (&str, &str)> {
        self.ends
            .iter()
            .map(|(host, end)| (host.as_str(), end["outcome"].as_str().unwrap_or_default()))
    }

    /// Everything that it said, in order.
    #[must_use]
    pub fn events(&self) -> &[Value] {
        &self.events
    }

    /// What it printed, and its exit status.
    #[must_use]
    pub const fn finished(&self) -> &Finished {
        &self.finished
    }
}
