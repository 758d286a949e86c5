//! Checks whether the lists of the site's own archives can be fetched alone, into the lists that the next run reads.
//!
//! apt verifies a signature when it fetches a list, and never again when it installs. So these lists are fetched alone
//! only if the machine uses the same archive with the same key.

use std::fs;
use std::io::ErrorKind;
use std::path::{Path, PathBuf};

use apu_proto::{Action, Advice, Cause, Operation, Request};

use super::preflight::{check_source, is_deb822, source_files};
use super::refusal::Refusal;
use crate::apt::{Source, sources};
use crate::os::paths::ClientPaths;

/// Whether a request installs apu-data and nothing else. Nothing on the machine may prevent that, since apu-data is how
/// everything else is repaired.
pub(crate) fn installs_apu_data_only(request: &Request) -> bool {
    request.operation() == Operation::Install
        && !request.is_only_upgrade()
        && !request.packages().is_empty()
        && request
            .packages()
            .iter()
            .all(|package| package.name.as_str() == "apu-data")
}

/// Whether the lists of the site's own archives need a separate directory: the machine trusts another key for one of
/// them, does not use it, or has sources that are not understood.
pub(crate) fn need_separate_lists(paths: &ClientPaths) -> bool {
    site_sources(paths)
        .and_then(|wanted| check_used(paths, &wanted))
        .is_err()
}

/// Reads the site's own archives from apu-data.
pub(crate) fn site_sources(paths: &ClientPaths) -> Result<Vec<Source>, Refusal> {
    let path = paths.site_sources();
    let text = match fs::read_to_string(&path) {
        Ok(text) => text,
        Err(error) if error.kind() == ErrorKind::NotFound => return Err(no_site_sources(&path)),
        Err(error) => return Err(Refusal::fault_at(Action::Read, &path, &error)),
    };
    check_source(&path, &text, true)?;
    let wanted = sources(&text, true);
    if wanted.is_empty() {
        return Err(no_site_sources(&path));
    }
    Ok(wanted)
}

/// Checks that the machine uses each of these archives with the same key.
pub(super) fn check_used(paths: &ClientPaths, wanted: &[Source]) -> Result<(), Refusal> {
    let mut used: Vec<(PathBuf, Source)> = Vec::new();
    for file in source_files(paths) {
        let text = fs::read(&file).map_err(|error| Refusal::fault_at(Action::Read, &file, &error))?;
        let named = sources(&String::from_utf8_lossy(&text), is_deb822(&file));
        used.extend(named.into_iter().map(|source| (file.clone(), source)));
    }
    wanted
        .iter()
        .try_for_each(|source| check_source_used(source, &used))
}

fn check_source_used(wanted: &Source, used: &[(PathBuf, Source)]) -> Result<(), Refusal> {
    let Source { uri, suite, .. } = wanted;
    let mut same = used.iter().filter(|(_, source)| source.is_at(wanted)).peekable();
    if same.peek().is_none() {
        let cause = Cause::SiteSourceUnused {
            archive: format!("{uri} {suite}"),
        };
        return Err(Refusal::new(cause).advise(Advice::ReconfigureApuData));
    }
    match same.find(|(_, source)| source.signed_by != wanted.signed_by) {
        None => Ok(()),
        Some((file, _)) => {
            let file = file.display().to_string();
            let cause = Cause::SiteSourceOtherKey {
                file: file.clone(),
                archive: format!("{uri} {suite}"),
            };
            Err(Refusal::new(cause).advise(Advice::RemoveSiteSource { file }))
        }
    }
}

fn no_site_sources(path: &Path) -> Refusal {
    let path = path.display().to_string();
    Refusal::new(Cause::NoSiteSources { path }).advise(Advice::NewerApuData)
}

#[cfg(test)]
mod tests {
    use apu_proto::{Reason, ReasonCode};

    use super::*;

    const OWN: &str = "# head\n\nTypes: deb\nURIs: http://s/local\nSuites: ./\nSigned-By: /k.gpg\n";
    const APU: &str = "/etc/apt/sources.list.d/apu.sources";
    const SITE: &str = "/usr/share/apu-data/site.sources";

    fn site_archives(paths: &ClientPaths) -> Result<(), Refusal> {
        site_sources(paths).and_then(|wanted| check_used(paths, &wanted))
    }

    /// Why a client with these files refuses, and what it advises; nothing where it goes on.
    fn refusal(files: &[(&str, &str)]) -> Option<(Cause, Advice)> {
        let root = tempfile::tempdir().unwrap();
        let paths = ClientPaths::below(root.path());
        for (path, text) in files {
            let path = paths.path(path);
            fs::create_dir_all(path.parent().unwrap()).unwrap();
            fs::write(path, text).unwrap();
        }
        let reason = site_archives(&paths).err()?.result.reason.unwrap();
        assert_eq!(reason.code, ReasonCode::Configuration);
        let text = serde_json::to_string(&reason).unwrap();
        let root = root.path().display().to_string();
        let reason: Reason = serde_json::from_str(&text.replace(&root, "")).unwrap();
        Some((reason.cause, reason.advice.unwrap()))
    }

    #[test]
    fn what_apu_data_and_the_machine_name_alike_is_fetched() {
        assert_eq!(refusal(&[(SITE, OWN), (APU, OWN)]), None);
        let line = "deb [signed-by=/k.gpg] http://s/local/ ./\n";
        assert_eq!(refusal(&[(SITE, OWN), ("/etc/apt/sources.list", line)]), None);
    }

    #[test]
    fn an_exclusive_client_is_checked_by_the_sources_that_it_uses() {
        let exclusive = "/usr/share/apu-data/exclusive/apu.sources";
        let other = OWN.replace("/k.gpg", "/other.gpg");
        assert_eq!(refusal(&[(SITE, OWN), (exclusive, OWN), (APU, &other)]), None);
    }

    #[test]
    fn an_apu_data_that_does_not_name_the_sites_archives_is_too_old() {
        for files in [&[(APU, OWN)][..], &[(APU, OWN), (SITE, "# nothing\n")]] {
            let cause = Cause::NoSiteSources { path: SITE.into() };
            assert_eq!(refusal(files), Some((cause, Advice::NewerApuData)));
        }
    }

    #[test]
    fn an_archive_that_the_machine_does_not_use_is_refused() {
        let off = format!("Enabled: no\n{}", &OWN["# head\n\n".len()..]);
        for files in [&[(SITE, OWN)][..], &[(SITE, OWN), (APU, &off)]] {
            let archive = "http://s/local ./".into();
            let cause = Cause::SiteSourceUnused { archive };
            assert_eq!(refusal(files), Some((cause, Advice::ReconfigureApuData)));
        }
    }

    #[test]
    fn a_list_is_never_fetched_with_another_key_than_the_machine_trusts_for_it() {
        let list = "/etc/apt/sources.list.d/own.list";
        for line in [
            "deb http://s/local ./\n",
            "deb [signed-by=/other.gpg] http://s/local ./\n",
        ] {
            let (file, archive) = (list.to_owned(), "http://s/local ./".into());
            let advice = Advice::RemoveSiteSource { file: file.clone() };
            let cause = Cause::SiteSourceOtherKey { file, archive };
            assert_eq!(refusal(&[(SITE, OWN), (list, line)]), Some((cause, advice)));
        }
    }

    #[test]
    fn the_audit_covers_the_file_of_apu_data() {
        let trusted = format!("{OWN}Trusted: yes\n");
        let (cause, advice) = refusal(&[(SITE, &trusted), (APU, OWN)]).expect("refused");
        let Cause::UnsignedSource { file, option, .. } = cause else {
            panic!("{cause:?}");
        };
        assert_eq!((file.as_str(), option.as_str()), (SITE, "trusted=yes"));
        assert_eq!(advice, Advice::Correct { path: SITE.into() });
    }

    #[test]
    fn an_installation_of_apu_data_alone_brings_it() {
        let brings =
            |line: &str| installs_apu_data_only(&Request::parse(format!("apu/1 {line}").as_bytes()).unwrap());
        assert!(brings("install apu-data"));
        assert!(brings("install dry_run=yes apu-data=7"));
        assert!(!brings("install apu-data site-tool"));
        assert!(!brings("install apu-client"));
        assert!(!brings("remove apu-data"));
        assert!(!brings("dist-upgrade"));
    }

    #[test]
    fn lists_lie_apart_wherever_the_machine_would_trust_them_otherwise() {
        let need_separate_lists = |files: &[(&str, &str)]| {
            let root = tempfile::tempdir().unwrap();
            let paths = ClientPaths::below(root.path());
            for (path, text) in files {
                let path = paths.path(path);
                fs::create_dir_all(path.parent().unwrap()).unwrap();
                fs::write(path, text).unwrap();
            }
            need_separate_lists(&paths)
        };
        let other = OWN.replace("/k.gpg", "/other.gpg");
        assert!(!need_separate_lists(&[(SITE, OWN), (APU, OWN)]));
        assert!(need_separate_lists(&[(SITE, OWN), (APU, &other)]));
        assert!(need_separate_lists(&[(SITE, OWN)]));
        assert!(need_separate_lists(&[(APU, OWN)]));
    }
}
