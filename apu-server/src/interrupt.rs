//! Ctrl-C as a message for whoever decides.

use apu_fleet::Instruction;
use tokio::signal::unix::{SignalKind, signal};
use tokio::sync::mpsc::{UnboundedReceiver, UnboundedSender, unbounded_channel};

/// [`Instruction::Stop`] for each SIGINT, SIGTERM or SIGHUP. Needs a runtime.
///
/// A terminal that was closed is an administrator who left: nothing new is begun, and what was begun is seen to its end.
/// A signal that the caller has ignored, as nohup(1) does, stays ignored.
#[must_use]
pub fn instructions() -> UnboundedReceiver<Instruction> {
    instructions_and_others().1
}

/// The same, and a way for the instructions of others.
#[must_use]
pub fn instructions_and_others() -> (UnboundedSender<Instruction>, UnboundedReceiver<Instruction>) {
    let (to, instructions) = unbounded_channel();
    forward(&to);
    (to, instructions)
}

fn forward(to: &UnboundedSender<Instruction>) {
    let ignored = std::fs::read_to_string("/proc/self/status").map_or(0, |status| ignored(&status));
    for kind in [
        SignalKind::interrupt(),
        SignalKind::terminate(),
        SignalKind::hangup(),
    ] {
        if ignored & (1 << (kind.as_raw_value() - 1)) != 0 {
            continue;
        }
        // Without a handler the signal simply ends the program, and the clients go on.
        let Ok(mut signals) = signal(kind) else { continue };
        let to = to.clone();
        tokio::spawn(
            async move { while signals.recv().await.is_some() && to.send(Instruction::Stop).is_ok() {} },
        );
    }
}

/// The mask of ignored signals in the text of /proc/PID/status, see proc_pid_status(5).
fn ignored(status: &str) -> u64 {
    let mask = status.lines().find_map(|line| line.strip_prefix("SigIgn:"));
    mask.and_then(|mask| u64::from_str_radix(mask.trim(), 16).ok())
        .unwrap_or(0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_ignored_signal_is_read_from_the_kernels_own_account() {
        assert_eq!(ignored("Name:\tx\nSigIgn:\t0000000000000001\nSigCgt:\tf\n"), 1);
        assert_eq!(ignored("Name:\tx\n"), 0);
        let shell = std::process::Command::new("sh")
            .args(["-c", "trap '' HUP; exec cat /proc/self/status"])
            .output()
            .unwrap();
        assert_eq!(ignored(&String::from_utf8(shell.stdout).unwrap()) & 1, 1);
    }
}
