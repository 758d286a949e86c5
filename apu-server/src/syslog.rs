//! One line for the system's log, as syslog(3) sends it: a datagram to `/dev/log` in the form of RFC 3164, section 4.1.
//!
//! systemd's journal, rsyslog and busybox all read that socket.

use std::io;
use std::os::unix::net::UnixDatagram;
use std::path::Path;
use std::time::Duration;

use jiff::Zoned;

/// Facility authpriv (10) and severity notice (5), as sudo uses them: who made this machine act on others.
const PRIORITY: u8 = 10 * 8 + 5;

/// What a datagram may have at most: RFC 5424 wants receivers to take 2,048 bytes.
const LONGEST: usize = 2000;

/// A log that takes nothing is not waited for longer than this.
const PATIENCE: Duration = Duration::from_secs(2);

/// Sends a line to the log behind `socket`; whether there is one.
///
/// # Errors
/// Where a log is there, and the line did not reach it.
pub fn log(socket: &Path, program: &str, text: &str) -> io::Result<bool> {
    let sender = UnixDatagram::unbound()?;
    sender.set_write_timeout(Some(PATIENCE))?;
    let line = line(&Zoned::now(), program, std::process::id(), text);
    match sender.send_to(line.as_bytes(), socket) {
        Ok(_) => Ok(true),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(false),
        Err(error) => Err(error),
    }
}

fn line(now: &Zoned, program: &str, pid: u32, text: &str) -> String {
    let mut line = format!(
        "<{PRIORITY}>{} {program}[{pid}]: ",
        now.strftime("%b %e %H:%M:%S")
    );
    for character in text.chars() {
        if line.len() + character.len_utf8() > LONGEST {
            line.push('…');
            break;
        }
        // A line's end would begin another record.
        line.push(if character.is_control() { '?' } else { character });
    }
    line
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_has_the_form_of_syslog_and_no_second_line() {
        let now: Zoned = "2026-11-05T06:07:08+00:00[UTC]".parse().unwrap();
        assert_eq!(
            line(&now, "apt-all", 7, "target=web\n<85>forged"),
            "<85>Nov  5 06:07:08 apt-all[7]: target=web?<85>forged"
        );
        assert!(line(&now, "apt-all", 7, &"ü".repeat(4000)).len() < 2048);
    }

    #[test]
    fn where_no_log_is_nothing_is_sent_and_a_log_that_is_full_is_not_waited_for() {
        let directory = tempfile::tempdir().unwrap();
        let socket = directory.path().join("log");
        assert!(!log(&socket, "apt-all", "x").unwrap());

        let journal = UnixDatagram::bind(&socket).unwrap();
        assert!(log(&socket, "apt-all", "x").unwrap());
        let mut bytes = [0; 100];
        let length = journal.recv(&mut bytes).unwrap();
        assert!(bytes[..length].starts_with(b"<85>") && bytes[..length].ends_with(b": x"));

        // Nobody reads: its queue is full some day, and then that is an error.
        assert!((0..100_000).any(|_| log(&socket, "apt-all", "x").is_err()));
    }
}
