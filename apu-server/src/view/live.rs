//! Views that follow a run: live lines on a terminal, plain lines anywhere else.

use std::io::{self, Write};

use apu_fleet::{Board, Event, Outcome, Sink, Stage, Stamped, State, now};
use apu_proto::{Operation, Phase};
use indicatif::{MultiProgress, ProgressBar, ProgressDrawTarget, ProgressStyle};

use super::body::{Body, HOST};
use super::clean::clean;
use super::paint::Paint;

/// The most running hosts that are shown at once.
const LINES: usize = 8;

/// What is printed while a run goes on.
#[derive(Debug, Clone, Copy)]
pub struct Telling {
    /// What the terminal has.
    pub paint: Paint,
    /// Also what apt prints, and every host's end.
    pub verbose: bool,
    /// On a terminal that people watch: what goes wrong is said at once, and again in the summary.
    pub live: bool,
}

impl Telling {
    /// The line for an event, if it is worth one.
    fn line(self, operation: Option<Operation>, event: &Event) -> Option<String> {
        let text = match event {
            Event::End { host, ending, .. } => {
                // A skipped host is no news: the interrupt has been told.
                let news = self.live && !ending.outcome.is_well() && ending.outcome != Outcome::Skipped;
                if !news && !self.verbose {
                    return None;
                }
                let body = Body::of(operation?, host, ending);
                let advice = if body.advice.is_empty() {
                    String::new()
                } else {
                    format!("; try: {}", body.advice.replace(HOST, host.as_str()))
                };
                let headline = self.paint.outcome(body.outcome, &body.headline);
                format!("{}: {headline}{advice}", self.paint.strong(host.as_str()))
            }
            Event::Line { host, text } if self.verbose => {
                format!("{} {}", self.paint.faint(&format!("{host}|")), clean(text))
            }
            Event::Again { host, text } if self.verbose => {
                format!("{host}: the connection was lost, asking again: {}", clean(text))
            }
            Event::Interrupt { times: 1 } => {
                "nothing new is begun; Ctrl-C once more leaves, and the clients go on".to_owned()
            }
            Event::Interrupt { .. } => "left; the clients go on".to_owned(),
            _ => return None,
        };
        Some(self.paint.letters(text))
    }
}

/// Lines on a stream that is no terminal.
pub struct Plain<W> {
    to: W,
    telling: Telling,
    operation: Option<Operation>,
}

impl<W: Write> Plain<W> {
    /// Prints on `to`.
    pub const fn new(to: W, telling: Telling) -> Self {
        Self {
            to,
            telling,
            operation: None,
        }
    }
}

impl<W: Write> Sink for Plain<W> {
    fn name(&self) -> &str {
        "output"
    }

    fn take(&mut self, stamped: &Stamped) -> io::Result<()> {
        if let Event::Begin { operation, .. } = &stamped.event {
            self.operation = Some(*operation);
        }
        match self.telling.line(self.operation, &stamped.event) {
            Some(line) => writeln!(self.to, "{line}").and_then(|()| self.to.flush()),
            None => Ok(()),
        }
    }
}

/// Live lines on a terminal.
pub struct Live {
    screen: MultiProgress,
    bar: ProgressBar,
    lines: Vec<ProgressBar>,
    board: Board,
    telling: Telling,
}

impl Live {
    /// Draws on standard error.
    #[must_use]
    pub fn new(telling: Telling) -> Self {
        let screen = MultiProgress::with_draw_target(ProgressDrawTarget::stderr());
        let style = |template: &str| {
            ProgressStyle::with_template(template).unwrap_or_else(|_| ProgressStyle::default_bar())
        };
        let bars = if telling.paint.unicode { "━━─" } else { "=>-" };
        let bar = screen
            .add(ProgressBar::new(0).with_style(style("{bar:30} {pos}/{len} {msg}").progress_chars(bars)));
        Self {
            screen,
            bar,
            lines: Vec::new(),
            board: Board::default(),
            telling,
        }
    }

    fn draw(&mut self) {
        let now = now();
        let mut ended = 0;
        let mut running = Vec::new();
        for (host, state) in self.board.hosts() {
            match state {
                State::Queued => {}
                State::Running { since, at } => {
                    let seconds = (now - since).max(0.0);
                    running.push(format!("  {host}  {}  {seconds:.0} s", stage(at)));
                }
                State::Ended { .. } => ended += 1,
            }
        }
        let hidden = running.len().saturating_sub(LINES);
        let more = if hidden > 0 {
            format!(", {hidden} of them not shown")
        } else {
            String::new()
        };
        self.bar.set_length(self.board.hosts().len() as u64);
        self.bar.set_position(ended);
        self.bar.set_message(format!("{} at work{more}", running.len()));
        running.truncate(LINES);
        while self.lines.len() > running.len() {
            if let Some(line) = self.lines.pop() {
                line.finish_and_clear();
                self.screen.remove(&line);
            }
        }
        for (place, text) in running.into_iter().enumerate() {
            if place == self.lines.len() {
                let style = ProgressStyle::with_template("{wide_msg}")
                    .unwrap_or_else(|_| ProgressStyle::default_spinner());
                self.lines
                    .push(self.screen.add(ProgressBar::new_spinner().with_style(style)));
            }
            self.lines[place].set_message(self.telling.paint.letters(text));
        }
    }
}

fn stage(stage: &Stage) -> String {
    match stage {
        Stage::Connecting => "connecting".to_owned(),
        Stage::Asked => "asked".to_owned(),
        Stage::Again => "asking again".to_owned(),
        Stage::Waiting { holder } if holder.is_empty() => "waits for a lock".to_owned(),
        Stage::Waiting { holder } => format!("waits for {}", clean(holder)),
        Stage::Progress {
            phase,
            percent,
            package,
        } => {
            let phase = match phase {
                Phase::Repair => "repairs",
                Phase::Download => "fetches",
                Phase::Install => "installs",
                Phase::Other => "works",
            };
            let percent = percent.clamp(0.0, 100.0);
            format!("{phase} {percent:3.0} %  {}", clean(package))
        }
    }
}

impl Sink for Live {
    fn name(&self) -> &str {
        "terminal"
    }

    fn take(&mut self, stamped: &Stamped) -> io::Result<()> {
        self.board.apply(stamped);
        if let Some(line) = self.telling.line(self.board.operation, &stamped.event) {
            self.screen.println(line)?;
        }
        if let Event::Done { .. } = &stamped.event {
            self.bar.finish_and_clear();
            for line in self.lines.drain(..) {
                line.finish_and_clear();
            }
            self.screen.clear()?;
        }
        Ok(())
    }

    fn tick(&mut self) {
        self.draw();
    }
}

#[cfg(test)]
mod tests {
    use apu_fleet::{Ending, Obstacle, Outcome, Purpose, Why};

    use super::*;

    fn told(telling: Telling) -> String {
        let host = || "web1".parse().unwrap();
        let refused = Why::here(
            Obstacle::UnknownHostKey,
            "its host key is not known here",
            "apu host-key web1",
        );
        let events = [
            Event::Begin {
                version: 1,
                purpose: Purpose::Run,
                operation: Operation::Update,
                packages: vec![],
                hosts: vec![host()],
            },
            Event::Line {
                host: host(),
                text: "Get:1 \u{1b}[31mx".into(),
            },
            Event::Again {
                host: host(),
                text: "broken pipe".into(),
            },
            Event::End {
                host: host(),
                seconds: 1.0,
                ending: Ending::without_result(Outcome::Unreachable, refused, None),
            },
            Event::Interrupt { times: 1 },
        ];
        let mut text = Vec::new();
        let mut plain = Plain::new(&mut text, telling);
        for event in events {
            plain.take(&Stamped { at: 0.0, event }).unwrap();
        }
        String::from_utf8(text).unwrap()
    }

    const QUIET: Telling = Telling {
        paint: Paint {
            colour: false,
            unicode: true,
        },
        verbose: false,
        live: false,
    };
    const INTERRUPT: &str = "nothing new is begun; Ctrl-C once more leaves, and the clients go on\n";
    const END: &str = "web1: unreachable: its host key is not known here; try: apu host-key web1\n";

    #[test]
    fn a_log_has_the_summary_alone_and_with_v_everything() {
        assert_eq!(told(QUIET), INTERRUPT);
        assert_eq!(told(Telling { live: true, ..QUIET }), format!("{END}{INTERRUPT}"));
        let all = "web1| Get:1 \u{fffd}[31mx\nweb1: the connection was lost, asking again: broken pipe\n";
        assert_eq!(
            told(Telling {
                verbose: true,
                ..QUIET
            }),
            format!("{all}{END}{INTERRUPT}")
        );
    }

    #[test]
    fn a_stage_is_told_in_a_few_clean_words() {
        assert_eq!(
            stage(&Stage::Waiting {
                holder: "apt-get (7)\u{7}".into()
            }),
            "waits for apt-get (7)\u{fffd}"
        );
        let progress = Stage::Progress {
            phase: Phase::Install,
            percent: 250.0,
            package: "vim".into(),
        };
        assert_eq!(stage(&progress), "installs 100 %  vim");
    }
}
