//! Which connection gives way when there are too many. A decision on a list, without a connection.

use std::collections::HashMap;
use std::net::{IpAddr, Ipv6Addr};

/// Who a connection comes from, as far as one can have many addresses: of IPv6 the first 64 bits.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(super) struct Source(IpAddr);

impl From<IpAddr> for Source {
    fn from(address: IpAddr) -> Self {
        Self(match address.to_canonical() {
            IpAddr::V6(address) => Ipv6Addr::from_bits(address.to_bits() >> 64 << 64).into(),
            v4 => v4,
        })
    }
}

/// A connection that there is.
#[derive(Debug, Clone, Copy)]
pub(super) struct Held<I> {
    pub(super) id: I,
    pub(super) source: Source,
    /// Since when it waits for a request, on any clock; nothing while it is at work.
    pub(super) idle_since: Option<u64>,
}

/// How many connections there may be.
#[derive(Debug, Clone, Copy)]
pub(super) struct Most {
    pub(super) in_all: usize,
    pub(super) of_one_source: usize,
}

/// What becomes of a new connection.
#[derive(Debug, PartialEq, Eq)]
#[must_use]
pub(super) enum Admission<I> {
    Admitted,
    /// Admitted, and this one is closed.
    InsteadOf(I),
    Refused,
}

/// Decides on a new connection from `source`.
///
/// One that waits costs its client nothing when it is closed (RFC 9112, 9.5: it asks again), so those go first, the one
/// that waits the longest before the others. Where all are at work, the source that has most of them gives one up to a
/// source that has fewer: a few addresses can never keep all others out.
pub(super) fn admit<I: Copy + Ord>(held: &[Held<I>], source: Source, most: Most) -> Admission<I> {
    let mut counts: HashMap<Source, usize> = HashMap::new();
    for held in held {
        *counts.entry(held.source).or_default() += 1;
    }
    let own = counts.get(&source).copied().unwrap_or_default();
    let longest_idle = |of: Option<Source>| {
        (held.iter())
            .filter(|held| of.is_none_or(|of| held.source == of))
            .filter_map(|held| held.idle_since.map(|since| (since, held.id)))
            .min()
            .map(|(_, id)| id)
    };
    if own >= most.of_one_source {
        return longest_idle(Some(source)).map_or(Admission::Refused, Admission::InsteadOf);
    }
    if held.len() < most.in_all {
        return Admission::Admitted;
    }
    let count = |held: &&Held<I>| counts.get(&held.source).copied().unwrap_or_default();
    let Some(most_held) = held.iter().max_by_key(count) else {
        return Admission::Refused;
    };
    if let Some(id) = longest_idle(Some(most_held.source)).or_else(|| longest_idle(None)) {
        return Admission::InsteadOf(id);
    }
    let oldest = (held.iter())
        .filter(|held| held.source == most_held.source)
        .map(|held| held.id)
        .min();
    match oldest {
        Some(id) if count(&most_held) > own + 1 => Admission::InsteadOf(id),
        _ => Admission::Refused,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const MOST: Most = Most {
        in_all: 4,
        of_one_source: 3,
    };

    fn source(address: &str) -> Source {
        address.parse::<IpAddr>().unwrap().into()
    }

    /// `address` and since when it is idle, in the order in which they came.
    fn held(list: &[(&str, Option<u64>)]) -> Vec<Held<usize>> {
        (list.iter().enumerate())
            .map(|(id, (address, idle_since))| Held {
                id,
                source: source(address),
                idle_since: *idle_since,
            })
            .collect()
    }

    #[test]
    fn the_connection_that_waits_the_longest_gives_way() {
        let full = held(&[
            ("::1", None),
            ("10.0.0.1", Some(7)),
            ("10.0.0.1", Some(3)),
            ("10.0.0.2", Some(1)),
        ]);
        // Of the source that has most.
        assert_eq!(admit(&full, source("10.0.0.9"), MOST), Admission::InsteadOf(2));
        assert_eq!(admit(&full[..3], source("10.0.0.9"), MOST), Admission::Admitted);
        let full = held(&[
            ("10.0.0.1", None),
            ("10.0.0.1", None),
            ("10.0.0.2", Some(8)),
            ("10.0.0.3", None),
        ]);
        assert_eq!(admit(&full, source("10.0.0.9"), MOST), Admission::InsteadOf(2));
    }

    #[test]
    fn one_source_takes_the_places_of_its_own() {
        let one = held(&[("10.0.0.1", None), ("10.0.0.1", Some(5)), ("10.0.0.1", None)]);
        assert_eq!(admit(&one, source("10.0.0.1"), MOST), Admission::InsteadOf(1));
        assert_eq!(admit(&one, source("10.0.0.2"), MOST), Admission::Admitted);
        let busy = held(&[("10.0.0.1", None), ("10.0.0.1", None), ("10.0.0.1", None)]);
        assert_eq!(admit(&busy, source("10.0.0.1"), MOST), Admission::Refused);
    }

    #[test]
    fn a_few_sources_cannot_keep_others_out() {
        let busy = held(&[
            ("10.0.0.1", None),
            ("10.0.0.2", None),
            ("10.0.0.2", None),
            ("10.0.0.2", None),
        ]);
        assert_eq!(admit(&busy, source("10.0.0.3"), MOST), Admission::InsteadOf(1));
        // Not by turns: who has as many would only push another out.
        let fair = held(&[
            ("10.0.0.1", None),
            ("10.0.0.2", None),
            ("10.0.0.3", None),
            ("10.0.0.4", None),
        ]);
        assert_eq!(admit(&fair, source("10.0.0.5"), MOST), Admission::Refused);
        assert_eq!(admit(&fair, source("10.0.0.1"), MOST), Admission::Refused);
    }

    #[test]
    fn a_network_of_ipv6_is_one_source_and_ipv4_is_the_same_on_every_socket() {
        assert_eq!(source("2001:db8::1"), source("2001:db8::ffff:1"));
        assert_ne!(source("2001:db8::1"), source("2001:db8:0:1::1"));
        assert_eq!(source("::ffff:10.0.0.1"), source("10.0.0.1"));
        assert_ne!(source("10.0.0.1"), source("10.0.0.2"));
    }
}
