//! Keeps the last plan that was made, so that a run which is to carry it out need not simulate it again on a machine that has not
//! changed since.
//!
//! The plan counts only where everything that apt reads for it is as it was: apt's configuration, and each file of dpkg's
//! database, of the lists, the sources, the preferences and the marks, by its place on disk, size and times.

use std::fs::{self, File, Metadata};
use std::io::{self, Read};
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

use apu_proto::Request;
use serde::{Deserialize, Serialize};

use super::site_archives::installs_apu_data_only;
use crate::apt::Plan;
use crate::dpkg::Conffiles;
use crate::os::atomic_file::{private_directory, replace};
use crate::os::paths::ClientPaths;

/// Maximal size of the file in bytes; a plan of 3,000 packages has about one million.
const MAX_SIZE: u64 = 32 * 1024 * 1024;

/// Maximal number of files that apt reads for a plan.
const MAX_FILES: usize = 20_000;

/// Everything that a plan depends on, in a form that is equal only where all of it is.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Inputs(Vec<String>);

#[derive(Serialize, Deserialize)]
struct Kept {
    inputs: Inputs,
    plan: Plan,
}

impl Inputs {
    /// Reads what a plan of this request depends on now; none where a plan of it is not kept.
    ///
    /// # Errors
    /// Where something cannot be looked at, so that nobody knows whether it has changed.
    pub(crate) fn of(
        paths: &ClientPaths,
        request: &Request,
        conffiles: Conffiles,
    ) -> io::Result<Option<Self>> {
        // That one reads other sources, which a run may mend first.
        if installs_apu_data_only(request) {
            return Ok(None);
        }
        let Some(configuration) = paths.apt_settings() else {
            return Ok(None);
        };
        let mut inputs = vec![
            env!("CARGO_PKG_VERSION").to_owned(),
            request.to_be_planned().to_string(),
            format!("{conffiles:?}"),
            // apt keeps the running kernel.
            fs::read_to_string(paths.path("/proc/sys/kernel/osrelease"))?,
            configuration.to_owned(),
        ];
        inputs.extend(paths.apt_overrides().iter().cloned());
        // The sources that apt is shown are copies: their text counts, since the files may have changed after it was taken.
        for option in paths.checked_source_options() {
            let copy = ["Dir::Etc::SourceList=", "Dir::Etc::SourceParts="]
                .iter()
                .find_map(|name| option.strip_prefix(name));
            if let Some(copy) = copy {
                add_text(&mut inputs, Path::new(copy))?;
            }
        }
        let mut files = vec![
            paths.dpkg(),
            paths.dpkg().join("updates"),
            paths.lists(),
            paths.path("/etc/apt"),
        ];
        files.extend(paths.apt_inputs().iter().cloned());
        files.extend([
            paths.source_list(),
            paths.source_parts(),
            paths.path("/etc/machine-id"),
        ]);
        // Which lists apt is shown: not those of archives that have expired.
        files.extend(
            paths
                .checked_source_options()
                .iter()
                .filter_map(|option| option.strip_prefix("Dir::State::lists=").map(PathBuf::from)),
        );
        let (dpkg, lists) = (paths.dpkg(), paths.lists());
        let is_other = |path: &Path| {
            (path.parent() == Some(&*dpkg) || path.parent() == Some(&*lists)) && is_no_input(path)
        };
        for file in files {
            add(&mut inputs, &file, &is_other)?;
        }
        Ok(Some(Self(inputs)))
    }
}

/// Whether a file of dpkg's directory, or of that of the lists, is no input: what is being fetched, locks, and `info`, which changes
/// with dpkg's status.
fn is_no_input(path: &Path) -> bool {
    let names = ["partial", "lock", "lock-frontend", "info", "auxfiles"];
    names
        .iter()
        .any(|name| path.file_name().is_some_and(|own| own == *name))
}

/// Adds the text of a file, or of the files in a directory, whose own names and times are new in each process.
fn add_text(inputs: &mut Vec<String>, path: &Path) -> io::Result<()> {
    let mut files = match metadata(path)? {
        None => Vec::new(),
        Some(metadata) if metadata.is_dir() => fs::read_dir(path)?
            .map(|entry| Ok(entry?.path()))
            .collect::<io::Result<Vec<PathBuf>>>()?,
        Some(_) => vec![path.to_owned()],
    };
    files.sort();
    for file in files {
        let name = file
            .file_name()
            .unwrap_or_default()
            .to_string_lossy()
            .into_owned();
        inputs.push(name);
        inputs.push(String::from_utf8_lossy(&fs::read(&file)?).into_owned());
    }
    Ok(())
}

/// Adds a file, or a directory with everything below it but what is no input.
fn add(inputs: &mut Vec<String>, path: &Path, is_other: &dyn Fn(&Path) -> bool) -> io::Result<()> {
    let Some(metadata) = metadata(path)? else {
        inputs.push(format!("{} is not there", path.display()));
        return Ok(());
    };
    inputs.push(line(path, &metadata));
    if !metadata.is_dir() {
        return Ok(());
    }
    let mut below: Vec<PathBuf> = fs::read_dir(path)?
        .map(|entry| Ok(entry?.path()))
        .collect::<io::Result<_>>()?;
    below.sort();
    for path in below {
        if is_other(&path) {
            continue;
        }
        if inputs.len() > MAX_FILES {
            return Err(io::Error::other("apt reads too many files"));
        }
        let Some(metadata) = self::metadata(&path)? else {
            continue;
        };
        if metadata.is_dir() {
            add(inputs, &path, is_other)?;
        } else {
            inputs.push(line(&path, &metadata));
        }
    }
    Ok(())
}

/// What a path leads to, links followed; none where it leads to nothing.
fn metadata(path: &Path) -> io::Result<Option<Metadata>> {
    match fs::metadata(path) {
        Ok(metadata) => Ok(Some(metadata)),
        Err(error)
            if matches!(
                error.kind(),
                io::ErrorKind::NotFound | io::ErrorKind::NotADirectory
            ) =>
        {
            Ok(None)
        }
        Err(error) => Err(error),
    }
}

/// Describes a file by its place on disk, its size and its times. The last of these, ctime, cannot be set by a program. A directory
/// is described by its name alone: the files in it are listed, and its own times change with each lock that is taken there.
fn line(path: &Path, metadata: &Metadata) -> String {
    if metadata.is_dir() {
        return format!("{}/", path.display());
    }
    format!(
        "{} {}:{} {} {}.{:09} {}.{:09}",
        path.display(),
        metadata.dev(),
        metadata.ino(),
        metadata.len(),
        metadata.mtime(),
        metadata.mtime_nsec(),
        metadata.ctime(),
        metadata.ctime_nsec()
    )
}

/// Keeps a plan in place of the one before. Without it the next run simulates again, so an error is none of the request's.
pub(crate) fn keep(paths: &ClientPaths, inputs: Inputs, plan: &Plan) {
    let plan = plan.clone();
    let kept = serde_json::to_vec(&Kept { inputs, plan }).map_err(io::Error::other);
    let _ = kept.and_then(|kept| {
        private_directory(&paths.state())?;
        replace(&paths.kept_plan(), &kept)
    });
}

/// The plan that was kept, where everything it depends on is as it was.
pub(crate) fn find(paths: &ClientPaths, inputs: &Inputs) -> Option<Plan> {
    let file = File::open(paths.kept_plan()).ok()?;
    let mut text = Vec::new();
    file.take(MAX_SIZE).read_to_end(&mut text).ok()?;
    let kept: Kept = serde_json::from_slice(&text).ok()?;
    (kept.inputs == *inputs).then_some(kept.plan)
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::symlink;
    use std::thread::sleep;
    use std::time::Duration;

    use apu_proto::Step;

    use super::*;
    use crate::os::paths::AptConfiguration;

    /// A file of each kind that apt reads.
    const FILES: [&str; 11] = [
        "/var/lib/dpkg/status",
        "/var/lib/dpkg/arch",
        "/var/lib/dpkg/updates/0001",
        "/var/lib/apt/lists/x_Packages",
        "/var/lib/apt/extended_states",
        "/etc/apt/sources.list",
        "/etc/apt/sources.list.d/a.sources",
        "/etc/apt/preferences.d/pin",
        "/etc/apt/apt.conf.d/50x",
        "/etc/elsewhere/preferences",
        "/etc/machine-id",
    ];

    /// A client with all of them.
    fn client() -> (tempfile::TempDir, ClientPaths) {
        let root = tempfile::tempdir().unwrap();
        let paths = ClientPaths::below(root.path());
        for file in FILES.into_iter().chain(["/proc/sys/kernel/osrelease"]) {
            let path = paths.path(file);
            fs::create_dir_all(path.parent().unwrap()).unwrap();
            fs::write(path, "before\n").unwrap();
        }
        paths.set_apt_configuration(AptConfiguration {
            lists: paths.path("/var/lib/apt/lists"),
            archives: paths.path("/var/cache/apt/archives"),
            source_list: paths.path("/etc/apt/sources.list"),
            source_parts: paths.path("/etc/apt/sources.list.d"),
            preferences: Some(paths.path("/etc/apt/preferences")),
            overrides: Vec::new(),
            settings: "dir=/".into(),
            inputs: vec![
                paths.path("/var/lib/apt/extended_states"),
                paths.path("/etc/elsewhere"),
            ],
        });
        (root, paths)
    }

    fn request(words: &str) -> Request {
        Request::parse(format!("apu/1 {words}").as_bytes()).unwrap()
    }

    fn inputs(paths: &ClientPaths, words: &str) -> Inputs {
        Inputs::of(paths, &request(words), Conffiles::Keep)
            .unwrap()
            .unwrap()
    }

    fn plan() -> Plan {
        Plan {
            steps: vec![Step::Remove {
                package: "a:amd64".parse().unwrap(),
                old: "1".into(),
            }],
            ..Plan::default()
        }
    }

    #[test]
    fn a_plan_is_found_for_the_request_that_carries_it_out_and_for_no_other() {
        let (_root, paths) = client();
        let none = inputs(&paths, "upgrade");
        assert_eq!(find(&paths, &none), None);
        keep(&paths, inputs(&paths, "upgrade dry_run=yes"), &plan());
        let approved = format!(
            "upgrade run_id={} plan_sha256={} lock_wait=9",
            "a".repeat(32),
            "b".repeat(64)
        );
        assert_eq!(find(&paths, &inputs(&paths, &approved)), Some(plan()));
        for other in [
            "dist-upgrade",
            "install aa",
            "dist-upgrade allow_remove=yes",
            "upgrade only_security=yes",
            "install only_upgrade=yes vim",
            "upgrade source_packages=openssl",
            "upgrade hold_packages=a",
            "upgrade too_young=a",
        ] {
            assert_eq!(find(&paths, &inputs(&paths, other)), None, "{other}");
        }
        let replace = Inputs::of(&paths, &request("upgrade"), Conffiles::New)
            .unwrap()
            .unwrap();
        assert_eq!(find(&paths, &replace), None);
    }

    #[test]
    fn a_change_of_anything_that_apt_reads_makes_the_plan_an_old_one() {
        let (_root, paths) = client();
        let before = inputs(&paths, "upgrade");
        assert_eq!(inputs(&paths, "upgrade"), before);
        for file in FILES {
            let before = inputs(&paths, "upgrade");
            // The kernel's clock has a grain.
            sleep(Duration::from_millis(20));
            // The same size, and the times of before.
            let times = fs::metadata(paths.path(file)).unwrap().modified().unwrap();
            fs::write(paths.path(file), "behind\n").unwrap();
            File::options()
                .write(true)
                .open(paths.path(file))
                .unwrap()
                .set_modified(times)
                .unwrap();
            assert_ne!(inputs(&paths, "upgrade"), before, "{file}");
        }
        for change in [
            |paths: &ClientPaths| fs::write(paths.path("/etc/apt/preferences"), "new").unwrap(),
            // A name that is a lock elsewhere is a file of pins here.
            |paths: &ClientPaths| fs::write(paths.path("/etc/apt/preferences.d/lock"), "new").unwrap(),
            |paths: &ClientPaths| fs::remove_file(paths.path("/var/lib/dpkg/updates/0001")).unwrap(),
            |paths: &ClientPaths| fs::write(paths.path("/proc/sys/kernel/osrelease"), "6.2").unwrap(),
            |paths: &ClientPaths| symlink("/dev/null", paths.path("/etc/apt/sources.list.d/b.list")).unwrap(),
        ] {
            let before = inputs(&paths, "upgrade");
            change(&paths);
            assert_ne!(inputs(&paths, "upgrade"), before);
        }
    }

    #[test]
    fn what_is_no_plan_is_none() {
        let (_root, paths) = client();
        let now = inputs(&paths, "upgrade");
        keep(&paths, now.clone(), &plan());
        let text = fs::read_to_string(paths.kept_plan()).unwrap();
        for wrong in ["", "{}", &text[..text.len() - 1]] {
            fs::write(paths.kept_plan(), wrong).unwrap();
            assert_eq!(find(&paths, &now), None, "{wrong:?}");
        }
        // apt was not asked what its configuration is.
        let unasked = ClientPaths::below(paths.root());
        assert_eq!(
            Inputs::of(&unasked, &request("upgrade"), Conffiles::Keep).unwrap(),
            None
        );
    }
}
