//! The package lists that `update` fetches: whether they changed, and how old they are.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::time::SystemTime;

use crate::site::Site;

/// What tells two states of the lists apart.
pub(crate) type Lists = BTreeMap<String, (u64, Option<SystemTime>)>;

/// The lists as they are now; none where there is no directory.
pub(crate) fn read(directory: &Path) -> Lists {
    let entries = fs::read_dir(directory).into_iter().flatten().flatten();
    let files = entries.filter_map(|entry| {
        // The lists of an archive on this machine are links, so they are followed.
        let metadata = fs::metadata(entry.path()).ok().filter(fs::Metadata::is_file)?;
        let name = entry.file_name().to_string_lossy().into_owned();
        (name != "lock").then_some((name, (metadata.len(), metadata.modified().ok())))
    });
    files.collect()
}

/// Seconds since everything was last fetched; none where nothing ever was.
///
/// Our own stamp and the one of apt's daily job are written after a success. Before either there was one, the
/// directory's own time has to do.
pub(crate) fn age(site: &Site) -> Option<u64> {
    let lists = site.lists();
    let is_release = |name: &String| name.ends_with("Release");
    if !read(&lists).keys().any(is_release) {
        return None;
    }
    let mut stamps = vec![site.update_stamp()];
    if !site.is_exclusive() {
        stamps.push(site.path("/var/lib/apt/periodic/update-success-stamp"));
    }
    let time = |path: &Path| fs::metadata(path).and_then(|metadata| metadata.modified()).ok();
    let stamped = stamps.iter().filter_map(|path| time(path)).max();
    let fetched = stamped.max(time(&lists))?;
    Some(
        SystemTime::now()
            .duration_since(fetched)
            .map_or(0, |age| age.as_secs()),
    )
}

/// The times by which the lists' age is told and which apt sets whatever it fetched.
pub(crate) fn times(site: &Site) -> Vec<(PathBuf, SystemTime)> {
    let paths = [
        site.lists(),
        site.path("/var/lib/apt/periodic/update-success-stamp"),
    ];
    let time = |path: PathBuf| {
        let modified = fs::metadata(&path).and_then(|metadata| metadata.modified());
        modified.ok().map(|modified| (path, modified))
    };
    paths.into_iter().filter_map(time).collect()
}

/// Sets them back: only some of the lists were fetched, and the others are as old as they were.
pub(crate) fn set_back(times: &[(PathBuf, SystemTime)]) {
    for (path, time) in times {
        // Their age is only shown; nothing depends on it.
        let _ = fs::File::open(path).and_then(|file| file.set_modified(*time));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lists_that_were_never_fetched_have_no_age() {
        let root = tempfile::tempdir().unwrap();
        let site = Site::below(root.path());
        assert_eq!(age(&site), None);
        fs::create_dir_all(site.lists()).unwrap();
        fs::write(site.lists().join("lock"), "").unwrap();
        assert_eq!(age(&site), None);
        fs::write(site.lists().join("example.org_dists_x_InRelease"), "").unwrap();
        assert!(age(&site).is_some_and(|age| age < 60));
    }

    #[test]
    fn the_lock_is_no_list_and_another_length_is_a_change() {
        let directory = tempfile::tempdir().unwrap();
        fs::write(directory.path().join("lock"), "").unwrap();
        assert!(read(directory.path()).is_empty());
        fs::write(directory.path().join("a_Packages"), "1").unwrap();
        let before = read(directory.path());
        assert_eq!(read(directory.path()), before);
        fs::write(directory.path().join("a_Packages"), "12").unwrap();
        assert_ne!(read(directory.path()), before);
    }

    #[test]
    fn lists_of_which_only_some_were_fetched_stay_as_old_as_they_were() {
        let root = tempfile::tempdir().unwrap();
        let site = Site::below(root.path());
        fs::create_dir_all(site.lists()).unwrap();
        fs::write(site.lists().join("example.org_dists_x_InRelease"), "").unwrap();
        let day = std::time::Duration::from_secs(24 * 3600);
        let yesterday = [(site.lists(), SystemTime::now() - day)];
        set_back(&yesterday);
        assert!(age(&site).is_some_and(|age| age >= day.as_secs()));

        let before = times(&site);
        fs::write(site.lists().join("site_._InRelease"), "").unwrap();
        assert!(age(&site).is_some_and(|age| age < 60));
        set_back(&before);
        assert!(age(&site).is_some_and(|age| age >= day.as_secs()));
    }
}
