//! A run as the ledger has it, and the words by which people name one.

use std::fmt;
use std::str::FromStr;
use std::time::Duration;

use apu_fleet::PushId;
use apu_proto::RunId;
use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use crate::owner::Owner;

/// The number of a run, counted from 1.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(transparent)]
pub struct RunNumber(pub(crate) i64);

impl RunNumber {
    /// As a number.
    #[must_use]
    pub fn get(self) -> u64 {
        self.0.unsigned_abs()
    }
}

impl fmt::Display for RunNumber {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(&self.0.to_string())
    }
}

/// The words that name a run.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum RunRef {
    /// By its number, such as `412`.
    Number(RunNumber),
    /// Counted back from the last: `@` is the last, `@-` the one before, `@--` the one before that.
    Last(u32),
    /// By the beginning of what its hosts know it by: hexadecimal digits, at least six of them.
    Id(String),
}

/// A word that names no run.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error(
    "a run is a number such as 412, @ for the last one, @- for the one before, or the beginning of its id"
)]
pub struct RunRefError;

/// The digits of a run's whole id.
const WHOLE_ID: usize = 32;

impl FromStr for RunRef {
    type Err = RunRefError;

    fn from_str(text: &str) -> Result<Self, RunRefError> {
        if let Some(back) = text.strip_prefix('@') {
            let is_dashes = back.len() <= 1000 && back.bytes().all(|byte| byte == b'-');
            let steps = u32::try_from(back.len()).ok().filter(|_| is_dashes);
            return steps.map(Self::Last).ok_or(RunRefError);
        }
        let is = |is: fn(&u8) -> bool| text.bytes().all(|byte| is(&byte));
        // No run of ours has more digits; an id may be of digits alone too.
        if is(u8::is_ascii_digit) && text.len() < 10 && !text.starts_with('0') {
            let number = text.parse().map(|number| Self::Number(RunNumber(number)));
            return number.map_err(|_| RunRefError);
        }
        let is_id = (6..=WHOLE_ID).contains(&text.len()) && is(u8::is_ascii_hexdigit);
        is_id
            .then(|| Self::Id(text.to_ascii_lowercase()))
            .ok_or(RunRefError)
    }
}

impl fmt::Display for RunRef {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Number(number) => number.fmt(f),
            Self::Last(back) => write!(f, "@{}", "-".repeat(*back as usize)),
            Self::Id(id) => f.write_str(id),
        }
    }
}

/// How far a run is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum RunStatus {
    /// A process works on it, or nobody can tell.
    Running,
    /// It came to its end, with this exit status.
    Ended(u8),
    /// The process that worked on it is gone, and it did not come to its end.
    BrokenOff,
    /// The process that worked on it is gone, and this run goes on with it.
    WentOn(RunNumber),
}

/// Why no host of a run that is under way starts for now.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Paused {
    /// An administrator wanted it.
    Asked,
    /// An administrator has to decide about this wave, counted from 1: whether its hosts are well cannot be told.
    Wave(usize),
}

/// A press of the button, as it is listed.
#[derive(Debug, Clone, PartialEq)]
pub struct Run {
    /// Its number.
    pub number: RunNumber,
    /// The identity of its push, which all its events carry.
    pub push: PushId,
    /// What its hosts know it by, once they were asked to change something.
    pub client_run: Option<RunId>,
    /// The run that it goes on with, or repeats.
    pub parent: Option<RunNumber>,
    /// The operation as it was typed, with packages and options.
    pub operation: String,
    /// What it asks for, as clients are asked, without the run's options.
    pub request: String,
    /// The age that the .debs had to have, where the command line said it.
    pub min_age: Option<Duration>,
    /// The protected services that its packages may restart, as patterns of the command line.
    pub allow_restart: Vec<String>,
    /// The words of its target.
    pub target: String,
    /// Who pressed the button.
    pub by: String,
    /// When it began.
    pub begun: Timestamp,
    /// When it ended.
    pub ended: Option<Timestamp>,
    /// How far it is.
    pub status: RunStatus,
    /// Why no host starts for now.
    pub paused: Option<Paused>,
    /// The process that works, or worked, on it; none where that is not understood.
    pub owner: Option<Owner>,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_run_is_named_by_its_number_from_the_end_or_by_its_id() {
        let read = |text: &str| text.parse::<RunRef>().ok();
        assert_eq!(read("412"), Some(RunRef::Number(RunNumber(412))));
        assert_eq!(read("@"), Some(RunRef::Last(0)));
        assert_eq!(read("@--"), Some(RunRef::Last(2)));
        assert_eq!(read("AB12cd"), Some(RunRef::Id("ab12cd".into())));
        let digits = "1".repeat(32);
        assert_eq!(read(&digits), Some(RunRef::Id(digits)));
        for bad in ["", "0", "-1", "@x", "@-1", "ab12", "web1", &"a".repeat(33)] {
            assert_eq!(read(bad), None, "{bad}");
        }
        for word in ["412", "@", "@-", "ab12cd"] {
            assert_eq!(read(word).unwrap().to_string(), word);
        }
    }
}
