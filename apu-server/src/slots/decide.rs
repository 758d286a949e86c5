//! Decides what is to be done for a slot: a function of how far it is and of the time.
//!
//! Three promises hold whatever happens to the process that carries it out. A plan is carried out once at most. It is carried out only
//! if a notice told it when at least half of the notice's time was left. And it is carried out in the hour after its time, or never.

use super::state::{End, Occurrence, State};

/// How long after its time an occurrence may begin, in seconds.
pub(crate) const GRACE: i64 = 3600;

/// How long after a plan could not be made it is tried again, in seconds.
pub(crate) const AGAIN: i64 = 1800;

/// Why an occurrence is missed before its time.
const NO_PLAN: &str = "no plan was made in time";

/// What is to be done.
#[derive(Debug, Clone, PartialEq, Eq)]
#[must_use]
pub(crate) enum Step {
    /// Nothing now.
    Wait,
    /// Make a plan.
    Prepare,
    /// Tell the plan.
    Tell,
    /// Carry the plan out.
    Apply,
    /// Find out how the run ended whose process is gone.
    FindOut,
    /// It is over.
    End(End),
    /// Tell how it ended.
    TellEnd,
    /// All is done: look up the next occurrence.
    Next,
}

/// When the plan of an occurrence is made: `notice` seconds before its time.
pub(crate) fn plans_at(at: i64, notice: i64) -> i64 {
    at - notice
}

/// Until when a plan may be made and told: half of the notice is left then. Without a notice, as long as it may begin.
pub(crate) fn tells_until(at: i64, notice: i64) -> i64 {
    if notice == 0 { at + GRACE } else { at - notice / 2 }
}

/// The time after which the next occurrence is looked up, where that of `last` is over: one that can still be told in time.
pub(crate) fn next_after(last: Option<i64>, notice: i64, now: i64) -> i64 {
    let in_time = if notice == 0 { now } else { now + notice / 2 };
    last.map_or(in_time, |last| last.max(in_time))
}

/// What is to be done for an occurrence, `notice` seconds before its time, now.
///
/// It is asked by the one process that works for the slot: what is under way by the state is so no more.
pub(crate) fn decide(occurrence: &Occurrence, terms: &str, notice: i64, now: i64) -> Step {
    let at = occurrence.at;
    let (is_due, is_late) = (now >= at, now > at + GRACE);
    match &occurrence.state {
        State::Applying { .. } => return Step::FindOut,
        State::Ended { told: false, .. } => return Step::TellEnd,
        State::Ended { told: true, .. } => return Step::Next,
        State::Planned { told: Some(_), .. } if occurrence.terms != terms => {
            return Step::End(End::Withdrawn);
        }
        State::Waiting { .. } | State::Planned { .. } => {}
    }
    // Also where apu.toml says something else by now: the same time could come again, and would not be held.
    if let Some(by) = &occurrence.skipped_by {
        return match is_due {
            true => Step::End(End::Skipped { by: by.clone() }),
            false => Step::Wait,
        };
    }
    // Nobody knows of it.
    if occurrence.terms != terms {
        return Step::Next;
    }
    let is_too_late_to_tell = now > tells_until(at, notice);
    match &occurrence.state {
        State::Waiting { tried, why } => {
            let is_tried = tried.is_some_and(|tried| (tried..tried + AGAIN).contains(&now));
            if is_too_late_to_tell {
                let in_time = || (!is_late).then(|| NO_PLAN.to_owned());
                let why = why.clone().or_else(in_time);
                Step::End(End::Missed { why })
            } else if now < plans_at(at, notice) || is_tried {
                Step::Wait
            } else {
                Step::Prepare
            }
        }
        State::Planned { told: None, .. } if is_too_late_to_tell => Step::End(End::NotTold),
        State::Planned { told: None, .. } => Step::Tell,
        State::Planned { .. } if is_late => Step::End(End::Missed { why: None }),
        State::Planned { .. } if is_due => Step::Apply,
        State::Planned { .. } => Step::Wait,
        State::Applying { .. } | State::Ended { .. } => Step::Wait,
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::super::state::PlanId;
    use super::*;

    const AT: i64 = 1_000_000;
    const DAY: i64 = 86_400;

    fn plan() -> PlanId {
        PlanId {
            number: 7,
            sha256: "00".into(),
        }
    }

    fn occurrence(state: State) -> Occurrence {
        Occurrence {
            at: AT,
            terms: "web".into(),
            skipped_by: None,
            state,
            warning: None,
        }
    }

    #[test]
    fn an_occurrence_that_was_over_before_its_time_does_not_come_again() {
        assert_eq!(next_after(Some(AT), DAY, AT - DAY), AT);
        assert_eq!(next_after(Some(AT), DAY, AT), AT + DAY / 2);
        assert_eq!(next_after(None, 0, AT), AT);
    }

    fn step(state: State, now: i64) -> Step {
        decide(&occurrence(state), "web", DAY, now)
    }

    fn planned(told: Option<i64>) -> State {
        planned_as(plan(), told)
    }

    fn planned_as(plan: PlanId, told: Option<i64>) -> State {
        State::Planned {
            plan,
            text: String::new(),
            summary: String::new(),
            told,
        }
    }

    fn ended(end: End) -> State {
        State::Ended {
            end,
            plan: None,
            text: String::new(),
            told: false,
        }
    }

    #[test]
    fn a_plan_is_made_when_its_notice_begins_and_not_once_half_of_that_is_over() {
        let half = AT - DAY / 2;
        assert_eq!(step(State::NEW, AT - DAY - 1), Step::Wait);
        assert_eq!(step(State::NEW, AT - DAY), Step::Prepare);
        assert_eq!(step(State::NEW, half), Step::Prepare);
        let why = |why: &str| Some(why.to_owned());
        let missed = Step::End(End::Missed { why: why(NO_PLAN) });
        assert_eq!(step(State::NEW, half + 1), missed);
        let failed = State::Waiting {
            tried: Some(AT - DAY),
            why: Some("x".into()),
        };
        assert_eq!(step(failed.clone(), AT - DAY + AGAIN - 1), Step::Wait);
        assert_eq!(step(failed.clone(), AT - DAY + AGAIN), Step::Prepare);
        // A clock that was set back is no reason to wait for years.
        assert_eq!(step(failed.clone(), AT - DAY), Step::Wait);
        assert_eq!(
            step(failed, half + 1),
            Step::End(End::Missed {
                why: Some("x".into())
            })
        );
        assert_eq!(step(planned(None), half), Step::Tell);
        assert_eq!(step(planned(None), half + 1), Step::End(End::NotTold));
    }

    #[test]
    fn a_plan_that_was_told_is_carried_out_in_the_hour_after_its_time_and_never_later() {
        let told = || planned(Some(AT - DAY));
        assert_eq!(step(told(), AT - 1), Step::Wait);
        assert_eq!(step(told(), AT), Step::Apply);
        assert_eq!(step(told(), AT + GRACE), Step::Apply);
        assert_eq!(step(told(), AT + GRACE + 1), Step::End(End::Missed { why: None }));
    }

    #[test]
    fn without_a_notice_all_of_it_is_done_at_the_time_itself() {
        let step = |state, now| decide(&occurrence(state), "web", 0, now);
        assert_eq!(step(State::NEW, AT - 1), Step::Wait);
        assert_eq!(step(State::NEW, AT), Step::Prepare);
        assert_eq!(step(planned(None), AT + 60), Step::Tell);
        assert_eq!(step(planned(Some(AT + 60)), AT + 61), Step::Apply);
        assert_eq!(
            step(State::NEW, AT + GRACE + 1),
            Step::End(End::Missed { why: None })
        );
    }

    #[test]
    fn what_is_held_or_meant_otherwise_by_now_is_not_done() {
        let mut held = occurrence(planned(Some(AT - DAY)));
        held.skipped_by = Some("alice".into());
        assert_eq!(decide(&held, "web", DAY, AT - 1), Step::Wait);
        let skipped = End::Skipped { by: "alice".into() };
        assert_eq!(decide(&held, "web", DAY, AT), Step::End(skipped));
        let other = |state| decide(&occurrence(state), "db", DAY, AT);
        assert_eq!(other(planned(Some(AT - DAY))), Step::End(End::Withdrawn));
        assert_eq!(other(planned(None)), Step::Next);
        assert_eq!(other(State::NEW), Step::Next);
        let mut held = occurrence(State::NEW);
        held.skipped_by = Some("alice".into());
        assert_eq!(decide(&held, "db", DAY, AT - DAY), Step::Wait);
        // What has begun is what was told.
        let push = "0".repeat(32).parse().unwrap();
        let plan = plan();
        assert_eq!(other(State::Applying { plan, push }), Step::FindOut);
    }

    /// What may happen to a slot: time passes, a step is carried out and written down, or its process is killed before that.
    #[derive(Debug, Clone)]
    enum Happening {
        Passes(i64),
        Works { is_killed: bool, fails: bool },
        Skip,
        Unskip,
        Edit(u8),
    }

    fn happening() -> impl Strategy<Value = Happening> {
        prop_oneof![
            4 => (0..40_000_i64).prop_map(Happening::Passes),
            3 => (0..900_i64).prop_map(Happening::Passes),
            8 => (any::<bool>(), any::<bool>()).prop_map(|(one, other)| Happening::Works { is_killed: one && other, fails: other && !one }),
            1 => Just(Happening::Skip),
            1 => Just(Happening::Unskip),
            1 => (0..3_u8).prop_map(Happening::Edit),
        ]
    }

    /// A slot, all that was told of it, and all that was done.
    struct World {
        now: i64,
        notice: i64,
        occurrence: Occurrence,
        last: Option<i64>,
        terms: String,
        plans: u32,
        /// Plans whose notice was delivered, with when.
        told: Vec<(u32, i64)>,
        /// Occurrences that were begun, with their plan and when.
        begun: Vec<(i64, u32, i64)>,
        skipped: Vec<i64>,
    }

    impl World {
        fn begins_anew(&mut self) {
            // A slot that comes every two days.
            if matches!(self.occurrence.state, State::Ended { .. }) {
                self.last = Some(self.occurrence.at);
            }
            let after = next_after(self.last, self.notice, self.now);
            let period = 2 * DAY;
            self.occurrence = Occurrence {
                at: AT + ((after - AT).div_euclid(period) + 1) * period,
                terms: self.terms.clone(),
                skipped_by: None,
                state: State::NEW,
                warning: None,
            };
        }

        /// As `work.rs` does it: what is about to be done is written before, and what was done after it.
        fn works(&mut self, is_killed: bool, fails: bool) {
            let now = self.now;
            match decide(&self.occurrence, &self.terms, self.notice, now) {
                Step::Wait => {}
                Step::Prepare => {
                    self.plans += 1;
                    let number = self.plans;
                    self.occurrence.state = if fails || is_killed {
                        State::Waiting {
                            tried: Some(now),
                            why: None,
                        }
                    } else {
                        let plan = PlanId { number, ..plan() };
                        planned_as(plan, None)
                    };
                }
                Step::Tell => {
                    let State::Planned { plan, told, .. } = &mut self.occurrence.state else {
                        panic!("nothing to tell")
                    };
                    if fails {
                        return;
                    }
                    self.told.push((plan.number, now));
                    if !is_killed {
                        *told = Some(now);
                    }
                }
                Step::Apply => {
                    let State::Planned { plan, .. } = self.occurrence.state.clone() else {
                        panic!("nothing to apply")
                    };
                    let push = "0".repeat(32).parse().unwrap();
                    let number = plan.number;
                    self.occurrence.state = State::Applying { plan, push };
                    self.begun.push((self.occurrence.at, number, now));
                    if !is_killed {
                        let end = End::Ran { run: None, status: 0 };
                        self.occurrence.state = ended(end);
                    }
                }
                Step::FindOut => {
                    let end = End::BrokenOff { run: None };
                    self.occurrence.state = ended(end);
                }
                Step::End(end) => self.occurrence.state = ended(end),
                Step::TellEnd => {
                    if let State::Ended { told, .. } = &mut self.occurrence.state {
                        *told = !is_killed;
                    }
                }
                Step::Next => self.begins_anew(),
            }
        }

        fn check(&self) {
            let mut times: Vec<i64> = self.begun.iter().map(|(at, ..)| *at).collect();
            let begun = times.len();
            times.dedup();
            assert_eq!(times.len(), begun, "an occurrence was begun twice");
            for (at, plan, when) in &self.begun {
                assert!((*at..=at + GRACE).contains(when), "late or early");
                let (_, told) = (self.told.iter().find(|(number, _)| number == plan)).expect("not told");
                assert!(
                    told <= when && *told <= tells_until(*at, self.notice),
                    "told too late"
                );
                assert!(!self.skipped.contains(at), "skipped and done");
            }
        }
    }

    proptest! {
        #![proptest_config(ProptestConfig { cases: 3000, failure_persistence: None, ..ProptestConfig::default() })]

        #[test]
        fn whatever_happens_nothing_is_done_twice_or_untold_or_late_or_although_it_is_held(
            happenings in proptest::collection::vec(happening(), 1..120),
            notice in prop_oneof![Just(0), Just(900), Just(DAY), Just(3 * DAY / 2)],
        ) {
            let mut world = World {
                now: AT - 2 * DAY,
                notice,
                occurrence: occurrence(State::NEW),
                last: None,
                terms: "web".into(),
                plans: 0,
                told: Vec::new(),
                begun: Vec::new(),
                skipped: Vec::new(),
            };
            for happening in happenings {
                let is_open = matches!(world.occurrence.state, State::Waiting { .. } | State::Planned { .. });
                match happening {
                    Happening::Passes(seconds) => world.now += seconds,
                    Happening::Works { is_killed, fails } => world.works(is_killed, fails),
                    Happening::Skip if is_open => {
                        world.occurrence.skipped_by = Some("alice".into());
                        world.skipped.push(world.occurrence.at);
                    }
                    Happening::Unskip if is_open => {
                        world.occurrence.skipped_by = None;
                        let at = world.occurrence.at;
                        world.skipped.retain(|other| *other != at);
                    }
                    Happening::Skip | Happening::Unskip => {}
                    Happening::Edit(word) => world.terms = format!("web{word}"),
                }
                world.check();
            }
        }
    }

    proptest! {
        #![proptest_config(ProptestConfig { cases: 30, failure_persistence: None, ..ProptestConfig::default() })]

        #[test]
        fn a_slot_that_nothing_disturbs_does_each_of_its_occurrences(ticks in 1..200_usize, notice in prop_oneof![Just(0), Just(DAY)]) {
            let mut world = World {
                now: AT - 2 * DAY,
                notice,
                occurrence: occurrence(State::NEW),
                last: None,
                terms: "web".into(),
                plans: 0,
                told: Vec::new(),
                begun: Vec::new(),
                skipped: Vec::new(),
            };
            for _ in 0..ticks * 10 {
                world.now += 300;
                for _ in 0..8 {
                    world.works(false, false);
                }
                world.check();
            }
            let passed = (world.now - AT).div_euclid(2 * DAY) + 1;
            prop_assert_eq!(world.begun.len(), usize::try_from(passed).unwrap_or(0));
        }
    }
}
