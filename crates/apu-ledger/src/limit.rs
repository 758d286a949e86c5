//! Limits the events that a client can repeat at will: no host can fill the server's memory or disk with them.

use std::collections::HashMap;

use apu_fleet::{Event, HostName};

/// How many times a host is noted to wait for a lock, in a run.
const WAITS: u32 = 20;

/// How many lost connections of a host are noted, in a run.
const RECONNECTS: u32 = 50;

/// How many times it is noted that a run of a host shows no sign of life.
const STALLS: u32 = 20;

/// The longest name of a process or of a function of the kernel, in bytes.
const LONGEST_NAME: usize = 64;

/// The longest text of such an event, in bytes.
const LONGEST_TEXT: usize = 1000;

/// How much each host has told so far.
#[derive(Debug, Default)]
pub(crate) struct Limits(HashMap<HostName, Told>);

#[derive(Debug, Default)]
struct Told {
    waits: u32,
    /// The lock that it was last noted to wait for, and who held it.
    waits_for: Option<(String, String)>,
    reconnects: u32,
    stalls: u32,
}

impl Limits {
    /// Whether the event is to be kept.
    pub(crate) fn admit(&mut self, event: &Event) -> bool {
        match event {
            Event::Waiting { host, lock, holder } => {
                let told = self.0.entry(host.clone()).or_default();
                let is_news = told
                    .waits_for
                    .as_ref()
                    .is_none_or(|(known, by)| (cut(lock), cut(holder)) != (known, by));
                let is_kept = is_news && told.waits < WAITS;
                if is_kept {
                    told.waits += 1;
                    told.waits_for = Some((cut(lock).to_owned(), cut(holder).to_owned()));
                }
                is_kept
            }
            Event::Stalled { host, .. } => {
                let told = self.0.entry(host.clone()).or_default();
                let is_kept = told.stalls < STALLS;
                told.stalls += u32::from(is_kept);
                is_kept
            }
            Event::Reconnecting { host, .. } => {
                let told = self.0.entry(host.clone()).or_default();
                let is_kept = told.reconnects < RECONNECTS;
                told.reconnects += u32::from(is_kept);
                is_kept
            }
            // In its next turn it may wait for the same lock again.
            Event::HostStarted { host, .. } => {
                if let Some(told) = self.0.get_mut(host) {
                    told.waits_for = None;
                }
                true
            }
            _ => true,
        }
    }
}

/// Cuts the texts that a client may make as long as a frame.
pub(crate) fn shorten(event: &mut Event) {
    match event {
        Event::Waiting { lock, holder, .. } => {
            lock.truncate(cut(lock).len());
            holder.truncate(cut(holder).len());
        }
        Event::Reconnecting { text, .. } => text.truncate(cut(text).len()),
        Event::Stalled { processes, .. } => {
            for process in processes {
                process.name.truncate(begin_of(&process.name, LONGEST_NAME).len());
                process
                    .waits_in
                    .truncate(begin_of(&process.waits_in, LONGEST_NAME).len());
            }
        }
        _ => {}
    }
}

fn cut(text: &str) -> &str {
    begin_of(text, LONGEST_TEXT)
}

/// The beginning of a text: as many whole characters as these bytes hold.
pub(crate) fn begin_of(text: &str, most: usize) -> &str {
    let mut end = most.min(text.len());
    while !text.is_char_boundary(end) {
        end -= 1;
    }
    &text[..end]
}

#[cfg(test)]
mod tests {
    use super::*;

    fn waits(host: &str, lock: &str) -> Event {
        Event::Waiting {
            host: host.parse().unwrap(),
            lock: lock.into(),
            holder: "apt".into(),
        }
    }

    #[test]
    fn a_host_that_waits_for_the_same_lock_is_noted_once_a_turn() {
        let mut limits = Limits::default();
        assert!(limits.admit(&waits("web1", "a")));
        assert!(!limits.admit(&waits("web1", "a")));
        assert!(limits.admit(&waits("web2", "a")));
        assert!(limits.admit(&waits("web1", "b")));
        assert!(limits.admit(&Event::HostStarted {
            host: "web1".parse().unwrap(),
            run: None
        }));
        assert!(limits.admit(&waits("web1", "b")));
    }

    #[test]
    fn a_host_cannot_repeat_an_event_at_will() {
        let mut limits = Limits::default();
        let lock = |turn: usize| waits("web1", ["a", "b"][turn % 2]);
        let kept = (0..1000).filter(|turn| limits.admit(&lock(*turn))).count();
        assert_eq!(kept, 20);
        let lost = Event::Reconnecting {
            host: "web1".parse().unwrap(),
            text: "cut".into(),
        };
        assert_eq!((0..1000).filter(|_| limits.admit(&lost)).count(), 50);
        let mut stalled = Event::Stalled {
            host: "web1".parse().unwrap(),
            seconds: 120,
            processes: vec![apu_proto::StalledProcess {
                pid: 7,
                name: "x".repeat(9999),
                waits_in: "y".repeat(9999),
            }],
        };
        assert_eq!((0..1000).filter(|_| limits.admit(&stalled)).count(), 20);
        shorten(&mut stalled);
        assert!(format!("{stalled:?}").len() < 300);
    }

    #[test]
    fn a_text_is_cut_between_characters() {
        assert_eq!(begin_of("aé", 2), "a");
        assert_eq!(begin_of("aé", 3), "aé");
        let mut event = waits("web1", &"é".repeat(1_000_000));
        shorten(&mut event);
        let Event::Waiting { lock, .. } = event else {
            panic!()
        };
        assert_eq!(lock.len(), 1000);
    }
}
