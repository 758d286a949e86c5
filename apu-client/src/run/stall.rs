//! Notices that a program and all that it started show no sign of life: they print nothing, use no processor time, and start and end no
//! process.

use std::time::{Duration, Instant};

use apu_proto::{Frame, StalledProcess};

use crate::os::process_tree::{Member, waits_in};

/// How often the processes are looked at while nothing is printed.
const INTERVAL: Duration = Duration::from_secs(5);

/// Watches one program.
pub(super) struct StallWatch {
    /// How long there may be no sign of life before it is told.
    limit: Duration,
    /// Since when there has been none.
    since: Instant,
    /// When the processes were looked at last.
    looked: Instant,
    seen: Vec<Member>,
    /// After how long it is told next: each time twice as long, and at first the limit.
    next: Duration,
}

impl StallWatch {
    pub(super) fn new(limit: Duration, now: Instant) -> Self {
        Self {
            limit,
            since: now,
            looked: now,
            seen: Vec::new(),
            next: limit,
        }
    }

    /// Takes note of a sign of life.
    pub(super) fn is_alive(&mut self, now: Instant) {
        self.since = now;
        self.next = self.limit;
    }

    /// Looks at the processes where it is time to, and returns the frame that tells of a stall.
    pub(super) fn look(&mut self, now: Instant, tree: impl FnOnce() -> Vec<Member>) -> Option<Frame> {
        let interval = INTERVAL.min(self.limit);
        if now.duration_since(self.looked) < interval || now.duration_since(self.since) < interval {
            return None;
        }
        self.looked = now;
        let tree = tree();
        if tree != self.seen {
            self.seen = tree;
            self.is_alive(now);
        }
        let quiet = now.duration_since(self.since);
        if quiet < self.next || self.seen.is_empty() {
            return None;
        }
        self.next = quiet.saturating_mul(2);
        // Those that were started last are what the others wait for.
        let first = self.seen.len().saturating_sub(StalledProcess::MOST);
        let told = self.seen[first..].iter().map(|member| StalledProcess {
            pid: member.pid.unsigned_abs(),
            name: member.name.clone(),
            waits_in: waits_in(member.pid),
        });
        Some(Frame::Stalled {
            seconds: quiet.as_secs(),
            processes: told.collect(),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const LIMIT: Duration = Duration::from_secs(60);

    fn member(pid: i32, ticks: u64) -> Member {
        Member {
            pid,
            name: "postinst".into(),
            ticks,
        }
    }

    /// The seconds at which a stall is told, of a tree that is looked at each second.
    fn told(seconds: u64, tree: impl Fn(u64) -> Vec<Member>, prints: impl Fn(u64) -> bool) -> Vec<u64> {
        let begun = Instant::now();
        let mut watch = StallWatch::new(LIMIT, begun);
        let at = |second: u64| begun + Duration::from_secs(second);
        let tells = |second: &u64| {
            if prints(*second) {
                watch.is_alive(at(*second));
            }
            watch.look(at(*second), || tree(*second)).is_some()
        };
        (0..seconds).filter(tells).collect()
    }

    #[test]
    fn a_stall_is_told_after_the_limit_and_then_ever_more_rarely() {
        // The first look, after five seconds, is where it begins.
        assert_eq!(told(600, |_| vec![member(-7, 1)], |_| false), [65, 125, 245, 485]);
    }

    #[test]
    fn output_processor_time_and_other_processes_are_signs_of_life() {
        let idle = |_| vec![member(-7, 1)];
        assert_eq!(told(600, idle, |second| second % 50 == 0), [0; 0]);
        assert_eq!(
            told(600, |second| vec![member(-7, second / 50)], |_| false),
            [0; 0]
        );
        let starts = |second: u64| vec![member(-7, 1), member(-8 - i32::try_from(second / 50).unwrap(), 0)];
        assert_eq!(told(600, starts, |_| false), [0; 0]);
        // A program that has ended is none that hangs.
        assert_eq!(told(600, |_| Vec::new(), |_| false), [0; 0]);
    }

    #[test]
    fn the_processes_that_were_started_last_are_told() {
        let begun = Instant::now();
        let mut watch = StallWatch::new(LIMIT, begun);
        let tree = || (1..=30).map(|number| member(-number, 0)).collect::<Vec<_>>();
        assert_eq!(watch.look(begun + INTERVAL, tree), None);
        let Some(Frame::Stalled { seconds, processes }) = watch.look(begun + INTERVAL + LIMIT, tree) else {
            panic!("not told");
        };
        assert_eq!(
            (seconds, processes.len(), processes[19].pid),
            (60, StalledProcess::MOST, 30)
        );
    }
}
