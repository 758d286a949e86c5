//! Views that follow a push: live lines on a terminal, plain lines anywhere else.

use std::io::{self, Write};

use apu_fleet::{Event, HostName, PauseCause, Phase, RunState, Sink, Sinks, TimedEvent, WaveVerdict, span};
use apu_site::Ui;
use indicatif::{MultiProgress, ProgressBar, ProgressDrawTarget, ProgressStyle};
use jiff::Timestamp;

use super::body::Body;
use super::changes::named;
use super::clean::{clean, clean_lines};
use super::groups::set;
use super::paint::Paint;
use super::plans::outlook;
use super::screen::lines;
use super::server_reason::hook_failed;
use super::stall::stall_text;

/// The most lines that are shown of what a hook printed.
const MOST_LINES: usize = 20;

/// What is printed while a push goes on.
#[derive(Debug, Clone, Copy)]
pub struct OutputOptions {
    /// What the terminal has.
    pub paint: Paint,
    /// Also what apt prints, and every host's end.
    pub verbose: bool,
    /// Only what needs a hand.
    pub quiet: bool,
    /// On a terminal that people watch: hosts at work are shown.
    pub live: bool,
}

impl OutputOptions {
    /// The line for an event, if it is worth one. How a host ended is for the summary, which tells it once.
    fn line(self, event: &Event, run: &RunState) -> Option<String> {
        let text = match event {
            Event::HostFinished { host, ending, .. } if self.verbose => {
                let (phase, operation) = run.phase.zip(run.operation)?;
                let body = Body::of(operation, ending);
                let planned = ending.result.as_ref().and_then(|result| result.plan());
                let headline = match planned.filter(|_| phase == Phase::Plan) {
                    Some(plan) if ending.outcome.is_well() => outlook(plan),
                    _ => self.paint.outcome(body.outcome, &body.headline),
                };
                format!("{}: {headline}", self.paint.strong(host.as_str()))
            }
            Event::Line { host, text } if self.verbose => {
                format!("{} {}", self.paint.faint(&format!("{host}|")), clean(text))
            }
            Event::Stalled {
                host,
                seconds,
                processes,
            } if !self.quiet => format!("{host}: {}", stall_text(*seconds, processes)),
            Event::Reconnecting { host, text } if self.verbose => {
                format!("{host}: the connection was lost, asking again: {}", clean(text))
            }
            Event::WaveStarted {
                wave, waves, hosts, ..
            } if !self.quiet => {
                let hosts: Vec<&HostName> = hosts.iter().collect();
                format!("wave {wave} of {waves}: {}", set(&hosts))
            }
            Event::WaveFinished {
                wave,
                waves,
                verdict: verdict @ (WaveVerdict::Failed | WaveVerdict::Inconclusive),
            } if wave < waves => {
                let why = match verdict {
                    WaveVerdict::Failed => "did not pass",
                    _ => "cannot be told to be well",
                };
                format!("wave {wave} of {waves} {why}: no other host starts")
            }
            Event::Paused { cause, wave, .. } => paused(*cause, *wave, run),
            Event::Promoted { wave, by } => format!("wave {wave} was promoted by {}", clean(by)),
            Event::Resumed { by } => format!("resumed by {}", clean(by)),
            Event::HeldBack { host, packages } if !self.quiet => {
                let packages = named("stay as they are, since no canary has tested them", packages)?;
                format!("{host}: {packages}")
            }
            Event::HookFailed {
                hook,
                host,
                program,
                end,
                detail,
            } => {
                let host = host.as_ref().map_or_else(String::new, |host| format!("{host}: "));
                let failed = hook_failed(*hook, program, *end, &detail.join("\n"));
                clean_lines(&format!("warning: {host}{failed}"), MOST_LINES).join("\n  ")
            }
            Event::Interrupted { times: 1 } => {
                "nothing new is begun; Ctrl-C once more leaves, and the clients go on".to_owned()
            }
            Event::Interrupted { .. } => "left; the clients go on".to_owned(),
            _ => return None,
        };
        Some(self.paint.letters(text))
    }
}

/// Why a push is paused, and what its administrator may type.
fn paused(cause: PauseCause, wave: usize, run: &RunState) -> String {
    let number = run
        .number
        .map_or_else(|| "@".to_owned(), |number| number.to_string());
    let Some(pause) = &run.pause else {
        return String::new();
    };
    let limit = span(pause.limit as u64);
    if cause != PauseCause::Inconclusive {
        return format!(
            "paused by {}, for {limit} at most: no other host starts\n  try: apu resume {number}, or apu abort {number}",
            clean(&pause.by)
        );
    }
    let hosts: Vec<&HostName> = pause.hosts.iter().collect();
    format!(
        "paused, for {limit} at most: whether {} of wave {wave} is well cannot be told, and no other host starts\n  \
         try: apu show {number}, which says why, and then apu promote {number} or apu abort {number}",
        set(&hosts)
    )
}

/// The view of a push that fits where it is shown.
#[must_use]
pub fn follow(ui: &Ui, output: OutputOptions) -> Sinks<'static> {
    if output.live {
        Sinks::default().with(Live::new(ui, output))
    } else {
        Sinks::default().with(Plain::new(ui.writer(), output))
    }
}

/// Lines on a stream that is no terminal.
pub struct Plain<W> {
    to: W,
    output: OutputOptions,
}

impl<W: Write> Plain<W> {
    /// Prints on `to`.
    pub const fn new(to: W, output: OutputOptions) -> Self {
        Self { to, output }
    }
}

impl<W: Write> Sink for Plain<W> {
    fn name(&self) -> &str {
        "output"
    }

    fn take(&mut self, timed: &TimedEvent, run: &RunState) -> io::Result<()> {
        match self.output.line(&timed.event, run) {
            Some(line) => writeln!(self.to, "{line}").and_then(|()| self.to.flush()),
            None => Ok(()),
        }
    }
}

/// Live lines on a terminal, while a phase lasts.
pub struct Live {
    screen: MultiProgress,
    /// The head, and a line for each host at work.
    lines: Vec<ProgressBar>,
    output: OutputOptions,
    ui: Ui,
}

impl Live {
    /// Draws on standard error.
    #[must_use]
    pub fn new(ui: &Ui, output: OutputOptions) -> Self {
        Self {
            screen: MultiProgress::with_draw_target(ProgressDrawTarget::stderr()),
            lines: Vec::new(),
            output,
            ui: ui.clone(),
        }
    }

    fn draw(&mut self, run: &RunState) {
        let (head, running) = lines(run, Timestamp::now(), self.ui.error_rows());
        while self.lines.len() > running.len() + 1 {
            self.take_line();
        }
        for (place, text) in std::iter::once(head).chain(running).enumerate() {
            if place == self.lines.len() {
                let style = ProgressStyle::with_template("{wide_msg}")
                    .unwrap_or_else(|_| ProgressStyle::default_spinner());
                self.lines
                    .push(self.screen.add(ProgressBar::new_spinner().with_style(style)));
            }
            self.lines[place].set_message(self.output.paint.letters(text));
        }
    }

    fn take_line(&mut self) {
        if let Some(line) = self.lines.pop() {
            line.finish_and_clear();
            self.screen.remove(&line);
        }
    }
}

impl Sink for Live {
    fn name(&self) -> &str {
        "terminal"
    }

    fn take(&mut self, timed: &TimedEvent, run: &RunState) -> io::Result<()> {
        if let Some(line) = self.output.line(&timed.event, run) {
            self.screen.println(line)?;
        }
        if let Event::PhaseFinished { .. } = &timed.event {
            while !self.lines.is_empty() {
                self.take_line();
            }
            self.screen.clear()?;
        }
        Ok(())
    }

    fn tick(&mut self, run: &RunState) {
        self.draw(run);
    }
}

#[cfg(test)]
mod tests {
    use apu_fleet::{Ending, Outcome, ServerAdvice, ServerCause, ServerReason};
    use apu_proto::{Answer, ClientOutcome, Operation, Plan, RunResult, Step, Transaction};

    use super::super::pushed::Pushed;
    use super::*;

    fn told(output: OutputOptions) -> String {
        let host = || "web1".parse().unwrap();
        let refused = ServerReason::from(ServerCause::HostKeyUnknown).advise(ServerAdvice::PinHostKey);
        let events = [
            Event::Line {
                host: host(),
                text: "Get:1 \u{1b}[31mx".into(),
            },
            Event::Reconnecting {
                host: host(),
                text: "broken pipe".into(),
            },
            Event::HostFinished {
                host: host(),
                seconds: 1.0,
                ending: Box::new(Ending::without_result(Outcome::Unreachable, refused, None)),
            },
            Event::Interrupted { times: 1 },
        ];
        let mut text = Vec::new();
        let mut plain = Plain::new(&mut text, output);
        let mut pushed = Pushed::new(Operation::Update, Phase::Apply, vec![host()]);
        for event in events {
            let timed = pushed.tell(0, event);
            plain.take(&timed, &pushed.0).unwrap();
        }
        String::from_utf8(text).unwrap()
    }

    const QUIET: OutputOptions = OutputOptions {
        quiet: false,
        paint: Paint {
            colour: false,
            unicode: true,
        },
        verbose: false,
        live: false,
    };
    const INTERRUPT: &str = "nothing new is begun; Ctrl-C once more leaves, and the clients go on\n";

    #[test]
    fn a_log_has_the_summary_alone_and_with_v_everything() {
        assert_eq!(told(QUIET), INTERRUPT);
        // A host's end is told by the summary, and only there.
        assert_eq!(told(OutputOptions { live: true, ..QUIET }), INTERRUPT);
        let all = "web1| Get:1 \u{fffd}[31mx\nweb1: the connection was lost, asking again: broken pipe\n\
                   web1: unreachable: its host key is not known here\n";
        assert_eq!(
            told(OutputOptions {
                verbose: true,
                ..QUIET
            }),
            format!("{all}{INTERRUPT}")
        );
    }

    #[test]
    fn a_plan_with_changes_is_not_called_unchanged() {
        let step = |n: u32| Step::Install {
            package: format!("p{n}:all").parse().unwrap(),
            old: Some("1".into()),
            new: "2".into(),
            sha256: None,
            origin: String::new(),
        };
        let result = RunResult::new(ClientOutcome::Unchanged).with(Answer::Plan(Box::new(Plan {
            transaction: Transaction::new((0..6).map(step).collect()),
            ..Plan::default()
        })));
        let event = Event::HostFinished {
            host: "web1".parse().unwrap(),
            seconds: 1.0,
            ending: Box::new(Ending::of_result(Box::new(result), None)),
        };
        let verbose = OutputOptions {
            verbose: true,
            ..QUIET
        };
        let line = |phase| {
            let pushed = Pushed::new(Operation::Upgrade, phase, vec!["web1".parse().unwrap()]);
            verbose.line(&event, &pushed.0).unwrap()
        };
        assert_eq!(line(Phase::Plan), "web1: 6 changes: 6 upgraded");
        assert_eq!(line(Phase::Apply), "web1: unchanged");
    }
}
