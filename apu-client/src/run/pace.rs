//! Decides how often the output of a program is looked at: often while it prints, and hardly ever while it is silent.

use std::os::fd::AsFd;

use crate::os::changes::Changes;
use crate::os::signals::Signals;

/// How long what a program prints is left to gather, in milliseconds.
const PRINTS: u16 = 100;

/// The same while it prints nothing: then it is looked at as soon as it prints again.
const SILENT: u16 = 1000;

/// After how many looks that found nothing a program counts as silent. What was held back of its progress is out by then.
const LOOKS: u8 = 10;

/// When the next look is due.
#[derive(Debug)]
pub(super) struct Pace {
    /// Of the files that the program writes; where nobody tells of them, they are looked at often.
    changes: Option<Changes>,
    /// How many looks found nothing.
    in_vain: u8,
}

impl Pace {
    pub(super) const fn new(changes: Option<Changes>) -> Self {
        Self { changes, in_vain: 0 }
    }

    /// Waits until the next look. A signal, such as that the program has ended, comes first.
    pub(super) fn wait(&mut self, signals: &mut Signals) {
        let silent = self.changes.as_ref().filter(|_| self.in_vain >= LOOKS);
        match silent {
            Some(changes) => signals.wait_or(Some(changes.as_fd()), SILENT),
            None => signals.wait(PRINTS),
        }
        let has_changed = self.changes.as_ref().is_none_or(Changes::take);
        self.in_vain = if has_changed {
            0
        } else {
            self.in_vain.saturating_add(1)
        };
    }
}

#[cfg(test)]
mod tests {
    use std::fs::File;
    use std::io::Write;
    use std::path::Path;

    use super::*;

    /// Waits so many times, with something to be done before each, and returns how many looks in vain there were last.
    fn in_vain_after(waits: u8, path: &Path, is_watched: bool, before: fn(&mut File)) -> u8 {
        let mut file = File::create(path).unwrap();
        let changes = is_watched.then(|| Changes::of_files([path]).unwrap());
        // Signals are blocked for a thread, so the test's own must not keep them.
        let waiting = move || {
            let (mut pace, mut signals) = (Pace::new(changes), Signals::block().unwrap());
            for _ in 0..waits {
                before(&mut file);
                pace.wait(&mut signals);
            }
            pace.in_vain
        };
        std::thread::spawn(waiting).join().unwrap()
    }

    #[test]
    fn a_program_that_prints_or_is_not_watched_never_counts_as_silent() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("output");
        assert_eq!(in_vain_after(LOOKS + 2, &path, true, |_| {}), LOOKS + 2);
        let prints = |file: &mut File| file.write_all(b"x").unwrap();
        assert_eq!(in_vain_after(LOOKS + 2, &path, true, prints), 0);
        assert_eq!(in_vain_after(LOOKS + 2, &path, false, |_| {}), 0);
    }

    #[test]
    fn what_a_silent_program_prints_ends_the_wait() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("output");
        let mut file = File::create(&path).unwrap();
        let mut pace = Pace::new(Changes::of_files([path.as_path()]).ok());
        pace.in_vain = LOOKS;
        let waiting = std::thread::spawn(move || {
            pace.wait(&mut Signals::block().unwrap());
            pace.in_vain
        });
        std::thread::sleep(std::time::Duration::from_millis(100));
        file.write_all(b"x").unwrap();
        assert_eq!(waiting.join().unwrap(), 0);
    }
}
