//! Watches the health of a host after its change: it has to stay well for the whole soak time, which begins again after each
//! break.

use std::time::Duration;

use apu_proto::Verdict;

/// How long a host that is not well may take to become well, whatever the soak time.
pub(crate) const PATIENCE: Duration = Duration::from_secs(20);

/// The same of one that has just started: not all of its services are there when the first login is possible.
pub(crate) const PATIENCE_AFTER_REBOOT: Duration = Duration::from_secs(120);

/// The pauses between two looks.
const SHORTEST_PAUSE: Duration = Duration::from_secs(1);
const LONGEST_PAUSE: Duration = Duration::from_secs(30);

/// What comes next.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Next {
    /// The watch has ended with this verdict.
    Ended(Verdict),
    /// Another look after this time.
    LookAgain(Duration),
}

/// The state of a watch. Times count from its begin.
#[derive(Debug, Clone)]
pub(crate) struct Watch {
    soak: Duration,
    /// How long a host that is not well may take to become well, beside the soak time.
    patience: Duration,
    /// Since when the host has been well.
    well_since: Option<Duration>,
}

impl Watch {
    pub(crate) const fn new(soak: Duration, patience: Duration) -> Self {
        Self {
            soak,
            patience,
            well_since: None,
        }
    }

    /// When a host that is not well is given up.
    fn deadline(&self) -> Duration {
        self.soak * 2 + self.patience
    }

    /// Takes note of what was seen: `asked` and `answered` are when. Time alone passes nobody: only a verdict does.
    pub(crate) fn see(&mut self, verdict: Verdict, asked: Duration, answered: Duration) -> Next {
        let pause = (self.soak / 10).clamp(SHORTEST_PAUSE, LONGEST_PAUSE);
        if verdict == Verdict::Pass {
            let since = *self.well_since.get_or_insert(asked);
            let left = (since + self.soak).saturating_sub(asked);
            return if left.is_zero() {
                Next::Ended(Verdict::Pass)
            } else {
                Next::LookAgain(pause.min(left))
            };
        }
        self.well_since = None;
        if answered >= self.deadline() {
            Next::Ended(verdict)
        } else {
            Next::LookAgain(pause)
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const fn at(seconds: u64) -> Duration {
        Duration::from_secs(seconds)
    }

    #[test]
    fn without_a_soak_time_the_first_pass_is_enough() {
        assert_eq!(
            Watch::new(at(0), PATIENCE).see(Verdict::Pass, at(3), at(4)),
            Next::Ended(Verdict::Pass)
        );
    }

    #[test]
    fn a_break_begins_the_soak_again() {
        let mut watch = Watch::new(at(60), PATIENCE);
        assert_eq!(watch.see(Verdict::Pass, at(0), at(0)), Next::LookAgain(at(6)));
        assert_eq!(watch.see(Verdict::Fail, at(50), at(50)), Next::LookAgain(at(6)));
        assert_eq!(watch.see(Verdict::Pass, at(61), at(61)), Next::LookAgain(at(6)));
        assert_eq!(watch.see(Verdict::Pass, at(118), at(118)), Next::LookAgain(at(3)));
        assert_eq!(
            watch.see(Verdict::Pass, at(121), at(121)),
            Next::Ended(Verdict::Pass)
        );
    }

    #[test]
    fn what_does_not_become_well_ends_as_it_is() {
        for verdict in [Verdict::Fail, Verdict::Inconclusive] {
            let mut watch = Watch::new(at(0), PATIENCE);
            assert_eq!(watch.see(verdict, at(0), at(0)), Next::LookAgain(at(1)));
            assert_eq!(watch.see(verdict, at(19), at(19)), Next::LookAgain(at(1)));
            assert_eq!(watch.see(verdict, at(19), at(20)), Next::Ended(verdict));
        }
    }

    proptest! {
        #[test]
        fn a_watch_ends_and_passes_only_after_a_whole_soak_of_passes(
            soak in 0u64..600,
            seen in proptest::collection::vec((0u8..8, 0u64..40), 0..400),
        ) {
            let mut watch = Watch::new(at(soak), PATIENCE);
            let (mut now, mut well_since, mut bad) = (Duration::ZERO, None, 0);
            // After what was drawn, the host stays well.
            for (kind, took) in seen.into_iter().chain(std::iter::repeat((7, 0))) {
                let verdict = match kind { 0 => Verdict::Fail, 1 => Verdict::Inconclusive, _ => Verdict::Pass };
                let answered = now + at(took);
                if verdict == Verdict::Pass { well_since.get_or_insert(now); } else { well_since = None; bad += 1; }
                match watch.see(verdict, now, answered) {
                    Next::Ended(Verdict::Pass) => {
                        prop_assert!(now - well_since.expect("a pass") >= at(soak));
                        break;
                    }
                    Next::Ended(ended) => {
                        prop_assert!(ended == verdict && answered >= at(soak * 2) + PATIENCE);
                        break;
                    }
                    Next::LookAgain(pause) => {
                        prop_assert!(pause > Duration::ZERO);
                        now = answered + pause;
                    }
                }
                prop_assert!(now < at(soak * 2) + PATIENCE + at(71) * (bad + 1) + at(soak), "it does not end");
            }
        }
    }
}
