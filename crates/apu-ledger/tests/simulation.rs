//! Rollouts of whole fleets in simulated time: hosts, waves, groups, limits, and what each host does are drawn from a seed. The
//! engine and the ledger are the real ones; `simulation/clients.rs` stands for ssh and the clients. Each rollout ends with the
//! check of the ledger, and some of them are killed at a moment of the seed and gone on with.
//!
//! `APU_ROLLOUTS` says how many; a failure names its seed, and `APU_SEED` begins with that one.

#![allow(
    clippy::unwrap_used,
    clippy::print_stdout,
    reason = "a test that cannot go on fails, and figures are for its reader"
)]

mod simulation {
    pub(crate) mod clients;
    pub(crate) mod rollout;
    pub(crate) mod seed;
}

use std::collections::BTreeMap;
use std::sync::Mutex;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use apu_fleet::Outcome;
use simulation::rollout::{Ran, Story};

fn number(name: &str, default: u64) -> u64 {
    std::env::var(name).map_or(default, |text| text.parse().expect("a number"))
}

/// Runs the property on as many seeds as are asked for, on all processors, and says how fast that was.
fn for_each_seed(default: u64, property: impl Fn(u64) + Sync) {
    let (first, rollouts) = (number("APU_SEED", 1), number("APU_ROLLOUTS", default));
    let begun = Instant::now();
    let next = AtomicU64::new(first);
    let failed = Mutex::new(BTreeMap::new());
    let work = || {
        while failed.lock().unwrap().is_empty() {
            let seed = next.fetch_add(1, Ordering::Relaxed);
            if seed >= first + rollouts {
                break;
            }
            let outcome = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| property(seed)));
            if let Err(panic) = outcome {
                failed.lock().unwrap().insert(seed, panic);
            }
        }
    };
    std::thread::scope(|threads| {
        for _ in 0..std::thread::available_parallelism().map_or(1, usize::from) {
            threads.spawn(work);
        }
    });
    if let Some((seed, panic)) = failed.into_inner().unwrap().pop_first() {
        println!("APU_SEED={seed}");
        std::panic::resume_unwind(panic);
    }
    let a_minute = rollouts as f64 * 60.0 / begun.elapsed().as_secs_f64();
    println!("{rollouts} seeds, {a_minute:.0} a minute");
}

/// What must be true of every rollout, whoever was killed.
fn holds(story: &Story, ran: &Ran) {
    assert_eq!(ran.wrong, Vec::<String>::new());
    assert_eq!(
        ran.clients.twice(),
        Vec::<String>::new(),
        "a run was carried out twice"
    );
    assert_eq!(
        ran.clients.beside(),
        Vec::<String>::new(),
        "two of a group were at work at once"
    );
    assert_eq!(
        ran.clients.unapproved(),
        Vec::<String>::new(),
        "somebody did what was not approved"
    );
    for (host, outcome) in &ran.outcomes {
        let outcome = outcome.unwrap_or_else(|| panic!("{host} has no end"));
        // What a client has done is what the ledger says of it.
        let done = ran.clients.has_done(host);
        match outcome {
            Outcome::Changed => assert!(done, "{host} is told to have changed"),
            Outcome::Skipped | Outcome::Unreachable => {
                assert!(!done, "{host} is told not to have been asked")
            }
            _ => {}
        }
    }
    if story.is_all_well() {
        assert!(
            ran.outcomes
                .values()
                .all(|outcome| *outcome == Some(Outcome::Changed)),
            "{:?}",
            ran.outcomes
        );
    }
    // Whatever the first wave is waited for: time alone lets nobody follow one of which nobody can tell.
    if story.rollout.number() > 1
        && story.max_failures.is_none()
        && story.first_wave().any(|host| host.is_never_known_to_be_well())
    {
        for host in story.later_waves() {
            assert!(!ran.clients.has_done(&host.name), "{} followed", host.name);
        }
    }
}

#[test]
fn every_rollout_keeps_what_is_promised() {
    for_each_seed(60, |seed| {
        let story = Story::of(seed);
        holds(&story, &story.told(None));
    });
}

#[test]
fn a_rollout_that_is_killed_and_gone_on_with_ends_as_if_nobody_had_killed_it() {
    for_each_seed(30, |seed| {
        let mut story = Story::of(seed);
        // With a limit, who is left over depends on who was first.
        story.max_failures = None;
        let whole = story.told(None);
        let killed = story.told(Some(seed));
        holds(&story, &killed);
        assert_eq!(killed.outcomes, whole.outcomes);
    });
}

#[test]
fn a_host_that_was_asked_is_never_told_not_to_have_been_whatever_comes_after_the_kill() {
    for_each_seed(120, |seed| {
        let story = Story::of(seed);
        let ran = story.told_where(Some(seed), true);
        assert_eq!(ran.wrong, Vec::<String>::new());
        assert_eq!(ran.clients.twice(), Vec::<String>::new());
        for (host, outcome) in &ran.outcomes {
            let is_not_asked = matches!(outcome, Some(Outcome::Skipped | Outcome::Unreachable));
            assert!(
                !(is_not_asked && ran.clients.has_done(host)),
                "{host} is told to be {outcome:?}"
            );
            assert!(outcome.is_some(), "{host} has no end");
        }
    });
}

#[test]
fn a_wave_of_which_nobody_can_tell_waits_for_a_decision_and_the_others_follow_whoever_promotes_it() {
    let followed = AtomicU64::new(0);
    for_each_seed(60, |seed| {
        let mut story = Story::of(seed);
        story.max_failures = None;
        let is_unclear =
            story.rollout.number() > 1 && story.first_wave().any(|host| host.is_never_known_to_be_well());
        story.rollout.pause_limit = Duration::from_secs(60);
        // Nobody decides: as without a pause.
        holds(&story, &story.told(None));
        story.is_promoted = true;
        let promoted = story.told(seed.is_multiple_of(3).then_some(seed));
        let mut later = story.later_waves();
        if is_unclear && later.any(|host| promoted.clients.has_done(&host.name)) {
            followed.fetch_add(1, Ordering::Relaxed);
        }
    });
    assert!(followed.into_inner() > 0, "no seed had such a wave");
}

#[test]
fn a_higher_limit_never_reaches_fewer_hosts() {
    for_each_seed(30, |seed| {
        let mut story = Story::of(seed);
        story.parallel = 1;
        let mut before: Vec<String> = Vec::new();
        for limit in [Some(0), Some(1), Some(2), Some(12)] {
            story.max_failures = limit;
            let reached = story.told(None).clients.asked();
            let lost = before.iter().find(|host| !reached.contains(host));
            assert!(lost.is_none(), "{lost:?} is not reached with {limit:?}");
            before = reached;
        }
    });
}
