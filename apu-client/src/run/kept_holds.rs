//! Keeps why, for whom and until when the server has put packages on hold.
//!
//! Whether a package is on hold is for dpkg to know. What dpkg has no place for is kept here, by the package. Only a process that
//! holds dpkg's frontend lock changes the file. A package that is on hold and is not in it was put on hold on the machine itself, and
//! so was one that somebody took off hold and put on it again, provided that a request or the timer came between the two.

use std::collections::BTreeMap;
use std::fs::File;
use std::io::{self, Read};
use std::time::{SystemTime, UNIX_EPOCH};

use apu_debian::{PackageKey, UserName};
use apu_proto::{Hold, HoldReason, MAX_HOLDS};
use serde::{Deserialize, Serialize};

use crate::dpkg::Database;
use crate::os::atomic_file::replace;
use crate::os::paths::ClientPaths;

/// Maximal size of the file in bytes; as many holds as there may be have less.
const MAX_SIZE: u64 = 2 * 1024 * 1024;

/// What is kept of a hold.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct KeptHold {
    pub(crate) reason: HoldReason,
    /// The user of the server who asked for it, as the server said.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) by: Option<UserName>,
    /// When it ends, in seconds since 1970.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) until: Option<u64>,
}

/// What is kept of all holds.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(transparent)]
pub(crate) struct KeptHolds(pub(crate) BTreeMap<PackageKey, KeptHold>);

/// Holds that are to be kept no longer.
#[derive(Debug, Default, PartialEq, Eq)]
pub(crate) struct Past {
    /// Those that are over; dpkg still has them.
    pub(crate) over: Vec<PackageKey>,
    /// Those that dpkg has no more, since they were taken off on the machine itself.
    pub(crate) taken_off: Vec<PackageKey>,
}

impl Past {
    pub(crate) fn is_empty(&self) -> bool {
        *self == Self::default()
    }
}

/// The time by the machine's clock, in seconds since 1970. With a clock that is before that, nothing is over.
pub(crate) fn now() -> u64 {
    SystemTime::now()
        .duration_since(UNIX_EPOCH)
        .map_or(0, |now| now.as_secs())
}

impl KeptHolds {
    /// Reads the file; nothing is kept where there is none.
    ///
    /// # Errors
    /// Where it cannot be read, is too long, or is not understood.
    pub(crate) fn read(paths: &ClientPaths) -> io::Result<Self> {
        let file = match File::open(paths.kept_holds()) {
            Ok(file) => file,
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Self::default()),
            Err(error) => return Err(error),
        };
        let mut bytes = Vec::new();
        file.take(MAX_SIZE + 1).read_to_end(&mut bytes)?;
        let most = usize::try_from(MAX_SIZE).unwrap_or(usize::MAX);
        if bytes.len() > most {
            return Err(io::Error::other(format!("is longer than {MAX_SIZE} bytes")));
        }
        let holds: Self = serde_json::from_slice(&bytes)?;
        if holds.0.len() > MAX_HOLDS {
            return Err(io::Error::other(format!("has more than {MAX_HOLDS} holds")));
        }
        Ok(holds)
    }

    /// Replaces the file.
    pub(crate) fn write(&self, paths: &ClientPaths) -> io::Result<()> {
        replace(&paths.kept_holds(), &serde_json::to_vec(self)?)
    }

    /// Returns the holds that are to be kept no longer.
    pub(crate) fn past(&self, database: &Database, now: u64) -> Past {
        let mut past = Past::default();
        for (package, hold) in &self.0 {
            if !database.is_held(package) {
                past.taken_off.push(package.clone());
            } else if hold.until.is_some_and(|until| until <= now) {
                past.over.push(package.clone());
            }
        }
        past
    }

    /// Returns the packages that are on hold for a reason that is kept.
    pub(crate) fn of_server(&self, database: &Database) -> Vec<Hold> {
        let held = self.0.iter().filter(|(package, _)| database.is_held(package));
        held.map(|(package, hold)| Hold {
            package: package.clone(),
            reason: Some(hold.reason.to_string()),
            by: hold.by.clone(),
            until: hold.until,
        })
        .collect()
    }

    /// Returns all packages on hold, sorted; those that were put on hold on the machine itself without a reason.
    pub(crate) fn all(&self, database: &Database) -> Vec<Hold> {
        let mut holds = self.of_server(database);
        let others = database.held().into_iter();
        holds.extend(
            others
                .filter(|package| !self.0.contains_key(package))
                .map(|package| Hold {
                    package,
                    reason: None,
                    by: None,
                    until: None,
                }),
        );
        holds.sort();
        holds
    }
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::*;

    fn database() -> Database {
        let text = "Package: dpkg\nStatus: install ok installed\nArchitecture: amd64\nVersion: 1\n\n\
                    Package: vim\nStatus: hold ok installed\nArchitecture: amd64\nVersion: 1\n\n\
                    Package: nano\nStatus: hold ok installed\nArchitecture: all\nVersion: 1\n\n\
                    Package: gone\nStatus: hold ok config-files\nArchitecture: amd64\nVersion: 1\n";
        Database::parse([text]).unwrap()
    }

    fn kept(holds: &[(&str, Option<u64>)]) -> KeptHolds {
        let kept = |(package, until): &(&str, Option<u64>)| {
            let hold = KeptHold {
                reason: "waits for #412".parse().unwrap(),
                by: Some("alice".parse().unwrap()),
                until: *until,
            };
            (package.parse().unwrap(), hold)
        };
        KeptHolds(holds.iter().map(kept).collect())
    }

    fn keys(names: &[&str]) -> Vec<PackageKey> {
        names.iter().map(|name| name.parse().unwrap()).collect()
    }

    #[test]
    fn a_hold_is_over_at_its_end_and_not_a_second_before() {
        let kept = kept(&[("vim:amd64", Some(100))]);
        assert!(kept.past(&database(), 99).is_empty());
        assert_eq!(kept.past(&database(), 100).over, keys(&["vim:amd64"]));
        let without_end = self::kept(&[("vim:amd64", None)]);
        assert!(without_end.past(&database(), u64::MAX).is_empty());
    }

    #[test]
    fn a_hold_that_dpkg_has_no_more_is_taken_off_whenever_it_would_have_ended() {
        let kept = kept(&[
            ("dpkg:amd64", Some(100)),
            ("gone:amd64", None),
            ("nano:amd64", None),
        ]);
        let past = kept.past(&database(), 100);
        assert_eq!(past.taken_off, keys(&["dpkg:amd64", "gone:amd64"]));
        assert!(past.over.is_empty(), "{past:?}");
    }

    #[test]
    fn a_hold_of_the_machine_itself_has_a_name_alone_and_never_ends() {
        let kept = kept(&[("vim:amd64", Some(100))]);
        let told: Vec<(String, Option<u64>, bool)> = (kept.all(&database()).into_iter())
            .map(|hold| (hold.package.to_string(), hold.until, hold.reason.is_some()))
            .collect();
        assert_eq!(
            told,
            [
                ("nano:amd64".to_owned(), None, false),
                ("vim:amd64".to_owned(), Some(100), true)
            ]
        );
        assert_eq!(kept.of_server(&database()).len(), 1);
        assert_eq!(kept.past(&database(), u64::MAX).over, keys(&["vim:amd64"]));
    }

    #[test]
    fn what_is_written_is_read_back_and_what_is_not_understood_is_an_error() {
        let root = tempfile::tempdir().unwrap();
        let paths = ClientPaths::below(root.path());
        fs::create_dir_all(paths.state()).unwrap();
        assert_eq!(KeptHolds::read(&paths).unwrap(), KeptHolds::default());
        let kept = kept(&[("vim:amd64", Some(100)), ("nano:amd64", None)]);
        kept.write(&paths).unwrap();
        assert_eq!(KeptHolds::read(&paths).unwrap(), kept);
        for text in [
            "",
            "[]",
            "{\"vim\":{\"reason\":\"x\"}}",
            "{\"vim:amd64\":{}}",
            "{\"vim:amd64\":{\"reason\":\"\"}}",
            "{\"vim:amd64\":{\"reason\":\"x\",\"until\":-1}}",
            "{\"vim:amd64\":{\"reason\":\"x\",\"color\":1}}",
            &" ".repeat(3 << 20),
        ] {
            fs::write(paths.kept_holds(), text).unwrap();
            assert!(KeptHolds::read(&paths).is_err(), "{text:.99}");
        }
    }

    #[test]
    fn as_many_holds_as_may_be_kept_can_be_read() {
        let root = tempfile::tempdir().unwrap();
        let paths = ClientPaths::below(root.path());
        fs::create_dir_all(paths.state()).unwrap();
        let hold = KeptHold {
            reason: "\"".repeat(200).parse().unwrap(),
            by: Some("a".repeat(32).parse().unwrap()),
            until: Some(253_402_207_200),
        };
        let key = |number: usize| format!("{number:0128}:{}", "a".repeat(64)).parse().unwrap();
        let most = KeptHolds((0..MAX_HOLDS).map(|number| (key(number), hold.clone())).collect());
        most.write(&paths).unwrap();
        assert_eq!(KeptHolds::read(&paths).unwrap(), most);
    }
}
