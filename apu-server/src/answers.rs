//! Answers to debconf's questions, from `/etc/apu-server/debconf`: a file for a class, in the form of debconf-set-selections(1).

mod file;
mod mark;

use std::fs;
use std::io::{self, Read};

use apu_proto::{AnswersSalt, DebconfAnswer};
use apu_site::{Failure, Site};

pub(crate) use mark::MarkKey;

/// The answers of each file, by the class that is its name.
pub(crate) struct AnswerFiles(pub(crate) Vec<(String, Vec<DebconfAnswer>)>);

impl AnswerFiles {
    /// Reads all files of the directory; none where it is not there. `key` is asked for where there is an answer.
    ///
    /// # Errors
    /// Where one of them cannot be read, is not for root alone, or is not understood: then nobody is asked anything.
    pub(crate) fn read(site: &Site, key: impl FnOnce() -> Result<MarkKey, Failure>) -> Result<Self, Failure> {
        let files = file::read_all(&site.debconf())?;
        if files.is_empty() {
            return Ok(Self(Vec::new()));
        }
        let key = key()?;
        let marked = |(class, selections): (String, Vec<apu_debian::debconf::Selection>)| {
            let answers = selections.into_iter().map(|selection| {
                let mark = key.mark(&selection);
                DebconfAnswer::of(selection, mark)
            });
            (class, answers.collect())
        };
        Ok(Self(files.into_iter().map(marked).collect()))
    }
}

/// Random bytes for the line of answers.
pub(crate) fn salt() -> io::Result<AnswersSalt> {
    let mut bytes = [0; 16];
    fs::File::open("/dev/urandom")?.read_exact(&mut bytes)?;
    Ok(AnswersSalt::from_bytes(bytes))
}
