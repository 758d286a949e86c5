//! Hands the answers of a request from the process that reads it to the one that carries it out: a file in /run that only root can
//! read, and that is gone once it was read. So no password is ever part of a run's record.

use std::fs::{self, DirBuilder, File};
use std::io::{self, Read, Write};
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt, PermissionsExt};
use std::time::Duration;

use apu_proto::{Action, AnswersError, MAX_ANSWERS, Request, RunId};

use super::refusal::Refusal;
use crate::os::paths::ClientPaths;

/// After how long a file may be removed that nobody has read: its run never began.
const STALE: Duration = Duration::from_secs(3600);

/// Writes the answers of a request for its run, where it has any.
pub(crate) fn hand_over(paths: &ClientPaths, id: RunId, request: &Request) -> io::Result<()> {
    let directory = paths.answers();
    let Some(answers) = request.answers() else {
        return Ok(());
    };
    DirBuilder::new().recursive(true).mode(0o700).create(&directory)?;
    fs::set_permissions(&directory, fs::Permissions::from_mode(0o700))?;
    for entry in fs::read_dir(&directory)?.flatten() {
        let modified = entry.metadata().and_then(|metadata| metadata.modified());
        if modified.is_ok_and(|at| at.elapsed().is_ok_and(|age| age > STALE)) {
            let _ = fs::remove_file(entry.path());
        }
    }
    let path = directory.join(id.to_string());
    let draft = directory.join(format!(".{id}.{}", std::process::id()));
    let _ = fs::remove_file(&draft);
    let mut file = File::options()
        .write(true)
        .create_new(true)
        .mode(0o600)
        .open(&draft)?;
    file.write_all(answers.line().as_bytes())?;
    fs::rename(&draft, &path)
}

/// Returns the request with the answers that were handed over for its run, and removes them.
///
/// # Errors
/// Where it announces answers, and they are not there.
pub(super) fn take(paths: &ClientPaths, id: RunId, request: Request) -> Result<Request, Refusal> {
    if request.answers_sha256().is_none() {
        return Ok(request);
    }
    let path = paths.answers().join(id.to_string());
    let fault = |error: &io::Error| Refusal::fault_at(Action::ReadRunRecord, &path, error);
    let mut line = Vec::new();
    let file = match File::open(&path) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => {
            return Err(Refusal::failed(AnswersError::Missing));
        }
        file => file.map_err(|error| fault(&error))?,
    };
    let read = file.take(MAX_ANSWERS as u64 + 1).read_to_end(&mut line);
    fs::remove_file(&path).map_err(|error| fault(&error))?;
    read.map_err(|error| fault(&error))?;
    request.announced(&line).map_err(Refusal::failed)
}

/// Removes what was handed over for a run that reads it no more.
pub(super) fn forget(paths: &ClientPaths, id: RunId) {
    let _ = fs::remove_file(paths.answers().join(id.to_string()));
}

#[cfg(test)]
mod tests {
    use apu_debian::debconf::QuestionKind;
    use apu_proto::{AnswerMark, Answers, AnswersSalt, DebconfAnswer};

    use super::*;

    #[test]
    fn answers_are_read_once_by_the_run_that_they_are_for() {
        let root = tempfile::tempdir().unwrap();
        let paths = ClientPaths::below(root.path());
        let answer = DebconfAnswer {
            owner: "lab".parse().unwrap(),
            question: "lab/secret".parse().unwrap(),
            kind: QuestionKind::Password,
            mark: AnswerMark::from_bytes([1; 16]),
            value: Some("hunter2".into()),
        };
        let answers = Answers::new(AnswersSalt::from_bytes([2; 16]), vec![answer]).unwrap();
        let request = Request::parse(b"apu/1 upgrade")
            .unwrap()
            .with_answers(answers)
            .unwrap();
        let (one, other) = (RunId::from_bytes([1; 16]), RunId::from_bytes([2; 16]));
        hand_over(&paths, one, &request).unwrap();
        hand_over(&paths, one, &request).unwrap();
        let file = paths.answers().join(one.to_string());
        assert_eq!(fs::metadata(&file).unwrap().permissions().mode() & 0o777, 0o600);
        // As its record has it.
        let saved = || Request::parse(request.to_string().as_bytes()).unwrap();
        assert!(take(&paths, other, saved()).is_err());
        assert_eq!(take(&paths, one, saved()).unwrap(), request);
        assert_eq!(fs::read_dir(paths.answers()).unwrap().count(), 0);
        assert!(take(&paths, one, saved()).is_err());
        let bare = request.clone().without_answers();
        assert_eq!(take(&paths, one, bare.clone()).unwrap(), bare);
        hand_over(&paths, one, &request).unwrap();
        fs::write(&file, "{}").unwrap();
        assert!(
            take(&paths, one, saved()).is_err(),
            "another line than the one that was announced"
        );
    }
}
