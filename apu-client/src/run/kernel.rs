//! Finds the kernel that a reboot would start.
//!
//! A kernel's release, `6.1.0-37-cloud-amd64`, is a version and a flavour. A machine may have kernels of several
//! flavours. A reboot starts the newest one of the running flavour, unless somebody chooses another one in the boot
//! menu. One that is not in /boot cannot be started, and neither can one without its initramfs where the running one has its own.

use std::fs;

use crate::dpkg::{Database, compare};
use crate::os::paths::ClientPaths;

/// Prefixes of the names of kernel packages.
const PREFIXES: [&str; 4] = [
    "linux-image-unsigned-",
    "linux-image-",
    "proxmox-kernel-",
    "pve-kernel-",
];

/// Suffixes of these names that are not part of the kernel's release.
const SUFFIXES: [&str; 3] = ["-unsigned", "-signed-template", "-signed"];

/// Returns the release of the running kernel, as `uname -r` prints it; empty where it cannot be read.
pub(crate) fn running(paths: &ClientPaths) -> String {
    let text = fs::read_to_string(paths.path("/proc/sys/kernel/osrelease")).unwrap_or_default();
    text.trim_end().to_owned()
}

/// Returns the release of the newest kernel of the running flavour that is installed and can be started, as `uname -r` would print
/// it, or the running release where none is newer. Returns none where no package of that flavour is installed, as in a container or
/// with a self-built kernel.
pub(crate) fn newest(paths: &ClientPaths, database: &Database, running: &str) -> Option<String> {
    newest_bootable(database, running, |release| is_bootable(paths, release, running))
}

fn newest_bootable(database: &Database, running: &str, is_bootable: impl Fn(&str) -> bool) -> Option<String> {
    let installed = database.packages.keys().filter_map(|key| {
        let release = release(key.name())?;
        (database.version(key.as_str()).is_some() && flavour(release) == flavour(running)).then_some(release)
    });
    let mut installed: Vec<&str> = installed.collect();
    installed.sort_by(|one, other| compare(other, one));
    // One that is not newer shows by its package that a reboot starts this flavour, whether or not it is in /boot.
    installed.first()?;
    let mut newer = installed
        .into_iter()
        .filter(|release| compare(release, running).is_gt());
    Some(
        newer
            .find(|release| is_bootable(release))
            .unwrap_or(running)
            .to_owned(),
    )
}

/// Whether the boot loader finds what it needs of a kernel.
fn is_bootable(paths: &ClientPaths, release: &str, running: &str) -> bool {
    let is_there = |start: &str, release: &str| {
        let file = fs::metadata(paths.path(&format!("/boot/{start}-{release}")));
        file.is_ok_and(|file| file.is_file() && file.len() > 0)
    };
    let image = ["vmlinuz", "vmlinux"];
    image.iter().any(|start| is_there(start, release))
        && (is_there("initrd.img", release) || !is_there("initrd.img", running))
}

/// Returns the kernel release that a package of this name contains.
fn release(name: &str) -> Option<&str> {
    let release = PREFIXES.iter().find_map(|prefix| name.strip_prefix(prefix))?;
    let release = SUFFIXES
        .iter()
        .find_map(|suffix| release.strip_suffix(suffix))
        .unwrap_or(release);
    let is_kernel = release.starts_with(|first: char| first.is_ascii_digit())
        && !release.ends_with("-dbg")
        && !release.ends_with("-dbgsym");
    is_kernel.then_some(release)
}

/// Returns the flavour, such as `cloud-amd64`: the text after the version. Every part of the version starts with a digit.
fn flavour(release: &str) -> &str {
    let mut rest = release;
    while rest.starts_with(|first: char| first.is_ascii_digit()) {
        match rest.split_once('-') {
            Some((_, after)) => rest = after,
            None => return "",
        }
    }
    rest
}

#[cfg(test)]
mod tests {
    use super::*;

    fn newest_of(names: &[&str], running: &str) -> Option<String> {
        let of = |name: &&str| {
            format!("Package: {name}\nVersion: 1\nArchitecture: amd64\nStatus: install ok installed\n\n")
        };
        let text: String = names.iter().map(of).collect();
        newest_bootable(&Database::parse([text.as_str()]).unwrap(), running, |_| true)
    }

    #[test]
    fn the_newest_kernel_is_neither_a_meta_package_nor_symbols() {
        let names = [
            "linux-image-amd64",
            "linux-image-6.1.0-9-amd64",
            "linux-image-6.1.0-37-amd64",
            "linux-image-6.1.0-38-amd64-dbg",
            "linux-image-unsigned-6.1.0-36-amd64",
        ];
        assert_eq!(
            newest_of(&names, "6.1.0-9-amd64").as_deref(),
            Some("6.1.0-37-amd64")
        );
        assert_eq!(newest_of(&["linux-image-amd64"], "6.1.0-9-amd64"), None);
    }

    #[test]
    fn a_kernel_that_is_not_in_boot_or_has_no_initramfs_is_not_started_by_a_reboot() {
        let root = tempfile::tempdir().unwrap();
        let paths = ClientPaths::below(root.path());
        fs::create_dir_all(paths.path("/boot")).unwrap();
        let of = |release: &str| {
            format!(
                "Package: linux-image-{release}\nVersion: 1\nArchitecture: amd64\nStatus: install ok installed\n\n"
            )
        };
        let text: String = ["6.1.0-1-amd64", "6.1.0-2-amd64", "6.1.0-3-amd64"]
            .map(of)
            .concat();
        let database = Database::parse([text.as_str()]).unwrap();
        let newest = || newest(&paths, &database, "6.1.0-1-amd64").unwrap();
        let write = |name: &str| fs::write(paths.path("/boot").join(name), "x").unwrap();
        assert_eq!(newest(), "6.1.0-1-amd64");
        write("vmlinuz-6.1.0-3-amd64");
        write("vmlinuz-6.1.0-2-amd64");
        // Without any initramfs none is needed.
        assert_eq!(newest(), "6.1.0-3-amd64");
        write("initrd.img-6.1.0-1-amd64");
        assert_eq!(newest(), "6.1.0-1-amd64");
        write("initrd.img-6.1.0-2-amd64");
        assert_eq!(newest(), "6.1.0-2-amd64");
        write("initrd.img-6.1.0-3-amd64");
        assert_eq!(newest(), "6.1.0-3-amd64");
        // One that broke off while it was written.
        fs::write(paths.path("/boot/vmlinuz-6.1.0-3-amd64"), "").unwrap();
        assert_eq!(newest(), "6.1.0-2-amd64");
    }

    #[test]
    fn another_flavour_wants_no_restart() {
        let names = [
            "linux-image-6.1.0-37-amd64",
            "linux-image-6.1.0-37-cloud-amd64",
            "linux-image-6.1.0-38-rt-amd64",
        ];
        for running in ["6.1.0-37-amd64", "6.1.0-37-cloud-amd64", "6.1.0-38-rt-amd64"] {
            assert_eq!(newest_of(&names, running).as_deref(), Some(running));
        }
        assert_eq!(
            newest_of(&names, "6.1.0-36-cloud-amd64").as_deref(),
            Some("6.1.0-37-cloud-amd64")
        );
        assert_eq!(newest_of(&names, "6.18.5-own"), None);
    }

    #[test]
    fn an_unsigned_image_is_the_kernel_that_runs() {
        for name in [
            "linux-image-6.1.0-37-amd64-unsigned",
            "linux-image-unsigned-6.1.0-37-amd64",
        ] {
            assert_eq!(
                newest_of(&[name], "6.1.0-37-amd64").as_deref(),
                Some("6.1.0-37-amd64")
            );
        }
        assert_eq!(
            newest_of(&["proxmox-kernel-6.8.12-1-pve-signed"], "6.8.11-1-pve").as_deref(),
            Some("6.8.12-1-pve")
        );
    }

    #[test]
    fn a_running_kernel_that_is_newer_than_any_package_wants_no_restart() {
        let names = ["linux-image-6.1.0-37-amd64"];
        assert_eq!(
            newest_of(&names, "6.12.9+bpo-amd64").as_deref(),
            Some("6.12.9+bpo-amd64")
        );
        assert_eq!(flavour("6.1.0-0.deb11.13-amd64"), "amd64");
        assert_eq!(flavour("6.6.31+rpt-rpi-v8"), "rpi-v8");
    }
}
