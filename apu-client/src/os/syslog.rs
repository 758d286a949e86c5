//! Writes one line a request to the system log. It never waits and never fails: a run matters more than its log entry.

use std::os::unix::net::UnixDatagram;

/// Facility daemon, severity info.
const PRIORITY: u8 = 3 << 3 | 6;

/// Writes a line to the system log, if there is one.
pub(crate) fn log(text: &str) {
    let Ok(socket) = UnixDatagram::unbound() else {
        return;
    };
    let _ = socket.set_nonblocking(true);
    let line = format!(
        "<{PRIORITY}>apu-client[{}]: {}",
        std::process::id(),
        printable(text)
    );
    let _ = socket.send_to(line.as_bytes(), "/dev/log");
}

/// Replaces control characters, so that a text cannot forge a second line or move a cursor, and limits its length.
fn printable(text: &str) -> String {
    let mut printable: String = (text.chars())
        .map(|char| if char.is_control() { ' ' } else { char })
        .collect();
    let end = (0..=printable.len().min(1000))
        .rev()
        .find(|&at| printable.is_char_boundary(at));
    printable.truncate(end.unwrap_or_default());
    printable
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_request_cannot_write_a_second_line() {
        assert_eq!(
            printable("update\nroot logged in\u{1b}[2J"),
            "update root logged in [2J"
        );
        assert_eq!(printable(&"\u{e9}".repeat(2000)).len(), 1000);
    }
}
