//! The server's log: standard error, which is the journal under systemd. No client can fill it.

use std::fmt;
use std::sync::Mutex;
use std::time::{Duration, Instant};

use apu_site::Ui;

/// Lines in each [`WINDOW`].
const LINES: u32 = 10;
const WINDOW: Duration = Duration::from_secs(10);

/// Writes a few lines in each window, and then how many it left out.
#[derive(Debug)]
pub(super) struct Log {
    ui: Ui,
    state: Mutex<(Instant, u32)>,
}

impl Log {
    pub(super) fn new(ui: &Ui) -> Self {
        Self {
            ui: ui.clone(),
            state: Mutex::new((Instant::now(), 0)),
        }
    }

    /// Writes a line, if there is room for it.
    pub(super) fn tell(&self, line: fmt::Arguments<'_>) {
        for text in self.due(line, Instant::now()) {
            self.ui.complain(&format!("{text}\n"));
        }
    }

    fn due(&self, line: fmt::Arguments<'_>, now: Instant) -> Vec<String> {
        let Ok(mut state) = self.state.lock() else {
            return Vec::new();
        };
        let (since, count) = &mut *state;
        let mut due = Vec::new();
        if now.duration_since(*since) >= WINDOW {
            if *count > LINES {
                due.push(format!("{} more lines were left out", *count - LINES));
            }
            (*since, *count) = (now, 0);
        }
        *count = count.saturating_add(1);
        if *count <= LINES {
            due.push(line.to_string().escape_debug().to_string());
        }
        due
    }
}

#[cfg(test)]
mod tests {
    use std::io;

    use super::*;

    #[test]
    fn a_flood_is_a_few_lines_and_a_number() {
        let log = Log::new(&Ui::of_writers(io::sink(), io::sink()));
        let start = Instant::now();
        let lines: Vec<_> = (0..1000)
            .flat_map(|n| log.due(format_args!("line {n}"), start))
            .collect();
        assert_eq!(lines.len(), 10);
        assert_eq!(
            log.due(format_args!("later\n\u{1b}"), start + WINDOW),
            ["990 more lines were left out", "later\\n\\u{1b}"]
        );
    }
}
