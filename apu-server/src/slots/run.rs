//! Works for every slot, each beside the others: one that takes long holds up none. It ends when nothing is to be done now.

use std::collections::HashMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::{self, ScopedJoinHandle};
use std::time::{Duration, Instant};

use apu_site::{Failure, report};

use super::slot::Slot;
use super::store::Store;
use super::work::{Well, work};
use crate::context::Context;
use crate::interrupt::instructions;
use crate::one_phase::wait;

/// How often it is looked whether another slot is due, while one is worked for.
const ROUND: Duration = Duration::from_secs(60);

/// Works for all slots; the exit status is what comes back: 1 where something is not well, and that of a slot that cannot be used.
///
/// # Errors
/// None: what one slot has is told, and the others go on.
pub(crate) fn run(context: &Context) -> Result<u8, Failure> {
    Store::forget_others(&context.site, context.settings.slot.keys());
    let mut status = 0;
    let mut slots = Vec::new();
    let complain = |failure: &Failure| {
        let (text, status) = report(failure);
        context.ui.complain(&text);
        status
    };
    for slot in Slot::all(context) {
        match slot {
            Ok(slot) => slots.push(slot),
            Err(failure) => status = status.max(complain(&failure)),
        }
    }
    let stop = Arc::new(AtomicBool::new(false));
    watch(Arc::clone(&stop));
    thread::scope(|scope| {
        let mut busy: HashMap<&str, ScopedJoinHandle<'_, Result<Well, Failure>>> = HashMap::new();
        let mut failed: Vec<&str> = Vec::new();
        let mut round: Option<Instant> = None;
        loop {
            if !stop.load(Ordering::Relaxed) && round.is_none_or(|begun| begun.elapsed() > ROUND) {
                round = Some(Instant::now());
                for slot in &slots {
                    // One that failed in itself is not tried again before the timer comes again.
                    if !(busy.contains_key(slot.name) || failed.contains(&slot.name)) {
                        let stop = &stop;
                        busy.insert(slot.name, scope.spawn(move || work(slot, stop)));
                    }
                }
            }
            let (ended, going): (HashMap<_, _>, _) =
                busy.into_iter().partition(|(_, thread)| thread.is_finished());
            busy = going;
            for (name, thread) in ended {
                let done = thread.join().unwrap_or_else(|_| {
                    let what = format!("slot {name} ended with a bug");
                    Err(Failure::machine(what))
                });
                match done {
                    Ok(Well(is_well)) => status = status.max(u8::from(!is_well)),
                    Err(failure) => {
                        failed.push(name);
                        status = status.max(complain(&failure));
                    }
                }
            }
            if busy.is_empty() {
                break;
            }
            thread::sleep(Duration::from_millis(50));
        }
    });
    Ok(match stop.load(Ordering::Relaxed) {
        true => 130,
        false => status,
    })
}

/// Takes Ctrl-C and the like: no further step begins. A push that is under way hears of it itself.
fn watch(stop: Arc<AtomicBool>) {
    thread::spawn(move || {
        let _ = wait(async {
            let mut instructions = instructions();
            while instructions.recv().await.is_some() {
                stop.store(true, Ordering::Relaxed);
            }
            Ok::<(), Failure>(())
        });
    });
}
