//! Work side by side, on all cores. rayon keeps its threads: to start one for each step costs more than most steps.

use rayon::prelude::*;

/// What `work` makes of each item, in the items' order.
pub(crate) fn map<'a, T: Sync, R: Send>(items: &'a [T], work: impl Fn(&'a T) -> R + Sync + Send) -> Vec<R> {
    items.par_iter().map(work).collect()
}

/// What both make.
pub(crate) fn both<A: Send, B: Send>(
    one: impl FnOnce() -> A + Send,
    other: impl FnOnce() -> B + Send,
) -> (A, B) {
    rayon::join(one, other)
}

/// Does `work` where each of its steps can go to several cores without a thread that waits for them.
pub(crate) fn inside<R: Send>(work: impl FnOnce() -> R + Send) -> R {
    rayon::scope(|_| work())
}

#[cfg(test)]
mod tests {
    use super::{both, inside, map};

    #[test]
    fn results_stand_in_the_order_of_their_items() {
        let items: Vec<u32> = (0..1000).collect();
        let double = || map(&items, |item| item * 2);
        assert_eq!(double(), (0..2000).step_by(2).collect::<Vec<_>>());
        assert_eq!(inside(double), double());
        assert_eq!(map(&[] as &[u32], |item| *item), Vec::<u32>::new());
        assert_eq!(both(|| 1, || "two"), (1, "two"));
    }
}
