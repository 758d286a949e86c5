//! Tells whether the package lists changed, and how long ago they were fetched.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::time::{SystemTime, UNIX_EPOCH};

use super::targets::Target;
use crate::os::atomic_file::replace;
use crate::os::paths::ClientPaths;

/// The state of a lists directory: each file's size and modification time.
pub(crate) type Lists = BTreeMap<String, (u64, Option<SystemTime>)>;

/// Returns the current state of the lists; empty where there is no directory.
pub(crate) fn snapshot(directory: &Path) -> Lists {
    let entries = fs::read_dir(directory).into_iter().flatten().flatten();
    let files = entries.filter_map(|entry| {
        // The lists of an archive on this machine are symbolic links, so links are followed.
        let metadata = fs::metadata(entry.path()).ok().filter(fs::Metadata::is_file)?;
        let name = entry.file_name().to_string_lossy().into_owned();
        (name != "lock").then_some((name, (metadata.len(), metadata.modified().ok())))
    });
    files.collect()
}

/// When each archive was last fetched by an update that could not fetch all of them: its prefix, and seconds since
/// 1970.
type Fetched = BTreeMap<String, u64>;

/// With this many complaints, more of them may have been dropped.
const COMPLAINTS_MAY_BE_MISSING: usize = 50;

/// Returns the seconds since the fetch of the archive that was fetched least recently; none where none ever was.
///
/// The stamps of apu-client and of apt's daily job are written after everything was fetched. A Release file's
/// modification time is the date of its archive, and the file was not fetched before that.
pub(crate) fn age(paths: &ClientPaths, archives: &[Target]) -> Option<u64> {
    let lists = paths.lists();
    let mut prefixes: Vec<String> = archives.iter().map(|archive| archive.prefix.clone()).collect();
    if prefixes.is_empty() {
        let ends = |name: &String| {
            let prefix = ["InRelease", "Release"]
                .iter()
                .find_map(|ending| name.strip_suffix(ending))?;
            Some(prefix.to_owned())
        };
        prefixes = snapshot(&lists).keys().filter_map(ends).collect();
    }
    let mut stamps = vec![paths.update_stamp()];
    if !paths.is_exclusive() {
        stamps.push(paths.path("/var/lib/apt/periodic/update-success-stamp"));
    }
    let all = stamps.iter().filter_map(|path| modified(path)).max();
    let fetched = read_fetched(paths);
    let of = |prefix: &String| {
        let made = ["InRelease", "Release"]
            .iter()
            .find_map(|ending| modified(&lists.join(format!("{prefix}{ending}"))));
        all.max(made).max(fetched.get(prefix).copied())
    };
    // An archive that was never fetched has no lists, so it has no age.
    let oldest = prefixes.iter().filter_map(of).min()?;
    Some(now().saturating_sub(oldest))
}

/// Records which archives a partly failed update did fetch: those whose address is in no complaint.
pub(crate) fn record_fetched(paths: &ClientPaths, archives: &[Target], complaints: &[String]) {
    let mut fetched = read_fetched(paths);
    if complaints.len() >= COMPLAINTS_MAY_BE_MISSING {
        // Some complaints may have been dropped.
        return;
    }
    fetched.retain(|prefix, _| archives.iter().any(|archive| archive.prefix == *prefix));
    for archive in archives {
        if !complaints.iter().any(|line| line.contains(&archive.site)) {
            fetched.insert(archive.prefix.clone(), now());
        }
    }
    if let Ok(text) = serde_json::to_vec(&fetched) {
        // The age is only displayed, so an error is ignored.
        let _ = replace(&paths.fetched(), &text);
    }
}

fn read_fetched(paths: &ClientPaths) -> Fetched {
    fs::read(paths.fetched())
        .ok()
        .and_then(|text| serde_json::from_slice(&text).ok())
        .unwrap_or_default()
}

fn modified(path: &Path) -> Option<u64> {
    let time = fs::metadata(path).and_then(|metadata| metadata.modified()).ok()?;
    time.duration_since(UNIX_EPOCH).ok().map(|time| time.as_secs())
}

fn now() -> u64 {
    SystemTime::now()
        .duration_since(UNIX_EPOCH)
        .map_or(0, |now| now.as_secs())
}

/// Returns the modification times from which the age of the lists is read. apt sets them even if it fetched only some
/// lists.
pub(crate) fn update_times(paths: &ClientPaths) -> Vec<(PathBuf, SystemTime)> {
    let dated = [
        paths.lists(),
        paths.path("/var/lib/apt/periodic/update-success-stamp"),
    ];
    let time = |path: PathBuf| {
        let modified = fs::metadata(&path).and_then(|metadata| metadata.modified());
        modified.ok().map(|modified| (path, modified))
    };
    dated.into_iter().filter_map(time).collect()
}

/// Restores these times after a fetch of some lists: the others are as old as before.
pub(crate) fn restore_times(times: &[(PathBuf, SystemTime)]) {
    for (path, time) in times {
        // The age is only displayed, so an error is ignored.
        let _ = fs::File::open(path).and_then(|file| file.set_modified(*time));
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::time::Duration;

    #[test]
    fn lists_that_were_never_fetched_have_no_age() {
        let root = tempfile::tempdir().unwrap();
        let paths = ClientPaths::below(root.path());
        assert_eq!(age(&paths, &[]), None);
        fs::create_dir_all(paths.lists()).unwrap();
        fs::write(paths.lists().join("lock"), "").unwrap();
        assert_eq!(age(&paths, &[]), None);
        fs::write(paths.lists().join("example.org_dists_x_InRelease"), "").unwrap();
        assert!(age(&paths, &[]).is_some_and(|age| age < 60));
    }

    const DAY: u64 = 24 * 3600;

    /// A client whose archives have Release files of this age in days.
    fn client(archives: &[(&str, u64)]) -> (tempfile::TempDir, ClientPaths) {
        let root = tempfile::tempdir().unwrap();
        let paths = ClientPaths::below(root.path());
        fs::create_dir_all(paths.lists()).unwrap();
        fs::create_dir_all(paths.state()).unwrap();
        for (name, days) in archives {
            let path = paths.lists().join(format!("{name}_InRelease"));
            fs::write(&path, "").unwrap();
            restore_times(&[(path, SystemTime::now() - Duration::from_secs(days * DAY))]);
        }
        (root, paths)
    }

    fn days(paths: &ClientPaths, archives: &[Target]) -> Option<u64> {
        age(paths, archives).map(|age| age / DAY)
    }

    fn archive(name: &str) -> Target {
        let line = format!(
            "/l/{name}_Packages\tPackages\thttp://{name}.example.org\t./\t/a.list:1\tno\t$(ALLOW_INSECURE)\t\t\t"
        );
        Target::parse_all(&line).unwrap().remove(0)
    }

    #[test]
    fn the_age_is_that_of_the_archive_that_was_not_fetched() {
        let (_root, paths) = client(&[("debian", 40), ("vendor", 90)]);
        let archives = [archive("debian"), archive("vendor")];
        assert_eq!(days(&paths, &archives), Some(90));
        replace(&paths.update_stamp(), b"").unwrap();
        restore_times(&[(
            paths.update_stamp(),
            SystemTime::now() - Duration::from_secs(30 * DAY),
        )]);
        assert_eq!(days(&paths, &archives), Some(30));
        let complaints = ["E: Failed to fetch http://debian.example.org/./InRelease".to_owned()];
        record_fetched(&paths, &archives, &complaints);
        assert_eq!(
            days(&paths, &archives),
            Some(30),
            "the vendor's alone were fetched"
        );
        record_fetched(
            &paths,
            &archives,
            &["E: Failed to fetch http://vendor.example.org/./InRelease".into()],
        );
        assert_eq!(days(&paths, &archives), Some(0), "each was fetched by now");
    }

    #[test]
    fn what_no_source_names_has_no_age_that_counts() {
        let (_root, paths) = client(&[("debian", 0), ("gone", 90)]);
        assert_eq!(days(&paths, &[archive("debian")]), Some(0));
    }

    #[test]
    fn the_lock_is_no_list_and_another_length_is_a_change() {
        let directory = tempfile::tempdir().unwrap();
        fs::write(directory.path().join("lock"), "").unwrap();
        assert!(snapshot(directory.path()).is_empty());
        fs::write(directory.path().join("a_Packages"), "1").unwrap();
        let before = snapshot(directory.path());
        assert_eq!(snapshot(directory.path()), before);
        fs::write(directory.path().join("a_Packages"), "12").unwrap();
        assert_ne!(snapshot(directory.path()), before);
    }

    #[test]
    fn a_time_that_apt_set_is_set_back() {
        let (_root, paths) = client(&[]);
        let yesterday = SystemTime::now() - Duration::from_secs(DAY);
        restore_times(&[(paths.lists(), yesterday)]);
        let before = update_times(&paths);
        fs::write(paths.lists().join("site_._InRelease"), "").unwrap();
        restore_times(&before);
        assert_eq!(update_times(&paths), [(paths.lists(), yesterday)]);
    }
}
