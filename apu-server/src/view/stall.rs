//! Says that a run shows no sign of life, and what its processes wait for.

use apu_proto::StalledProcess;

use super::clean::clean;

/// Such as `no sign of life for 120 s: dpkg (12), sleep (14); sleep waits for time to pass`.
pub(super) fn stall_text(seconds: u64, processes: &[StalledProcess]) -> String {
    let shown = processes
        .iter()
        .map(|process| format!("{} ({})", clean(&process.name), process.pid));
    let mut text = format!(
        "no sign of life for {seconds} s: {}",
        shown.collect::<Vec<_>>().join(", ")
    );
    // The last one that is known to wait for something else than its children is what the others wait for.
    let mut others = processes
        .iter()
        .rev()
        .filter(|process| !waits_for_a_child(&process.waits_in));
    if let Some(last) = others.find(|process| !process.waits_in.is_empty()) {
        text += &format!("; {} waits {}", clean(&last.name), waits(&last.waits_in));
    }
    text
}

fn waits_for_a_child(function: &str) -> bool {
    function.contains("do_wait") || function.contains("wait4")
}

/// What a process waits for that sleeps in this function of the kernel.
fn waits(function: &str) -> String {
    let has = |parts: &[&str]| parts.iter().any(|part| function.contains(part));
    let known = if has(&["nanosleep"]) {
        "for time to pass"
    } else if has(&["pipe_read", "pipe_wait", "anon_pipe_read"]) {
        "for another process to write to a pipe"
    } else if has(&["n_tty_read", "tty_read"]) {
        "for an answer at a terminal"
    } else if has(&["locks_lock", "flock_lock", "posix_lock", "fcntl_setlk"]) {
        "for a lock on a file"
    } else if has(&["unix_stream", "skb_wait", "inet_csk", "sk_wait", "tcp_"]) {
        "for an answer on a socket"
    } else if has(&["rpc_wait", "nfs"]) {
        "for a network file system"
    } else if has(&["io_schedule", "folio_wait", "blk_", "jbd2"]) {
        "for the disk"
    } else if has(&["futex"]) {
        "for another thread or process"
    } else if has(&["poll", "select", "ep_wait"]) {
        "for something to happen"
    } else {
        return format!("in {}", clean(function));
    };
    known.to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn process(pid: u32, name: &str, waits_in: &str) -> StalledProcess {
        StalledProcess {
            pid,
            name: name.into(),
            waits_in: waits_in.into(),
        }
    }

    #[test]
    fn what_the_others_wait_for_is_said_in_words() {
        let tree = [
            process(12, "dpkg", "do_wait"),
            process(13, "foo.postinst", "do_wait"),
            process(14, "sleep", "hrtimer_nanosleep"),
        ];
        assert_eq!(
            stall_text(120, &tree),
            "no sign of life for 120 s: dpkg (12), foo.postinst (13), sleep (14); sleep waits for time to pass"
        );
        let asks = [process(12, "dpkg", "do_wait"), process(13, "read", "n_tty_read")];
        assert!(stall_text(9, &asks).ends_with("; read waits for an answer at a terminal"));
        let new = [process(12, "dpkg", "a_new_function")];
        assert!(stall_text(9, &new).ends_with("; dpkg waits in a_new_function"));
        // Where the kernel does not tell, nothing is claimed.
        assert_eq!(
            stall_text(9, &[process(12, "dpkg", "")]),
            "no sign of life for 9 s: dpkg (12)"
        );
        // A name is the program's own.
        assert!(!stall_text(9, &[process(12, "a\u{1b}[2J", "")]).contains('\u{1b}'));
    }
}
