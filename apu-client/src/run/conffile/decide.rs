//! Decides what a request changes about a configuration file, from the versions that are there and what was put away.

use apu_proto::{Beside, Cause, ConffileDecision, ConffileVersions, ShortSum};

use super::put_away::Record;

/// What a decision does.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Change {
    /// There is no other version.
    Nothing,
    /// The other versions are put away; this one of them takes the place of the file.
    PutAway { new: Option<Beside> },
}

/// What taking a decision back does.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct Restore {
    /// Whether what was in place before is put there again.
    pub(super) place: bool,
    /// The versions that are laid beside it again.
    pub(super) beside: Vec<Beside>,
}

/// Decides for the versions that are there, `place` and those beside it; `decided` are those that somebody has seen.
pub(super) fn change(
    path: &str,
    decision: ConffileDecision,
    decided: &[ConffileVersions],
    place: ShortSum,
    others: &[(Beside, ShortSum)],
) -> Result<Change, Cause> {
    let found = others.iter().map(|(beside, other)| ConffileVersions {
        beside: *beside,
        place,
        other: *other,
    });
    let found: Vec<ConffileVersions> = found.collect();
    if found.is_empty() {
        return Ok(Change::Nothing);
    }
    if found.iter().any(|versions| !decided.contains(versions)) {
        return Err(Cause::ConffileChanged {
            path: path.to_owned(),
            found: found.iter().map(ToString::to_string).collect(),
        });
    }
    if decision != ConffileDecision::New {
        return Ok(Change::PutAway { new: None });
    }
    let of_package: Vec<Beside> = others
        .iter()
        .map(|(beside, _)| *beside)
        .filter(|beside| beside.is_packages())
        .collect();
    match of_package[..] {
        [] => Ok(Change::PutAway { new: None }),
        [new] => Ok(Change::PutAway { new: Some(new) }),
        _ => Err(Cause::ConffileOfTwo {
            path: path.to_owned(),
            beside: of_package,
        }),
    }
}

/// Decides what puts everything back that a decision has put away. A process that was ended within the decision, or within an earlier
/// attempt to take it back, has left a part of it as it was.
///
/// The checksums are whole ones: of what is in place, and of what lies beside it where there is something.
pub(super) fn restore(
    record: &Record,
    place: &str,
    others: &[(Beside, Option<String>)],
) -> Result<Restore, Cause> {
    let mut restore = Restore::default();
    let changed = || Cause::ConffileChanged {
        path: record.path.to_string(),
        found: Vec::new(),
    };
    if place != record.place.sha256 {
        if place != record.placed {
            return Err(changed());
        }
        restore.place = true;
    }
    for kept in &record.beside {
        let now = others.iter().find(|(beside, _)| *beside == kept.beside);
        match now.and_then(|(_, sum)| sum.as_ref()) {
            None => restore.beside.push(kept.beside),
            Some(sum) if *sum == kept.version.sha256 => {}
            Some(_) => return Err(changed()),
        }
    }
    Ok(restore)
}

#[cfg(test)]
mod tests {
    use super::super::put_away::{KeptBeside, Version};
    use super::*;

    const PATH: &str = "/etc/app.conf";

    fn sum(word: &str) -> ShortSum {
        word.parse().unwrap()
    }

    fn decide(decision: ConffileDecision, decided: &[&str], others: &[&str]) -> Result<Change, Cause> {
        let decided: Vec<ConffileVersions> = decided.iter().map(|word| word.parse().unwrap()).collect();
        let others = others.iter().map(|other| {
            let (beside, other) = other.split_once(':').unwrap();
            (beside.parse().unwrap(), sum(other))
        });
        let others: Vec<(Beside, ShortSum)> = others.collect();
        change(PATH, decision, &decided, sum("aaaaaaaa"), &others)
    }

    #[test]
    fn only_versions_that_were_seen_are_decided_on() {
        use ConffileDecision::{Keep, New};
        let seen = [
            ".dpkg-dist:aaaaaaaa:bbbbbbbb",
            ".dpkg-old:aaaaaaaa:cccccccc",
            ".dpkg-dist:dddddddd:eeeeeeee",
        ];
        let new = |new| Ok(Change::PutAway { new });
        let dist = ".dpkg-dist:bbbbbbbb";
        assert_eq!(decide(Keep, &seen, &[dist]), new(None));
        assert_eq!(decide(New, &seen, &[dist]), new(Some(Beside::DpkgDist)));
        assert_eq!(decide(New, &seen, &[]), Ok(Change::Nothing));
        for others in [
            &[".dpkg-dist:eeeeeeee"][..],
            &[".ucf-dist:bbbbbbbb"],
            &[dist, ".dpkg-old:dddddddd"],
        ] {
            for decision in [Keep, New] {
                let refused = decide(decision, &seen, others);
                assert!(
                    matches!(refused, Err(Cause::ConffileChanged { .. })),
                    "{refused:?}"
                );
            }
        }
    }

    #[test]
    fn new_is_the_packages_version_also_where_that_is_in_place_already() {
        use ConffileDecision::{Keep, New};
        let (old, dist) = (".dpkg-old:cccccccc", ".dpkg-dist:bbbbbbbb");
        let seen = [
            ".dpkg-old:aaaaaaaa:cccccccc",
            ".dpkg-dist:aaaaaaaa:bbbbbbbb",
            ".ucf-dist:aaaaaaaa:bbbbbbbb",
        ];
        let new = |new| Ok(Change::PutAway { new });
        assert_eq!(decide(New, &seen, &[old]), new(None));
        assert_eq!(decide(Keep, &seen, &[old]), new(None));
        assert_eq!(decide(New, &seen, &[old, dist]), new(Some(Beside::DpkgDist)));
        let two = decide(New, &seen, &[dist, ".ucf-dist:bbbbbbbb"]);
        assert!(matches!(two, Err(Cause::ConffileOfTwo { .. })), "{two:?}");
        assert_eq!(decide(Keep, &seen, &[dist, ".ucf-dist:bbbbbbbb"]), new(None));
    }

    #[test]
    fn a_decision_is_taken_back_as_far_as_it_came_and_never_over_a_later_change() {
        let version = |sha256: &str| Version {
            sha256: sha256.to_owned(),
            uid: 0,
            gid: 0,
            mode: 0o644,
        };
        let record = |placed: &str| Record {
            number: 1,
            path: PATH.parse().unwrap(),
            decision: ConffileDecision::New,
            at: 0,
            place: version("mine"),
            placed: placed.to_owned(),
            beside: vec![KeptBeside {
                beside: Beside::DpkgDist,
                version: version("theirs"),
            }],
        };
        let lies = |sum: Option<&str>| [(Beside::DpkgDist, sum.map(str::to_owned))];
        let of = |place, is_beside| Restore {
            place,
            beside: if is_beside {
                vec![Beside::DpkgDist]
            } else {
                Vec::new()
            },
        };
        let (new, keep) = (record("theirs"), record("mine"));
        for (record, place, other, expected) in [
            (&new, "theirs", None, Some(of(true, true))),
            (&new, "mine", None, Some(of(false, true))),
            (&new, "mine", Some("theirs"), Some(of(false, false))),
            (&new, "theirs", Some("theirs"), Some(of(true, false))),
            (&keep, "mine", None, Some(of(false, true))),
            (&keep, "theirs", None, None),
            (&new, "edited", None, None),
            (&new, "theirs", Some("newer"), None),
        ] {
            let found = restore(record, place, &lies(other));
            assert_eq!(found.ok(), expected, "{place} {other:?}");
        }
    }
}
