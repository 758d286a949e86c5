//! Decides whether a host is back after its reboot, and when to look at it again.

use std::time::Duration;

/// The pause before the first look, and the longest between two.
const SHORTEST_PAUSE: Duration = Duration::from_secs(2);
const LONGEST_PAUSE: Duration = Duration::from_secs(15);

/// What comes next.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Next {
    /// Another boot has answered.
    Back,
    /// Another look after this time.
    LookAgain(Duration),
    /// The time is over.
    GivenUp,
}

/// A host that goes down. Times count from the moment in which it was asked to.
#[derive(Debug, Clone)]
pub(super) struct ComingBack {
    /// The boot that it was in.
    boot_id: String,
    /// How long it may take.
    limit: Duration,
    pause: Duration,
}

impl ComingBack {
    pub(super) fn new(boot_id: &str, limit: Duration) -> Self {
        Self {
            boot_id: boot_id.to_owned(),
            limit,
            pause: SHORTEST_PAUSE,
        }
    }

    /// The pause before the first look.
    pub(super) fn first_pause(&self) -> Duration {
        SHORTEST_PAUSE.min(self.limit)
    }

    /// Whether this is another boot than the one before.
    pub(super) fn is_other(&self, boot_id: &str) -> bool {
        !self.boot_id.is_empty() && !boot_id.is_empty() && boot_id != self.boot_id
    }

    /// Takes note of the boot that a fresh login has shown, where one was possible. Only another boot ends the wait well.
    pub(super) fn see(&mut self, boot_id: Option<&str>, elapsed: Duration) -> Next {
        if boot_id.is_some_and(|boot_id| self.is_other(boot_id)) {
            return Next::Back;
        }
        let left = self.limit.saturating_sub(elapsed);
        if left.is_zero() {
            return Next::GivenUp;
        }
        let pause = self.pause.min(left);
        self.pause = LONGEST_PAUSE.min(self.pause * 2);
        Next::LookAgain(pause)
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
    fn only_another_boot_is_a_reboot() {
        let mut waited = ComingBack::new("a", at(60));
        assert_eq!(waited.see(Some("a"), at(2)), Next::LookAgain(at(2)));
        assert_eq!(waited.see(None, at(5)), Next::LookAgain(at(4)));
        assert_eq!(waited.see(Some(""), at(10)), Next::LookAgain(at(8)));
        assert_eq!(waited.see(None, at(20)), Next::LookAgain(at(15)));
        assert_eq!(waited.see(Some("b"), at(99)), Next::Back);
        assert_eq!(waited.see(Some("a"), at(50)), Next::LookAgain(at(10)));
        assert_eq!(waited.see(Some("a"), at(60)), Next::GivenUp);
        // Of one that did not tell its boot, nothing can be told.
        assert_eq!(ComingBack::new("", at(60)).see(Some("b"), at(60)), Next::GivenUp);
    }

    proptest! {
        #[test]
        fn a_wait_ends_soon_after_its_limit_and_never_well_without_another_boot(
            limit in 0u64..2000,
            seen in proptest::collection::vec((0u8..3, 0u64..30), 0..60),
        ) {
            let mut waited = ComingBack::new("a", at(limit));
            let mut now = waited.first_pause();
            for (kind, took) in seen.into_iter().chain(std::iter::repeat((1, 0))) {
                now += at(took);
                let boot_id = [None, Some("a"), Some("b")][usize::from(kind)];
                match waited.see(boot_id, now) {
                    Next::Back => { prop_assert_eq!(boot_id, Some("b")); break; }
                    Next::GivenUp => { prop_assert!(now >= at(limit)); break; }
                    Next::LookAgain(pause) => {
                        prop_assert!(pause > Duration::ZERO && pause <= LONGEST_PAUSE);
                        prop_assert!(now + pause <= at(limit).max(now));
                        now += pause;
                    }
                }
                prop_assert!(now <= at(limit) + at(30), "it does not end");
            }
        }
    }
}
