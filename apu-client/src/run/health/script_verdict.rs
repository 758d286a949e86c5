//! Judges an ended script: its exit status, its output and the limits that it came to.

use std::time::Duration;

use apu_proto::{CANNOT_TELL, Verdict};

use crate::os::limited::{End, Ended};
use crate::os::spawn::Exit;

/// The most bytes that a script may print.
pub(super) const MAX_OUTPUT: usize = 64 * 1024;

/// What an ended script means. `has_user` says that setpriv started it.
pub(super) fn judge(ended: &Ended, limit: Duration, has_user: bool) -> (Verdict, String) {
    let said = ended.output.trim();
    let and_said = |why: String| {
        if said.is_empty() {
            why
        } else {
            format!("{why}\n{said}")
        }
    };
    let inconclusive = |why: String| (Verdict::Inconclusive, and_said(why));
    match ended.end {
        End::Late => inconclusive(format!("it did not end within {} s", limit.as_secs())),
        End::TooLong => inconclusive(format!("it printed more than {MAX_OUTPUT} bytes")),
        End::Stopped => inconclusive("it was ended, since this machine is shutting down".to_owned()),
        End::Exited(Exit::Unknown) => inconclusive(Exit::Unknown.to_string()),
        End::Exited(Exit::Code(0)) => (Verdict::Pass, said.to_owned()),
        End::Exited(_) if has_user && said.starts_with("setpriv: ") => {
            (Verdict::Inconclusive, format!("not run: {said}"))
        }
        End::Exited(exit) => {
            let verdict = if exit == Exit::Code(CANNOT_TELL) {
                Verdict::Inconclusive
            } else {
                Verdict::Fail
            };
            let said = if said.is_empty() {
                exit.to_string()
            } else {
                said.to_owned()
            };
            (verdict, said)
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_exit_status_is_the_verdict_and_the_output_is_its_words() {
        let ended = |end, output: &str| Ended {
            end,
            output: output.to_owned(),
        };
        let judged =
            |end, output: &str, has_user| judge(&ended(end, output), Duration::from_secs(30), has_user);
        use Verdict::{Fail, Inconclusive, Pass};
        let code = |code| End::Exited(Exit::Code(code));
        for (end, output, has_user, verdict, detail) in [
            (code(0), "3 answers\n", false, Pass, "3 answers"),
            (code(1), "", false, Fail, "exit status 1"),
            (code(2), " no answer\n", false, Fail, "no answer"),
            (code(75), "starting", false, Inconclusive, "starting"),
            (code(75), "", false, Inconclusive, "exit status 75"),
            (code(127), "x: not found", true, Fail, "x: not found"),
            (
                code(127),
                "setpriv: setresuid failed",
                true,
                Inconclusive,
                "not run: setpriv: setresuid failed",
            ),
            (
                code(127),
                "setpriv: setresuid failed",
                false,
                Fail,
                "setpriv: setresuid failed",
            ),
            (End::Exited(Exit::Signal(11)), "", false, Fail, "signal 11"),
            (
                End::Exited(Exit::Unknown),
                "",
                false,
                Inconclusive,
                "an unknown exit status",
            ),
            (
                End::Late,
                "asking",
                false,
                Inconclusive,
                "it did not end within 30 s\nasking",
            ),
            (
                End::TooLong,
                "",
                false,
                Inconclusive,
                "it printed more than 65536 bytes",
            ),
        ] {
            assert_eq!(
                judged(end, output, has_user),
                (verdict, detail.to_owned()),
                "{end:?}"
            );
        }
        assert_eq!(judged(End::Stopped, "", false).0, Inconclusive);
    }
}
