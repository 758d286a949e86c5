//! Checks what must be right before a run begins: the policy, apt's configuration, the sources, the age of the lists,
//! and free space.

use std::collections::BTreeSet;
use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use apu_proto::{Action, Advice, Cause, ExpiredArchive, Note, Operation, Reason, Request};
use nix::sys::statvfs::statvfs;

use super::policy::Policy;
use super::refusal::Refusal;
use crate::apt::lists;
use crate::apt::valid_until::ReleaseFile;
use crate::apt::{
    APT_GET, ENVIRONMENT, FORMAT, Insecure, Setting, Settings, SourceCopy, Target, archives, errors,
    find_unreported, find_unsigned, first_refused, indextargets_arguments, set_apt_configuration,
    waives_expiry,
};
use crate::os::atomic_file::private_directory;
use crate::os::paths::ClientPaths;
use crate::os::spawn;
use crate::os::wall_clock;

/// Free space in bytes below which no transaction begins: dpkg and the log need some themselves.
pub(super) const MIN_FREE_SPACE: u64 = 16 * 1024 * 1024;

/// Time limit for apt to read its sources; far more than it needs.
const INDEXTARGETS_TIMEOUT: Duration = Duration::from_secs(60);

/// What the check of the sources found.
#[derive(Debug)]
pub(crate) struct Checked {
    /// A note about each archive whose lists are left out.
    pub(crate) notes: Vec<Note>,
    /// One index of each archive.
    pub(crate) archives: Vec<Target>,
    /// All indexes of the archives whose lists are not left out.
    pub(crate) targets: Vec<Target>,
}

/// Reads the policy, and refuses a request that it does not allow.
pub(crate) fn read_policy(paths: &ClientPaths, request: &Request) -> Result<Policy, Refusal> {
    let path = paths.policy();
    let advice = Advice::Correct {
        path: path.display().to_string(),
    };
    let policy = Policy::read(paths).map_err(|error| Refusal::new(error.reason()).advise(advice.clone()))?;
    policy
        .allows(request)
        .map_err(|cause| Refusal::new(cause).advise(advice.clone()))?;
    policy
        .allows_now(request, wall_clock::now)
        .map_err(|reason| Refusal::new(*reason).advise(advice))?;
    Ok(policy)
}

/// Reads apt's configuration, once for a request, and refuses settings that would change what a call of apt does.
pub(crate) fn check_apt_configuration(paths: &ClientPaths) -> Result<(), Refusal> {
    let settings = Settings::ask().map_err(|error| {
        let reason = Reason::from(Cause::AptConfiguration).detailed(error.to_string());
        Refusal::new(reason).advise(Advice::AptConfigDump)
    })?;
    let unknown = |error: std::io::Error| Refusal::fault(Action::AskAptConfig, &error);
    // Only where a setting would be refused, which is rare: the defaults cost a second call.
    let built_in = if first_refused(&settings, &Settings::default()).is_some() {
        private_directory(&paths.state()).map_err(unknown)?;
        Settings::built_in(&paths.state().join("no-files.conf")).map_err(unknown)?
    } else {
        Settings::default()
    };
    if let Some(Setting { shown, value, .. }) = first_refused(&settings, &built_in) {
        let cause = Cause::AptSetting {
            name: shown.clone(),
            value: value.clone(),
        };
        let word = search_word(shown);
        return Err(Refusal::new(cause).advise(Advice::FindAptSetting { word }));
    }
    set_apt_configuration(paths, &settings);
    Ok(())
}

/// Returns the part of a setting's name to search configuration files for: its scopes may be written apart.
fn search_word(name: &str) -> String {
    let is_plain = |word: &&str| {
        !word.is_empty()
            && word
                .bytes()
                .all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_'))
    };
    let words: Vec<&str> = name.split("::").filter(is_plain).collect();
    words.last().copied().unwrap_or("apt").to_owned()
}

/// Checks the sources before apt may fetch or install anything. Afterwards its calls read the checked copies, without
/// the archives whose lists have expired.
pub(crate) fn preflight(paths: &ClientPaths, operation: Operation) -> Result<Checked, Refusal> {
    let fault = |error: &io::Error| Refusal::fault(Action::LookAtSources, error);
    let sources = SourceCopy::take(paths).map_err(|error| fault(&error))?;
    for (own, copy) in sources.files(paths).map_err(|error| fault(&error))? {
        // A file that came after the copies were made is not read by apt either.
        let Ok(text) = fs::read(&copy) else { continue };
        find_unreported(&String::from_utf8_lossy(&text))
            .map_err(|insecure| unsigned_source(&own, insecure))?;
    }
    let mut options = sources.source_options();
    let lists = paths.lists();
    let names = match operation {
        Operation::Update => all_indexes(paths, &sources, &options)?,
        _ => lists::snapshot(&lists).into_keys().collect(),
    };
    sources.add_empty_indexes(names).map_err(|error| fault(&error))?;
    let said = ask_targets(paths, &sources, &options, Some(&sources.lists()), FORMAT)?;
    let targets = Target::parse_all(&said).ok_or_else(|| Refusal::failed(Cause::SourcesNotUnderstood))?;
    for target in &targets {
        if target.is_trusted || target.is_insecure {
            let (file, at) = target.entry.rsplit_once(':').unwrap_or((&target.entry, "?"));
            let file = PathBuf::from(sources.restore_paths(file));
            let what = if target.is_trusted {
                "trusted"
            } else {
                "allow-insecure"
            };
            let archive = format!("{} {}", target.site, target.suite);
            return Err(unsigned(&file, at.to_owned(), what.to_owned(), Some(archive)));
        }
    }
    let mut notes = Vec::new();
    let mut remaining = Vec::new();
    if operation.takes_from_archives() {
        let Releases { left_out, security } = read_releases(&sources, &lists, &targets, &mut notes)?;
        let is_used = |target: &&Target| !left_out.contains(&target.file);
        remaining = targets.iter().filter(is_used).cloned().collect();
        // apt was shown no Release file.
        for target in &mut remaining {
            target.is_security |= security.contains(&target.prefix);
        }
        if !left_out.is_empty() {
            let is_left_out = |name: &str| left_out.iter().any(|start| name.starts_with(start.as_str()));
            let narrowed = sources
                .lists_without(&lists, is_left_out)
                .map_err(|error| fault(&error))?;
            options.extend(narrowed);
        }
    }
    let archives = archives(&targets).into_iter().cloned().collect();
    paths.use_sources(options, sources.into_directory());
    Ok(Checked {
        notes,
        archives,
        targets: remaining,
    })
}

/// What the Release files of the archives say.
struct Releases {
    /// The names of the list files of expired archives that no source accepts as expired.
    left_out: Vec<String>,
    /// The starts of the file names of security archives.
    security: BTreeSet<String>,
}

/// Reads the Release files, and adds a note about each archive that is left out. Fails if no other archive is left to install
/// from.
fn read_releases(
    sources: &SourceCopy,
    lists: &Path,
    targets: &[Target],
    notes: &mut Vec<Note>,
) -> Result<Releases, Refusal> {
    let now = SystemTime::now()
        .duration_since(UNIX_EPOCH)
        .map_or(u64::MAX, |now| now.as_secs());
    let mut left_out = Vec::new();
    let mut security = BTreeSet::new();
    let mut expired = Vec::new();
    let mut remain = 0;
    for archive in archives(targets) {
        let Target {
            prefix, site, suite, ..
        } = archive;
        let release = ReleaseFile::read(lists, prefix).map_err(|error| {
            Refusal::fault_at(Action::ReadRelease, format!("{site} {suite}").as_ref(), &error)
        })?;
        if release.as_ref().is_some_and(|release| release.is_security) {
            security.insert(prefix.clone());
        }
        let same = || targets.iter().filter(|target| target.prefix == *prefix);
        let until = release.as_ref().and_then(|release| release.expired(now));
        match until {
            Some(until) if !same().all(|target| is_waived(sources, target)) => {
                expired.push(ExpiredArchive {
                    archive: format!("{site} {suite}"),
                    until: until.to_string(),
                    entry: sources.restore_paths(&archive.entry),
                });
                left_out.extend(same().map(|target| target.file.clone()));
                left_out.extend(["InRelease", "Release"].map(|ending| format!("{prefix}{ending}")));
            }
            _ => remain += 1,
        }
    }
    if remain == 0 && !expired.is_empty() {
        let cause = Cause::ListsExpired { archives: expired };
        return Err(Refusal::failed(cause).advise(Advice::AptGetUpdate));
    }
    notes.extend(expired.into_iter().map(Note::ExpiredArchive));
    Ok(Releases { left_out, security })
}

fn is_waived(sources: &SourceCopy, target: &Target) -> bool {
    let Some((path, at)) = sources.copied_entry(&target.entry) else {
        return false;
    };
    let Ok(text) = fs::read(&path) else {
        return false;
    };
    let archive = (target.site.as_str(), target.suite.as_str());
    waives_expiry(&String::from_utf8_lossy(&text), is_deb822(&path), at, archive)
}

/// Returns the names of the indexes that an update could fetch.
fn all_indexes(
    paths: &ClientPaths,
    sources: &SourceCopy,
    options: &[String],
) -> Result<Vec<String>, Refusal> {
    let said = ask_targets(paths, sources, options, None, "$(FILENAME)")?;
    let name = |line: &str| line.rsplit('/').next().unwrap_or_default().to_owned();
    Ok(said.lines().map(name).filter(|name| !name.is_empty()).collect())
}

/// Lets apt read the copied sources. An error names the machine's own files.
fn ask_targets(
    paths: &ClientPaths,
    sources: &SourceCopy,
    options: &[String],
    lists: Option<&Path>,
    format: &str,
) -> Result<String, Refusal> {
    let arguments = indextargets_arguments(paths, options, lists, format);
    let captured = spawn::capture(APT_GET, &arguments, &ENVIRONMENT, INDEXTARGETS_TIMEOUT)
        .map_err(|error| Refusal::fault(Action::AskAboutSources, &error))?;
    if captured.succeeded() {
        return Ok(captured.stdout);
    }
    let why = sources.restore_paths(&errors(&captured.stderr));
    Err(Refusal::failed(Reason::from(Cause::Sources).detailed(why)).advise(Advice::IndexTargets))
}

fn unsigned_source(path: &Path, insecure: Insecure) -> Refusal {
    unsigned(path, insecure.at.to_string(), insecure.option, None)
}

fn unsigned(path: &Path, at: String, option: String, archive: Option<String>) -> Refusal {
    let path = path.display().to_string();
    let cause = Cause::UnsignedSource {
        file: path.clone(),
        at,
        option,
        archive,
    };
    Refusal::new(cause).advise(Advice::Correct { path })
}

/// Refuses a source file with an archive that apt would trust without a signature.
pub(super) fn check_source(path: &Path, text: &str, deb822: bool) -> Result<(), Refusal> {
    find_unsigned(text, deb822).map_err(|insecure| unsigned_source(path, insecure))
}

/// Whether a source file is in deb822 style, by its name, as for apt.
pub(super) fn is_deb822(path: &Path) -> bool {
    path.extension().is_some_and(|extension| extension == "sources")
}

/// Returns the source files that apu-client's calls of apt read; none where they cannot be listed.
pub(super) fn source_files(paths: &ClientPaths) -> Vec<PathBuf> {
    paths.source_files().unwrap_or_default()
}

/// Refuses to run if dpkg or the run directory hardly has free space.
pub(super) fn check_free_space(paths: &ClientPaths) -> Result<(), Refusal> {
    for path in [paths.dpkg(), paths.state(), paths.root().to_owned()] {
        if !has_room(&path) {
            let path = path.display().to_string();
            return Err(Refusal::failed(Cause::NoSpace { path }).advise(Advice::AptGetClean));
        }
    }
    Ok(())
}

fn has_room(path: &Path) -> bool {
    #[allow(clippy::unnecessary_cast, clippy::useless_conversion)]
    let room =
        |room: nix::sys::statvfs::Statvfs| u64::from(room.blocks_free()) * u64::from(room.fragment_size());
    statvfs(path).map_or(true, |found| room(found) >= MIN_FREE_SPACE)
}

#[cfg(test)]
mod tests {
    use apu_proto::ReasonCode;

    use super::*;

    fn client_with(files: &[(&str, &str)]) -> (tempfile::TempDir, ClientPaths) {
        let root = tempfile::tempdir().unwrap();
        let paths = ClientPaths::below(root.path());
        for (path, text) in files {
            let path = paths.path(path);
            fs::create_dir_all(path.parent().unwrap()).unwrap();
            fs::write(path, text).unwrap();
        }
        (root, paths)
    }

    #[test]
    fn a_source_that_apt_would_trust_unsigned_stops_everything() {
        let (_root, paths) = client_with(&[
            ("/etc/apt/sources.list", "deb http://x/ stable main\n"),
            (
                "/etc/apt/sources.list.d/a.list",
                "deb [lang=en#x trusted=yes] http://y/ ./\n",
            ),
            ("/var/lib/apt/lists/y_._Packages", ""),
        ]);
        assert!(preflight(&paths, Operation::Update).is_err());
        let reason = preflight(&paths, Operation::Install)
            .unwrap_err()
            .result
            .reason
            .unwrap();
        assert_eq!(reason.code, ReasonCode::Configuration);
        let path = paths.path("/etc/apt/sources.list.d/a.list").display().to_string();
        assert_eq!(reason.advice, Some(Advice::Correct { path }));
    }

    #[test]
    fn nothing_is_installed_from_lists_whose_time_is_over() {
        let release = (
            "/var/lib/apt/lists/x_dists_a_InRelease",
            "Valid-Until: Sat, 01 Jan 2000 00:00:00 UTC\n",
        );
        let packages = ("/var/lib/apt/lists/x_dists_a_b_binary-amd64_Packages", "");
        let source = ("/etc/apt/sources.list", "deb [arch=amd64] http://x/ a b\n");
        let (_root, paths) = client_with(&[release, packages, source]);
        let code = |operation| {
            preflight(&paths, operation)
                .err()
                .and_then(|refusal| refusal.result.reason)
                .map(|why| why.code)
        };
        assert_eq!(code(Operation::DistUpgrade), Some(ReasonCode::Lists));
        assert_eq!(code(Operation::Update), None);
        assert_eq!(code(Operation::Remove), None);
        let waived = (
            "/etc/apt/sources.list",
            "deb [arch=amd64 check-valid-until=no] http://x/ a b\n",
        );
        let (_root, paths) = client_with(&[release, packages, waived]);
        assert!(preflight(&paths, Operation::DistUpgrade).is_ok());
    }

    #[test]
    fn what_apt_does_not_read_is_not_checked() {
        let (_root, paths) = client_with(&[
            (
                "/etc/apt/sources.list.d/a.list.save",
                "deb [trusted=yes] http://y/ ./\n",
            ),
            (
                "/etc/apt/sources.list.d/b.sources",
                "Types: deb\nURIs: http://x/\nSuites: ./\nSigned-By: /k\n",
            ),
        ]);
        assert!(preflight(&paths, Operation::Install).is_ok());
    }

    #[test]
    fn an_exclusive_client_is_checked_by_the_sources_that_it_uses() {
        let (_root, paths) = client_with(&[
            ("/etc/apt/sources.list", "deb [trusted=yes] http://x/ ./\n"),
            (
                "/usr/share/apu-data/exclusive/apu.sources",
                "Types: deb\nURIs: http://x/\nSuites: ./\n",
            ),
        ]);
        assert!(preflight(&paths, Operation::Install).is_ok());
    }
}
