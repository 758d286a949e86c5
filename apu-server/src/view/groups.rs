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

/// Numbers for things: equal ones have the same. To group by numbers is cheaper where many hosts have the same large thing.
#[derive(Debug)]
pub struct Numbers<T>(HashMap<T, usize>);

impl<T> Default for Numbers<T> {
    fn default() -> Self {
        Self(HashMap::new())
    }
}

impl<T: Eq + Hash> Numbers<T> {
    /// The number of a thing.
    pub fn of(&mut self, thing: T) -> usize {
        let next = self.0.len();
        *self.0.entry(thing).or_insert(next)
    }

    /// Groups by numbers as groups by things.
    #[must_use]
    pub fn things(self, groups: Vec<(usize, Vec<&HostName>)>) -> Vec<(T, Vec<&HostName>)> {
        let things = self.0.into_iter();
        let mut things: HashMap<usize, T> = things.map(|(thing, number)| (number, thing)).collect();
        let thing = |(number, hosts)| Some((things.remove(&number)?, hosts));
        groups.into_iter().filter_map(thing).collect()
    }
}

/// The hosts as a set: `web[01-03,07],db1`.
#[must_use]
pub fn set(hosts: &[&HostName]) -> String {
    fold(hosts.iter().map(|host| host.as_str()))
}

/// The same in about so many characters: where the set is longer, its first hosts and the number of the others.
#[must_use]
pub fn short_set(hosts: &[&HostName], longest: usize) -> String {
    let whole = set(hosts);
    if whole.len() <= longest {
        return whole;
    }
    let numbers: Vec<usize> = (1..hosts.len()).collect();
    // More hosts are not always a longer text, and nearly always.
    let shown = numbers.partition_point(|number| set(&hosts[..*number]).len() <= longest);
    let shown = shown.max(1);
    format!("{} and {} more", set(&hosts[..shown]), hosts.len() - shown)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_long_set_has_its_first_hosts_and_counts_the_others() {
        let hosts: Vec<HostName> = (1..=300)
            .map(|number| format!("web{number:03}").parse().unwrap())
            .collect();
        let all: Vec<&HostName> = hosts.iter().collect();
        assert_eq!(short_set(&all, 20), "web[001-300]");
        let odd: Vec<&HostName> = hosts.iter().step_by(2).collect();
        assert_eq!(short_set(&odd, 20), "web[001,003,005,007] and 146 more");
        assert_eq!(short_set(&odd, 1), "web001 and 149 more");
    }
}
