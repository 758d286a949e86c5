//! Properties of the readers of this crate for any bytes, for the targets in `fuzz/` and for `cargo test`.

use std::collections::BTreeSet;

use apu_debian::PackageKey;
use apu_proto::Step;

use crate::apt::Plan;
use crate::dpkg::{Database, paragraphs};

#[cfg(test)]
#[path = "../../fuzz/bounded.rs"]
mod bounded;

/// A plan's steps print back in apt's form as the same steps, and its transaction does not depend on their order.
pub fn plan(data: &[u8]) {
    let text = String::from_utf8_lossy(data);
    let Ok(plan) = Plan::parse(&text, "amd64") else {
        return;
    };
    let reread = |text: &str| Plan::parse(text, "amd64").expect("a printed step is one");
    assert!(plan.steps.len() <= text.lines().count());
    let printed: Vec<String> = plan.steps.iter().map(print).collect();
    let again = reread(&printed.concat());
    assert_eq!(again.steps, plan.steps);

    let reversed: String = printed.into_iter().rev().collect();
    let transaction = plan.transaction();
    let other = reread(&reversed).transaction();
    assert_eq!(
        (other.id(), other.steps()),
        (transaction.id(), transaction.steps())
    );
    assert!(transaction.steps().is_sorted_by_key(Step::to_string));

    for name in plan.kept_back.iter().chain(&plan.removed) {
        assert!(!name.contains(char::is_whitespace), "{name:?}");
    }
    for step in &plan.steps {
        match step {
            Step::Install { package, .. } => assert!(plan.coming(package.as_str()).is_some(), "{package}"),
            Step::Remove { package, .. } => assert!(!package.architecture().is_empty(), "{package}"),
        }
    }
}

/// A step as `apt-get -s` prints it.
fn print(step: &Step) -> String {
    match step {
        Step::Install {
            package,
            old,
            new,
            origin,
            ..
        } => {
            let old = old.as_ref().map_or_else(String::new, |old| format!("[{old}] "));
            format!("Inst {package} {old}({new} {origin} [amd64])\n")
        }
        Step::Remove { package, old } => format!("Remv {package} [{old}]\n"),
    }
}

/// A database has what its paragraphs say, whichever of them are in the journal, and is unchanged compared to itself.
pub fn dpkg_status(data: &[u8]) {
    let text = String::from_utf8_lossy(data);
    let Ok(database) = Database::parse([&*text]) else {
        return;
    };
    assert!(database.packages.len() <= paragraphs(&text).count());
    assert_eq!(database.changes(&database), []);
    let cuts: Vec<usize> = text.match_indices("\n\n").map(|(cut, _)| cut).collect();
    if let Some(&cut) = cuts.get(cuts.len() / 2) {
        let (status, journal) = text.split_at(cut);
        assert_eq!(Database::parse([status, journal]).as_ref(), Ok(&database));
    }

    let new: Vec<_> = Database::default().changes(&database);
    assert!(new.is_sorted_by(|one, other| one.package < other.package));
    for change in &new {
        assert_eq!(
            (&change.old, change.new.as_deref()),
            (&None, database.version(change.package.as_str()))
        );
    }
    let present = database
        .packages
        .keys()
        .filter(|key| database.version(key.as_str()).is_some());
    assert!(present.eq(new.iter().map(|change| &change.package)));

    let broken: BTreeSet<PackageKey> = database
        .broken()
        .into_iter()
        .map(|broken| broken.package)
        .collect();
    assert_eq!(database.is_dirty(), !broken.is_empty());
    assert!(broken.iter().all(|key| !database.is_whole(key.as_str())));

    // The state before a run is kept in its directory.
    let kept = serde_json::to_vec(&database).expect("JSON");
    assert_eq!(
        serde_json::from_slice::<Database>(&kept).expect("a database"),
        database
    );
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_steps_of_a_plan_print_back_for_any_bytes() {
        bounded::check("plan", plan);
    }

    #[test]
    fn a_database_is_what_its_paragraphs_say_for_any_bytes() {
        bounded::check("dpkg_status", dpkg_status);
    }
}
