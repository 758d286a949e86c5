//! Reports the dates in the fetched Release files, so that the server can compare them with what it published last.

use std::fs;

use apu_proto::ReleaseDate;

use super::sources::{Source, sources};
use super::targets::Target;
use super::valid_until::ReleaseFile;
use crate::os::paths::ClientPaths;

/// Maximal number of archives in a report.
const MAX_ARCHIVES: usize = 200;

/// Returns the dates of each archive whose lists were fetched. A Release file that cannot be read is reported without
/// dates.
pub(crate) fn release_dates(paths: &ClientPaths, archives: &[Target]) -> Vec<ReleaseDate> {
    let lists = paths.lists();
    let own =
        fs::read_to_string(paths.site_sources()).map_or_else(|_| Vec::new(), |text| sources(&text, true));
    let told = archives.iter().filter_map(|archive| {
        let release = match ReleaseFile::read(&lists, &archive.prefix) {
            Ok(release) => release?,
            Err(_) => ReleaseFile::default(),
        };
        let is_own = |source: &Source| source.uri == archive.site && source.suite == archive.suite;
        Some(ReleaseDate {
            uri: archive.site.clone(),
            suite: archive.suite.clone(),
            date: release.date,
            valid_until: release.valid_until,
            own: own.iter().any(is_own),
        })
    });
    told.take(MAX_ARCHIVES).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_archive_has_its_date_and_the_sites_own_are_marked() {
        let root = tempfile::tempdir().unwrap();
        let paths = ClientPaths::below(root.path());
        let write = |path: std::path::PathBuf, text: &str| {
            fs::create_dir_all(path.parent().unwrap()).unwrap();
            fs::write(path, text).unwrap();
        };
        write(
            paths.site_sources(),
            "Types: deb\nURIs: http://s/local/\nSuites: ./\nSigned-By: /k\n",
        );
        write(
            paths.lists().join("s_local_._InRelease"),
            "Date: Thu, 01 Jan 1970 00:01:00 UTC\n",
        );
        write(
            paths.lists().join("x_._Release"),
            "Date: Friday\nValid-Until: never\n",
        );
        let line = |prefix: &str, uri: &str| {
            format!("/l/{prefix}Packages\tPackages\t{uri}\t./\t/a.list:1\tno\t$(ALLOW_INSECURE)\t\t\t")
        };
        let lines = [
            line("s_local_._", "http://s/local"),
            line("x_._", "http://x"),
            line("y_._", "http://never-fetched"),
        ];
        let archives = Target::parse_all(&lines.join("\n")).unwrap();
        let told = release_dates(&paths, &archives);
        let shown: Vec<_> = told
            .iter()
            .map(|one| (one.uri.as_str(), one.date, one.own))
            .collect();
        assert_eq!(
            shown,
            [("http://s/local", Some(60), true), ("http://x", None, false)]
        );
        assert_eq!(told[1].valid_until.as_deref(), Some("never"));
    }
}
