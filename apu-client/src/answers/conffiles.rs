//! Answers `conffiles`: the configuration files that exist in two versions, or that a package has and the machine has not.

use std::fs::File;
use std::io::{self, Read};
use std::os::unix::fs::OpenOptionsExt;
use std::path::Path;

use apu_proto::{Action, Answer, ClientOutcome, Conffile, ConffileState, MAX_CONFFILES, RunResult};
use nix::fcntl::OFlag;
use sha2::{Digest, Sha256};

use super::conffile_diffs;
use crate::dpkg::Database;
use crate::os::paths::ClientPaths;
use crate::run::conffiles::{find, of_leftover};
use crate::run::refusal::Refusal;

/// The most bytes of a file that are read for its checksum.
const LONGEST: u64 = 4 << 20;

/// How many bytes of a checksum are told.
const TOLD: usize = 4;

/// Looks for unused versions in `/etc` and beside every configuration file of dpkg's, and for configuration files that are missing.
pub(crate) fn conffiles(paths: &ClientPaths, with_diffs: bool) -> Result<RunResult, Refusal> {
    let database =
        Database::read(&paths.dpkg()).map_err(|error| Refusal::fault(Action::ReadDatabase, &error))?;
    let root = paths.path("/");
    let mut files: Vec<Conffile> = find(paths, &database)
        .keys()
        .filter_map(|leftover| beside(&root, leftover))
        .collect();
    files.extend(missing(paths, &database));
    files.sort();
    let more = files.len().saturating_sub(MAX_CONFFILES);
    files.truncate(MAX_CONFFILES);
    if with_diffs {
        conffile_diffs::add(paths, &mut files)
            .map_err(|error| Refusal::fault(Action::CompareConffiles, &error))?;
    }
    let mut result = RunResult::new(ClientOutcome::Unchanged);
    result.answer = Answer::Conffiles { files, more };
    Ok(result)
}

/// The configuration file beside which this version lies.
fn beside(root: &Path, leftover: &Path) -> Option<Conffile> {
    let (path, suffix, is_kept) = of_leftover(leftover)?;
    let shown = Path::new("/").join(path.strip_prefix(root).ok()?);
    Some(Conffile {
        path: shown.to_str()?.to_owned(),
        state: if is_kept {
            ConffileState::Kept
        } else {
            ConffileState::Replaced
        },
        beside: suffix.to_owned(),
        sha256: sha256(&path),
        other_sha256: sha256(leftover),
        diff: None,
    })
}

/// What installed packages have and the machine has not.
fn missing<'a>(paths: &'a ClientPaths, database: &'a Database) -> impl Iterator<Item = Conffile> + 'a {
    let installed = database
        .packages
        .values()
        .filter(|package| package.is_installed());
    let all = installed.flat_map(|package| &package.conffiles);
    let is_missing = |path: &&String| {
        let found = paths.path(path).symlink_metadata();
        found.is_err_and(|error| error.kind() == io::ErrorKind::NotFound)
    };
    all.filter(is_missing).map(|path| Conffile {
        path: path.clone(),
        state: ConffileState::Missing,
        beside: String::new(),
        sha256: None,
        other_sha256: None,
        diff: None,
    })
}

/// The beginning of a regular file's SHA-256. No link is followed: another may have been put there.
fn sha256(path: &Path) -> Option<String> {
    let flags = OFlag::O_NOFOLLOW | OFlag::O_NONBLOCK;
    let file = File::options()
        .read(true)
        .custom_flags(flags.bits())
        .open(path)
        .ok()?;
    let metadata = file.metadata().ok()?;
    if !metadata.is_file() || metadata.len() > LONGEST {
        return None;
    }
    let mut bytes = Vec::new();
    file.take(LONGEST).read_to_end(&mut bytes).ok()?;
    let sum = Sha256::digest(&bytes);
    Some(sum.iter().take(TOLD).map(|byte| format!("{byte:02x}")).collect())
}

#[cfg(test)]
mod tests {
    use std::fs;
    use std::os::unix::fs::symlink;

    use super::*;

    #[test]
    fn two_versions_and_what_is_missing_are_told_with_short_checksums() {
        let root = tempfile::tempdir().unwrap();
        let paths = ClientPaths::below(root.path());
        fs::create_dir_all(paths.path("/etc/app")).unwrap();
        fs::create_dir_all(paths.dpkg()).unwrap();
        let status = "Package: app\nStatus: install ok installed\nVersion: 1\nArchitecture: amd64\nConffiles:\n \
                      /etc/app/app.conf 00000000000000000000000000000000\n \
                      /etc/app/gone.conf 00000000000000000000000000000000\n\n\
                      Package: left\nStatus: deinstall ok config-files\nVersion: 1\nArchitecture: amd64\nConffiles:\n \
                      /etc/left.conf 00000000000000000000000000000000\n";
        fs::write(paths.dpkg().join("status"), status).unwrap();
        for (name, text) in [
            ("app.conf", "mine\n"),
            ("app.conf.dpkg-dist", "theirs\n"),
            ("old.conf", "theirs\n"),
            ("old.conf.dpkg-old", "mine\n"),
        ] {
            fs::write(paths.path("/etc/app").join(name), text).unwrap();
        }
        // One that leads elsewhere is not read.
        fs::write(paths.path("/etc/app/link.conf.ucf-dist"), "x").unwrap();
        symlink("/etc/shadow", paths.path("/etc/app/link.conf")).unwrap();
        let result = conffiles(&paths, false).unwrap();
        let told: Vec<String> = result
            .conffiles()
            .iter()
            .map(|file| {
                let sum = |sum: &Option<String>| sum.clone().unwrap_or_else(|| "-".into());
                let sums = format!("{} {}", sum(&file.sha256), sum(&file.other_sha256));
                format!("{} {:?} {} {sums}", file.path, file.state, file.beside)
            })
            .collect();
        let (mine, theirs) = ("fcbc800d", "ed9c86a6");
        assert_eq!(
            told,
            [
                format!("/etc/app/app.conf Kept .dpkg-dist {mine} {theirs}"),
                "/etc/app/gone.conf Missing  - -".to_owned(),
                "/etc/app/link.conf Kept .ucf-dist - 2d711642".to_owned(),
                format!("/etc/app/old.conf Replaced .dpkg-old {theirs} {mine}"),
            ]
        );
    }
}
