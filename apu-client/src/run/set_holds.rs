//! Carries out `hold` and `unhold`: dpkg keeps the hold, and apu-client why and until when.

use apu_debian::PackageKey;
use apu_proto::{
    Action, Advice, Cause, ClientOutcome, MAX_HOLDS, Note, Operation, Reason, Request, RunResult,
};

use super::context::Run;
use super::kept_holds::{KeptHold, KeptHolds, now};
use super::refusal::Refusal;
use crate::apt::{Selection, set_selections};
use crate::dpkg::Database;
use crate::os::paths::ClientPaths;

/// Packages that no request puts on hold. With a stolen key, somebody could otherwise keep away the key that is to replace it.
const NEVER_HELD: [&str; 2] = ["apu-client", "apu-data"];

/// What a request changes.
#[derive(Debug, Default, PartialEq, Eq)]
struct Decision {
    /// The packages whose selection dpkg is to set.
    set: Vec<PackageKey>,
    /// All that is kept afterwards.
    kept: KeptHolds,
    notes: Vec<Note>,
}

impl Run<'_> {
    /// Carries out `hold` or `unhold`, for all of the packages or for none.
    pub(super) fn set_holds(&mut self) -> Result<RunResult, Refusal> {
        self.wait_until_free(&[self.paths.dpkg().join("lock")])?;
        let _frontend = self.wait_for_lock(&self.paths.frontend_lock())?;
        self.ensure_not_shutting_down()?;
        let database = self.database()?;
        let kept = KeptHolds::read(self.paths).map_err(|error| {
            let path = self.paths.kept_holds();
            Refusal::fault_at(Action::ReadHolds, &path, &error)
        })?;
        let (decision, selection) = match self.request.operation() {
            Operation::Hold => (hold(&self.request, &database, &kept, now())?, Selection::Hold),
            _ => (unhold(&self.request, &database, &kept)?, Selection::Install),
        };
        let is_changed = !decision.set.is_empty() || decision.kept != kept;
        if is_changed {
            carry_out(self.paths, &database, &kept, &decision, selection)?;
        }
        let mut result = RunResult::new(if is_changed {
            ClientOutcome::Changed
        } else {
            ClientOutcome::Unchanged
        });
        result.notes = decision.notes;
        Ok(result)
    }
}

/// Has dpkg set the selections, and keeps the reasons. A process that is ended within it leaves reasons without a hold, which the next
/// look forgets, and never a hold without its reason and end.
fn carry_out(
    paths: &ClientPaths,
    database: &Database,
    before: &KeptHolds,
    decision: &Decision,
    selection: Selection,
) -> Result<(), Refusal> {
    let Decision { set, kept, .. } = decision;
    let keep = |kept: &KeptHolds| {
        kept.write(paths)
            .map_err(|error| Refusal::fault_at(Action::KeepHolds, &paths.kept_holds(), &error))
    };
    if selection == Selection::Hold {
        keep(kept)?;
    }
    let done = set_selections(database, set, selection);
    let after =
        Database::read(&paths.dpkg()).map_err(|error| Refusal::fault(Action::ReadDatabase, &error))?;
    let is_set = |package: &&PackageKey| after.is_held(package) == (selection == Selection::Hold);
    let left: Vec<PackageKey> = set.iter().filter(|package| !is_set(package)).cloned().collect();
    if !left.is_empty() {
        keep(before)?;
        let said = done.err().map(|error| error.to_string()).unwrap_or_default();
        let reason = Reason::from(Cause::HoldsNotSet { packages: left }).detailed(said);
        return Err(Refusal::failed(reason));
    }
    if selection == Selection::Install {
        keep(kept)?;
    }
    Ok(())
}

/// The keys of the packages of a request.
fn keys(request: &Request, database: &Database) -> Result<Vec<PackageKey>, Refusal> {
    let key = |package: &apu_proto::PackageArg| {
        database.key_of(package).map_err(|_| {
            Refusal::failed(Cause::NotAKey {
                package: package.to_string(),
            })
        })
    };
    request.packages().iter().map(key).collect()
}

/// Decides what a request to put packages on hold changes. A hold of the machine's own administrator gets no reason and no end, since
/// the end would take it off.
fn hold(request: &Request, database: &Database, kept: &KeptHolds, now: u64) -> Result<Decision, Refusal> {
    let keys = keys(request, database)?;
    if let Some(key) = keys.iter().find(|key| NEVER_HELD.contains(&key.name())) {
        let package = key.name().to_owned();
        return Err(Refusal::new(Cause::HoldsProtected { package }));
    }
    let is_missing = |key: &&PackageKey| database.version(key.as_str()).is_none();
    let missing: Vec<String> = keys.iter().filter(is_missing).map(ToString::to_string).collect();
    if let Some(first) = keys.iter().find(is_missing) {
        let name = first.name().to_owned();
        return Err(
            Refusal::new(Cause::NotInstalled { packages: missing }).advise(Advice::ListPackages { name })
        );
    }
    if let Some(until) = request.hold_until().filter(|until| *until <= now) {
        return Err(Refusal::new(Cause::HoldIsOver { until, now }));
    }
    let Some(reason) = request.hold_reason() else {
        return Err(Refusal::new(apu_proto::RequestError::NoReason));
    };
    let new = KeptHold {
        reason: reason.clone(),
        by: request.hold_by().cloned(),
        until: request.hold_until(),
    };
    let mut decision = Decision {
        kept: kept.clone(),
        ..Decision::default()
    };
    for key in keys {
        let is_held = database.is_held(&key);
        if is_held && !kept.0.contains_key(&key) {
            decision.notes.push(Note::HeldByMachine { package: key });
            continue;
        }
        decision.kept.0.insert(key.clone(), new.clone());
        if !is_held {
            decision.set.push(key);
        }
    }
    if decision.kept.0.len() > MAX_HOLDS {
        return Err(Refusal::new(Cause::TooManyHolds { most: MAX_HOLDS }));
    }
    Ok(decision)
}

/// Decides what a request to take packages off hold changes. A hold of the machine's own administrator is not the server's to take off.
fn unhold(request: &Request, database: &Database, kept: &KeptHolds) -> Result<Decision, Refusal> {
    let mut held = keys(request, database)?;
    held.retain(|key| database.is_held(key));
    let (of_server, of_machine): (Vec<PackageKey>, Vec<PackageKey>) =
        held.into_iter().partition(|key| kept.0.contains_key(key));
    if !of_machine.is_empty() {
        let packages = of_machine.iter().map(ToString::to_string).collect();
        return Err(
            Refusal::new(Cause::HeldByMachine { packages: of_machine }).advise(Advice::Unhold { packages })
        );
    }
    let mut decision = Decision {
        kept: kept.clone(),
        set: of_server,
        notes: Vec::new(),
    };
    for key in &decision.set {
        decision.kept.0.remove(key);
    }
    Ok(decision)
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOW: u64 = 1_800_000_000;

    fn request(words: &str) -> Request {
        Request::parse(format!("apu/1 {words}").as_bytes()).unwrap()
    }

    fn database() -> Database {
        let text = "Package: dpkg\nStatus: install ok installed\nArchitecture: amd64\nVersion: 1\n\n\
                    Package: vim\nStatus: hold ok installed\nArchitecture: amd64\nVersion: 1\n\n\
                    Package: nano\nStatus: hold ok installed\nArchitecture: all\nVersion: 1\n\n\
                    Package: apu-data\nStatus: install ok installed\nArchitecture: all\nVersion: 1\n\n\
                    Package: gone\nStatus: deinstall ok config-files\nArchitecture: amd64\nVersion: 1\n";
        Database::parse([text]).unwrap()
    }

    /// vim is on hold for a reason, nano by the machine's own administrator.
    fn kept() -> KeptHolds {
        let hold = KeptHold {
            reason: "old".parse().unwrap(),
            by: None,
            until: None,
        };
        KeptHolds([("vim:amd64".parse().unwrap(), hold)].into())
    }

    fn names(keys: impl IntoIterator<Item = impl ToString>) -> Vec<String> {
        keys.into_iter().map(|key| key.to_string()).collect()
    }

    fn cause(refused: Result<Decision, Refusal>) -> Cause {
        refused.unwrap_err().result.reason.unwrap().cause
    }

    #[test]
    fn a_hold_is_set_once_and_its_reason_and_end_follow_the_last_request() {
        let words = format!(
            "hold hold_reason=new hold_until={} hold_by=alice vim dpkg",
            NOW + 1
        );
        let decision = hold(&request(&words), &database(), &kept(), NOW).unwrap();
        assert_eq!(names(&decision.set), ["dpkg:amd64"]);
        for package in ["dpkg:amd64", "vim:amd64"] {
            let hold = &decision.kept.0[package];
            assert_eq!((hold.reason.as_str(), hold.until), ("new", Some(NOW + 1)));
            assert_eq!(hold.by.as_ref().map(|by| by.as_str()), Some("alice"));
        }
        let same = hold(&request("hold hold_reason=old vim"), &database(), &kept(), NOW).unwrap();
        assert_eq!((same.set.as_slice(), &same.kept), (&[][..], &kept()));
    }

    #[test]
    fn a_hold_of_the_machine_itself_gets_no_end_and_is_not_taken_off() {
        let words = format!("hold hold_reason=x hold_until={} nano", NOW + 1);
        let decision = hold(&request(&words), &database(), &kept(), NOW).unwrap();
        assert_eq!((decision.set.as_slice(), &decision.kept), (&[][..], &kept()));
        assert!(matches!(&decision.notes[..], [Note::HeldByMachine { package }] if *package == "nano:amd64"));
        let refused = unhold(&request("unhold vim nano"), &database(), &kept()).unwrap_err();
        let reason = refused.result.reason.unwrap();
        assert!(
            matches!(&reason.cause, Cause::HeldByMachine { packages } if names(packages) == ["nano:amd64"]),
            "{reason:?}"
        );
        let packages = vec!["nano:amd64".to_owned()];
        assert_eq!(reason.advice, Some(Advice::Unhold { packages }));
    }

    #[test]
    fn unhold_takes_off_what_hold_has_put_on_and_nothing_else_is_a_change() {
        let decision = unhold(&request("unhold vim dpkg gone"), &database(), &kept()).unwrap();
        assert_eq!(names(&decision.set), ["vim:amd64"]);
        assert_eq!(decision.kept, KeptHolds::default());
        let nothing = unhold(&request("unhold dpkg gone unknown"), &database(), &kept()).unwrap();
        assert_eq!((nothing.set.as_slice(), &nothing.kept), (&[][..], &kept()));
    }

    #[test]
    fn what_cannot_be_held_is_refused_and_none_of_the_others_is() {
        let hold = |words: &str| {
            let request = request(&format!("hold hold_reason=x {words}"));
            cause(hold(&request, &database(), &kept(), NOW))
        };
        let missing = Cause::NotInstalled {
            packages: vec!["gone:amd64".into(), "vim:i386".into()],
        };
        assert_eq!(hold("dpkg gone vim:i386"), missing);
        let package = "apu-data".to_owned();
        assert_eq!(hold("dpkg apu-data"), Cause::HoldsProtected { package });
        let (until, now) = (NOW, NOW);
        assert_eq!(
            hold(&format!("hold_until={NOW} dpkg")),
            Cause::HoldIsOver { until, now }
        );
    }

    #[test]
    fn no_more_reasons_are_kept_than_may_be() {
        let hold_of = |number: usize| {
            (
                format!("p{number}:amd64").parse().unwrap(),
                kept().0["vim:amd64"].clone(),
            )
        };
        let full = KeptHolds((0..MAX_HOLDS).map(hold_of).collect());
        let refused = hold(&request("hold hold_reason=x dpkg"), &database(), &full, NOW);
        assert_eq!(cause(refused), Cause::TooManyHolds { most: MAX_HOLDS });
    }
}
