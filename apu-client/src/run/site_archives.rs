//! Checks whether the lists of the site's own archives can be fetched alone, into the lists that the next run reads.
//!
//! apt verifies a signature when it fetches a list, and never again when it installs. So these lists are fetched alone
//! only if the machine uses the same archive with the same key.

use std::fs;
use std::io::ErrorKind;
use std::path::{Path, PathBuf};

use apu_proto::{Operation, ReasonCode, Request};

use super::preflight::{check_source, is_deb822, source_files};
use super::refusal::Refusal;
use crate::apt::{Source, sources};
use crate::os::paths::ClientPaths;

/// Whether a request installs apu-data and nothing else. Nothing on the machine may prevent that, since apu-data is how
/// everything else is repaired.
pub(crate) fn installs_apu_data_only(request: &Request) -> bool {
    request.operation() == Operation::Install
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
        Err(error) => return Err(Refusal::fault(&format!("cannot read {}", path.display()), &error)),
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
        let text = fs::read(&file)
            .map_err(|error| Refusal::fault(&format!("cannot read {}", file.display()), &error))?;
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
        let text = format!("this machine does not use {uri} {suite}, which is the site's own archive");
        let advice = "on the client: dpkg-reconfigure apu-data";
        return Err(Refusal::new(ReasonCode::Configuration, text).advise(advice));
    }
    match same.find(|(_, source)| source.signed_by != wanted.signed_by) {
        None => Ok(()),
        Some((file, _)) => {
            let file = file.display();
            let text = format!(
                "{file} names {uri} {suite}, which is the site's own archive, with another key than apu-data has for it"
            );
            let advice = format!("on the client: remove it from {file}, then dpkg-reconfigure apu-data");
            Err(Refusal::new(ReasonCode::Configuration, text).advise(advice))
        }
    }
}

fn no_site_sources(path: &Path) -> Refusal {
    let text = format!(
        "the apu-data of this client does not say which archives are the site's own: there is no source in {}",
        path.display()
    );
    let advice =
        "gen-apu-data-pkg && apt-all HOST update && apt-all HOST dist-upgrade, which bring a newer apu-data";
    Refusal::new(ReasonCode::Configuration, text).advise(advice)
}

#[cfg(test)]
mod tests {
    use super::*;

    const OWN: &str = "# head\n\nTypes: deb\nURIs: http://s/local\nSuites: ./\nSigned-By: /k.gpg\n";
    const APU: &str = "/etc/apt/sources.list.d/apu.sources";
    const SITE: &str = "/usr/share/apu-data/site.sources";

    fn site_archives(paths: &ClientPaths) -> Result<(), Refusal> {
        site_sources(paths).and_then(|wanted| check_used(paths, &wanted))
    }

    /// Why a client with these files refuses, and what it advises; nothing where it goes on.
    fn refusal(files: &[(&str, &str)]) -> Option<(String, String)> {
        let root = tempfile::tempdir().unwrap();
        let paths = ClientPaths::below(root.path());
        for (path, text) in files {
            let path = paths.path(path);
            fs::create_dir_all(path.parent().unwrap()).unwrap();
            fs::write(path, text).unwrap();
        }
        let reason = site_archives(&paths).err()?.result.reason.unwrap();
        assert_eq!(reason.code, ReasonCode::Configuration);
        let root = root.path().display().to_string();
        Some((reason.text.replace(&root, ""), reason.advice.replace(&root, "")))
    }

    #[test]
    fn what_apu_data_and_the_machine_name_alike_is_fetched() {
        assert_eq!(refusal(&[(SITE, OWN), (APU, OWN)]), None);
        let line = "deb [signed-by=/k.gpg] http://s/local/ ./\n";
        assert_eq!(refusal(&[(SITE, OWN), ("/etc/apt/sources.list", line)]), None);
    }

    #[test]
    fn an_exclusive_client_is_judged_by_the_sources_that_it_uses() {
        let exclusive = "/usr/share/apu-data/exclusive/apu.sources";
        let other = OWN.replace("/k.gpg", "/other.gpg");
        assert_eq!(refusal(&[(SITE, OWN), (exclusive, OWN), (APU, &other)]), None);
    }

    #[test]
    fn an_apu_data_that_does_not_name_the_sites_archives_is_too_old() {
        for files in [&[(APU, OWN)][..], &[(APU, OWN), (SITE, "# nothing\n")]] {
            let (why, advice) = refusal(files).expect("refused");
            assert!(
                why.contains("does not say which archives are the site's own"),
                "{why}"
            );
            assert!(advice.contains("apt-all HOST dist-upgrade"), "{advice}");
        }
    }

    #[test]
    fn an_archive_that_the_machine_does_not_use_is_refused() {
        let off = format!("Enabled: no\n{}", &OWN["# head\n\n".len()..]);
        for files in [&[(SITE, OWN)][..], &[(SITE, OWN), (APU, &off)]] {
            let (why, advice) = refusal(files).expect("refused");
            assert!(
                why.starts_with("this machine does not use http://s/local ./"),
                "{why}"
            );
            assert!(advice.ends_with("dpkg-reconfigure apu-data"), "{advice}");
        }
    }

    #[test]
    fn a_list_is_never_fetched_with_another_key_than_the_machine_trusts_for_it() {
        let list = "/etc/apt/sources.list.d/own.list";
        for line in [
            "deb http://s/local ./\n",
            "deb [signed-by=/other.gpg] http://s/local ./\n",
        ] {
            let (why, advice) = refusal(&[(SITE, OWN), (list, line)]).expect("refused");
            assert!(
                why.starts_with(&format!("{list} names http://s/local ./")),
                "{why}"
            );
            assert!(advice.contains(list), "{advice}");
        }
    }

    #[test]
    fn the_audit_covers_the_file_of_apu_data() {
        let trusted = format!("{OWN}Trusted: yes\n");
        let (why, advice) = refusal(&[(SITE, &trusted), (APU, OWN)]).expect("refused");
        assert!(why.contains("sets trusted=yes"), "{why}");
        assert_eq!(advice, SITE);
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
