//! The folders of frozen .debs on this server: one for each run that can still go on.

use std::collections::HashSet;
use std::fs;
use std::io;
use std::path::Path;

use apu_proto::RunId;
use apu_site::Site;
use serde::Serialize;

use crate::ledger::made;

/// What is frozen for a run.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
pub struct FrozenDebs {
    /// How many .debs.
    pub debs: usize,
    /// Their size.
    pub bytes: u64,
}

/// What is frozen for the run that its hosts know by this; none where nothing is.
pub(crate) fn of_run(site: &Site, run: RunId) -> Option<FrozenDebs> {
    let mut found = FrozenDebs { debs: 0, bytes: 0 };
    for entry in fs::read_dir(site.frozen().join(run.to_string())).ok()?.flatten() {
        let is_draft = entry.file_name().to_string_lossy().starts_with('.');
        if let Ok(metadata) = entry.metadata()
            && !is_draft
        {
            found.debs += 1;
            found.bytes += metadata.len();
        }
    }
    Some(found)
}

/// Removes what is frozen for runs that have come to their end. What cannot be removed now is removed the next time.
pub(crate) fn sweep(site: &Site) {
    if !site.frozen().is_dir() {
        return;
    }
    let unfinished = made(site).and_then(|ledger| ledger.unfinished());
    if let Ok(unfinished) = unfinished {
        let _ = remove_others(&site.frozen(), &unfinished);
    }
}

/// Removes the folders of all runs but these.
fn remove_others(folder: &Path, unfinished: &HashSet<RunId>) -> io::Result<()> {
    for entry in fs::read_dir(folder)? {
        let entry = entry?;
        let run = entry
            .file_name()
            .to_str()
            .and_then(|name| name.parse::<RunId>().ok());
        // What is not ours stays.
        if run.is_some_and(|run| !unfinished.contains(&run)) {
            fs::remove_dir_all(entry.path())?;
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_frozen_stays_for_runs_that_can_go_on_and_goes_with_the_others() {
        let root = tempfile::tempdir().unwrap();
        let site = Site::below(root.path());
        let (one, other) = (RunId::from_bytes([1; 16]), RunId::from_bytes([2; 16]));
        for run in [one, other] {
            let folder = site.frozen().join(run.to_string());
            fs::create_dir_all(&folder).unwrap();
            fs::write(folder.join("a"), "four").unwrap();
            fs::write(folder.join(".draft"), "part").unwrap();
        }
        fs::create_dir(site.frozen().join("lost+found")).unwrap();
        remove_others(&site.frozen(), &HashSet::from([one])).unwrap();
        assert_eq!(of_run(&site, one), Some(FrozenDebs { debs: 1, bytes: 4 }));
        assert_eq!(of_run(&site, other), None);
        assert!(site.frozen().join("lost+found").is_dir());
    }
}
