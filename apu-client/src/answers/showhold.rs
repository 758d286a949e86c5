//! Answers `showhold`: every package on hold, with its reason and end where the server has put it on hold.

use apu_proto::{Action, Answer, ClientOutcome, MAX_HOLDS, RunResult};

use crate::dpkg::Database;
use crate::os::paths::ClientPaths;
use crate::run::kept_holds::KeptHolds;
use crate::run::refusal::Refusal;

/// Reads which packages dpkg has on hold, and why.
pub(crate) fn showhold(paths: &ClientPaths) -> Result<RunResult, Refusal> {
    let database =
        Database::read(&paths.dpkg()).map_err(|error| Refusal::fault(Action::ReadDatabase, &error))?;
    let kept = KeptHolds::read(paths)
        .map_err(|error| Refusal::fault_at(Action::ReadHolds, &paths.kept_holds(), &error))?;
    let mut holds = kept.all(&database);
    let more = holds.len().saturating_sub(MAX_HOLDS);
    holds.truncate(MAX_HOLDS);
    Ok(RunResult::new(ClientOutcome::Unchanged).with(Answer::Holds { holds, more }))
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::*;

    #[test]
    fn holds_are_told_and_a_file_that_is_not_understood_is_a_fault() {
        let root = tempfile::tempdir().unwrap();
        let paths = ClientPaths::below(root.path());
        fs::create_dir_all(paths.dpkg()).unwrap();
        fs::create_dir_all(paths.state()).unwrap();
        let status = "Package: dpkg\nStatus: hold ok installed\nVersion: 1\nArchitecture: amd64\n\n\
                      Package: vim\nStatus: hold ok installed\nVersion: 1\nArchitecture: amd64\n";
        fs::write(paths.dpkg().join("status"), status).unwrap();
        let kept = r#"{"vim:amd64":{"reason":"waits for #412","by":"alice","until":1798066800}}"#;
        fs::write(paths.kept_holds(), kept).unwrap();
        let result = showhold(&paths).unwrap();
        assert_eq!(
            serde_json::to_value(result.holds()).unwrap(),
            serde_json::json!([
                {"package": "dpkg:amd64"},
                {"package": "vim:amd64", "reason": "waits for #412", "by": "alice", "until": 1_798_066_800},
            ])
        );
        fs::write(paths.kept_holds(), "{").unwrap();
        assert!(showhold(&paths).is_err());
    }
}
