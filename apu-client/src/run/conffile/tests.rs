use std::fs;
use std::os::unix::fs::{PermissionsExt, symlink};
use std::path::PathBuf;

use super::*;

const PATH: &str = "/etc/app/app.conf";

/// A machine with a configuration file, and what lies beside it.
struct Machine {
    _root: tempfile::TempDir,
    paths: ClientPaths,
    runs: u8,
}

impl Machine {
    fn with(files: &[(&str, &str)]) -> Self {
        let root = tempfile::tempdir().unwrap();
        let paths = ClientPaths::below(root.path());
        let app = paths.path("/etc/app");
        fs::create_dir_all(&app).unwrap();
        for folder in [paths.path("/etc"), app.clone()] {
            fs::set_permissions(folder, fs::Permissions::from_mode(0o755)).unwrap();
        }
        for (suffix, text) in files {
            fs::write(app.join(format!("app.conf{suffix}")), text).unwrap();
        }
        Self {
            _root: root,
            paths,
            runs: 0,
        }
    }

    fn folder(&self) -> PathBuf {
        self.paths.path("/etc/app")
    }

    /// The files of the folder with what they hold.
    fn files(&self) -> Vec<(String, String)> {
        let entries = fs::read_dir(self.folder()).unwrap().map(Result::unwrap);
        let file = |entry: fs::DirEntry| {
            let text = fs::read_to_string(entry.path()).unwrap();
            (entry.file_name().into_string().unwrap(), text)
        };
        let mut files: Vec<(String, String)> = entries.map(file).collect();
        files.sort();
        files
    }

    /// The versions that are there now.
    fn versions(&self) -> Vec<ConffileVersions> {
        let sum = |name: &str| {
            let bytes = fs::read(self.folder().join(name)).ok()?;
            Some(ShortSum::of(&Sha256::digest(bytes).into()))
        };
        let versions = |beside: Beside| {
            let other = sum(&format!("app.conf{beside}"))?;
            let place = sum("app.conf")?;
            Some(ConffileVersions { beside, place, other })
        };
        Beside::ALL.into_iter().filter_map(versions).collect()
    }

    fn decide(&mut self, decision: ConffileDecision, versions: &[ConffileVersions]) -> Result<Done, Refusal> {
        self.runs += 1;
        let path: ConffilePath = PATH.parse().unwrap();
        let id = format!("{:02}", self.runs).repeat(16);
        match decision {
            ConffileDecision::Undo => undo(&self.paths, &path),
            _ => carry_out(&self.paths, (&path, decision, versions), &id),
        }
    }

    fn cause(&mut self, decision: ConffileDecision, versions: &[ConffileVersions]) -> Cause {
        let refused = self.decide(decision, versions).unwrap_err();
        refused.result.reason.unwrap().cause
    }
}

fn files(files: &[(&str, &str)]) -> Vec<(String, String)> {
    let own = |(name, text): &(&str, &str)| ((*name).to_owned(), (*text).to_owned());
    files.iter().map(own).collect()
}

#[test]
fn new_takes_the_packages_version_and_undo_puts_both_back() {
    let mut machine = Machine::with(&[
        ("", "mine\n"),
        (".dpkg-dist", "theirs\n"),
        (".dpkg-old", "older\n"),
    ]);
    let before = machine.files();
    let place = machine.folder().join("app.conf");
    fs::set_permissions(&place, fs::Permissions::from_mode(0o640)).unwrap();
    let versions = machine.versions();
    let done = machine.decide(ConffileDecision::New, &versions).unwrap();
    let Done::PutAway(folder) = done else {
        panic!("{done:?}");
    };
    assert_eq!(
        folder,
        format!("/var/lib/apu-client/conffiles/{}", "01".repeat(16))
    );
    assert_eq!(machine.files(), files(&[("app.conf", "theirs\n")]));
    let mode = || fs::metadata(&place).unwrap().permissions().mode() & 0o7777;
    assert_eq!(mode(), 0o640);
    // Once more is no change, and forgets nothing.
    assert_eq!(
        machine.decide(ConffileDecision::New, &versions).unwrap(),
        Done::Nothing
    );
    assert_eq!(
        machine.decide(ConffileDecision::Undo, &[]).unwrap(),
        Done::PutBack
    );
    assert_eq!((machine.files(), mode()), (before, 0o640));
    assert_eq!(
        machine.decide(ConffileDecision::Undo, &[]).unwrap(),
        Done::Nothing
    );
}

#[test]
fn keep_leaves_what_is_in_place_and_puts_the_rest_away() {
    let mut machine = Machine::with(&[
        ("", "theirs\n"),
        (".dpkg-old", "mine\n"),
        (".ucf-dist", "newer\n"),
    ]);
    let (before, versions) = (machine.files(), machine.versions());
    machine.decide(ConffileDecision::Keep, &versions).unwrap();
    assert_eq!(machine.files(), files(&[("app.conf", "theirs\n")]));
    machine.decide(ConffileDecision::Undo, &[]).unwrap();
    assert_eq!(machine.files(), before);
}

#[test]
fn versions_that_nobody_has_seen_are_left_alone() {
    let mut machine = Machine::with(&[("", "mine\n"), (".dpkg-dist", "theirs\n")]);
    let versions = machine.versions();
    fs::write(machine.folder().join("app.conf"), "edited meanwhile\n").unwrap();
    let before = machine.files();
    for decision in [ConffileDecision::Keep, ConffileDecision::New] {
        let refused = machine.decide(decision, &versions).unwrap_err().result;
        assert_eq!(refused.outcome, ClientOutcome::Drifted);
        let cause = refused.reason.unwrap().cause;
        assert!(
            matches!(&cause, Cause::ConffileChanged { found, .. } if found.len() == 1),
            "{cause:?}"
        );
    }
    assert_eq!(machine.files(), before);
    assert!(!machine.paths.put_away().exists());
}

#[test]
fn a_decision_is_not_taken_back_over_a_later_change() {
    let mut machine = Machine::with(&[("", "mine\n"), (".dpkg-dist", "theirs\n")]);
    let versions = machine.versions();
    machine.decide(ConffileDecision::New, &versions).unwrap();
    fs::write(machine.folder().join("app.conf"), "edited since\n").unwrap();
    let cause = machine.cause(ConffileDecision::Undo, &[]);
    assert!(matches!(cause, Cause::ConffileChanged { .. }), "{cause:?}");
    assert_eq!(machine.files(), files(&[("app.conf", "edited since\n")]));
}

#[test]
fn what_was_put_away_and_is_not_what_it_was_is_not_put_back() {
    let mut machine = Machine::with(&[("", "mine\n"), (".dpkg-dist", "theirs\n")]);
    let versions = machine.versions();
    machine.decide(ConffileDecision::New, &versions).unwrap();
    let kept = machine.paths.put_away().join("01".repeat(16)).join("place");
    fs::write(kept, "cut").unwrap();
    let cause = machine.cause(ConffileDecision::Undo, &[]);
    assert!(matches!(cause, Cause::Fault { .. }), "{cause:?}");
    assert_eq!(machine.files(), files(&[("app.conf", "theirs\n")]));
}

#[test]
fn what_dpkg_kept_is_replaced_where_the_policy_says_so_and_comes_back() {
    let mut machine = Machine::with(&[("", "mine\n"), (".ucf-dist", "theirs\n")]);
    let before = machine.files();
    let done = take(&machine.paths, &Database::default(), PATH, "x-1").unwrap();
    assert_eq!(done, Done::PutAway("/var/lib/apu-client/conffiles/x-1".into()));
    assert_eq!(machine.files(), files(&[("app.conf", "theirs\n")]));
    assert_eq!(
        machine.decide(ConffileDecision::Undo, &[]).unwrap(),
        Done::PutBack
    );
    assert_eq!(machine.files(), before);
    let policy = take(
        &machine.paths,
        &Database::default(),
        "/etc/apu-client/policy.toml",
        "x-2",
    );
    assert!(policy.is_err());
}

#[test]
fn links_and_files_that_are_not_there_are_not_decided_on() {
    let mut machine = Machine::with(&[("", "mine\n"), (".dpkg-dist", "theirs\n")]);
    let versions = machine.versions();
    let place = machine.folder().join("app.conf");
    fs::rename(&place, machine.folder().join("real.conf")).unwrap();
    let why = |cause: Cause| match cause {
        Cause::ConffileNotSafe { why, .. } => why,
        other => panic!("{other:?}"),
    };
    for decision in [ConffileDecision::Keep, ConffileDecision::New] {
        assert_eq!(why(machine.cause(decision, &versions)), ConffileFault::Missing);
    }
    symlink("real.conf", &place).unwrap();
    assert_eq!(
        why(machine.cause(ConffileDecision::New, &versions)),
        ConffileFault::Link
    );
    let folder = fs::Permissions::from_mode(0o777);
    fs::set_permissions(machine.folder(), folder).unwrap();
    assert_eq!(
        why(machine.cause(ConffileDecision::New, &versions)),
        ConffileFault::OfOthers
    );
}

#[test]
fn a_file_is_decided_on_where_it_is_one_of_configuration_and_dpkg_is_done_with_it() {
    let package = |name: &str, status: &str, conffile: &str| {
        format!(
            "Package: {name}\nStatus: install ok {status}\nArchitecture: amd64\nVersion: 1\nConffiles:\n {conffile} {}\n\n",
            "0".repeat(32)
        )
    };
    let text = package("dpkg", "installed", "/usr/share/dpkg.conf")
        + &package("half", "unpacked", "/etc/half.conf")
        + &package("apu-client", "installed", "/etc/apu-client/policy.toml");
    let database = Database::parse([text.as_str()]).unwrap();
    let cause = |path: &str| {
        let checked = check(&path.parse().unwrap(), &database);
        checked.err().map(|refusal| refusal.result.reason.unwrap().cause)
    };
    for path in ["/etc/app.conf", "/etc/a/b/c", "/usr/share/dpkg.conf"] {
        assert_eq!(cause(path), None, "{path}");
    }
    for path in ["/root/.bashrc", "/usr/share/other.conf", "/etcetera/x", "/x"] {
        let path_of = path.to_owned();
        assert_eq!(cause(path), Some(Cause::NotAConffile { path: path_of }));
    }
    let path = "/etc/apu-client/policy.toml".to_owned();
    assert_eq!(
        cause(&path),
        Some(Cause::ConffileProtected { path: path.clone() })
    );
    let half = cause("/etc/half.conf");
    assert!(
        matches!(half, Some(Cause::ConffileNotConfigured { .. })),
        "{half:?}"
    );
}
