//! Notices that a program and all that it started show no sign of life: they print nothing, use no processor time, and start and end no
//! process. Decides when that is told, and what is ended then.

use std::collections::HashSet;
use std::time::{Duration, Instant};

use apu_proto::{Frame, StalledProcess};
use nix::sys::signal::Signal;

use crate::os::process_tree::{Member, waits_in};

/// How often the processes are looked at while nothing is printed.
const INTERVAL: Duration = Duration::from_secs(5);

/// How long an ended process has to end by itself before it is killed.
const GRACE: Duration = Duration::from_secs(10);

/// How long a run may show no sign of life; each none where nothing is done about it.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) struct StallLimits {
    /// Before it is told.
    pub(crate) tell: Option<Duration>,
    /// Before what it waits for is ended.
    pub(crate) end: Option<Duration>,
}

/// What is to be done about a stall.
#[derive(Debug, PartialEq)]
pub(super) enum Measure {
    /// It is told.
    Tell(Frame),
    /// These processes get a signal, after so many seconds.
    End {
        seconds: u64,
        processes: Vec<Member>,
        signal: Signal,
    },
}

/// Watches one program.
pub(super) struct StallWatch {
    limits: StallLimits,
    /// Since when there has been none.
    since: Instant,
    /// When the processes were looked at last.
    looked: Instant,
    seen: Vec<Member>,
    /// After how long it is told next: each time twice as long, and at first the limit.
    next: Option<Duration>,
    /// What was ended in this stall, and when.
    ended: Option<(Vec<i32>, Instant)>,
}

impl StallWatch {
    pub(super) fn new(limits: StallLimits, now: Instant) -> Self {
        Self {
            limits,
            since: now,
            looked: now,
            seen: Vec::new(),
            next: limits.tell,
            ended: None,
        }
    }

    /// Takes note of a sign of life.
    pub(super) fn is_alive(&mut self, now: Instant) {
        self.since = now;
        self.next = self.limits.tell;
    }

    /// Looks at the processes where it is time to, and returns what is to be done.
    pub(super) fn look(&mut self, now: Instant, tree: impl FnOnce() -> Vec<Member>) -> Option<Measure> {
        let shortest = self.limits.tell.into_iter().chain(self.limits.end).min()?;
        let interval = INTERVAL.min(shortest);
        if now.duration_since(self.looked) < interval || now.duration_since(self.since) < interval {
            return None;
        }
        self.looked = now;
        let tree = tree();
        if tree != self.seen {
            self.seen = tree;
            self.is_alive(now);
        }
        // What was ended and is still there is killed, whatever it does meanwhile.
        if let Some((pids, _)) = self.ended.take_if(|(_, when)| now.duration_since(*when) >= GRACE) {
            let left = to_end(&self.seen);
            let processes: Vec<Member> = left
                .filter(|member| pids.contains(&member.pid))
                .cloned()
                .collect();
            if !processes.is_empty() {
                return Some(self.end(now, processes, Signal::SIGKILL));
            }
        }
        let quiet = now.duration_since(self.since);
        if self.seen.is_empty() {
            return None;
        }
        if self.ended.is_none() && self.limits.end.is_some_and(|limit| quiet >= limit) {
            let processes: Vec<Member> = to_end(&self.seen).cloned().collect();
            if !processes.is_empty() {
                self.ended = Some((processes.iter().map(|member| member.pid).collect(), now));
                return Some(self.end(now, processes, Signal::SIGTERM));
            }
        }
        if self.next.is_none_or(|next| quiet < next) {
            return None;
        }
        self.next = Some(quiet.saturating_mul(2));
        // Those that were started last are what the others wait for.
        let first = self.seen.len().saturating_sub(StalledProcess::MOST);
        let told = self.seen[first..].iter().map(|member| StalledProcess {
            pid: member.pid.unsigned_abs(),
            name: member.name.clone(),
            waits_in: waits_in(member.pid),
        });
        Some(Measure::Tell(Frame::Stalled {
            seconds: quiet.as_secs(),
            processes: told.collect(),
        }))
    }

    fn end(&self, now: Instant, processes: Vec<Member>, signal: Signal) -> Measure {
        Measure::End {
            seconds: now.duration_since(self.since).as_secs(),
            processes,
            signal,
        }
    }
}

/// Returns what of a tree may be ended: what the first dpkg in it started, and where there is none, what the program itself started. dpkg
/// then tells that a script of a package has failed, and leaves its database as it has to be. It and apt themselves are never ended.
fn to_end(tree: &[Member]) -> impl Iterator<Item = &Member> {
    let top = tree.iter().find(|member| member.name == "dpkg").or(tree.first());
    let mut below: HashSet<i32> = top.map(|member| member.pid).into_iter().collect();
    tree.iter()
        .filter(move |member| below.contains(&member.parent) && below.insert(member.pid))
}

#[cfg(test)]
mod tests {
    use super::*;

    const LIMITS: StallLimits = StallLimits {
        tell: Some(Duration::from_secs(60)),
        end: None,
    };

    fn member(pid: i32, ticks: u64) -> Member {
        Member {
            pid,
            parent: 1,
            name: "postinst".into(),
            ticks,
        }
    }

    /// The seconds at which a stall is told, of a tree that is looked at each second.
    fn told(seconds: u64, tree: impl Fn(u64) -> Vec<Member>, prints: impl Fn(u64) -> bool) -> Vec<u64> {
        let begun = Instant::now();
        let mut watch = StallWatch::new(LIMITS, begun);
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
        let mut watch = StallWatch::new(LIMITS, begun);
        let tree = || (1..=30).map(|number| member(-number, 0)).collect::<Vec<_>>();
        assert_eq!(watch.look(begun + INTERVAL, tree), None);
        let at = begun + INTERVAL + Duration::from_secs(60);
        let Some(Measure::Tell(Frame::Stalled { seconds, processes })) = watch.look(at, tree) else {
            panic!("not told");
        };
        assert_eq!(
            (seconds, processes.len(), processes[19].pid),
            (60, StalledProcess::MOST, 30)
        );
    }

    fn process(pid: i32, parent: i32, name: &str) -> Member {
        Member {
            pid,
            parent,
            name: name.into(),
            ticks: 0,
        }
    }

    fn ended(tree: &[Member]) -> Vec<i32> {
        to_end(tree).map(|member| member.pid).collect()
    }

    #[test]
    fn what_dpkg_started_is_ended_and_neither_dpkg_nor_apt() {
        let mut tree = vec![
            process(10, 1, "apt-get"),
            process(11, 10, "dpkg"),
            process(12, 11, "foo.postinst"),
            process(13, 12, "dpkg"),
            process(14, 13, "cat"),
        ];
        assert_eq!(ended(&tree), [12, 13, 14]);
        // A hook of apt, beside a helper of its own.
        tree = vec![
            process(10, 1, "apt-get"),
            process(11, 10, "http"),
            process(12, 10, "sh"),
            process(13, 12, "hook"),
        ];
        assert_eq!(ended(&tree), [11, 12, 13]);
        assert_eq!(
            ended(&[process(10, 1, "dpkg"), process(11, 10, "postinst")]),
            [11]
        );
        assert_eq!(
            ended(&[process(10, 1, "apt-get"), process(11, 10, "dpkg")]),
            [0; 0]
        );
        assert_eq!(ended(&[]), [0; 0]);
    }

    /// The measures of a watch at each second, of a tree that may be another one after the first measure.
    fn measures(limits: StallLimits, tree: impl Fn(usize) -> Vec<Member>) -> Vec<(u64, Signal, Vec<i32>)> {
        let begun = Instant::now();
        let mut watch = StallWatch::new(limits, begun);
        let mut found: Vec<(u64, Signal, Vec<i32>)> = Vec::new();
        for second in 0..400 {
            let at = begun + Duration::from_secs(second);
            let measure = watch.look(at, || tree(found.len()));
            if let Some(Measure::End {
                processes, signal, ..
            }) = measure
            {
                found.push((
                    second,
                    signal,
                    processes.iter().map(|member| member.pid).collect(),
                ));
            }
        }
        found
    }

    #[test]
    fn a_stalled_script_is_asked_to_end_and_killed_where_it_does_not_and_the_next_one_has_its_own_time() {
        let limits = StallLimits {
            end: Some(Duration::from_secs(120)),
            ..LIMITS
        };
        let dpkg = || vec![process(10, 1, "apt-get"), process(11, 10, "dpkg")];
        let stubborn = |_| [dpkg(), vec![process(12, 11, "postinst")]].concat();
        let found = measures(limits, stubborn);
        assert_eq!(
            found[..2],
            [(125, Signal::SIGTERM, vec![12]), (135, Signal::SIGKILL, vec![12])]
        );
        let next = |measures: usize| match measures {
            0 => [dpkg(), vec![process(12, 11, "a.postinst")]].concat(),
            1 => [dpkg(), vec![process(13, 11, "b.postinst")]].concat(),
            _ => dpkg(),
        };
        assert_eq!(
            measures(limits, next),
            [(125, Signal::SIGTERM, vec![12]), (250, Signal::SIGTERM, vec![13])]
        );
        assert_eq!(measures(LIMITS, stubborn), []);
    }
}
