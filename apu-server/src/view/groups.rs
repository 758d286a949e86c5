//! Equal things are shown once, with the set of hosts that have them.

use std::collections::HashMap;
use std::hash::Hash;

use apu_fleet::{HostName, fold};

/// Hosts with something equal, in the order of their first.
#[must_use]
pub fn groups<'a, T: Eq + Hash + Clone>(
    things: impl IntoIterator<Item = (&'a HostName, T)>,
) -> Vec<(T, Vec<&'a HostName>)> {
    let mut groups: Vec<(T, Vec<&HostName>)> = Vec::new();
    let mut places: HashMap<T, usize> = HashMap::new();
    for (host, thing) in things {
        let place = *places.entry(thing.clone()).or_insert_with(|| {
            groups.push((thing, Vec::new()));
            groups.len() - 1
        });
        groups[place].1.push(host);
    }
    groups
}

/// The hosts as a set: `web[01-03,07],db1`.
#[must_use]
pub fn set(hosts: &[&HostName]) -> String {
    fold(hosts.iter().map(|host| host.as_str()))
}
