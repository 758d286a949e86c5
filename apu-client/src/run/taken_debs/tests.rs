use apu_proto::{ReasonCode, TransactionId};

use super::*;
use crate::apt::Download;

const RUN: RunId = RunId::from_bytes([1; 16]);

fn sha256(bytes: &str) -> DebSha256 {
    DebSha256::from_bytes(Sha256::digest(bytes).into())
}

fn sent(bytes: &str) -> SentDeb {
    SentDeb {
        sha256: sha256(bytes),
        size: bytes.len() as u64,
    }
}

/// A client with an empty cache.
fn client() -> (tempfile::TempDir, ClientPaths) {
    let root = tempfile::tempdir().unwrap();
    let paths = ClientPaths::below(root.path());
    fs::create_dir_all(paths.archives()).unwrap();
    (root, paths)
}

/// A plan of the .debs with these bytes, `a_1_all.deb` first.
fn plan(debs: &[&str]) -> Plan {
    let names = ["a_1_all.deb", "b_1_all.deb"];
    Plan {
        debs: (names.iter().zip(debs))
            .map(|(name, bytes)| Download {
                file: (*name).to_owned(),
                sha256: sha256(bytes),
                size: bytes.len() as u64,
            })
            .collect(),
        ..Plan::default()
    }
}

fn request(approved: Option<TransactionId>) -> Request {
    let approved = approved
        .map(|id| format!(" plan_sha256={id}"))
        .unwrap_or_default();
    Request::parse(format!("apu/1 upgrade run_id={RUN}{approved}").as_bytes()).unwrap()
}

#[test]
fn exactly_what_was_announced_is_taken() {
    let (_root, paths) = client();
    take(
        &paths,
        RUN,
        &[sent("one"), sent("three")],
        &mut "onethree".as_bytes(),
    )
    .unwrap();
    let mut both = vec![sha256("one"), sha256("three")];
    both.sort();
    assert_eq!(taken(&paths, RUN), both);
    for (announced, bytes) in [("four", "five"), ("four", "fou"), ("four", "")] {
        let refusal = take(&paths, RUN, &[sent(announced)], &mut bytes.as_bytes()).unwrap_err();
        let cause = refusal.result.reason.unwrap().cause;
        let sha256 = sha256(announced);
        assert_eq!(cause, Cause::WrongDeb { sha256 }, "{bytes}");
    }
    assert_eq!(
        fs::read_dir(paths.taken_debs(RUN)).unwrap().count(),
        2,
        "no draft is left"
    );
    let mode = |path: &Path| fs::metadata(path).unwrap().permissions().mode() & 0o777;
    assert_eq!(mode(&paths.taken_debs(RUN)), 0o700);
    assert_eq!(
        mode(&paths.taken_debs(RUN).join(sha256("one").to_string())),
        0o600
    );
}

#[test]
fn what_no_disk_has_room_for_is_not_begun() {
    let (_root, paths) = client();
    let deb = SentDeb {
        size: apu_proto::MAX_DEB_SIZE,
        ..sent("one")
    };
    let refusal = take(&paths, RUN, &[deb; 1 << 15], &mut io::empty()).unwrap_err();
    assert!(refusal.is_about(ReasonCode::Space));
}

#[test]
fn a_deb_that_is_not_in_the_approved_plan_is_refused() {
    let (_root, paths) = client();
    take(&paths, RUN, &[sent("one"), sent("two")], &mut "onetwo".as_bytes()).unwrap();
    let both = plan(&["one", "two"]);
    let approved = Some(both.transaction().id());
    assert!(check(&paths, &request(approved), &both).is_ok());
    let refusal = check(&paths, &request(approved), &plan(&["one"])).unwrap_err();
    let debs = vec![sha256("two")];
    assert_eq!(
        refusal.result.reason.unwrap().cause,
        Cause::DebsNotPlanned { debs }
    );
    // Nobody has approved anything.
    assert!(check(&paths, &request(None), &both).is_err());
    // Nothing is left to do.
    let other = Some(TransactionId::from_bytes([9; 32]));
    assert!(check(&paths, &request(other), &plan(&[])).is_ok());
    forget(&paths, RUN);
    assert!(check(&paths, &request(None), &both).is_ok());
}

#[test]
fn what_is_in_the_plan_gets_the_name_that_apt_has_for_it_and_the_rest_gets_none() {
    let (root, paths) = client();
    take(
        &paths,
        RUN,
        &[sent("one"), sent("other")],
        &mut "oneother".as_bytes(),
    )
    .unwrap();
    let cache = paths.archives();
    // What somebody has put there is replaced and not written to.
    fs::write(root.path().join("victim"), "victim").unwrap();
    std::os::unix::fs::symlink(root.path().join("victim"), cache.join("a_1_all.deb")).unwrap();
    place(&paths, &request(None), &plan(&["one", "two"])).unwrap();
    let deb = cache.join("a_1_all.deb");
    assert_eq!(fs::read_to_string(&deb).unwrap(), "one");
    let found = fs::symlink_metadata(&deb).unwrap();
    assert!(found.is_file());
    assert_eq!(found.permissions().mode() & 0o777, 0o644);
    assert_eq!(fs::read_dir(&cache).unwrap().count(), 1);
    assert_eq!(fs::read_to_string(root.path().join("victim")).unwrap(), "victim");
}

#[test]
fn what_comes_too_late_is_not_taken() {
    let (root, _) = client();
    let begun = Instant::now();
    let refusal = take_one(root.path(), sent("one"), &mut "one".as_bytes(), begun).unwrap_err();
    assert!(matches!(
        refusal.result.reason.unwrap().cause,
        Cause::WrongDeb { .. }
    ));
    assert!(
        fs::read_dir(root.path())
            .unwrap()
            .flatten()
            .all(|entry| !entry.file_name().to_string_lossy().starts_with('.'))
    );
    take_one(root.path(), sent("one"), &mut "one".as_bytes(), begun + LONGEST).unwrap();
}
