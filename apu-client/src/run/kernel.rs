//! Finds the kernel that a reboot would start.
//!
//! A kernel's release, `6.1.0-37-cloud-amd64`, is a version and a flavour. A machine may have kernels of several
//! flavours. A reboot starts the newest one of the running flavour, unless somebody chooses another one in the boot
//! menu.

use crate::dpkg::{Database, compare};

/// Prefixes of the names of kernel packages.
const PREFIXES: [&str; 4] = [
    "linux-image-unsigned-",
    "linux-image-",
    "proxmox-kernel-",
    "pve-kernel-",
];

/// Suffixes of these names that are not part of the kernel's release.
const SUFFIXES: [&str; 3] = ["-unsigned", "-signed-template", "-signed"];

/// Returns the release of the newest installed kernel of the running flavour, as `uname -r` would print it, or the
/// running release where none is newer. Returns none where no package of that flavour is installed, as in a container
/// or with a self-built kernel.
pub(crate) fn newest(database: &Database, running: &str) -> Option<String> {
    let installed = database.packages.keys().filter_map(|key| {
        let release = release(key.name())?;
        (database.version(key.as_str()).is_some() && flavour(release) == flavour(running)).then_some(release)
    });
    let newest = installed.max_by(|one, other| compare(one, other))?;
    let newest = if compare(newest, running).is_gt() {
        newest
    } else {
        running
    };
    Some(newest.to_owned())
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
        newest(&Database::parse([text.as_str()]).unwrap(), running)
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
