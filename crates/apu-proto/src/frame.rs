//! The answer: JSON Lines, one [`Frame`] a line. Only [`Frame::Result`] counts, exactly one, last; kept .debs come behind
//! [`Frame::Debs`] in its place.
//!
//! Unknown fields are ignored and an unknown frame reads as [`Frame::Unknown`], so that an old server understands a new
//! client. A reader must bound a line before it parses it: [`MAX_FRAME`].

use serde::{Deserialize, Deserializer, Serialize};

use crate::answer::RunResult;
use crate::debs::SentDeb;
use crate::run_id::RunId;

/// The longest frame in bytes, with its line end: a status with thousands of pending packages fits.
pub const MAX_FRAME: usize = 4 * 1024 * 1024;

/// The longest text of one [`Frame::Line`] in bytes; a writer cuts longer ones.
pub const MAX_LINE: usize = 4096;

/// One line of an answer.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(tag = "frame", rename_all = "kebab-case")]
pub enum Frame {
    /// First: who answers.
    Hello {
        /// The protocol versions that this client speaks.
        protocol: Vec<u32>,
        /// The version of apu-client.
        client: String,
        /// What it understands beyond the first version of the protocol: see [`FEATURES`](crate::FEATURES).
        #[serde(default)]
        features: Vec<String>,
        /// The run, where the operation is one.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        run: Option<RunId>,
    },
    /// The run waits for a lock.
    Waiting {
        /// The lock's path.
        lock: String,
        /// Who holds it, such as `apt-get (1234)`; empty where that cannot be found out.
        holder: String,
    },
    /// From apt's status descriptor.
    Progress {
        /// Of fetching, or of installing.
        phase: Phase,
        /// 0 to 100, of this phase.
        #[serde(deserialize_with = "percent")]
        percent: f32,
        /// The package at work; empty where apt names none.
        #[serde(default)]
        package: String,
    },
    /// A line that apt or dpkg printed.
    Line {
        /// Without its line end, at most [`MAX_LINE`] bytes; not to be trusted, and not to be shown uncleaned.
        text: String,
    },
    /// The run shows no sign of life: it prints nothing, uses no processor time, and starts and ends no process.
    Stalled {
        /// For so many seconds by now.
        seconds: u64,
        /// The program at work and what it started, parents first; of many, those that were started last.
        processes: Vec<StalledProcess>,
    },
    /// Last, in answer to `send-debs`: the bytes of these .debs follow its line, one after the other.
    Debs {
        /// In the order in which they were asked for; at most [`MAX_DEBS`](crate::MAX_DEBS).
        debs: Vec<SentDeb>,
    },
    /// Last: what happened.
    Result(Box<RunResult>),
    /// A frame of a later version.
    #[serde(other)]
    Unknown,
}

/// Reads a percentage. JSON has numbers that are infinite in this type, and has no word for an infinite number.
fn percent<'de, D: Deserializer<'de>>(deserializer: D) -> Result<f32, D::Error> {
    f32::deserialize(deserializer).map(|percent| percent.clamp(0.0, 100.0))
}

/// A process that shows no sign of life.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct StalledProcess {
    /// Its number on the client.
    pub pid: u32,
    /// The name of its program, as it chose it; not to be trusted.
    pub name: String,
    /// The kernel's function in which it sleeps, such as `do_wait` for one that waits for a child; empty where it is not known.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub waits_in: String,
}

impl StalledProcess {
    /// How many processes of a run are told at most.
    pub const MOST: usize = 20;
}

/// What a run is at.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Phase {
    /// Repairs what an interrupted dpkg left.
    Repair,
    /// Fetches lists or packages.
    Download,
    /// Unpacks and configures.
    Install,
    /// A phase of a later version.
    #[serde(other)]
    Other,
}

impl Frame {
    /// The frame as one line with its line end.
    #[must_use]
    pub fn to_line(&self) -> String {
        // Our own types have string keys and finite numbers, so this cannot fail.
        let mut line = serde_json::to_string(self).unwrap_or_default();
        line.push('\n');
        line
    }

    /// Reads one line, with or without its line end.
    ///
    /// # Errors
    /// What JSON or a field of a known frame is wrong.
    pub fn from_line(line: &[u8]) -> Result<Self, serde_json::Error> {
        serde_json::from_slice(line)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{Cause, ClientOutcome, Reason};

    #[test]
    fn a_frame_reads_back_as_it_was_written() {
        let result = RunResult::because(
            ClientOutcome::Refused,
            Reason::from(Cause::AptFailed).detailed("remove is not allowed\n  here"),
        );
        let frame = Frame::Result(Box::new(result));
        let line = frame.to_line();
        assert_eq!(line.matches('\n').count(), 1, "{line}");
        assert_eq!(Frame::from_line(line.as_bytes()).unwrap(), frame);
    }

    #[test]
    fn what_a_later_version_adds_is_passed_over() {
        let frame = Frame::from_line(br#"{"frame":"applause","loud":true}"#).unwrap();
        assert_eq!(frame, Frame::Unknown);
        let line = br#"{"frame":"progress","phase":"cooling","percent":1,"celsius":4}"#;
        let frame = Frame::from_line(line).unwrap();
        assert_eq!(
            frame,
            Frame::Progress {
                phase: Phase::Other,
                percent: 1.0,
                package: String::new()
            }
        );
    }

    #[test]
    fn a_percentage_is_never_out_of_range() {
        for (number, expected) in [("1e39", 100.0), ("-1e39", 0.0), ("100.5", 100.0), ("7", 7.0)] {
            let line = format!(r#"{{"frame":"progress","phase":"install","percent":{number}}}"#);
            let frame = Frame::from_line(line.as_bytes()).unwrap();
            assert!(
                matches!(frame, Frame::Progress { percent, .. } if percent == expected),
                "{frame:?}"
            );
            assert_eq!(Frame::from_line(frame.to_line().as_bytes()).unwrap(), frame);
        }
    }

    #[test]
    fn a_control_character_never_leaves_a_frame_raw() {
        let line = Frame::Line {
            text: "\u{1b}[2J\r\n\0".into(),
        }
        .to_line();
        assert!(
            line.trim_end_matches('\n').bytes().all(|byte| byte >= b' '),
            "{line:?}"
        );
    }
}
