//! Whether a client's lists are those that this server published last.
//!
//! A client takes any list with a good signature that is not too old: a mirror or a proxy that stopped, or somebody on the
//! way, can hold updates back for as long as a Release is valid. The server knows better for its own archives.

use apu_proto::{Operation, ReleaseDate};

use crate::outcome::{Ending, Outcome};
use crate::reason::{ServerAdvice, ServerCause, ServerReason, StaleList};

/// An archive of this server, as it was published last.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PublishedArchive {
    /// The address that apu-data gives to clients, without a slash at its end.
    pub uri: String,
    /// Its suite, or `./` where it is flat.
    pub suite: String,
    /// `Date` of its Release, in seconds since 1970.
    pub date: u64,
}

/// Calls an update stale that went well on the client and left lists there which are older than what was published before
/// it was asked; and notes such lists of a client that was asked for its status. A client that tells no dates, as an old
/// one, is left as it is.
pub(crate) fn mark_stale(ending: &mut Ending, operation: Operation, published: &[PublishedArchive]) {
    let result = ending.result.as_ref().filter(|_| ending.outcome.is_well());
    let releases = match operation {
        Operation::Update | Operation::Status => result.map(|result| result.releases()),
        _ => None,
    };
    let stale: Vec<(&ReleaseDate, &PublishedArchive)> = (releases.into_iter().flatten())
        .filter_map(|release| {
            let archive = published.iter().find(|archive| is_same(archive, release))?;
            let is_old = release.date.is_none_or(|date| date < archive.date);
            is_old.then_some((release, archive))
        })
        .collect();
    let Some((first, _)) = stale.first() else {
        return;
    };
    let lists: Vec<StaleList> = stale
        .iter()
        .map(|(release, archive)| StaleList {
            uri: release.uri.clone(),
            suite: release.suite.clone(),
            older_by: release.date.map(|date| archive.date - date),
        })
        .collect();
    if operation == Operation::Status {
        ending.stale = lists;
        return;
    }
    let uri = place(first);
    ending.outcome = Outcome::Stale;
    let reason = ServerReason::from(ServerCause::Stale { lists });
    ending.reason = Some(reason.advise(ServerAdvice::CompareRelease { uri }).into());
}

fn is_same(archive: &PublishedArchive, release: &ReleaseDate) -> bool {
    archive.uri.trim_end_matches('/') == release.uri.trim_end_matches('/')
        && archive.suite.trim_end_matches('/') == release.suite.trim_end_matches('/')
}

/// Where the Release file of an archive lies.
fn place(release: &ReleaseDate) -> String {
    let uri = release.uri.trim_end_matches('/');
    match release.suite.trim_end_matches('/') {
        "." | "" => uri.to_owned(),
        suite => format!("{uri}/dists/{suite}"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::reason::HostReason;
    use apu_proto::{Answer, ClientOutcome, RunResult};

    fn release(uri: &str, suite: &str, date: Option<u64>) -> ReleaseDate {
        ReleaseDate {
            uri: uri.into(),
            suite: suite.into(),
            date,
            valid_until: None,
            own: true,
        }
    }

    /// How an operation ends whose client tells of these releases, where one archive was published at second 1,000.
    fn checked(operation: Operation, outcome: ClientOutcome, releases: &[ReleaseDate]) -> Ending {
        let mut result = RunResult::new(outcome);
        result.answer = Answer::Lists {
            releases: releases.to_vec(),
        };
        let mut ending = Ending::of_result(Box::new(result), None);
        let archive = |suite: &str| PublishedArchive {
            uri: "http://server/local".into(),
            suite: suite.into(),
            date: 1000,
        };
        mark_stale(&mut ending, operation, &[archive("./"), archive("stable")]);
        ending
    }

    #[test]
    fn lists_that_are_older_than_what_was_published_are_stale() {
        for date in [Some(999), Some(0), None] {
            let releases = [release("http://server/local", "./", date)];
            let ending = checked(Operation::Update, ClientOutcome::Unchanged, &releases);
            assert_eq!(ending.outcome, Outcome::Stale, "{date:?}");
            assert!(!ending.outcome.is_well());
        }
        let releases = [release("http://server/local", "stable", Some(1))];
        let why = checked(Operation::Update, ClientOutcome::Changed, &releases)
            .reason
            .unwrap();
        let HostReason::Server(why) = why else {
            panic!("{why:?}");
        };
        let ServerCause::Stale { lists } = why.cause else {
            panic!("{why:?}");
        };
        assert_eq!(lists[0].older_by, Some(999));
        let uri = "http://server/local/dists/stable".to_owned();
        assert_eq!(why.advice, Some(ServerAdvice::CompareRelease { uri }));
    }

    #[test]
    fn newer_lists_and_archives_of_others_are_not() {
        for releases in [
            vec![release("http://server/local", "./", Some(1000))],
            vec![release("http://server/local", "./", Some(2000))],
            vec![release("http://mirror.example.org/debian", "stable", Some(1))],
            vec![release("http://server/local", "other", Some(1))],
            vec![],
        ] {
            let ending = checked(Operation::Update, ClientOutcome::Unchanged, &releases);
            assert_eq!(ending.outcome, Outcome::Unchanged, "{releases:?}");
        }
    }

    #[test]
    fn the_status_of_a_client_notes_old_lists_and_stays_well() {
        let status = Box::new(apu_proto::Status {
            releases: vec![
                release("http://server/local", "./", Some(400)),
                release("http://server/local", "stable", Some(1000)),
            ],
            ..apu_proto::Status::default()
        });
        let result = RunResult::new(ClientOutcome::Unchanged).with(Answer::Status { status });
        let mut ending = Ending::of_result(Box::new(result), None);
        let published = ["./", "stable"].map(|suite| PublishedArchive {
            uri: "http://server/local/".into(),
            suite: suite.into(),
            date: 1000,
        });
        mark_stale(&mut ending, Operation::Status, &published);
        let old = StaleList {
            uri: "http://server/local".into(),
            suite: "./".into(),
            older_by: Some(600),
        };
        assert_eq!(ending.stale, [old]);
        assert!(ending.outcome.is_well());
    }

    #[test]
    fn what_went_wrong_on_the_client_and_other_operations_stay_as_they_are() {
        let releases = [release("http://server/local", "./", Some(1))];
        let failed = checked(Operation::Update, ClientOutcome::Failed, &releases);
        assert_eq!(failed.outcome, Outcome::Failed);
        let upgraded = checked(Operation::Upgrade, ClientOutcome::Unchanged, &releases);
        assert_eq!(upgraded.outcome, Outcome::Unchanged);
    }
}
