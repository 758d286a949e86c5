//! Where events go. A sink that fails is let go and named; the run goes on.

use std::io::{self, Write};

use crate::event::Stamped;

/// A receiver of events, in order.
pub trait Sink {
    /// What people know it by.
    fn name(&self) -> &str;

    /// Takes an event.
    ///
    /// # Errors
    /// For whatever makes it useless from now on.
    fn take(&mut self, event: &Stamped) -> io::Result<()>;

    /// Called a few times a second while nothing else may happen: for those that show time passing.
    fn tick(&mut self) {}
}

/// All sinks of a run.
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
    pub fn take(&mut self, event: &Stamped) {
        let failed = &mut self.failed;
        self.sinks.retain_mut(|sink| match sink.take(event) {
            Ok(()) => true,
            Err(error) => {
                failed.push((sink.name().to_owned(), error));
                false
            }
        });
    }
}

impl Sinks<'_> {
    pub(crate) fn tick(&mut self) {
        self.sinks.iter_mut().for_each(|sink| sink.tick());
    }
}

/// Writes an event a line, as JSON.
pub struct JsonLines<W>(pub W);

impl<W: Write> Sink for JsonLines<W> {
    fn name(&self) -> &str {
        "--json"
    }

    fn take(&mut self, event: &Stamped) -> io::Result<()> {
        let mut line = serde_json::to_string(event)?;
        line.push('\n');
        self.0.write_all(line.as_bytes())?;
        self.0.flush()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::event::Event;

    struct Full;

    impl Sink for Full {
        fn name(&self) -> &str {
            "full"
        }

        fn take(&mut self, _: &Stamped) -> io::Result<()> {
            Err(io::ErrorKind::StorageFull.into())
        }
    }

    #[test]
    fn a_sink_that_fails_is_let_go_and_named_and_the_others_go_on() {
        let mut text = Vec::new();
        let mut sinks = Sinks::default().with(Full).with(JsonLines(&mut text));
        let event = Stamped {
            at: 1.0,
            event: Event::Interrupt { times: 1 },
        };
        sinks.take(&event);
        sinks.take(&event);
        assert_eq!(sinks.failed.len(), 1);
        assert_eq!(sinks.failed[0].0, "full");
        drop(sinks);
        let line = "{\"at\":1.0,\"event\":\"interrupt\",\"times\":1}\n";
        assert_eq!(String::from_utf8(text).unwrap(), line.repeat(2));
    }
}
