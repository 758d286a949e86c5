//! Changes of packages as lines: what has to be read before a yes stands first and is never cut.

use std::cmp::Ordering;
use std::collections::{BTreeMap, BTreeSet};
use std::fmt;

use apu_debian::{PackageKey, compare, is_version};
use apu_proto::{Change, HeldBack, Plan, Step};

use super::clean::{clean, version};
use super::columns::columns;

/// What happens to a package, in the order in which it is shown.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Kind {
    /// It goes away.
    Removed,
    /// It gets an older version, or one whose order is not known.
    Downgraded,
    /// It was not there before.
    New,
    /// It gets a newer version.
    Upgraded,
    /// It gets the version that it has.
    Reinstalled,
}

impl Kind {
    fn of(old: Option<&str>, new: Option<&str>) -> Self {
        match (old, new) {
            (_, None) => Self::Removed,
            (None, Some(_)) => Self::New,
            (Some(old), Some(new)) if old == new => Self::Reinstalled,
            (Some(old), Some(new)) if !(is_version(old) && is_version(new)) => Self::Downgraded,
            (Some(old), Some(new)) => match compare(old, new) {
                Ordering::Less => Self::Upgraded,
                Ordering::Equal => Self::Reinstalled,
                Ordering::Greater => Self::Downgraded,
            },
        }
    }

    const fn word(self) -> &'static str {
        match self {
            Self::Removed => "REMOVED",
            Self::Downgraded => "DOWNGRADED",
            Self::New => "new",
            Self::Upgraded => "upgraded",
            Self::Reinstalled => "reinstalled",
        }
    }

    /// Whether a list that is cut may leave it out.
    const fn may_be_cut(self) -> bool {
        matches!(self, Self::Upgraded | Self::Reinstalled)
    }
}

/// How many packages there are of each kind: `1 REMOVED, 3 new, 42 upgraded (3 security)`.
#[derive(Debug, Clone, Default, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Counts {
    kinds: BTreeMap<Kind, usize>,
    /// How many of the upgrades are security updates.
    security: usize,
}

impl Counts {
    /// Takes in other counts.
    pub fn add(&mut self, other: &Self) {
        for (kind, number) in &other.kinds {
            *self.kinds.entry(*kind).or_default() += number;
        }
        self.security += other.security;
    }

    /// All packages.
    #[must_use]
    pub fn all(&self) -> usize {
        self.kinds.values().sum()
    }

    /// Whether there are upgrades alone.
    #[must_use]
    pub fn is_upgrades_alone(&self) -> bool {
        self.kinds.keys().all(|kind| kind.may_be_cut())
    }
}

impl fmt::Display for Counts {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let security = |kind: Kind| match (kind, self.security) {
            (Kind::Upgraded, 1..) => format!(" ({} security)", self.security),
            _ => String::new(),
        };
        let part = |(kind, number): (&Kind, &usize)| format!("{number} {}{}", kind.word(), security(*kind));
        let parts: Vec<String> = self.kinds.iter().map(part).collect();
        f.write_str(&parts.join(", "))
    }
}

/// Changes as lines, with their numbers.
#[derive(Debug, Clone, Default, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Listing {
    /// Removals, downgrades and new packages: never cut.
    pub first: Vec<String>,
    /// Upgrades.
    pub rest: Vec<String>,
    /// How many of each kind.
    pub counts: Counts,
}

impl Listing {
    /// The changes that dpkg's database shows.
    #[must_use]
    pub fn of_changes(changes: &[Change]) -> Self {
        let row = |change: &Change| {
            let (old, new) = (change.old.as_deref(), change.new.as_deref());
            Row::of(&change.package, old, new)
        };
        Self::of(changes.iter().map(row).collect())
    }

    /// The steps of a plan; security updates stand first among the upgrades.
    #[must_use]
    pub fn of_plan(plan: &Plan) -> Self {
        let security: BTreeSet<&PackageKey> = plan.security.iter().flatten().collect();
        let row = |step: &Step| match step {
            Step::Install {
                package,
                old,
                new,
                origin,
                ..
            } => Row::of(package, old.as_deref(), Some(new)).with_origin(origin, security.contains(package)),
            Step::Remove { package, old } => Row::of(package, Some(old), None),
        };
        Self::of(plan.transaction.steps().iter().map(row).collect())
    }

    fn of(mut rows: Vec<Row>) -> Self {
        rows.sort_by_key(|row| (row.kind, !row.is_security));
        let mut counts = Counts::default();
        for row in &rows {
            *counts.kinds.entry(row.kind).or_default() += 1;
            counts.security += usize::from(row.is_security);
        }
        let cut = rows.partition_point(|row| !row.kind.may_be_cut());
        let cells: Vec<Vec<String>> = rows.into_iter().map(|row| row.cells).collect();
        let mut first = columns(&cells, "  ");
        let rest = first.split_off(cut);
        Self { first, rest, counts }
    }

    /// The lines, of which at most `longest` are upgrades; the rest is counted.
    #[must_use]
    pub fn lines(&self, longest: usize) -> Vec<String> {
        let mut lines = self.first.clone();
        lines.extend(self.rest.iter().take(longest).cloned());
        if self.rest.len() > longest {
            lines.push(format!(
                "… and {} more upgrades, which -v shows",
                self.rest.len() - longest
            ));
        }
        lines
    }
}

/// One change.
struct Row {
    kind: Kind,
    is_security: bool,
    /// The package, the versions, and the origin.
    cells: Vec<String>,
}

impl Row {
    fn of(package: &PackageKey, old: Option<&str>, new: Option<&str>) -> Self {
        let kind = Kind::of(old, new);
        let text = |text: Option<&str>| text.map_or_else(String::new, version);
        let (old, new) = (text(old), text(new));
        let versions = match kind {
            Kind::Removed => format!("REMOVED, was {old}"),
            Kind::Downgraded => format!("DOWNGRADED, {old} → {new}"),
            Kind::New => format!("new, {new}"),
            Kind::Upgraded => format!("{old} → {new}"),
            Kind::Reinstalled => format!("reinstalled, {new}"),
        };
        Self {
            kind,
            is_security: false,
            cells: vec![package.to_string(), versions],
        }
    }

    /// The same from there. Only an upgrade is a security update, whatever a client says.
    fn with_origin(mut self, origin: &str, is_security: bool) -> Self {
        self.is_security = is_security && self.kind == Kind::Upgraded;
        let mark = if self.is_security { "security, from " } else { "" };
        self.cells.push(format!("{mark}{}", clean(origin)));
        self
    }
}

/// What a list of packages is called that a client's policy holds back for their configuration files.
const HELD_BACK: &str = "held back for configuration files that were changed here";

/// The packages that stay at their version for their configuration files, each with these.
#[must_use]
pub fn held_back(packages: &[HeldBack]) -> Option<String> {
    let one = |held: &HeldBack| format!("{} ({})", held.package, held.paths.join(" "));
    let packages: Vec<String> = packages.iter().map(one).collect();
    named(HELD_BACK, &packages)
}

/// What a list of packages is called that the request keeps as they are.
pub const HELD: &str = "held for this run";

/// What a list of packages is called that would be upgraded if they were installed.
pub const NOT_INSTALLED: &str = "to be upgraded, and not installed";

/// What a list of sources is called that no installed package is built from.
pub const UNKNOWN_SOURCES: &str = "no installed package is of the source";

/// A list of names behind what it is a list of, however long; nothing without names.
#[must_use]
pub fn named(what: &str, names: &[impl ToString]) -> Option<String> {
    let names: Vec<String> = names.iter().map(|name| clean(&name.to_string())).collect();
    (!names.is_empty()).then(|| format!("{what}: {}", names.join(", ")))
}

#[cfg(test)]
mod tests {
    use apu_proto::Transaction;

    use super::*;

    fn change(package: &str, old: Option<&str>, new: Option<&str>) -> Change {
        Change {
            package: package.parse().unwrap(),
            old: old.map(str::to_owned),
            new: new.map(str::to_owned),
        }
    }

    #[test]
    fn what_needs_a_look_stands_first_and_is_never_cut() {
        let mut changes: Vec<Change> = (10..60)
            .map(|n| change(&format!("a{n}:all"), Some("1"), Some("2")))
            .collect();
        changes.push(change("x:amd64", Some("1"), None));
        changes.push(change("y:amd64", Some("1:1.0"), Some("2.0")));
        changes.push(change("z:amd64", None, Some("3")));
        let listing = Listing::of_changes(&changes);
        assert_eq!(
            listing.lines(2),
            [
                "x:amd64  REMOVED, was 1",
                "y:amd64  DOWNGRADED, 1:1.0 → 2.0",
                "z:amd64  new, 3",
                "a10:all  1 → 2",
                "a11:all  1 → 2",
                "… and 48 more upgrades, which -v shows",
            ]
        );
        assert_eq!(
            listing.counts.to_string(),
            "1 REMOVED, 1 DOWNGRADED, 1 new, 50 upgraded"
        );
    }

    #[test]
    fn security_updates_are_marked_and_stand_first_among_the_upgrades() {
        let install = |package: &str, old: Option<&str>| Step::Install {
            package: package.parse().unwrap(),
            old: old.map(str::to_owned),
            new: "2".into(),
            sha256: None,
            origin: "Debian:12/stable".into(),
        };
        let steps = vec![
            install("a:all", Some("1")),
            install("b:all", Some("1")),
            install("c:all", None),
            install("d:all", Some("1")),
        ];
        let security = ["b:all", "c:all", "d:all", "e:all"].map(|name| name.parse().unwrap());
        let plan = Plan {
            transaction: Transaction::new(steps),
            security: Some(security.into()),
            ..Plan::default()
        };
        let listing = Listing::of_plan(&plan);
        assert_eq!(
            listing.lines(2),
            [
                "c:all  new, 2  Debian:12/stable",
                "b:all  1 → 2   security, from Debian:12/stable",
                "d:all  1 → 2   security, from Debian:12/stable",
                "… and 1 more upgrades, which -v shows",
            ]
        );
        assert_eq!(listing.counts.to_string(), "1 new, 3 upgraded (2 security)");
        let mut twice = listing.counts.clone();
        twice.add(&listing.counts);
        assert_eq!(twice.to_string(), "2 new, 6 upgraded (4 security)");
        // What an older client does not say is not shown as if there were none, nor as if there were some.
        let older = Plan {
            security: None,
            ..plan
        };
        assert_eq!(Listing::of_plan(&older).counts.to_string(), "1 new, 3 upgraded");
    }

    #[test]
    fn versions_are_compared_as_dpkg_does_and_what_has_no_order_is_no_upgrade() {
        for (old, new, kind) in [
            ("1.9", "1.10", Kind::Upgraded),
            ("1.0", "1.0~rc1", Kind::Downgraded),
            ("0:1.0", "1.0", Kind::Reinstalled),
            ("2.0", "1:1.0", Kind::Upgraded),
            ("1", "no version", Kind::Downgraded),
            ("1", "1", Kind::Reinstalled),
        ] {
            assert_eq!(Kind::of(Some(old), Some(new)), kind, "{old} {new}");
        }
    }

    #[test]
    fn a_list_of_names_is_told_to_its_end() {
        let names: Vec<String> = (0..200).map(|n| format!("package-{n}")).collect();
        let text = named("kept back", &names).unwrap();
        assert!(text.ends_with(", package-199"), "{text}");
        assert_eq!(named("kept back", &[""; 0]), None);
    }
}
