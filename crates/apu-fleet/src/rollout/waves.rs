//! Arranges the hosts of a push in waves: those that test first, in the order of their classes otherwise.

use std::collections::HashSet;

use apu_proto::{System, TransactionId};

use super::Trial;
use crate::name::HostName;

/// Up to this many hosts change at once where nothing else is said: there are hardly any others to hold back.
const FEW: usize = 3;

/// Which hosts are the first wave, where a push says it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Canaries {
    /// So many.
    Number(usize),
    /// These.
    Hosts(HashSet<HostName>),
}

/// What a push says about its waves.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct WaveOptions {
    /// The first wave; without it, a host for each distinct transaction of each system, where no sizes are given.
    pub canaries: Option<Canaries>,
    /// How many hosts the waves have, behind the canaries where these are given too. The last size repeats.
    pub sizes: Vec<usize>,
}

/// Arranges hosts in waves; returns their places, wave after wave. Each host is in one wave, and no wave is empty.
#[must_use]
pub fn waves(hosts: &[(HostName, Trial)], options: &WaveOptions) -> Vec<Vec<usize>> {
    let mut left: Vec<usize> = (0..hosts.len()).collect();
    let mut waves = Vec::new();
    let sizes = match (&options.canaries, options.sizes.as_slice()) {
        (None, []) if hosts.len() <= FEW => &[usize::MAX][..],
        (None, []) => {
            let distinct = distinct(hosts, &left).len();
            waves.push(take_different(hosts, &mut left, distinct));
            &[usize::MAX]
        }
        (Some(Canaries::Number(number)), sizes) => {
            waves.push(take_different(hosts, &mut left, *number));
            sizes
        }
        (Some(Canaries::Hosts(names)), sizes) => {
            let is_named = |place: &usize| names.contains(&hosts[*place].0);
            let (named, others): (Vec<usize>, Vec<usize>) = left.iter().copied().partition(is_named);
            left = others;
            // Where none of them changes, somebody else has to go first.
            let named = if named.is_empty() {
                let distinct = distinct(hosts, &left).len();
                take_different(hosts, &mut left, distinct)
            } else {
                named
            };
            waves.push(named);
            match sizes {
                [] => &[usize::MAX],
                sizes => sizes,
            }
        }
        (None, sizes) => sizes,
    };
    let mut sizes = sizes.iter().copied();
    let mut size = usize::MAX;
    while !left.is_empty() {
        // A wave of no host would be one without end.
        size = sizes.next().unwrap_or(size).max(1);
        let wave = if waves.is_empty() {
            take_different(hosts, &mut left, size)
        } else {
            left.drain(..size.min(left.len())).collect()
        };
        waves.push(wave);
    }
    waves.retain(|wave: &Vec<usize>| !wave.is_empty());
    waves
}

/// A host of each distinct transaction of each system: the first that has no broken packages, where there is one. A host that only
/// repairs what is broken there tests nothing for the others.
fn distinct(hosts: &[(HostName, Trial)], places: &[usize]) -> Vec<usize> {
    let mut seen: HashSet<(&System, TransactionId)> = HashSet::new();
    let is_new = |place: &usize| {
        let trial = &hosts[*place].1;
        !trial.transaction.steps().is_empty() && seen.insert((&trial.system, trial.transaction.id()))
    };
    let (broken, sound): (Vec<usize>, Vec<usize>) =
        places.iter().partition(|place| hosts[**place].1.is_broken);
    sound.into_iter().chain(broken).filter(is_new).collect()
}

/// Takes so many hosts out of `left`: those whose transactions are different first, then others, in order.
fn take_different(hosts: &[(HostName, Trial)], left: &mut Vec<usize>, number: usize) -> Vec<usize> {
    let first = distinct(hosts, left);
    let others = left.iter().copied().filter(|place| !first.contains(place));
    let mut taken: Vec<usize> = first.iter().copied().chain(others).take(number).collect();
    taken.sort_unstable();
    left.retain(|place| taken.binary_search(place).is_err());
    taken
}

#[cfg(test)]
mod tests {
    use apu_proto::{Step, Transaction};
    use proptest::prelude::*;

    use super::*;

    /// Hosts `h0`, `h1`, …, each with the transaction that its letter stands for.
    fn hosts(letters: &str) -> Vec<(HostName, Trial)> {
        let host = |(number, letter): (usize, char)| {
            let step = Step::Remove {
                package: format!("p{}:amd64", letter.to_ascii_lowercase()).parse().unwrap(),
                old: "1".into(),
            };
            // A capital letter is the same on another release.
            let release = if letter.is_ascii_uppercase() {
                "debian 13"
            } else {
                "debian 12"
            };
            let system = System {
                release: release.into(),
                architecture: "amd64".into(),
            };
            (
                format!("h{number}").parse().unwrap(),
                Trial {
                    system,
                    transaction: Transaction::new(vec![step]),
                    is_broken: false,
                    too_young: Vec::new(),
                    conffile_rules: Vec::new(),
                },
            )
        };
        letters.chars().enumerate().map(host).collect()
    }

    fn arranged(letters: &str, canaries: Option<Canaries>, sizes: &[usize]) -> Vec<Vec<usize>> {
        let sizes = sizes.to_vec();
        waves(&hosts(letters), &WaveOptions { canaries, sizes })
    }

    #[test]
    fn one_host_of_each_distinct_transaction_goes_first_and_few_hosts_go_at_once() {
        assert_eq!(arranged("aaaaa", None, &[]), [vec![0], vec![1, 2, 3, 4]]);
        assert_eq!(arranged("aabab", None, &[]), [vec![0, 2], vec![1, 3, 4]]);
        assert_eq!(arranged("aaAa", None, &[]), [vec![0, 2], vec![1, 3]]);
        assert_eq!(arranged("abcd", None, &[]), [vec![0, 1, 2, 3]]);
        assert_eq!(arranged("aaa", None, &[]), [vec![0, 1, 2]]);
        assert!(arranged("", None, &[]).is_empty());
    }

    #[test]
    fn a_host_that_is_broken_already_is_a_canary_only_where_no_other_is_there_and_one_that_only_repairs_never()
     {
        let mut hosts = hosts("aabac");
        for place in [0, 2, 4] {
            hosts[place].1.is_broken = true;
        }
        hosts[4].1.transaction = Transaction::default();
        let arranged = waves(&hosts, &WaveOptions::default());
        assert_eq!(arranged, [vec![1, 2], vec![0, 3, 4]]);
    }

    #[test]
    fn sizes_are_taken_in_order_and_the_last_repeats() {
        assert_eq!(
            arranged("aaaaaaa", None, &[1, 2]),
            [vec![0], vec![1, 2], vec![3, 4], vec![5, 6]]
        );
        assert_eq!(
            arranged("aaaaaaa", None, &[1, 99]),
            [vec![0], vec![1, 2, 3, 4, 5, 6]]
        );
        assert_eq!(arranged("aaaaaaa", None, &[7]), [vec![0, 1, 2, 3, 4, 5, 6]]);
        assert_eq!(
            arranged("aaaaaaa", None, &[3]),
            [vec![0, 1, 2], vec![3, 4, 5], vec![6]]
        );
        // The first wave tests as much as it can.
        assert_eq!(arranged("aaab", None, &[2]), [vec![0, 3], vec![1, 2]]);
    }

    #[test]
    fn canaries_are_a_number_or_hosts() {
        assert_eq!(
            arranged("aaaab", Some(Canaries::Number(2)), &[]),
            [vec![0, 4], vec![1, 2, 3]]
        );
        assert_eq!(arranged("aa", Some(Canaries::Number(9)), &[]), [vec![0, 1]]);
        let named = |names: &[&str]| {
            Some(Canaries::Hosts(
                names.iter().map(|name| name.parse().unwrap()).collect(),
            ))
        };
        assert_eq!(
            arranged("aaaa", named(&["h2", "h1"]), &[]),
            [vec![1, 2], vec![0, 3]]
        );
        assert_eq!(
            arranged("aaaa", named(&["h2"]), &[1]),
            [vec![2], vec![0], vec![1], vec![3]]
        );
        // None of these changes: that is no reason to change all at once.
        assert_eq!(arranged("aaba", named(&["other"]), &[]), [vec![0, 2], vec![1, 3]]);
    }

    proptest! {
        #[test]
        fn each_host_is_in_one_wave(
            letters in "[abcA]{0,60}",
            number in proptest::option::of(1usize..9),
            sizes in proptest::collection::vec(0usize..=40, 0..4),
        ) {
            let options = WaveOptions {
                canaries: number.map(Canaries::Number),
                sizes,
            };
            let hosts = hosts(&letters);
            let arranged = waves(&hosts, &options);
            prop_assert!(arranged.iter().all(|wave| !wave.is_empty()));
            let mut all: Vec<usize> = arranged.concat();
            all.sort_unstable();
            prop_assert_eq!(all, (0..hosts.len()).collect::<Vec<_>>());
            if options == WaveOptions::default() && hosts.len() > FEW {
                let firsts: HashSet<_> = arranged[0].iter().map(|place| (&hosts[*place].1.system, hosts[*place].1.transaction.id())).collect();
                prop_assert_eq!(firsts.len(), arranged[0].len());
            }
        }
    }
}
