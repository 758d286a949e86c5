//! Finds out why the machine needs a reboot, and which boot it is in: for `status`, for a dry run of `reboot`, and for the run.

use std::fs::{self, File};
use std::io::{self, BufRead, BufReader, Read};
use std::os::unix::fs::OpenOptionsExt;
use std::path::Path;

use apu_debian::PackageName;
use apu_proto::{Action, MAX_REBOOT_PACKAGES, RebootReason, RebootReport};
use nix::fcntl::OFlag;

use super::kernel;
use super::microcode::is_newer_installed;
use super::refusal::Refusal;
use crate::dpkg::Database;
use crate::os::paths::ClientPaths;
use crate::os::services::{RunningServices, running_services};

/// Maximal size of the list of packages that asked for a reboot, in bytes.
const MAX_LIST: u64 = 64 * 1024;

/// Services whose code only a reboot replaces: dbus is not restarted while the machine runs.
const BUSES: [&str; 2] = ["dbus", "dbus-broker"];

/// Tells in which boot the machine is, and why it needs another one.
pub(crate) fn look(paths: &ClientPaths) -> Result<RebootReport, Refusal> {
    let database =
        Database::read(&paths.dpkg()).map_err(|error| Refusal::fault(Action::ReadDatabase, &error))?;
    let running = kernel::running(paths);
    let newest = kernel::newest(paths, &database, &running);
    let kernel = newest
        .filter(|newest| *newest != running)
        .map(|newest| RebootReason::Kernel {
            running: running.clone(),
            newest,
        });
    let asked = paths.reboot_required().then(|| RebootReason::Packages {
        packages: packages(paths),
    });
    let services = running_services(paths.root()).unwrap_or_default();
    let reasons = [
        kernel,
        asked,
        is_newer_installed(paths).then_some(RebootReason::Microcode),
        libc(&services),
        has_replaced_bus(&services).then_some(RebootReason::Dbus),
    ];
    Ok(RebootReport {
        boot_id: boot_id(paths),
        kernel: running,
        reasons: reasons.into_iter().flatten().collect(),
        checks: Vec::new(),
    })
}

/// Where the kernel tells its random id of this boot. In a container it is mounted over.
const BOOT_ID: &str = "/proc/sys/kernel/random/boot_id";

/// Returns the random id of this boot as PID 1 sees it; empty where it cannot be read. A process that is confined may see that of the
/// machine around a container, and two processes that see different ones would tell of a reboot that has never been.
pub(crate) fn boot_id(paths: &ClientPaths) -> String {
    let text = match fs::read_to_string(paths.path(&format!("/proc/1/root{BOOT_ID}"))) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => fs::read_to_string(paths.path(BOOT_ID)),
        read => read,
    };
    text.unwrap_or_default().trim_end().to_owned()
}

/// The packages that asked for a reboot, as they wrote themselves down; sorted.
fn packages(paths: &ClientPaths) -> Vec<String> {
    let lists = ["/run/reboot-required.pkgs", "/var/run/reboot-required.pkgs"];
    let mut packages: Vec<String> = lists.iter().flat_map(|path| lines(&paths.path(path))).collect();
    packages.sort();
    packages.dedup();
    packages.truncate(MAX_REBOOT_PACKAGES);
    packages
}

/// The lines of a regular file that are names of packages.
fn lines(path: &Path) -> Vec<String> {
    let flags = OFlag::O_NOFOLLOW | OFlag::O_NONBLOCK;
    let opened = File::options().read(true).custom_flags(flags.bits()).open(path);
    let Ok(file) = opened else {
        return Vec::new();
    };
    if !file.metadata().is_ok_and(|metadata| metadata.is_file()) {
        return Vec::new();
    }
    let lines = BufReader::new(file.take(MAX_LIST)).lines();
    let names = lines.map_while(Result::ok);
    let names = names.filter(|line| line.parse::<PackageName>().is_ok());
    names.collect()
}

/// Whether services run with a C library that was replaced: few of them are restarted when that happens.
fn libc(services: &RunningServices) -> Option<RebootReason> {
    let is_libc = |file: &&String| {
        let name = file.rsplit('/').next().unwrap_or_default();
        name.starts_with("libc.so.") || (name.starts_with("libc-2.") && name.ends_with(".so"))
    };
    let users = services.replaced.iter().filter(|(file, _)| is_libc(file));
    let mut users: Vec<usize> = users.flat_map(|(_, users)| users.iter().copied()).collect();
    users.sort_unstable();
    users.dedup();
    (!users.is_empty()).then_some(RebootReason::Libc {
        services: users.len(),
    })
}

fn has_replaced_bus(services: &RunningServices) -> bool {
    let is_bus = |place: &usize| {
        let unit = services.units.get(*place).map(String::as_str);
        unit.is_some_and(|unit| BUSES.contains(&unit))
    };
    services.replaced.values().flatten().any(is_bus)
}

#[cfg(test)]
mod tests {
    use std::collections::{BTreeMap, HashMap};
    use std::os::unix::fs::symlink;

    use super::*;

    /// A machine with one kernel, which is not the newest if `kernels` says so.
    fn machine(kernels: &[&str]) -> (tempfile::TempDir, ClientPaths) {
        let root = tempfile::tempdir().unwrap();
        let paths = ClientPaths::below(root.path());
        for directory in ["/proc/sys/kernel/random", "/boot", "/run", "/var/lib/dpkg"] {
            fs::create_dir_all(paths.path(directory)).unwrap();
        }
        fs::write(paths.path("/proc/sys/kernel/osrelease"), "6.1.0-1-amd64\n").unwrap();
        fs::write(paths.path("/proc/sys/kernel/random/boot_id"), "abc\n").unwrap();
        let mut status =
            "Package: dpkg\nStatus: install ok installed\nArchitecture: amd64\nVersion: 1\n\n".to_owned();
        for kernel in kernels {
            status += &format!(
                "Package: linux-image-{kernel}\nStatus: install ok installed\nArchitecture: amd64\nVersion: 1\n\n"
            );
            fs::write(paths.path(&format!("/boot/vmlinuz-{kernel}")), "x").unwrap();
        }
        fs::write(paths.dpkg().join("status"), status).unwrap();
        (root, paths)
    }

    #[test]
    fn a_machine_that_nothing_asks_needs_none() {
        for kernels in [&[][..], &["6.1.0-1-amd64"], &["6.1.0-2-rt-amd64"]] {
            let (_root, paths) = machine(kernels);
            let report = look(&paths).unwrap();
            assert!(!report.is_needed(), "{report:?}");
            assert_eq!(
                (report.boot_id.as_str(), report.kernel.as_str()),
                ("abc", "6.1.0-1-amd64")
            );
        }
    }

    #[test]
    fn a_newer_kernel_and_packages_that_ask_are_reasons() {
        let (_root, paths) = machine(&["6.1.0-1-amd64", "6.1.0-2-amd64"]);
        fs::write(
            paths.path("/run/reboot-required"),
            "*** System restart required ***\n",
        )
        .unwrap();
        let list = "linux-image-6.1.0-2-amd64\nlibc6\nlibc6\nnot a package; rm\n";
        fs::write(paths.path("/run/reboot-required.pkgs"), list).unwrap();
        let expected = [
            RebootReason::Kernel {
                running: "6.1.0-1-amd64".into(),
                newest: "6.1.0-2-amd64".into(),
            },
            RebootReason::Packages {
                packages: vec!["libc6".into(), "linux-image-6.1.0-2-amd64".into()],
            },
        ];
        assert_eq!(look(&paths).unwrap().reasons, expected);
        // What PID 1 sees comes first, and where that cannot be read nothing else is taken for it.
        let seen = paths.path("/proc/1/root/proc/sys/kernel/random");
        fs::create_dir_all(&seen).unwrap();
        fs::write(seen.join("boot_id"), "def\n").unwrap();
        assert_eq!(boot_id(&paths), "def");
        fs::remove_file(seen.join("boot_id")).unwrap();
        fs::create_dir(seen.join("boot_id")).unwrap();
        assert_eq!(boot_id(&paths), "");
        // No link is followed.
        fs::remove_file(paths.path("/run/reboot-required.pkgs")).unwrap();
        fs::write(paths.path("/run/other"), "libc6\n").unwrap();
        symlink(paths.path("/run/other"), paths.path("/run/reboot-required.pkgs")).unwrap();
        let packages = Vec::new();
        assert_eq!(
            look(&paths).unwrap().reasons[1],
            RebootReason::Packages { packages }
        );
    }

    #[test]
    fn a_replaced_c_library_and_a_replaced_bus_are_reasons_and_other_code_is_none() {
        let services = |replaced: &[(&str, &[usize])]| RunningServices {
            units: vec!["ssh".into(), "cron".into(), "dbus".into()],
            users: HashMap::new(),
            replaced: (replaced.iter())
                .map(|(file, users)| ((*file).to_owned(), users.iter().copied().collect()))
                .collect(),
            stale: BTreeMap::new(),
        };
        let libc6 = "/lib/x86_64-linux-gnu/libc.so.6";
        for (replaced, reason, bus) in [
            (&[][..], None, false),
            (
                &[(libc6, &[0, 1][..])],
                Some(RebootReason::Libc { services: 2 }),
                false,
            ),
            (
                &[("/lib/x86_64-linux-gnu/libc-2.31.so", &[1])],
                Some(RebootReason::Libc { services: 1 }),
                false,
            ),
            (&[("/lib/x86_64-linux-gnu/libcap.so.2.66", &[0])], None, false),
            (&[("/usr/sbin/sshd", &[0])], None, false),
            (&[("/bin/dbus-daemon", &[2])], None, true),
        ] {
            let services = services(replaced);
            assert_eq!(
                (libc(&services), has_replaced_bus(&services)),
                (reason, bus),
                "{replaced:?}"
            );
        }
    }
}
