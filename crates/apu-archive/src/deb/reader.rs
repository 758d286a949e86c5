//! Reading .debs in child processes that can do nothing else: what a hostile one breaks is a child without files,
//! network or much memory.
//!
//! A program that calls [`serve_deb_reader`] first in its `main` reads .debs in children, which are the same program
//! once more. One child reads many .debs: it gets an open file at a time, and answers with what it read. Where the
//! program did not call it (in unit tests), the same code reads within the process.

mod child;
mod confine;
mod wire;

use std::fs::File;
use std::io::{self, Write};
use std::os::fd::OwnedFd;
use std::os::unix::process::CommandExt;
use std::process::{Child, ChildStdout, Command, ExitCode, Stdio};
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Mutex, Once, PoisonError};

use wire::{Answer, Job};

use super::compression::Memory;
use super::depth::Depth;
use super::{Deb, DebError, LARGE, control_and_names, hash};
use crate::deb::control::Control;
use crate::parallel;

/// How a child is told what it is.
const NAME: &str = "apu-deb-reader";

/// Children are of use only where the program's start serves them.
static IS_SERVED: AtomicBool = AtomicBool::new(false);

/// More children than this read no faster from one disk.
const MOST_CHILDREN: usize = 8;

/// Lets this program read .debs in children; in such a child, reads them and returns the status to exit with at once.
///
/// It comes first in `main`: what was opened or started before it would be the child's too.
#[must_use]
pub fn serve_deb_reader() -> Option<ExitCode> {
    let mut arguments = std::env::args_os();
    if arguments.next().is_some_and(|name| name == NAME) {
        let seconds = arguments.next().and_then(|text| text.to_str()?.parse().ok());
        return Some(child::serve(seconds.unwrap_or(60)));
    }
    IS_SERVED.store(true, Ordering::Relaxed);
    None
}

/// What a .deb holds.
pub(crate) struct Contents {
    pub(crate) deb: Deb,
    /// Of the packaged files without directories, each with a line break after it; empty for [`Depth::Control`].
    pub(crate) names: Vec<u8>,
}

/// Reads all these files, each of which gives itself opened, in their order.
pub(crate) fn read_all<'a, T: Sync>(
    items: &'a [T],
    depth: Depth,
    open: impl Fn(&'a T) -> io::Result<File> + Sync + Send,
) -> Vec<Result<Contents, DebError>> {
    if !IS_SERVED.load(Ordering::Relaxed) {
        return parallel::map(items, |item| here(&open(item)?, depth));
    }
    let cores = std::thread::available_parallelism().map_or(1, usize::from);
    let workers: Vec<usize> = (0..cores.min(items.len()).min(MOST_CHILDREN)).collect();
    let next = AtomicUsize::new(0);
    let results: Vec<Mutex<Option<Result<Contents, DebError>>>> =
        items.iter().map(|_| Mutex::new(None)).collect();
    std::thread::scope(|scope| {
        for _ in &workers {
            scope.spawn(|| {
                let mut reader = None;
                loop {
                    let at = next.fetch_add(1, Ordering::Relaxed);
                    let Some(item) = items.get(at) else { break };
                    let result = open(item)
                        .map_err(DebError::from)
                        .and_then(|file| in_child(&mut reader, &file, depth));
                    *results[at].lock().unwrap_or_else(PoisonError::into_inner) = Some(result);
                }
            });
        }
    });
    let taken = |result: Mutex<Option<_>>| result.into_inner().unwrap_or_else(PoisonError::into_inner);
    let missing = || Err(DebError::NotJudged("nothing read it".into()));
    results
        .into_iter()
        .map(|result| taken(result).unwrap_or_else(missing))
        .collect()
}

fn here(file: &File, depth: Depth) -> Result<Contents, DebError> {
    let (read, hashed) = parallel::both(
        || super::with_memory(|memory| control_and_names(file, depth, memory)),
        || hash(&mut super::ar::whole(file)),
    );
    let ((control, names), (size, sha256)) = (read?, hashed?);
    let deb = Deb {
        control,
        size,
        sha256,
    };
    Ok(Contents { deb, names })
}

/// One file by the child in `reader`, which is started where there is none, and is gone after it broke.
fn in_child(reader: &mut Option<Reader>, file: &File, depth: Depth) -> Result<Contents, DebError> {
    if !file.metadata()?.is_file() {
        return Err(DebError::NotJudged("it is not a file".into()));
    }
    let ask = |reader: &mut Option<Reader>, memory| {
        let size = file.metadata()?.len();
        if reader
            .as_ref()
            .is_none_or(|reader| reader.seconds_left < seconds(size))
        {
            *reader = Some(Reader::start(seconds(size)).map_err(DebError::NoReader)?);
        }
        let there = reader.as_mut().ok_or_else(|| io::Error::other("no reader"))?;
        there.seconds_left -= seconds(size);
        let hashed = there
            .send(file, Job { depth, memory })
            .and_then(|()| hash(&mut super::ar::whole(file)))?;
        match there.answer() {
            Ok(answer) => Ok((answer, hashed)),
            // It broke over this file, and over no other.
            Err(error) => {
                let ended = reader.take().map(Reader::end);
                let ended = ended.map_or_else(|| error.to_string(), |ended| ended.to_string());
                Err(DebError::ReaderEnded(ended))
            }
        }
    };
    let (mut answer, hashed) = ask(reader, Memory::Usual)?;
    if matches!(answer, Answer::WantsMemory) {
        let _alone = LARGE.lock().unwrap_or_else(PoisonError::into_inner);
        answer = ask(reader, Memory::Large)?.0;
    }
    match answer {
        Answer::Read { control, names } => {
            // A child that was taken over can say no more than a control file can.
            let control = Control::parse(&control)?;
            let (size, sha256) = hashed;
            let deb = Deb {
                control,
                size,
                sha256,
            };
            Ok(Contents { deb, names })
        }
        Answer::Refused(why) => Err(DebError::NotJudged(why)),
        Answer::WantsMemory => Err(DebError::NotJudged(super::TOO_MUCH_MEMORY.into())),
    }
}

/// Of CPU time, for a .deb of that many bytes: xz unpacks more than a megabyte a second on the slowest machine.
fn seconds(size: u64) -> u64 {
    10 + size / 1_000_000
}

/// A child, and how to talk to it.
struct Reader {
    child: Child,
    jobs: OwnedFd,
    answers: ChildStdout,
    /// Of the CPU time that it may take.
    seconds_left: u64,
}

impl Reader {
    fn start(least: u64) -> io::Result<Self> {
        // A child that gets few files ends with the program, long before that.
        let seconds_left = least + 3600;
        let (jobs, theirs) = wire::pair()?;
        let mut child = Command::new("/proc/self/exe")
            .arg0(NAME)
            .arg(seconds_left.to_string())
            .env_clear()
            .stdin(Stdio::from(theirs))
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()?;
        let answers = child.stdout.take();
        let mut reader = Self {
            child,
            jobs,
            answers: answers.ok_or_else(|| io::Error::other("no pipe"))?,
            seconds_left,
        };
        static TOLD: Once = Once::new();
        if let Some(missing) = wire::read_hello(&mut reader.answers)? {
            TOLD.call_once(|| {
                // Where standard error is closed nobody reads the note.
                let _ = writeln!(
                    io::stderr(),
                    "note: .debs are read without {missing}, which this kernel does not have"
                );
            });
        }
        Ok(reader)
    }

    fn send(&self, file: &File, job: Job) -> io::Result<()> {
        wire::send(&self.jobs, file, job)
    }

    fn answer(&mut self) -> io::Result<Answer> {
        wire::read_answer(&mut self.answers)
    }

    /// How the child ended.
    fn end(mut self) -> impl std::fmt::Display {
        let _ = self.child.kill();
        self.child
            .wait()
            .map_or_else(|error| error.to_string(), |status| status.to_string())
    }
}

impl Drop for Reader {
    fn drop(&mut self) {
        // Without jobs it ends by itself; one that does not is of no use to anybody.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
