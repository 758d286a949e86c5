//! Derives from apt's configuration what every call of apt needs: paths, and options that undo settings of this machine
//! alone.

use std::fs;

use super::fixed_settings::overrides;
use super::settings::Settings;
use super::sources::sources;
use crate::os::paths::{AptConfiguration, ClientPaths};

/// Stores what apt's configuration says in `paths`; only the first call has an effect.
pub(crate) fn set_apt_configuration(paths: &ClientPaths, settings: &Settings) {
    let path = |name: &str| {
        let path = settings.path(name);
        paths.path(&path.to_string_lossy())
    };
    // An empty setting names no file, and not the root directory.
    let is_set = |name: &str| !settings.path(name).as_os_str().is_empty();
    let mut overrides = overrides(settings);
    overrides.extend(phasing(paths));
    paths.set_apt_configuration(AptConfiguration {
        lists: path("Dir::State::lists"),
        archives: path("Dir::Cache::archives"),
        source_list: path("Dir::Etc::sourcelist"),
        source_parts: path("Dir::Etc::sourceparts"),
        preferences: is_set("Dir::Etc::preferences").then(|| path("Dir::Etc::preferences")),
        overrides,
        settings: settings.to_string(),
        inputs: (INPUTS.iter().filter(|name| is_set(name)))
            .map(|name| path(name))
            .collect(),
    });
}

/// What apt reads for a plan, by the names of the settings that say where it is; the lists and sources are apart.
const INPUTS: [&str; 6] = [
    "Dir::State::status",
    "Dir::State::extended_states",
    "Dir::Etc::preferences",
    "Dir::Etc::preferencesparts",
    "Dir::Etc::main",
    "Dir::Etc::parts",
];

/// Returns the option that makes phased updates the same on all machines of a site. apt decides by `APT::Machine-ID`
/// (apt_preferences(5)), so the id is computed from what these machines have in common: the addresses of the site's
/// archives.
fn phasing(paths: &ClientPaths) -> Option<String> {
    let text = fs::read_to_string(paths.site_sources()).ok()?;
    let mut named: Vec<String> = sources(&text, true)
        .iter()
        .map(|source| format!("{} {}", source.uri, source.suite))
        .collect();
    named.sort();
    let common = named.join("\n");
    (!named.is_empty()).then(|| {
        let halves = [digest(&[1], &common), digest(&[2], &common)];
        format!("APT::Machine-ID={:016x}{:016x}", halves[0], halves[1])
    })
}

/// FNV-1a in 64 bits. It must be the same on every machine, and need not be secure.
fn digest(seed: &[u8], text: &str) -> u64 {
    let bytes = seed.iter().chain(text.as_bytes());
    bytes.fold(0xcbf2_9ce4_8422_2325, |hash, byte| {
        (hash ^ u64::from(*byte)).wrapping_mul(0x0100_0000_01b3)
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::path::PathBuf;

    fn phasing(text: &str) -> Option<String> {
        let root = tempfile::tempdir().unwrap();
        let paths = ClientPaths::below(root.path());
        fs::create_dir_all(paths.site_sources().parent().unwrap()).unwrap();
        fs::write(paths.site_sources(), text).unwrap();
        super::phasing(&paths)
    }

    #[test]
    fn all_machines_of_a_site_have_one_phasing_and_other_sites_have_another() {
        let own = "Types: deb\nURIs: http://s/local\nSuites: ./\nSigned-By: /k\n";
        let one = phasing(own).unwrap();
        assert_eq!(one.len(), "APT::Machine-ID=".len() + 32);
        assert_eq!(phasing(&own.replace("/k", "/other")), Some(one.clone()));
        assert_ne!(phasing(&own.replace("/s/", "/t/")), Some(one));
        assert_eq!(phasing("# nothing\n"), None);
    }

    #[test]
    fn paths_follow_the_configuration_of_apt() {
        let paths = ClientPaths::below("/srv/root");
        assert_eq!(
            paths.archives(),
            PathBuf::from("/srv/root/var/cache/apt/archives")
        );
        let text = "Dir=/\nDir::Cache=var/cache/apt\nDir::Cache::archives=/srv/cache\nDir::State=var/lib/apt\n\
                    Dir::State::lists=elsewhere/\nDir::Etc=etc/apt\nDir::Etc::sourcelist=own.list\n";
        set_apt_configuration(&paths, &Settings::parse(text).unwrap());
        assert_eq!(paths.archives(), PathBuf::from("/srv/root/srv/cache"));
        assert_eq!(paths.lists(), PathBuf::from("/srv/root/var/lib/apt/elsewhere"));
        assert_eq!(paths.source_list(), PathBuf::from("/srv/root/etc/apt/own.list"));
    }
}
