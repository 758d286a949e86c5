//! Where events go. A sink that fails is let go and named; the run goes on.

use std::fmt::Write as _;
use std::io::{self, Write};

use serde::Serialize;

use crate::event::{Event, TimedEvent};
use crate::name::HostName;
use crate::reason::HostReason;
use crate::run_state::RunState;

/// A receiver of events, in order.
pub trait Sink {
    /// What people know it by.
    fn name(&self) -> &str;

    /// Takes an event; `run` is the state after it, and after what else was decided in the same moment.
    ///
    /// # Errors
    /// For whatever makes it useless from now on.
    fn take(&mut self, event: &TimedEvent, run: &RunState) -> io::Result<()>;

    /// Called after the events of one moment and before anything follows from them: what has to be on the disk by then is written
    /// there.
    ///
    /// # Errors
    /// Where it is not. Then no host is asked for anything.
    fn settle(&mut self) -> io::Result<()> {
        Ok(())
    }

    /// Called a few times a second while nothing else may happen: for those that show time passing.
    fn tick(&mut self, _run: &RunState) {}

    /// Whether it is to be called so until something happens.
    fn wants_ticks(&self) -> bool {
        true
    }
}

/// All sinks of a push.
#[derive(Default)]
pub struct Sinks<'a> {
    sinks: Vec<Box<dyn Sink + 'a>>,
    /// The names of those that failed, with their reasons.
    pub failed: Vec<(String, io::Error)>,
}

impl<'a> Sinks<'a> {
    /// One more sink, after the others.
    #[must_use]
    pub fn with(mut self, sink: impl Sink + 'a) -> Self {
        self.sinks.push(Box::new(sink));
        self
    }

    /// Gives an event to all.
    pub fn take(&mut self, event: &TimedEvent, run: &RunState) {
        let failed = &mut self.failed;
        self.sinks.retain_mut(|sink| match sink.take(event, run) {
            Ok(()) => true,
            Err(error) => {
                failed.push((sink.name().to_owned(), error));
                false
            }
        });
    }
}

impl Sinks<'_> {
    /// Has every sink write what must not be lost.
    ///
    /// # Errors
    /// Where one cannot; which, and why.
    pub(crate) fn settle(&mut self) -> Result<(), String> {
        for sink in &mut self.sinks {
            sink.settle()
                .map_err(|error| format!("{}: {error}", sink.name()))?;
        }
        Ok(())
    }

    /// Whether any sink has something to do while nothing happens.
    pub(crate) fn want_ticks(&self) -> bool {
        self.sinks.iter().any(|sink| sink.wants_ticks())
    }

    pub(crate) fn tick(&mut self, run: &RunState) {
        self.sinks.iter_mut().for_each(|sink| sink.tick(run));
    }
}

/// What a reason says to a person, made of its facts by a view.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
pub struct Description {
    /// What happened and why; one or more lines.
    pub text: String,
    /// What to try, in this server's words; empty where there is nothing to say.
    #[serde(rename = "try", skip_serializing_if = "String::is_empty")]
    pub advice: String,
}

/// Writes an event a line, as JSON in plain ASCII: what a host printed may hold whatever a terminal obeys or hides.
pub struct JsonLines<W> {
    /// Where to.
    pub out: W,
    /// What is added to the end of a host that has a reason.
    pub describe: fn(&HostName, &HostReason) -> Description,
}

/// An event with the words for people.
#[derive(Serialize)]
struct Line<'a> {
    #[serde(flatten)]
    event: &'a TimedEvent,
    #[serde(flatten)]
    description: Option<Description>,
}

impl<W: Write> Sink for JsonLines<W> {
    fn name(&self) -> &str {
        "--json"
    }

    fn take(&mut self, event: &TimedEvent, _: &RunState) -> io::Result<()> {
        let description = match &event.event {
            Event::HostFinished { host, ending, .. } => {
                (ending.reason.as_ref()).map(|reason| (self.describe)(host, reason))
            }
            _ => None,
        };
        let mut line = json_in_ascii(&serde_json::to_string(&Line { event, description })?);
        line.push('\n');
        self.out.write_all(line.as_bytes())?;
        self.out.flush()
    }
}

/// The same JSON with everything but printable ASCII as `\uXXXX`. Outside of strings JSON has nothing else.
#[must_use]
pub fn json_in_ascii(json: &str) -> String {
    if json.bytes().all(|byte| matches!(byte, b' '..=b'~')) {
        return json.to_owned();
    }
    let mut text = String::with_capacity(json.len());
    for character in json.chars() {
        if matches!(character, ' '..='~') {
            text.push(character);
            continue;
        }
        for unit in character.encode_utf16(&mut [0; 2]) {
            let _ = write!(text, "\\u{unit:04x}");
        }
    }
    text
}

#[cfg(test)]
mod tests {
    use apu_proto::{ClientOutcome, RunResult};

    use super::*;
    use crate::outcome::{Ending, Outcome};
    use crate::push_id::PushId;
    use crate::reason::ServerCause;

    fn timed(event: Event) -> (TimedEvent, RunState) {
        let push = PushId::from_bytes([1; 16]);
        let at = "2026-11-05T06:07:08.009Z".parse().unwrap();
        (TimedEvent { at, push, event }, RunState::new(push))
    }

    struct Full;

    impl Sink for Full {
        fn name(&self) -> &str {
            "full"
        }

        fn take(&mut self, _: &TimedEvent, _: &RunState) -> io::Result<()> {
            Err(io::ErrorKind::StorageFull.into())
        }
    }

    fn lines<W: Write>(out: W) -> JsonLines<W> {
        JsonLines {
            out,
            describe: |host, _| Description {
                text: "a sentence".into(),
                advice: format!("apu bootstrap {host}"),
            },
        }
    }

    #[test]
    fn the_end_of_a_host_with_a_reason_has_words_for_people_and_reads_back() {
        let ended = |ending| Event::HostFinished {
            host: "web1".parse().unwrap(),
            seconds: 1.0,
            ending: Box::new(ending),
        };
        let refused = Ending::without_result(Outcome::Unreachable, ServerCause::ConnectionRefused, None);
        let (event, run) = timed(ended(refused));
        let mut written = Vec::new();
        lines(&mut written).take(&event, &run).unwrap();
        let line = String::from_utf8(written).unwrap();
        assert!(
            line.ends_with("\"text\":\"a sentence\",\"try\":\"apu bootstrap web1\"}\n"),
            "{line}"
        );
        assert_eq!(serde_json::from_str::<TimedEvent>(&line).unwrap(), event);
        let well = Ending::of_result(Box::new(RunResult::new(ClientOutcome::Unchanged)), None);
        let (event, run) = timed(ended(well));
        let mut written = Vec::new();
        lines(&mut written).take(&event, &run).unwrap();
        assert!(!String::from_utf8(written).unwrap().contains("sentence"));
    }

    #[test]
    fn a_sink_that_fails_is_let_go_and_named_and_the_others_go_on() {
        let mut text = Vec::new();
        let mut sinks = Sinks::default().with(Full).with(lines(&mut text));
        let (event, run) = timed(Event::Interrupted { times: 1 });
        sinks.take(&event, &run);
        sinks.take(&event, &run);
        assert_eq!(sinks.failed.len(), 1);
        assert_eq!(sinks.failed[0].0, "full");
        drop(sinks);
        let line = "{\"at\":\"2026-11-05T06:07:08.009Z\",\"push\":\"01010101010101010101010101010101\",\
                    \"event\":\"interrupted\",\"times\":1}\n";
        assert_eq!(String::from_utf8(text).unwrap(), line.repeat(2));
    }

    #[test]
    fn nothing_that_a_terminal_obeys_or_hides_is_raw_in_json() {
        let host = "web1".parse().unwrap();
        let text =
            "a\u{9b}31m\u{202e}\u{7f}\u{1b}[2J\u{2028}\u{feff}\u{e0041}\u{85}\u{1f600}ü\\\"".to_owned();
        let (event, run) = timed(Event::Line { host, text });
        let mut written = Vec::new();
        lines(&mut written).take(&event, &run).unwrap();
        let line = String::from_utf8(written).unwrap();
        assert!(
            line.trim_end_matches('\n')
                .bytes()
                .all(|byte| (b' '..=b'~').contains(&byte)),
            "{line}"
        );
        assert!(line.contains(r"\u202e\u007f\u001b[2J\u2028"), "{line}");
        assert_eq!(serde_json::from_str::<TimedEvent>(&line).unwrap(), event);
    }
}
