//! Decides which repair step comes next.
//!
//! `dpkg --configure -a` alone leaves a package that needs a re-installation as it is and reports nothing. After that
//! no tool's exit status shows it, and every later transaction may fail.

use apu_debian::PackageKey;

use crate::dpkg::Database;

/// One repair step; the database is read again after each.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum RepairStep {
    /// `dpkg --configure -a`.
    Configure,
    /// `apt-get install --reinstall` of the packages with these keys.
    Reinstall(Vec<PackageKey>),
    /// `apt-get --fix-broken install`, without removals.
    FixBroken,
}

/// Returns the step after those that were tried; none where nothing is broken or no step is left.
pub(crate) fn next_step(database: &Database, tried: &[RepairStep]) -> Option<RepairStep> {
    if !database.is_dirty() {
        return None;
    }
    let reinstall = || {
        let keys = database
            .packages
            .iter()
            .filter(|(_, package)| package.needs_reinstall());
        RepairStep::Reinstall(keys.map(|(key, _)| key.clone()).collect())
    };
    match tried.last() {
        None => Some(RepairStep::Configure),
        Some(RepairStep::Configure) => match reinstall() {
            RepairStep::Reinstall(keys) if keys.is_empty() => Some(RepairStep::FixBroken),
            step => Some(step),
        },
        Some(RepairStep::Reinstall(_)) => Some(RepairStep::FixBroken),
        Some(RepairStep::FixBroken) => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn database(status: &str) -> Database {
        let text = format!("Package: a\nVersion: 1\nArchitecture: amd64\nStatus: {status}\n");
        Database::parse([text.as_str()]).unwrap()
    }

    #[test]
    fn a_whole_database_needs_no_repair() {
        assert_eq!(next_step(&database("install ok installed"), &[]), None);
        assert_eq!(next_step(&database("deinstall ok config-files"), &[]), None);
    }

    #[test]
    fn the_rungs_come_in_their_order_and_each_once() {
        let unpacked = database("install ok unpacked");
        assert_eq!(next_step(&unpacked, &[]), Some(RepairStep::Configure));
        assert_eq!(
            next_step(&unpacked, &[RepairStep::Configure]),
            Some(RepairStep::FixBroken)
        );
        assert_eq!(
            next_step(&unpacked, &[RepairStep::Configure, RepairStep::FixBroken]),
            None
        );

        let lying = database("install reinstreq half-installed");
        let reinstall = RepairStep::Reinstall(vec!["a:amd64".parse().unwrap()]);
        assert_eq!(
            next_step(&lying, &[RepairStep::Configure]),
            Some(reinstall.clone())
        );
        assert_eq!(
            next_step(&lying, &[RepairStep::Configure, reinstall]),
            Some(RepairStep::FixBroken)
        );
    }

    #[test]
    fn a_journal_alone_is_reason_enough() {
        let mut database = database("install ok installed");
        database.interrupted = true;
        assert_eq!(next_step(&database, &[]), Some(RepairStep::Configure));
    }
}
