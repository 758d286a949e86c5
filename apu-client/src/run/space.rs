//! Refuses a transaction for which a file system has too little space: dpkg that meets a full disk leaves packages half unpacked.
//!
//! What is needed is apt's own figure for what is installed afterwards, the size of each .deb that is still to be fetched, and for each
//! kernel as much in /boot as the running one has there. Where apt prints no figure, only the rest is known.

use std::collections::BTreeMap;
use std::fs;
use std::io;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

use apu_proto::{Action, Advice, Cause, Step};
use nix::sys::statvfs::statvfs;

use super::preflight::MIN_FREE_SPACE;
use super::refusal::Refusal;
use crate::apt::{Download, Plan};
use crate::os::paths::ClientPaths;

/// Maximal number of files in /boot that are looked at.
const MAX_BOOT_FILES: usize = 1_000;

/// What a transaction needs below a directory, in bytes.
#[derive(Debug, PartialEq, Eq)]
struct Need {
    directory: PathBuf,
    bytes: u64,
}

/// A file system as it is now.
#[derive(Debug, Clone, Copy)]
struct FileSystem {
    device: u64,
    /// In bytes.
    free: u64,
}

/// A file system with too little space.
#[derive(Debug, PartialEq, Eq)]
struct Shortage {
    /// The directory on it that needs most.
    directory: PathBuf,
    needed: u64,
    free: u64,
}

/// Refuses a plan for which a file system has too little space, or where that cannot be told; where the .debs are only fetched, for these.
pub(super) fn check_space(paths: &ClientPaths, plan: &Plan, is_download_only: bool) -> Result<(), Refusal> {
    let needs =
        needs(paths, plan, is_download_only).map_err(|error| Refusal::fault(Action::LookAtSpace, &error))?;
    let boot = paths.path("/boot");
    let mut found = Vec::new();
    for need in needs {
        let file_system = file_system(&need.directory)
            .map_err(|error| Refusal::fault_at(Action::LookAtSpace, &need.directory, &error))?;
        found.push((need, file_system));
    }
    match shortage(found) {
        None => Ok(()),
        Some(Shortage {
            directory,
            needed,
            free,
        }) => {
            let advice = match directory == boot {
                true => Advice::AptGetAutoremove,
                false => Advice::AptGetClean,
            };
            let path = directory.display().to_string();
            Err(Refusal::new(Cause::TooLittleSpace { path, needed, free }).advise(advice))
        }
    }
}

/// Returns the first file system whose space is less than everything that is needed there, and what dpkg and the log need themselves.
fn shortage(needs: Vec<(Need, FileSystem)>) -> Option<Shortage> {
    let mut together = BTreeMap::<u64, (Shortage, u64)>::new();
    for (Need { directory, bytes }, FileSystem { device, free }) in needs {
        let (shortage, most) = together.entry(device).or_insert_with(|| {
            let shortage = Shortage {
                directory: directory.clone(),
                needed: MIN_FREE_SPACE,
                free,
            };
            (shortage, bytes)
        });
        shortage.needed = shortage.needed.saturating_add(bytes);
        if bytes > *most {
            (shortage.directory, *most) = (directory, bytes);
        }
    }
    let mut shortages = together.into_values().map(|(shortage, _)| shortage);
    shortages.find(|shortage| shortage.needed > shortage.free)
}

/// Returns what the plan needs and where; nothing for a directory that needs none.
fn needs(paths: &ClientPaths, plan: &Plan, is_download_only: bool) -> io::Result<Vec<Need>> {
    let archives = paths.archives();
    let is_missing = |deb: &&Download| {
        let found = fs::metadata(archives.join(&deb.file));
        !found.is_ok_and(|found| found.len() == deb.size)
    };
    let fetched = plan.debs.iter().filter(is_missing).map(|deb| deb.size).sum();
    if is_download_only {
        let directory = archives;
        let needs = [Need {
            directory,
            bytes: fetched,
        }];
        return Ok(needs.into_iter().filter(|need| need.bytes > 0).collect());
    }
    let grows = (plan.sizes.as_ref()).and_then(|sizes| growth(&sizes.disk));
    let kernels = plan.steps.iter().filter(|step| is_kernel(step)).count();
    let boot = match kernels {
        0 => 0,
        _ => running_kernel(paths)?.saturating_mul(kernels as u64),
    };
    let needs = [
        (archives, fetched),
        (paths.path("/usr"), grows.unwrap_or(0)),
        (paths.path("/boot"), boot),
    ];
    let needs = needs
        .into_iter()
        .map(|(directory, bytes)| Need { directory, bytes });
    Ok(needs.filter(|need| need.bytes > 0).collect())
}

/// Whether a step installs a kernel, or its files in /boot anew.
fn is_kernel(step: &Step) -> bool {
    let Step::Install { package, .. } = step else {
        return false;
    };
    let version = package.name().strip_prefix("linux-image-");
    version.is_some_and(|version| version.starts_with(|c: char| c.is_ascii_digit()))
}

/// Returns the size of the running kernel's files in /boot; 0 where it has none there, as in a container.
fn running_kernel(paths: &ClientPaths) -> io::Result<u64> {
    let release = fs::read_to_string(paths.path("/proc/sys/kernel/osrelease"))?;
    let ending = format!("-{}", release.trim_end());
    let files = match fs::read_dir(paths.path("/boot")) {
        Ok(files) => files,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(0),
        Err(error) => return Err(error),
    };
    let mut size = 0_u64;
    for file in files.take(MAX_BOOT_FILES) {
        let file = file?;
        if file.file_name().to_string_lossy().ends_with(&ending) {
            size = size.saturating_add(file.metadata()?.len());
        }
    }
    Ok(size)
}

/// Parses apt's figure for what is installed afterwards, such as `20.0 MB more`; none for any other text.
fn growth(figure: &str) -> Option<u64> {
    let (figure, direction) = figure.rsplit_once(' ')?;
    let (number, unit) = figure.split_once(' ')?;
    let thousands = ["B", "kB", "MB", "GB", "TB"]
        .iter()
        .position(|name| *name == unit)?;
    let unit = 1000_u64.pow(u32::try_from(thousands).ok()?);
    let number = number.replace(',', "");
    let (whole, tenths) = number.split_once('.').unwrap_or((&number, "0"));
    let tenths = match tenths.as_bytes() {
        [digit @ b'0'..=b'9'] => u64::from(digit - b'0'),
        _ => return None,
    };
    let bytes = whole
        .parse::<u64>()
        .ok()?
        .checked_mul(unit)?
        .checked_add(tenths * (unit / 10))?;
    match direction {
        "more" => Some(bytes),
        "less" => Some(0),
        _ => None,
    }
}

/// Returns how many bytes are free where a directory lies.
pub(super) fn free(directory: &Path) -> io::Result<u64> {
    file_system(directory).map(|found| found.free)
}

/// Returns the file system of a directory, or of the nearest one above it that is there.
fn file_system(directory: &Path) -> io::Result<FileSystem> {
    let existing = directory.ancestors().find(|path| path.exists());
    let existing = existing.ok_or(io::ErrorKind::NotFound)?;
    let found = statvfs(existing)?;
    // The types of these differ between architectures.
    #[allow(clippy::unnecessary_cast, clippy::useless_conversion)]
    let free = u64::from(found.blocks_free()).saturating_mul(u64::from(found.fragment_size()));
    Ok(FileSystem {
        device: fs::metadata(existing)?.dev(),
        free,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    const MB: u64 = 1_000_000;

    fn need(directory: &str, bytes: u64, device: u64, free: u64) -> (Need, FileSystem) {
        let directory = directory.into();
        (Need { directory, bytes }, FileSystem { device, free })
    }

    #[test]
    fn what_is_needed_on_one_file_system_counts_together() {
        let one = |free| vec![need("/var", 30 * MB, 1, free), need("/usr", 50 * MB, 1, free)];
        assert_eq!(shortage(one(80 * MB + MIN_FREE_SPACE)), None);
        let found = shortage(one(80 * MB + MIN_FREE_SPACE - 1)).unwrap();
        assert_eq!(found.directory, Path::new("/usr"));
        assert_eq!(found.needed, 80 * MB + MIN_FREE_SPACE);
        let two = vec![
            need("/usr", 50 * MB, 1, 90 * MB),
            need("/boot", 50 * MB, 2, 60 * MB),
        ];
        assert_eq!(shortage(two).unwrap().directory, Path::new("/boot"));
        assert_eq!(shortage(Vec::new()), None);
    }

    #[test]
    fn apts_figures_are_taken_and_nothing_else() {
        for (figure, bytes) in [
            ("20.0 MB more", Some(20 * MB)),
            ("1,234 kB more", Some(1_234_000)),
            ("5396 kB more", Some(5_396_000)),
            ("36.9 kB more", Some(36_900)),
            ("0 B more", Some(0)),
            ("2.5 GB less", Some(0)),
            ("20.0 MiB more", None),
            ("20.05 MB more", None),
            ("20.x MB more", None),
            (". MB more", None),
            ("20 MB", None),
            ("20 MB around", None),
            ("99999999999999999999 TB more", None),
            ("18446744073709551615 kB more", None),
        ] {
            assert_eq!(growth(figure), bytes, "{figure}");
        }
    }

    #[test]
    fn a_kernel_needs_what_the_running_one_has() {
        let root = tempfile::tempdir().unwrap();
        let paths = ClientPaths::below(root.path());
        let write = |path: &str, text: &str| {
            let path = paths.path(path);
            fs::create_dir_all(path.parent().unwrap()).unwrap();
            fs::write(path, text).unwrap();
        };
        write("/proc/sys/kernel/osrelease", "6.1.0-1-amd64\n");
        let plan = |output: &str| Plan::parse(output, "amd64").unwrap();
        let kernels = "Inst linux-image-6.1.0-2-amd64 (6.1.2 D:12 [amd64])\nInst linux-image-amd64 [1] (2 D:12 [amd64])\n\
                       Remv linux-image-6.1.0-0-amd64 [1]\n";
        assert_eq!(needs(&paths, &plan(kernels), false).unwrap(), []);
        write("/boot/vmlinuz-6.1.0-1-amd64", "1234");
        write("/boot/initrd.img-6.1.0-1-amd64", "123456");
        write("/boot/initrd.img-6.1.0-0-amd64", "1");
        assert_eq!(
            needs(&paths, &plan(kernels), false).unwrap(),
            [Need {
                directory: paths.path("/boot"),
                bytes: 10
            }]
        );
        assert_eq!(
            needs(&paths, &plan("Inst vim [1] (2 D:12 [amd64])\n"), false).unwrap(),
            []
        );
    }

    #[test]
    fn a_deb_in_the_cache_needs_no_space() {
        let root = tempfile::tempdir().unwrap();
        let paths = ClientPaths::below(root.path());
        let cache = paths.archives();
        fs::create_dir_all(&cache).unwrap();
        fs::write(cache.join("whole"), "1234").unwrap();
        fs::write(cache.join("part"), "12").unwrap();
        let debs = ["whole", "part", "missing"].map(|file| Download {
            file: file.into(),
            sha256: apu_proto::DebSha256::from_bytes([0; 32]),
            size: 4,
        });
        let mut plan = Plan {
            debs: debs.into(),
            ..Plan::default()
        };
        let bytes = |plan: &Plan, is_download_only| -> Vec<u64> {
            let needs = needs(&paths, plan, is_download_only).unwrap();
            needs.iter().map(|need| need.bytes).collect()
        };
        assert_eq!(bytes(&plan, false), [8]);
        // What is only fetched needs no space to be unpacked.
        plan.sizes = Some(apu_proto::Sizes {
            download: "12 B".into(),
            disk: "2.0 MB more".into(),
        });
        assert_eq!(bytes(&plan, false), [8, 2 * MB]);
        assert_eq!(bytes(&plan, true), [8]);
    }
}
